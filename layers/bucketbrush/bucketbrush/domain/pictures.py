"""What the first and last bytes of a file say about it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.headers import File, jpeg_header, png_header

HEAD_BYTES = 16
TAIL_BYTES = 12


class PictureFormat(StrEnum):
    """A picture format that the provider delivers; the value is the file's suffix."""

    PNG = "png"
    JPEG = "jpg"

    @property
    def content_type(self) -> str:
        return "image/png" if self is PictureFormat.PNG else "image/jpeg"


@dataclass(frozen=True)
class Pixels:
    width: int
    height: int


_MAGIC = ((b"\x89PNG\r\n\x1a\n", PictureFormat.PNG), (b"\xff\xd8\xff", PictureFormat.JPEG))
PICTURE_END = {PictureFormat.PNG: b"IEND\xaeB`\x82", PictureFormat.JPEG: b"\xff\xd9"}
# By a pattern of their first bytes; the first that fits.
_OTHERS = (
    (rb"\x89PNG|\xef\xbf\xbdPNG", "a PNG picture that was damaged on its way (as text?)"),
    (rb"\xff\xd8|(?:\xef\xbf\xbd){4}.{1,4}(?:JFIF|Exif)", "a JPEG picture that was damaged on its way (as text?)"),
    (rb"GIF8", "a GIF picture"),
    (rb"RIFF....WEBP", "a WebP picture"),
    (rb"RIFF", "a RIFF file (WAV or AVI)"),
    (rb"....ftyp(?:hei|hev|mif1|msf1)", "a HEIC picture"),
    (rb"....ftypavi[fs]", "an AVIF picture"),
    (rb"....(?:ftyp|moov|mdat)", "a video (MP4 or QuickTime)"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL picture"),
    (rb"8BPS", "a Photoshop document (PSD)"),
    (rb"\0\0\x01\0", "an icon (ICO)"),
    (rb"BM", "a BMP picture"),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF picture or a camera's raw file"),
    (rb"%PDF", "a PDF document"),
    (rb"MZ|\x7fELF|#!", "a program or a script"),
    (rb"PK(?:\x03\x04|\x05\x06)", "a ZIP archive"),
    (rb"data:|iVBORw0KGgo|/9j/", "a picture as text (base64)"),
    (rb"(?i:<(?:!doctype )?html)", "markup: an HTML page"),
    (rb"(?i:<(?:.*?<)?svg)", "markup: an SVG drawing"),
    (rb"(?i:<\?php|<script)", "markup: a script"),
    (rb"<", "markup (HTML, XML or SVG)"),
    (rb"[{\[]", "JSON"),
    (rb"[\t\n\r -~]{8}", "text"),
)


def sniff(head: bytes) -> PictureFormat | None:
    """The format that a file's first bytes announce (PNG specification 5.2; JPEG, ITU-T T.81 annex B), or None."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def describe(head: bytes) -> str:
    """What a file seems to be, for a message; a few hundred bytes tell more than a few."""
    if not head:
        return "an empty file"
    if kind := sniff(head):
        return f"a {kind.name} picture"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((name for pattern, name in _OTHERS if re.match(pattern, start, re.DOTALL)), "no known picture format")


def is_whole(kind: PictureFormat, tail: bytes) -> bool:
    """Whether a file's last bytes are its format's end marker (PNG: the IEND chunk; JPEG: EOI)."""
    return tail.endswith(PICTURE_END[kind])


def pixels(kind: PictureFormat, start: bytes) -> Pixels | None:
    """How large a picture is, when its first bytes say it as ``domain.headers`` demands of references, else None."""
    file = File("result", len(start), lambda first, length: bytes(start[first : first + length]))
    try:
        header = png_header(file, seeks_trns=False) if kind is PictureFormat.PNG else jpeg_header(file)
    except RecipeInvalid:
        return None
    return Pixels(header.width, header.height)
