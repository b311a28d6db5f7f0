"""Where things lie in the two buckets: what a key in the inbox means, and where results go."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import quote

from bucketbrush.domain.pictures import PictureFormat

DEFAULT_PRESET = "default"
PICTURE_SUFFIXES = {".png": PictureFormat.PNG, ".jpg": PictureFormat.JPEG, ".jpeg": PictureFormat.JPEG}
JOB_SUFFIX = ".job.json"
BATCH_SUFFIX = ".jobs.jsonl"
MASK_SUFFIX = ".mask.png"
SIDECAR_SUFFIX = ".json"
MAX_REFERENCE_BYTES = 50_000_000  # ToAPIs, image editing page: reference images, "max 50MB each"
MAX_UPLOAD_BYTES = 10_000_000  # ToAPIs, upload page: 10 MB, read the narrow way
RESULTS_KEY = "results/{folder}/{stem}/{job_id}/{index}.{ext}"
_LONGEST_KEY = 1024  # bytes (S3 User Guide, "Naming Amazon S3 objects")
_LONGEST_NAME = 100  # bytes that are kept for a file's name behind a job's folder
_REFERENCES = "references/"
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can say it: JSON's escapes can spell half a surrogate pair, which nothing can send."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def stem(key: str) -> str:
    """A file's name without its suffix, those of job documents and batches included."""
    name = key.rsplit("/", 1)[-1]
    longer = next((suffix for suffix in (JOB_SUFFIX, BATCH_SUFFIX) if name.lower().endswith(suffix)), "")
    return name[: -len(longer)] if longer else name.rsplit(".", 1)[0] or name


def folder(key: str, drops: str) -> str:
    """The folder that a file was dropped into, without the drops' own prefix; "" for none."""
    return key.removeprefix(drops).rpartition("/")[0].strip("/")


def is_job_document(key: str) -> bool:
    return key.lower().endswith(JOB_SUFFIX)


def is_batch(key: str) -> bool:
    return key.lower().endswith(BATCH_SUFFIX)


def is_mask(key: str) -> bool:
    return key.lower().endswith(MASK_SUFFIX)


def is_sidecar(key: str) -> bool:
    """Whether it is named like a picture with ``.json`` behind: what it says is for that picture."""
    return key.lower().endswith(SIDECAR_SUFFIX) and is_picture(sidecar_of(key))


def sidecar_key(picture: str) -> str:
    return picture + SIDECAR_SUFFIX


def sidecar_of(key: str) -> str:
    """The key of the picture that a sidecar is for."""
    return key[: -len(SIDECAR_SUFFIX)]


def mask_of(key: str) -> str:
    """The key, without its suffix, of the picture that a mask is for."""
    return key[: -len(MASK_SUFFIX)]


def mask_key(picture: str) -> str:
    """Where the mask of a dropped picture lies: beside it, by the name of its file without the suffix."""
    return without_suffix(picture) + MASK_SUFFIX


def without_suffix(picture: str) -> str:
    """What the keys of a picture and of all that lies beside it begin with."""
    return picture[: picture.rindex(".")]


def is_picture(key: str) -> bool:
    return PurePosixPath(key).suffix.lower() in PICTURE_SUFFIXES and not is_mask(key)


def content_type(key: str) -> str:
    """The media type that a picture's suffix says."""
    return PICTURE_SUFFIXES[PurePosixPath(key).suffix.lower()].content_type


def drop_problem(key: str, size: int, most: int = MAX_REFERENCE_BYTES) -> str | None:
    """What is wrong with a file that should be a picture before anybody has looked into it, or None."""
    suffix = PurePosixPath(key).suffix
    if suffix.lower() not in PICTURE_SUFFIXES:
        found = f"the suffix {suffix:.20}" if suffix else "no suffix"
        others = f"a {JOB_SUFFIX} document, a {BATCH_SUFFIX} batch, or <picture>{SIDECAR_SUFFIX} beside a picture"
        return f"{key}: found {found}; allowed: {', '.join(PICTURE_SUFFIXES)} in any case ({others})."
    if not 0 < size <= most:
        way = (
            " when pictures are handed over by upload (parameter ReferenceHandover)"
            if most < MAX_REFERENCE_BYTES
            else ""
        )
        return f"{key}: found {size:,} bytes; allowed: 1 to {most:,} bytes{way}."
    return None


@dataclass(frozen=True)
class Inbox:
    """The inbox bucket and the prefixes of what lies in it. Each ends with a slash and holds none of the others.

    ``results`` is the prefix of the results when they lie in this bucket too, else empty.
    """

    bucket: str
    drops: str = "inbox/"
    presets: str = "presets/"
    references: str = "references/"
    results: str = ""

    def is_ignored(self, key: str, size: int) -> bool:
        """Whether a created object starts no job: what does not lie among the drops, results, litter, what lies in a
        folder for references, masks, and sidecars.
        """
        if not key.startswith(self.drops) or (self.results and key.startswith(self.results)):
            return True
        in_folder = f"/{_REFERENCES}" in f"/{key.removeprefix(self.drops)}".lower()
        return self.is_litter(key, size) or in_folder or is_mask(key) or is_sidecar(key)

    @staticmethod
    def is_litter(key: str, size: int) -> bool:
        """Whether it is what people and programs leave behind: folder markers, dotfiles and Windows thumbnails."""
        name = PurePosixPath(key).name
        return (key.endswith("/") and size == 0) or name.startswith(".") or name.lower() == "thumbs.db"

    def is_among_presets(self, key: str, size: int) -> bool:
        """Whether a created object is a preset, or was meant to be one."""
        return key.startswith(self.presets) and not self.is_litter(key, size)

    def is_preset(self, key: str) -> bool:
        return key.startswith(self.presets) and key.lower().endswith(".json")

    def preset_name(self, key: str) -> str | None:
        """The preset that a dropped picture asks for: its first folder, else ``default``; a document says it itself."""
        if is_job_document(key) or is_batch(key) or key.startswith(self.presets):
            return None
        folder, slash, _ = key.removeprefix(self.drops).partition("/")
        return folder if slash and folder else DEFAULT_PRESET

    def takes_preset(self, name: object) -> bool:
        """Whether a document may name a preset so."""
        if not isinstance(name, str) or not name or not is_unicode(name):
            return False
        return len(self.preset_key(name).encode()) <= _LONGEST_KEY

    def preset_key(self, preset: str) -> str:
        return f"{self.presets}{preset}.json"

    def folder(self, key: str) -> str:
        return folder(key, self.drops)

    @property
    def pictures(self) -> tuple[str, str]:
        """The prefixes below which a document's pictures may lie."""
        return self.drops, self.references

    def picture_key(self, given: str, folder: str) -> str | None:
        """The key of a picture that a job document names: ``s3://`` of this bucket, or relative to ``folder``, which
        is the document's own (empty for one that is no file). None when it may not lie there.
        """
        if given.startswith(f"s3://{self.bucket}/"):
            key = given.removeprefix(f"s3://{self.bucket}/")
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
        is_there = key.startswith(self.pictures) and not key.endswith("/")
        return key if is_there and is_unicode(key) and len(key.encode()) <= _LONGEST_KEY else None


def demand_results_key(template: str) -> str:
    """The template itself, if every job gets a folder of its own from it. Raises ValueError."""
    folder, _, name = template.rpartition("/")
    if (
        "{job_id}" not in folder.split("/")
        or {*_VARIABLE.findall(folder)} - {"folder", "stem", "date", "job_id"}
        or sorted(_VARIABLE.findall(name)) != ["ext", "index"]
        or not name.endswith(".{ext}")
        or name == "reference-{index}.{ext}"  # so are the copies of references named
        or {"{", "}"} & {*_VARIABLE.sub("", template)}
        or not re.fullmatch(r"[A-Za-z0-9!_.'()-][A-Za-z0-9!_.'()/-]*/", results_prefix(template))
        or {"", ".", ".."} & {*folder.split("/")}
    ):
        raise ValueError(
            "allowed: a prefix that ends with a slash, folders of {folder}, {stem}, {date} and {job_id}, which must be "
            f"one, and a name of {{index}} and .{{ext}} at its end, such as {RESULTS_KEY}"
        )
    return template


def results_prefix(template: str) -> str:
    """What the keys of all results begin with: the template up to its first variable."""
    return template.partition("{")[0]


def results_at(template: str, job_id: str, folder: str = "", stem: str = "", date: str = "") -> str:
    """The keys of a job's pictures, with only ``{index}`` and ``{ext}`` left open.

    ``folder`` and ``stem`` are those of the dropped file, empty without one, and left out where the key would become
    too long for S3. A caller's odd execution name cannot leave its folder.
    """
    values = {"folder": folder, "stem": stem, "date": date}
    at = _filled(template, values, job_id)
    return at if len(at.encode()) <= _LONGEST_KEY - _LONGEST_NAME else _filled(template, {"date": date}, job_id)


def date_of(now: int) -> str:
    """The day of a time, in UTC."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d}"


def _filled(template: str, values: dict[str, str], job_id: str) -> str:
    folders, _, name = template.rpartition("/")
    parts = []
    for part in folders.split("/"):
        if part == "{folder}":
            parts += [_segment(one) for one in values.get("folder", "").split("/") if one]
        else:
            parts.append(_VARIABLE.sub(lambda found: _named(found[1], values, job_id), part))
    return "/".join([*(part for part in parts if part), name])


def _named(name: str, values: dict[str, str], job_id: str) -> str:
    if name != "job_id":
        return _segment(values.get(name, "").replace("/", "-"))
    quoted = quote(job_id, safe="")
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")


def _segment(text: str) -> str:
    """A folder of a key: what would be no folder, an open variable, or a control character, is percent-encoded."""
    if not text.strip("."):
        return text.replace(".", "%2E")
    return "".join(letter if letter.isprintable() and letter not in "{}%" else quote(letter) for letter in text)


def beside(results_at: str, name: str) -> str:
    """The key of another file in the folder of a job's pictures."""
    return f"{results_at.rpartition('/')[0]}/{name}"


def picture_stem(results_at: str, number: int) -> str:
    """The key of a job's picture without its suffix."""
    return results_at.replace("{index}", str(number)).removesuffix(".{ext}")


def picture_number(results_at: str, key: str) -> int | None:
    """Which of the job's pictures a key of the results bucket is, or None."""
    before, _, after = results_at.removesuffix("{ext}").partition("{index}")
    found = re.fullmatch(f"{re.escape(before)}([1-9][0-9]*){re.escape(after)}(.+)", key)
    return int(found[1]) if found and found[2] in set(PictureFormat) else None
