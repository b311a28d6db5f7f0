"""Where things lie in the two buckets: what a key in the inbox means, and where results go."""

import re
from pathlib import PurePosixPath
from urllib.parse import quote

from bucketbrush.domain.pictures import PictureFormat

INBOX_PREFIX = "inbox/"
PRESETS_PREFIX = "presets/"
# Where a job document's references may lie; a file dropped under references/ starts no job of its own.
REFERENCE_PREFIXES = (INBOX_PREFIX, "references/")
RESULTS_PREFIX = "results/"
DEFAULT_PRESET = "default"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_REFERENCE_BYTES = 50_000_000  # ToAPIs, image editing page: reference images, "max 50MB each"


def is_ignored(key: str, size: int) -> bool:
    """Whether a dropped object is file-system litter: folder markers, dotfiles and Windows thumbnails."""
    name = PurePosixPath(key).name
    return (key.endswith("/") and size == 0) or name.startswith(".") or name.lower() == "thumbs.db"


def preset_name(key: str) -> str:
    """The preset that a key of the inbox asks for: its first folder, else ``default``."""
    folder, slash, _ = key.removeprefix(INBOX_PREFIX).partition("/")
    return folder if slash and folder else DEFAULT_PRESET


def preset_key(preset: str) -> str:
    return f"{PRESETS_PREFIX}{preset}.json"


def drop_problem(key: str, size: int) -> str | None:
    """What is wrong with a dropped file before anybody has looked into it, or None."""
    suffix = PurePosixPath(key).suffix
    if suffix.lower() not in PICTURE_SUFFIXES:
        found = f"the suffix {suffix}" if suffix else "no suffix"
        return f"{key}: found {found}; allowed: {', '.join(PICTURE_SUFFIXES)} in any case."
    if not 0 < size <= MAX_REFERENCE_BYTES:
        return f"{key}: found {size:,} bytes; allowed: 1 to {MAX_REFERENCE_BYTES:,} bytes."
    return None


def result_key(job_id: str, name: str) -> str:
    """The key of one of a job's results. A caller's odd execution name cannot leave its folder."""
    folder = quote(job_id, safe="")
    return f"{RESULTS_PREFIX}{folder if folder.strip('.') else '_' + folder}/{name}"


def picture_number(job_id: str, key: str) -> int | None:
    """Which of the job's pictures a key of the results bucket is, or None."""
    number, dot, suffix = key.removeprefix(result_key(job_id, "")).partition(".")
    return int(number) if dot and re.fullmatch("[1-9][0-9]*", number) and suffix in set(PictureFormat) else None
