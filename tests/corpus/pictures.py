"""Whole pictures from PngSuite, odd ones that are made here, and what Pillow says of each."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any
from zlib import compress, crc32

from PIL import Image

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_SUITE = {file.name: file.read_bytes() for file in sorted((Path(__file__).parent / "pngsuite").glob("*.png"))}
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
LONGEST = 65_533  # bytes of payload in a JPEG segment


def by_pillow(content: bytes) -> tuple[str, int, int, bool] | None:
    """Format, width, height and transparency of a picture that Pillow opens and decodes, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                # MPO is a JPEG picture with more of them behind it.
                return (image.format or "").replace("MPO", "JPEG"), *image.size, image.has_transparency_data
        except Exception:  # noqa: BLE001 - it has many ways to say no
            return None


def saved(kind: str, mode: str = "RGB", size: tuple[int, int] = (48, 32), **options: Any) -> bytes:
    """A picture as Pillow writes it, with some detail in it."""
    buffer = io.BytesIO()
    Image.effect_mandelbrot(size, (-2, -1.5, 1, 1.5), 40).convert("RGB").convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))


def ihdr(
    width: int = 4, height: int = 3, depth: int = 8, colour: int = 2, methods: tuple[int, int, int] = (0, 0, 0)
) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *methods))


def png(*chunks: bytes, header: bytes | None = None) -> bytes:
    """A PNG picture of 4 x 3 pixels, RGB unless the header says else, with more chunks before its data."""
    lines = compress(b"\0" * 3 * (1 + 4 * 4))
    return b"".join((PNG_MAGIC, header or ihdr(), *chunks, chunk(b"IDAT", lines), chunk(b"IEND")))


def segment(marker: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(payload)) + payload


def jpeg(*inserts: bytes, kind: bytes = b"") -> bytes:
    """A JPEG picture of 48 x 32 pixels, with more segments, or any bytes, before its own ones."""
    whole = kind or saved("JPEG")
    return SOI + b"".join(inserts) + whole[2:]


def icc(pieces: int, size: int = LONGEST - 14, last: int = 1000) -> bytes:
    """A profile in pieces of that many bytes, the last one of another length."""
    sizes = [size] * (pieces - 1) + [last]
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes((number, pieces)) + b"p" * length)
        for number, length in enumerate(sizes, 1)
    )


def extended_xmp(total: int, size: int = LONGEST - 75) -> bytes:
    """An XMP packet of that many bytes, in pieces."""
    start = b"http://ns.adobe.com/xmp/extension/\0" + b"0123456789ABCDEF" * 2
    return b"".join(
        segment(0xE1, start + struct.pack(">II", total, offset) + b"x" * min(size, total - offset))
        for offset in range(0, total, size)
    )


def exif(thumbnail: bytes) -> bytes:
    """EXIF data with a picture of its own in it."""
    fields = ((0x0201, 4, 1, 44), (0x0202, 4, 1, len(thumbnail)))
    ifd = struct.pack(">H", len(fields)) + b"".join(struct.pack(">HHII", *field) for field in fields) + b"\0" * 4
    tiff = b"MM\0*" + struct.pack(">IHI", 14, 0, 0) + ifd
    return segment(0xE1, b"Exif\0\0" + tiff.ljust(44, b"\0") + thumbnail)


def sof(marker: int = 0xC0, width: int = 48, height: int = 32, depth: int = 8, components: int = 3) -> bytes:
    fields = struct.pack(">BHHB", depth, height, width, components)
    return segment(marker, fields + b"\x01\x11\0" * components)


def with_frame(frame: bytes) -> bytes:
    """A JPEG picture whose header is another one."""
    whole = saved("JPEG")
    start = whole.index(b"\xff\xc0")
    return whole[:start] + frame + whole[start + 2 + int.from_bytes(whole[start + 2 : start + 4], "big") :]


def archive(comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("script.py", "pass")
        file.comment = comment
    return buffer.getvalue()


def samsung(*kinds: int, data: bytes = b"data") -> bytes:
    """The trailer of a Samsung phone with one block of each kind."""
    blocks, distances = b"", []
    for kind in kinds:
        blocks += struct.pack("<2xHI", kind, 8) + data
        distances.append(8 + len(data))
    entries = b"".join(
        struct.pack("<2xHII", kind, sum(distances[index:]), distances[index]) for index, kind in enumerate(kinds)
    )
    directory = b"SEFH" + struct.pack("<II", 107, len(kinds)) + entries
    return blocks + directory + struct.pack("<I", len(directory)) + b"SEFT"


VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\0\x08mdat"
ODD_JPEGS = {
    "baseline": jpeg(),
    "progressive": saved("JPEG", progressive=True),
    "grey": saved("JPEG", "L"),
    "cmyk": saved("JPEG", "CMYK"),
    "4:4:4": saved("JPEG", subsampling=0, quality=100),
    "restart markers": saved("JPEG", restart_marker_blocks=1),
    "exif with thumbnail": jpeg(exif(saved("JPEG", size=(160, 120)))),
    "exif of 64 KiB": jpeg(exif(saved("JPEG", size=(16, 16)) + b"\0" * 64_000)),
    "two exif": jpeg(exif(saved("JPEG", size=(16, 16))) * 2),
    "1 icc piece": jpeg(icc(1)),
    "2 icc pieces": jpeg(icc(2)),
    "40 icc pieces": jpeg(icc(40)),
    "255 icc pieces": jpeg(icc(255)),
    "255 small icc pieces": jpeg(icc(255, size=100, last=100)),
    "icc pieces of one length": jpeg(icc(30, last=LONGEST - 14)),
    "icc pieces that promise too many": jpeg(icc(40)[: 30 * (LONGEST + 4)]),
    "extended xmp of 16 MB": jpeg(extended_xmp(16_000_000)),
    "icc, then xmp, then exif": jpeg(icc(20), extended_xmp(3_000_000), exif(saved("JPEG"))),
    "60 pieces without numbers": jpeg(segment(0xEB, b"JP\x02\x11" + b"j" * 60_000) * 60),
    "comment of 64 KiB": jpeg(segment(0xFE, b"c" * LONGEST)),
    "12 comments of 64 KiB": jpeg(*(segment(0xFE, bytes((65 + n,)) * (LONGEST - n)) for n in range(12))),
    "empty segments": jpeg(segment(0xFE) * 1000),
    "fill bytes": jpeg(b"\xff" * 1000),
    "fill bytes beyond a window": jpeg(segment(0xFE, b"c" * LONGEST), b"\xff" * 40_000),
    "rubbish between segments": jpeg(segment(0xE5, b"x"), b"rubbish\xff\0rubbish"),
    "padding behind": jpeg() + b"\0" * 5000 + b"\r\n",
    "another picture behind": jpeg() + saved("JPEG", size=(16, 16)),
}
