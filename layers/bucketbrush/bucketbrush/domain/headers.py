"""Where a PNG or JPEG file says how large its picture is, found by a few small reads however much stands before it.

Sources: PNG specification (third edition) 5.2-5.6 (layout), 11.2.1 (IHDR), 11.3.1.1 (tRNS); JPEG, ITU-T T.81 annex B
(markers, frame header); ICC.1 annex B.4 (profiles in pieces); XMP part 3, 1.1.3.1 (extended XMP in pieces). Decoders
pass over some things that these forbid, such as rubbish between JPEG segments; so do we. What libpng and the usual
builds of libjpeg cannot decode is refused.
"""

import re
import struct
from collections.abc import Callable
from typing import NamedTuple
from zlib import crc32

from bucketbrush.domain.errors import RecipeInvalid

MAX_READS = 16
MAX_BYTES = 256 * 1024
HEAD_WINDOW = 64 * 1024  # holds most headers, thumbnail and all
TAIL_WINDOW = 66 * 1024  # holds the end record of a ZIP archive: 22 bytes and a comment of at most 65,535
ALLOWED = "a whole PNG or JPEG picture"

_STEP_BYTES = (MAX_BYTES - HEAD_WINDOW - TAIL_WINDOW) // (MAX_READS - 2)

_IHDR_END = 33  # behind the signature and the first chunk
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # by colour type
_PALETTE = 3  # a colour type
_ALPHA = (4, 6)  # colour types
_TRNS_LENGTHS = {0: range(2, 3), 2: range(6, 7), 3: range(1, 257)}  # decoders ignore one of another length

_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])", re.DOTALL)  # all but TEM and RSTn, which have no segment
_FRAMES = (0xC0, 0xC1, 0xC2)  # SOF of baseline, extended sequential, progressive
_ODD_FRAMES = {
    **dict.fromkeys((0xC3, 0xCB), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF, 0xDE, 0xDF), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA), "arithmetic coded"),
    0xF7: "JPEG-LS coded",
}
_MISPLACED = {*range(0x02, 0xC0), 0xC8, 0xD8, 0xD9, 0xDA, *range(0xF0, 0xFE)}  # reserved, SOI, EOI, SOS
_PREFIX = 80  # bytes of a segment that hold its length, its name and the numbers of a piece
_NAME = 40


class Header(NamedTuple):
    """Pixels, whether the picture can be transparent, and where in the file this was said."""

    width: int
    height: int
    has_alpha: bool
    position: int


class File:
    """Windows of a file of ``size`` bytes: one is the head, one the tail, the others are short, so the bounds hold.

    ``read(start, length)`` gives at most ``length`` bytes, fewer only at the end. Raises RecipeInvalid beyond the
    bounds.
    """

    def __init__(self, name: str, size: int, read: Callable[[int, int], bytes]) -> None:
        self.name = name
        self.size = size
        self._read = read
        self._windows: list[tuple[int, int, bytes]] = []

    def refused(self, found: str, allowed: str = ALLOWED) -> RecipeInvalid:
        """The error that says what the file was found to be."""
        return RecipeInvalid(f"{self.name}: found {found}; allowed: {allowed}.")

    def window(self, start: int, length: int) -> tuple[bytes, int]:
        """Some bytes, and where in them ``start`` is: ``length`` follow, or fewer where the file ends."""
        end = min(start + length, self.size)
        for first, last, content in reversed(self._windows):
            if first <= start and end <= last:
                return content, start - first
        if start >= end:
            return b"", 0
        if len(self._windows) == MAX_READS:
            raise self.refused(
                "more metadata before the picture than can be looked through",
                f"at most {MAX_READS} reads and {MAX_BYTES:,} bytes (save the picture without EXIF, XMP and ICC data)",
            )
        last = min(start + max(length, _STEP_BYTES), self.size)
        content = self._read(start, last - start)
        self._windows.append((start, last, content))
        return content, 0

    def at(self, start: int, length: int) -> bytes:
        """At most ``length`` bytes."""
        content, offset = self.window(start, length)
        return content[offset : offset + length]


def png_header(file: File, *, seeks_trns: bool) -> Header:
    """The header of a PNG file; raises RecipeInvalid when it is none that decoders read."""
    start = file.at(8, 25)
    if start[4:8] == b"CgBI":
        raise file.refused("a picture in Apple's own kind of PNG (CgBI), as in iPhone apps")
    if len(start) < 25:
        raise file.refused("a PNG picture that was cut off in its header")
    length, kind, fields, check = struct.unpack(">I4s13sI", start)
    if (length, kind, check) != (13, b"IHDR", crc32(b"IHDR" + fields)):
        raise file.refused("a PNG picture whose header (IHDR) is damaged")
    width, height, depth, colour, *methods = struct.unpack(">IIBBBBB", fields)
    if not width * height or depth not in _DEPTHS.get(colour, ()) or methods not in ([0, 0, 0], [0, 0, 1]):
        says = f"{width:,} x {height:,} pixels, bit depth {depth}, colour type {colour}, methods {methods}"
        raise file.refused(f"a PNG picture whose header says {says}", "what the PNG specification allows (11.2.1)")
    has_alpha = colour in _ALPHA or (seeks_trns and _has_trns(file, colour))
    return Header(width, height, has_alpha, _IHDR_END)


def _has_trns(file: File, colour: int) -> bool:
    """Whether a picture without an alpha channel has transparent colours, as a chunk before its data says."""
    position, has_trns, has_palette = _IHDR_END, False, False
    while True:
        start = file.at(position, 8)
        if len(start) < 8:
            raise file.refused("a PNG picture that was cut off before its data")
        length, kind = struct.unpack(">I4s", start)
        if length >= 2**31 or not kind.isalpha():
            raise file.refused("a PNG picture with a damaged chunk before its data")
        if kind in (b"IDAT", b"IEND"):
            break
        has_trns |= kind == b"tRNS" and length in _TRNS_LENGTHS[colour]
        has_palette |= kind == b"PLTE"
        position += 12 + length
    if kind == b"IEND" or (colour == _PALETTE and not has_palette):
        raise file.refused(f"a PNG picture without its {'data' if kind == b'IEND' else 'palette'}")
    return has_trns


def jpeg_header(file: File) -> Header:
    """The header of a JPEG file; raises RecipeInvalid when it is none that decoders read."""
    position, jump, run = 2, 1, b""
    while True:
        marker, position = _next_marker(file, position)
        if marker in _ODD_FRAMES:
            raise file.refused(f"a JPEG picture that is {_ODD_FRAMES[marker]}, which few programs can read")
        segment = file.at(position, _PREFIX)
        length = int.from_bytes(segment[:2], "big")
        if marker in _MISPLACED or length < 2:
            raise file.refused("a JPEG picture that is damaged before its header (SOF)")
        if len(segment) < min(length, _PREFIX):
            raise file.refused("a JPEG picture that was cut off before its header (SOF)")
        if marker in _FRAMES:
            return _frame(file, segment[:length], length, position)
        # What is longer than a segment is a run of pieces of one length and name, the last one often shorter.
        piece = bytes((0xFF, marker)) + segment[:2] + segment[2:_NAME].partition(b"\0")[0]
        jump = _last_full_piece(segment, length) or (2 * jump if piece == run else 1)
        while jump > 1 and file.at(position + jump * (length + 2) - 2, len(piece)) != piece:
            jump //= 2
        run = piece
        position += jump * (length + 2) - 2


def _next_marker(file: File, position: int) -> tuple[int, int]:
    """The next marker that has a segment, and where that begins; fill bytes and rubbish are passed over."""
    while position < file.size:
        content, offset = file.window(position, 2)
        if found := _MARKER.search(content, offset):
            return found[1][0], position + found.end() - offset
        position += max(1, len(content) - offset - 1)
    raise file.refused("a JPEG picture that was cut off before its header (SOF)")


def _last_full_piece(segment: bytes, length: int) -> int:
    """How many pieces ahead the last one is that surely has this length, by the numbers in a piece of a profile or
    packet: at least 1; 0 for a segment without numbers.
    """
    if length > 16 and segment[2:14] == b"ICC_PROFILE\0":
        number, pieces = segment[14:16]
        return max(1, pieces - number - 1)
    if length > 77 and segment[2:37] == b"http://ns.adobe.com/xmp/extension/\0":
        total, offset = (int.from_bytes(segment[at : at + 4], "big") for at in (69, 73))
        return max(1, (total - offset - 1) // (length - 77) - 1)
    return 0


def _frame(file: File, segment: bytes, length: int, position: int) -> Header:
    """The frame header (T.81, B.2.2). A height of 0 stands behind the lines (DNL), where decoders do not look."""
    if len(segment) < 8:
        raise file.refused("a JPEG picture whose header (SOF) is damaged")
    depth, height, width, components = struct.unpack_from(">BHHB", segment, 2)
    if depth != 8 or components not in (1, 3, 4) or length != 8 + 3 * components or not width * height:
        says = f"{width:,} x {height:,} pixels, {components} components of {depth} bits"
        raise file.refused(f"a JPEG picture whose header says {says}", "1, 3 or 4 components of 8 bits, no side of 0")
    return Header(width, height, False, position)
