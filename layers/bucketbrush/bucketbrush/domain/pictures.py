"""What the first and last bytes of a file say about it."""

from enum import StrEnum

HEAD_BYTES = 16
TAIL_BYTES = 12


class PictureFormat(StrEnum):
    """A picture format that the provider delivers; the value is the file's suffix."""

    PNG = "png"
    JPEG = "jpg"

    @property
    def content_type(self) -> str:
        return "image/png" if self is PictureFormat.PNG else "image/jpeg"


_MAGIC = ((b"\x89PNG\r\n\x1a\n", PictureFormat.PNG), (b"\xff\xd8\xff", PictureFormat.JPEG))
_END = {PictureFormat.PNG: b"IEND\xaeB`\x82", PictureFormat.JPEG: b"\xff\xd9"}
_OTHERS = (
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a RIFF file (WebP, WAV or AVI)"),
    (b"%PDF", "a PDF document"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"<", "markup (HTML, XML or SVG)"),
    (b"{", "JSON"),
)


def sniff(head: bytes) -> PictureFormat | None:
    """The format that a file's first bytes announce (PNG specification 5.2; JPEG, ITU-T T.81 annex B), or None."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def describe(head: bytes) -> str:
    """What a file seems to be that is no picture we know, for a message."""
    if not head:
        return "an empty file"
    return next((name for magic, name in _OTHERS if head.lstrip().startswith(magic)), "no known picture format")


def is_whole(kind: PictureFormat, tail: bytes) -> bool:
    """Whether a file's last bytes are its format's end marker (PNG: the IEND chunk; JPEG: EOI)."""
    return tail.endswith(_END[kind])
