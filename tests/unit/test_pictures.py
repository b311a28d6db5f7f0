"""First and last bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.pictures import HEAD_BYTES, TAIL_BYTES, PictureFormat, Pixels, describe, is_whole, pixels, sniff
from tests.corpus.pictures import ODD_JPEGS, PNG_SUITE, by_pillow, ihdr, png, saved

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 4
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\0"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (PNG, PictureFormat.PNG),
        (PNG[:8], PictureFormat.PNG),
        (PNG[:7], None),
        (JPEG, PictureFormat.JPEG),
        (b"\xff\xd8", None),
        (b"", None),
        (b" " + PNG, None),
        (b"RIFF\0\0\0\0WEBPVP8 ", None),
    ],
)
def test_sniff(head: bytes, found: PictureFormat | None) -> None:
    assert sniff(head[:HEAD_BYTES]) is found


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "an empty file"),
        (PNG, "a PNG picture"),
        (JPEG, "a JPEG picture"),
        (PNG[:7], "damaged on its way"),
        (b"\xff\xd8\n", "damaged on its way"),
        (b"GIF89a", "GIF"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"RIFF\0\0\0\0WAVE", "RIFF file"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x20ftypmif1", "HEIC"),
        (b"\0\0\0\x14ftypqt  ", "video"),
        (b"%PDF-1.7", "PDF"),
        (b"\r\n <!DOCTYPE html>", "HTML"),
        (b'{"error": 1}', "JSON"),
        (b"PK\x03\x04", "ZIP"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"BM6", "BMP"),
        (b"\0\0\0\0", "no known picture format"),
    ],
)
def test_describe(head: bytes, words: str) -> None:
    assert words in describe(head)


@pytest.mark.parametrize(
    ("kind", "tail", "whole"),
    [
        (PictureFormat.PNG, PNG_END, True),
        (PictureFormat.PNG, PNG_END[:-1], False),
        (PictureFormat.PNG, b"\xff\xd9", False),
        (PictureFormat.JPEG, b"\0\xff\xd9", True),
        (PictureFormat.JPEG, b"\xff\xd9\0", False),
        (PictureFormat.JPEG, b"", False),
    ],
)
def test_is_whole(kind: PictureFormat, tail: bytes, whole: bool) -> None:
    assert is_whole(kind, tail[-TAIL_BYTES:]) is whole


@pytest.mark.parametrize(("kind", "suffix", "mime"), [("PNG", "png", "image/png"), ("JPEG", "jpg", "image/jpeg")])
def test_formats(kind: str, suffix: str, mime: str) -> None:
    assert (f"{PictureFormat[kind]}", PictureFormat[kind].content_type) == (suffix, mime)


@pytest.mark.parametrize(
    "content",
    [*PNG_SUITE.values(), saved("JPEG"), saved("JPEG", progressive=True), saved("JPEG", "L"), saved("PNG", "RGBA")],
)
def test_pixels_as_pillow_counts_them(content: bytes) -> None:
    kind, found = sniff(content), by_pillow(content)
    assert kind is not None
    assert found is not None
    assert pixels(kind, content) == pixels(kind, bytearray(content)) == Pixels(*found[1:3])


def test_pixels_behind_much_metadata() -> None:
    assert pixels(PictureFormat.JPEG, ODD_JPEGS["255 icc pieces"]) == Pixels(48, 32)


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        (PictureFormat.PNG, b""),
        (PictureFormat.PNG, png()[:32]),
        (PictureFormat.PNG, PNG + b"\1" * 100),
        (PictureFormat.PNG, png(header=ihdr(0, 3))),
        (PictureFormat.JPEG, JPEG),
        (PictureFormat.JPEG, ODD_JPEGS["255 icc pieces"][:1_000_000]),
        (PictureFormat.JPEG, JPEG + b"\xff" * 300_000),
    ],
)
def test_what_does_not_say_its_pixels_has_none(kind: PictureFormat, start: bytes) -> None:
    assert pixels(kind, start) is None


@given(kind=st.sampled_from(PictureFormat), start=st.binary(max_size=300))
def test_whatever_the_bytes_are_there_are_pixels_or_none(kind: PictureFormat, start: bytes) -> None:
    for content in (start, PNG + start, JPEG + start):
        found = pixels(kind, content)
        assert found is None or min(found.width, found.height) > 0
