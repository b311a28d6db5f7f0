"""What a reference or mask really is, told from a few small reads before anything is paid.

The provider takes PNG and JPEG, and as mask a PNG picture with alpha of the first reference's size (ToAPIs, image
editing page: ``image_urls``, ``mask_url``). Refused is what common decoders cannot read, and what is something else
too: its author may not know, and nobody knows what the provider's side makes of it.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from bucketbrush.domain.headers import HEAD_WINDOW, TAIL_WINDOW, File, Header, jpeg_header, png_header
from bucketbrush.domain.layout import PICTURE_SUFFIXES
from bucketbrush.domain.pictures import PICTURE_END, PictureFormat, describe, is_whole, sniff

# Beyond it Pillow, which many services decode with, refuses (twice its Image.MAX_IMAGE_PIXELS).
MAX_PIXELS = 178_956_970

_BEGINNING = 1024  # bytes in which readers of PDF look for its header; browsers look at fewer for theirs
_DISGUISE = re.compile(rb"%PDF-|(?i:<(?:!doctype html|html|script|svg|\?php))")
_PADDING = b"\0 \t\r\n"
_MOTION = re.compile(rb"(?:MotionPhoto|MicroVideo)(?:>|=[\"'])1|ftyp|mvhd|mdat")  # Google's XMP, or boxes of MP4
_SAMSUNG_VIDEO = 0x0A30
_ARCHIVE = re.compile(rb"PK(?:\x05\x06|\x01\x02|\x03\x04)|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c")
_NO_DATA = re.compile(rb"\xff[\x01-\xbf]")  # markers that do not stand in a JPEG picture's data (T.81, table B.1)
_HARMLESS = (describe(b"\0"), describe(b"some text"))  # what phones and programs write behind a JPEG picture


@dataclass(frozen=True)
class Facts:
    """A picture's true format, its size in pixels, and whether it can be transparent."""

    format: PictureFormat
    width: int
    height: int
    has_alpha: bool

    @property
    def size(self) -> str:
        return f"{self.width:,} x {self.height:,} pixels"


def inspect(name: str, size: int, read: Callable[[int, int], bytes], *, is_mask: bool = True) -> Facts:
    """The facts of a file of ``size`` bytes, whose ``read(start, length)`` gives at most ``length`` bytes.

    It is read at most 16 times and 256 KiB in all, mostly twice. ``name`` is the object's key, whose suffix must not
    lie. Without ``is_mask`` transparent colours of a picture without an alpha channel are not looked for. Raises
    RecipeInvalid, which says what the file really is.
    """
    file = File(name, size, read)
    head = file.at(0, HEAD_WINDOW)
    kind = sniff(head)
    if kind is None:
        raise file.refused(describe(head[:_BEGINNING]))
    suffix = PurePosixPath(name).suffix.lower()
    right = PICTURE_SUFFIXES.get(suffix, kind)
    if right is not kind:
        raise file.refused(
            f"a {kind.name} picture", f"a {right.name} picture for {suffix} (rename it, or save it anew)"
        )
    if disguise := _DISGUISE.search(head, 0, _BEGINNING):
        raise file.refused(f"a {kind.name} picture that is {describe(head[disguise.start() : _BEGINNING])} too")
    header = png_header(file, seeks_trns=is_mask) if kind is PictureFormat.PNG else jpeg_header(file)
    facts = Facts(kind, header.width, header.height, header.has_alpha)
    if header.width * header.height > MAX_PIXELS:
        found = f"a {kind.name} picture of {facts.size}, {header.width * header.height:,} in all"
        raise file.refused(found, f"at most {MAX_PIXELS:,} in all")
    _check_end(file, kind, header)
    return facts


def mask_problem(name: str, mask: Facts, first: Facts) -> str | None:
    """What is wrong with a mask for the first reference, or None (ToAPIs, image editing page: ``mask_url``)."""
    if mask.format is PictureFormat.PNG and mask.has_alpha and mask.size == first.size:
        return None
    alpha = "with" if mask.has_alpha else "without"
    return (
        f"{name}: found a {mask.format.name} picture {alpha} alpha channel of {mask.size}; "
        f"allowed: a PNG picture with alpha channel of {first.size}, as the first reference has."
    )


def _check_end(file: File, kind: PictureFormat, header: Header) -> None:
    """Raises RecipeInvalid unless the file ends where its picture does.

    Padding does no harm, nor what phones and programs write behind a JPEG picture, which every decoder passes over.
    """
    start = max(0, file.size - TAIL_WINDOW)
    tail = file.at(start, TAIL_WINDOW)
    if _is_archive(tail):
        raise file.refused(f"a {kind.name} picture that is a ZIP archive too")
    body = tail.rstrip(_PADDING)
    if is_whole(kind, body):
        return
    trailer, has_video = _samsung_trailer(body)
    picture_end = start + len(body) - trailer
    if trailer and not has_video and picture_end > 2 and is_whole(kind, file.at(picture_end - 2, 2)):
        return
    if has_video or _MOTION.search(file.at(0, HEAD_WINDOW)) or _MOTION.search(tail):
        raise file.refused(f"a {kind.name} picture with a video behind it (a motion photo)", "the picture alone")
    data, end, rest = tail[max(0, header.position - start) :].partition(PICTURE_END[kind])
    is_data = start <= header.position or not _NO_DATA.search(data)
    if end and kind is PictureFormat.JPEG and is_data and describe(rest) in _HARMLESS and not _ARCHIVE.search(rest):
        return
    if end:
        raise file.refused(f"a {kind.name} picture with {len(rest):,} bytes behind its end ({describe(rest)})")
    raise file.refused(f"a {kind.name} picture without its end (cut off, or with much else behind it)")


def _is_archive(tail: bytes) -> bool:
    """Whether the end record of a ZIP archive stands where programs look for it (APPNOTE.TXT 4.3.16)."""
    at = tail.rfind(b"PK\x05\x06")
    if not 0 <= at <= len(tail) - 22:
        return False
    entries_here, entries, comment = struct.unpack_from("<2H8xH", tail, at + 8)
    return bool(entries_here == entries and at + 22 + comment <= len(tail))


def _samsung_trailer(body: bytes) -> tuple[int, bool]:
    """The length of what Samsung's phones write behind a picture, 0 for none, and whether a video is in it.

    As ExifTool reads it: a directory ("SEFH"), its length and "SEFT" are the end; each of its entries of 12 bytes
    says what stands how far before the directory.
    """
    length = int.from_bytes(body[-8:-4], "little")
    directory = body[-8 - length : -8]
    if not body.endswith(b"SEFT") or not directory.startswith(b"SEFH") or length % 12 or length == 12:
        return 0, False
    entries: list[tuple[int, int]] = list(struct.iter_unpack("<2xHI4x", directory[12:]))
    return 8 + length + max(distance for _, distance in entries), any(kind == _SAMSUNG_VIDEO for kind, _ in entries)
