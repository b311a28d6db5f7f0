"""Where things lie in the two buckets: what a key in the inbox means, and where results go."""

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from bucketbrush.domain.pictures import PictureFormat

INBOX_PREFIX = "inbox/"
PRESETS_PREFIX = "presets/"
# Where a job document's pictures may lie. No folder of this name, in any case, starts jobs.
REFERENCES_FOLDER = "references/"
REFERENCE_PREFIXES = (INBOX_PREFIX, REFERENCES_FOLDER)
RESULTS_PREFIX = "results/"
DEFAULT_PRESET = "default"
PICTURE_SUFFIXES = {".png": PictureFormat.PNG, ".jpg": PictureFormat.JPEG, ".jpeg": PictureFormat.JPEG}
JOB_SUFFIX = ".job.json"
MAX_REFERENCE_BYTES = 50_000_000  # ToAPIs, image editing page: reference images, "max 50MB each"
MAX_UPLOAD_BYTES = 10_000_000  # ToAPIs, upload page: 10 MB, read the narrow way
_LONGEST_KEY = 1024  # bytes (S3 User Guide, "Naming Amazon S3 objects")


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can say it: JSON's escapes can spell half a surrogate pair, which nothing can send."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def is_ignored(key: str, size: int) -> bool:
    """Whether a dropped object starts no job: folder markers, dotfiles, Windows thumbnails, and what lies in a folder
    for references.
    """
    name = PurePosixPath(key).name
    is_litter = (key.endswith("/") and size == 0) or name.startswith(".") or name.lower() == "thumbs.db"
    return is_litter or f"/{REFERENCES_FOLDER}" in key.lower()


def is_job_document(key: str) -> bool:
    return key.lower().endswith(JOB_SUFFIX)


def preset_name(key: str) -> str | None:
    """The preset that a key of the inbox asks for: its first folder, else ``default``; a job document asks for none."""
    if is_job_document(key):
        return None
    folder, slash, _ = key.removeprefix(INBOX_PREFIX).partition("/")
    return folder if slash and folder else DEFAULT_PRESET


def preset_key(preset: str) -> str:
    return f"{PRESETS_PREFIX}{preset}.json"


def content_type(key: str) -> str:
    """The media type that a picture's suffix says."""
    return PICTURE_SUFFIXES[PurePosixPath(key).suffix.lower()].content_type


def drop_problem(key: str, size: int, most: int = MAX_REFERENCE_BYTES) -> str | None:
    """What is wrong with a file that should be a picture before anybody has looked into it, or None."""
    suffix = PurePosixPath(key).suffix
    if suffix.lower() not in PICTURE_SUFFIXES:
        found = f"the suffix {suffix:.20}" if suffix else "no suffix"
        return f"{key}: found {found}; allowed: {', '.join(PICTURE_SUFFIXES)} in any case (or a {JOB_SUFFIX} document)."
    if not 0 < size <= most:
        way = (
            " when pictures are handed over by upload (parameter ReferenceHandover)"
            if most < MAX_REFERENCE_BYTES
            else ""
        )
        return f"{key}: found {size:,} bytes; allowed: 1 to {most:,} bytes{way}."
    return None


def picture_key(given: str, bucket: str, folder: str) -> str | None:
    """The key of a picture that a job document names: ``s3://`` of the inbox bucket, or relative to ``folder``, which
    is the document's own (empty for one that is no file). None when it may not lie there.
    """
    if given.startswith(f"s3://{bucket}/"):
        key = given.removeprefix(f"s3://{bucket}/")
        if {".", ".."} & {*key.split("/")}:  # whoever fetches a link to it would take these away
            return None
    elif "://" in given or given.startswith(("/", "data:")):
        return None
    else:
        parts: list[str] = []
        for part in f"{folder}{given}".split("/"):
            if part == ".." and not parts:
                return None
            if part == "..":
                parts.pop()
            elif part != ".":
                parts.append(part)
        key = "/".join(parts)
    is_there = key.startswith(REFERENCE_PREFIXES) and not key.endswith("/")
    return key if is_there and is_unicode(key) and len(key.encode()) <= _LONGEST_KEY else None


def result_key(job_id: str, name: str) -> str:
    """The key of one of a job's results. A caller's odd execution name cannot leave its folder."""
    folder = quote(job_id, safe="")
    return f"{RESULTS_PREFIX}{folder if folder.strip('.') else folder.replace('.', '%2E')}/{name}"


def picture_number(job_id: str, key: str) -> int | None:
    """Which of the job's pictures a key of the results bucket is, or None."""
    number, dot, suffix = key.removeprefix(result_key(job_id, "")).partition(".")
    return int(number) if dot and re.fullmatch("[1-9][0-9]*", number) and suffix in set(PictureFormat) else None
