"""What references and masks really are: facts as Pillow has them, or a refusal that says it, within the bounds."""

from __future__ import annotations

import random
import struct
import tracemalloc
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING
from zlib import compress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.headers import HEAD_WINDOW, MAX_BYTES, MAX_READS
from bucketbrush.domain.inspection import MAX_PIXELS, Facts, inspect, mask_problem
from bucketbrush.domain.pictures import PictureFormat
from tests.corpus import pictures
from tests.corpus.pictures import EOI, ODD_JPEGS, PNG_SUITE, SOI, VIDEO, by_pillow, chunk, ihdr, jpeg, png, segment

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024 * 1024
PNG_FACTS, JPEG_FACTS = Facts(PictureFormat.PNG, 4, 3, False), Facts(PictureFormat.JPEG, 48, 32, False)


class Store:
    """What a file's reads cost."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.reads: list[int] = []

    def read(self, start: int, length: int) -> bytes:
        assert start >= 0
        self.reads.append(length)
        return self.content[start : start + length]


def look(content: bytes, name: str | None = None) -> tuple[Facts, int]:
    """The facts and the number of reads; the bounds hold for whatever is inspected here."""
    store = Store(content)
    try:
        facts = inspect(name or ("a.jpg" if content[:2] == SOI else "a.png"), len(content), store.read)
    finally:
        assert len(store.reads) <= MAX_READS == 16
        assert sum(store.reads) <= MAX_BYTES == 256 * 1024
        assert all(length > 0 for length in store.reads)
    return facts, len(store.reads)


def told(facts: Facts) -> tuple[str, int, int, bool]:
    return facts.format.name, facts.width, facts.height, facts.has_alpha


def refusal(content: bytes, name: str | None = None) -> str:
    with pytest.raises(RecipeInvalid) as problem:
        look(content, name)
    return problem.value.message


@pytest.mark.parametrize("name", PNG_SUITE)
def test_png_suite_as_pillow_sees_it(name: str) -> None:
    facts, reads = look(PNG_SUITE[name], name)
    assert told(facts) == by_pillow(PNG_SUITE[name])
    assert reads == 1


@pytest.mark.parametrize("name", ODD_JPEGS)
def test_odd_jpegs_as_pillow_sees_them(name: str) -> None:
    facts, reads = look(ODD_JPEGS[name])
    assert told(facts) == by_pillow(ODD_JPEGS[name])
    assert facts == JPEG_FACTS
    assert reads <= (1 if len(ODD_JPEGS[name]) <= HEAD_WINDOW else 15)


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("exif with thumbnail", 1),
        ("255 small icc pieces", 1),
        ("40 icc pieces", 4),
        ("255 icc pieces", 4),
        ("extended xmp of 16 MB", 5),
        ("icc, then xmp, then exif", 7),
        ("60 pieces without numbers", 10),
    ],
)
def test_runs_of_pieces_are_jumped_over(name: str, reads: int) -> None:
    assert look(ODD_JPEGS[name])[1] == reads


def test_a_photograph_needs_two_reads() -> None:
    content = jpeg(pictures.exif(pictures.saved("JPEG", size=(160, 120))), kind=_noise())
    assert len(content) > 10 * MIB
    facts, reads = look(content)
    assert (told(facts), reads) == (("JPEG", 48, 32, False), 2)


def _noise() -> bytes:
    whole = pictures.saved("JPEG")
    return whole[:-2] + b"\x55" * 11 * MIB + EOI


TRNS = {0: b"\0\1", 2: b"\0\1\0\1\0\1", 3: b"\0"}
PALETTE = chunk(b"PLTE", bytes(range(48)))


@pytest.mark.parametrize("colour", TRNS)
@pytest.mark.parametrize(
    "before",
    [
        (),
        (chunk(b"iCCP", b"profile\0\0" + compress(b"p" * 9)),),
        (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"x" * 3 * MIB),),
        (chunk(b"prVt", b"x" * MIB),) * 8,
        (chunk(b"tEXt", b"k\0v"),) * 3000,
        (chunk(b"eXIf", b"MM\0*" + b"\0" * 99_000), chunk(b"gAMA", b"\0\0\xb1\x8f")),
    ],
    ids=lambda chunks: f"{len(chunks)} chunks of {len(chunks[0]) if chunks else 0}",
)
@pytest.mark.parametrize("is_transparent", [True, False])
def test_transparent_colours_are_found_behind_other_chunks(
    colour: int, before: tuple[bytes, ...], is_transparent: bool
) -> None:
    after = (PALETTE,) if colour == 3 else ()
    content = png(*before, *after, *((chunk(b"tRNS", TRNS[colour]),) * is_transparent), header=ihdr(colour=colour))
    assert told(look(content)[0]) == ("PNG", 4, 3, is_transparent)
    if sum(map(len, before)) < MIB:
        assert told(look(content)[0]) == by_pillow(content)


@pytest.mark.parametrize(("colour", "data"), [(0, b"\0"), (2, b"\0\1"), (3, b""), (3, b"\0" * 257)])
def test_a_transparency_that_decoders_ignore_is_none(colour: int, data: bytes) -> None:
    content = png(PALETTE, chunk(b"tRNS", data), header=ihdr(colour=colour))
    assert not look(content)[0].has_alpha


def test_alpha_needs_no_walk() -> None:
    assert look(png(chunk(b"iTXt", b"x" * MIB), header=ihdr(colour=6))) == (Facts(PictureFormat.PNG, 4, 3, True), 2)


def test_an_animated_png_is_a_png() -> None:
    frames = pictures.saved("PNG", save_all=True, append_images=[])
    animated = frames.replace(frames[33:], chunk(b"acTL", b"\0\0\0\1\0\0\0\0") + frames[33:])
    assert told(look(animated)[0]) == ("PNG", 48, 32, False)


@pytest.mark.parametrize("name", ["a.png", "A.PNG", "inbox/x.jpg/a.Png", "no suffix", "s3://bucket/inbox/a.png"])
def test_names_of_a_png(name: str) -> None:
    assert look(png(), name)[0] == PNG_FACTS


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.b.Jpeg", "a.jfif"])
def test_names_of_a_jpeg(name: str) -> None:
    assert look(jpeg(), name)[0] == JPEG_FACTS


@pytest.mark.parametrize(
    ("content", "name", "found"),
    [
        (jpeg(), "cat.png", "a JPEG picture; allowed: a PNG picture for .png"),
        (png(), "cat.JPG", "a PNG picture; allowed: a JPEG picture for .jpg"),
        (png(), "cat.jpeg", "a PNG picture; allowed: a JPEG picture for .jpeg"),
    ],
)
def test_a_suffix_that_lies(content: bytes, name: str, found: str) -> None:
    assert refusal(content, name).startswith(f"{name}: found {found}")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (pictures.saved("GIF"), "a GIF picture"),
        (pictures.saved("WEBP"), "a WebP picture"),
        (pictures.saved("TIFF"), "a TIFF picture"),
        (pictures.saved("BMP"), "a BMP picture"),
        (pictures.saved("ICO"), "an icon"),
        (pictures.saved("AVIF"), "an AVIF picture"),
        (pictures.saved("JPEG2000"), "a JPEG 2000 picture"),
        (pictures.saved("PDF"), "a PDF document"),
        (pictures.archive(), "a ZIP archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL picture"),
        (b"8BPS\0\1", "a Photoshop document"),
        (VIDEO, "a video (MP4"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"\xef\xbb\xbf  <!DOCTYPE HTML><title>x</title>", "an HTML page"),
        (b"<?php phpinfo();", "a script"),
        (b'{"error": 1}', "JSON"),
        (b"a cat on a mat", "text"),
        (b"iVBORw0KGgoAAAANSUhEUg", "a picture as text (base64)"),
        (b"data:image/png;base64,iVBORw0KGgo", "a picture as text (base64)"),
        (png().decode("utf-8", "replace").encode(), "a PNG picture that was damaged"),
        (png().replace(b"\r\n", b"\n"), "a PNG picture that was damaged"),
        (jpeg().decode("utf-8", "replace").encode(), "a JPEG picture that was damaged"),
        (b"\1\2\3\4", "no known picture format"),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_what_is_no_picture_of_ours_is_named(content: bytes, found: str, name: str) -> None:
    message = refusal(content, name)
    assert message.startswith(f"{name}: found ")
    assert found in message
    assert message.endswith("; allowed: a whole PNG or JPEG picture.")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png()[:8], "a PNG picture that was cut off in its header"),
        (png()[:30], "a PNG picture that was cut off in its header"),
        (png()[:33], "a PNG picture that was cut off before its data"),
        (png()[:-1], "a PNG picture without its end (cut off"),
        (png()[:-12], "a PNG picture without its end (cut off"),
        (pictures.PNG_MAGIC + chunk(b"CgBI", b"\x50\0\x20\x02") + png()[8:], "Apple's own kind of PNG (CgBI)"),
        (png(header=chunk(b"IHDR", b"\0" * 12) + b"\0"), "a PNG picture whose header (IHDR) is damaged"),
        (png(header=chunk(b"gAMA", b"\0" * 13)), "a PNG picture whose header (IHDR) is damaged"),
        (png().replace(ihdr(), ihdr()[:-1] + b"\0"), "a PNG picture whose header (IHDR) is damaged"),
        (png(header=ihdr(width=0)), "0 x 3 pixels"),
        (png(header=ihdr(height=0)), "4 x 0 pixels"),
        (png(header=ihdr(width=2**31)), "2,147,483,648 x 3 pixels"),
        (png(header=ihdr(depth=3)), "bit depth 3, colour type 2"),
        (png(header=ihdr(depth=16, colour=3)), "bit depth 16, colour type 3"),
        (png(header=ihdr(colour=1)), "bit depth 8, colour type 1"),
        (png(header=ihdr(methods=(1, 0, 0))), "methods [1, 0, 0]"),
        (png(header=ihdr(methods=(0, 0, 2))), "methods [0, 0, 2]"),
        (png(header=ihdr(colour=3)), "a PNG picture without its palette"),
        (pictures.PNG_MAGIC + ihdr() + chunk(b"IEND"), "a PNG picture without its data"),
        (png(b"\0\0\0\4te\1t"), "a PNG picture with a damaged chunk"),
        (png(b"\x80\0\0\0tEXt"), "a PNG picture with a damaged chunk"),
        (png(b"\0\1\0\0tEXt"), "a PNG picture that was cut off before its data"),
    ],
)
def test_broken_pngs_which_pillow_refuses_or_libpng_warns_of(content: bytes, found: str) -> None:
    assert found in refusal(content)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (jpeg()[:3], "a JPEG picture that was cut off before its header"),
        (jpeg()[:10], "a JPEG picture that was cut off before its header"),
        (jpeg()[:-1], "a JPEG picture without its end (cut off"),
        (jpeg()[:-100], "a JPEG picture without its end (cut off"),
        (SOI + segment(0xE2, b"ICC_PROFILE\0"), "a JPEG picture that was cut off before its header"),
        (jpeg(pictures.icc(3))[:18], "a JPEG picture that was cut off before its header"),
        (jpeg(pictures.exif(jpeg()))[:-2], "a JPEG picture without its end (cut off"),
        (SOI + b"\xff\xe0\0\1" + jpeg()[2:], "a JPEG picture that is damaged before its header"),
        (SOI + EOI + jpeg()[2:], "a JPEG picture that is damaged before its header"),
        (SOI + jpeg(), "a JPEG picture that is damaged before its header"),
        (jpeg(segment(0x02, b"reserved")), "a JPEG picture that is damaged before its header"),
        (SOI + b"\xff\xda" + jpeg()[2:], "a JPEG picture that is damaged before its header"),
        (SOI + b"\xff" * 500_000, "more metadata before the picture"),
        (SOI + b"\xff" * 500, "a JPEG picture that was cut off before its header"),
        (pictures.with_frame(pictures.sof(height=0)), "48 x 0 pixels"),
        (pictures.with_frame(pictures.sof(width=0)), "0 x 32 pixels"),
        (pictures.with_frame(pictures.sof(depth=12)), "3 components of 12 bits"),
        (pictures.with_frame(pictures.sof(components=2)), "2 components"),
        (pictures.with_frame(segment(0xC0, b"\x08\0")), "whose header (SOF) is damaged"),
        (pictures.with_frame(segment(0xC0, pictures.sof()[4:] + b"\0")), "whose header says 48 x 32"),
        *(
            (pictures.with_frame(pictures.sof(marker)), f"a JPEG picture that is {word}")
            for marker, word in [
                (0xC3, "lossless"),
                (0xC5, "hierarchical"),
                (0xC9, "arithmetic coded"),
                (0xCA, "arithmetic coded"),
                (0xCB, "lossless"),
                (0xCF, "hierarchical"),
                (0xDE, "hierarchical"),
                (0xF7, "JPEG-LS coded"),
            ]
        ),
        (jpeg(*(icc for n in range(20) for icc in (pictures.icc(1, last=60_000 + n),))), "more metadata"),
    ],
)
def test_broken_and_odd_jpegs(content: bytes, found: str) -> None:
    assert found in refusal(content)


def test_what_helps_against_too_much_metadata_is_said() -> None:
    pieces = (chunk(b"prVt", b"x" * 70_000 + bytes(n)) for n in range(20))
    assert "save the picture without EXIF, XMP and ICC data" in refusal(png(*pieces))


def noise(chance: random.Random) -> bytes:
    """A photo's worth of JPEG data, larger than what is read of its end."""
    buffer = BytesIO()
    Image.frombytes("RGB", (400, 400), chance.randbytes(480_000)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_half_a_jpeg_before_noise_is_no_whole_one() -> None:
    """Somewhere in noise there is an end mark, and mostly a mark before it that no picture's data holds."""
    chance = random.Random(5)
    content = noise(chance)
    assert look(content + b'vivo{"camera": 1}')[0].size == "400 x 400 pixels"
    passed = 0
    for _ in range(40):
        with suppress(RecipeInvalid):
            look(content[: len(content) // 2] + chance.randbytes(100_000))
            passed += 1
    assert passed <= 4


@pytest.mark.parametrize(
    "trailer",
    [
        b'vivo{"camera": 1}',
        b"\x01\x02jxrs\x00\x05" * 40,
        b"some text of a program",
        pictures.samsung(),
        b"SEFH" + b"\0" * 9 + b"\x0d\0\0\0SEFT",
        pictures.samsung(0x0A01)[:-4] + b"SEFX",
    ],
)
def test_what_phones_and_programs_write_behind_a_jpeg_does_no_harm(trailer: bytes) -> None:
    assert look(jpeg() + trailer)[0] == JPEG_FACTS
    assert "without its end" in refusal(jpeg()[:-2] + trailer)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png() + pictures.archive(), "a PNG picture that is a ZIP archive too"),
        (jpeg() + pictures.archive(), "a JPEG picture that is a ZIP archive too"),
        (png() + pictures.archive(b"c" * 65_535), "a PNG picture that is a ZIP archive too"),
        (png()[:-12] + chunk(b"prVt", pictures.archive()) + png()[-12:], "a PNG picture that is a ZIP archive too"),
        (jpeg(segment(0xFE, pictures.archive())), "a JPEG picture that is a ZIP archive too"),
        (png(chunk(b"tEXt", b"k\0%PDF-1.7")), "a PNG picture that is a PDF document too"),
        (jpeg(segment(0xFE, b"%PDF-1.4")), "a JPEG picture that is a PDF document too"),
        (png(chunk(b"tEXt", b"k\0<html><body>")), "a PNG picture that is markup: an HTML page too"),
        (jpeg(segment(0xFE, b"<!DOCTYPE html>")), "a JPEG picture that is markup: an HTML page too"),
        (png(chunk(b"tEXt", b"k\0<SCRIPT>alert(1)")), "a PNG picture that is markup: a script too"),
        (jpeg(segment(0xFE, b"<?php system(1);")), "a JPEG picture that is markup: a script too"),
        (png(chunk(b"tEXt", b"k\0<svg onload=x>")), "a PNG picture that is markup: an SVG drawing too"),
        (jpeg(segment(0xFE, b"c" * pictures.LONGEST)) + VIDEO, "a JPEG picture with a video behind it"),
        (jpeg() + VIDEO, "a JPEG picture with a video behind it (a motion photo)"),
        (jpeg() + VIDEO + b"\0" * 200_000 + b"\0\0\0\x10mvhd1", "a JPEG picture with a video behind it"),
        (
            jpeg(segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x GCamera:MotionPhoto="1"/>')) + b"\1" * 90_000,
            "a JPEG picture with a video behind it (a motion photo)",
        ),
        (jpeg() + pictures.samsung(0x0A30), "a JPEG picture with a video behind it (a motion photo)"),
        (png(chunk(b"prVt", b"x" * 1024)) + pictures.saved("PDF"), "bytes behind its end (a PDF document)"),
        (png() + jpeg(), "bytes behind its end (a JPEG picture)"),
        (png() + b"\1\2\3", "a PNG picture with 3 bytes behind its end (no known picture format)"),
        (png() + b"some text", "a PNG picture with 9 bytes behind its end (text)"),
        (jpeg() + b"\n#!/bin/sh\nexit", "a JPEG picture with 15 bytes behind its end (a program or a script)"),
        (jpeg(pictures.exif(jpeg())) + b"MZ\x90", "a JPEG picture with 3 bytes behind its end"),
        (jpeg() + b"\x7fELF\2\1", "behind its end (a program or a script)"),
        (jpeg() + b"\1" + pictures.archive()[:-22] + b"PK\5\6 x", "behind its end"),
        (jpeg() + b"\1Rar!\x1a\7\1\0", "behind its end"),
        (jpeg() + b"\0017z\xbc\xaf\x27\x1c", "behind its end"),
        (jpeg(segment(0xFE, b"c" * 2000)) + b"<html>", "behind its end (markup: an HTML page)"),
        (jpeg(segment(0xFE, b"c" * 2000)) + pictures.saved("PDF"), "behind its end (a PDF document)"),
        (png() + b"\1" * 100_000, "a PNG picture without its end (cut off, or with much else behind it)"),
        (jpeg()[:-2] + pictures.samsung(0x0A01), "a JPEG picture without its end"),
    ],
)
def test_what_is_something_else_too(content: bytes, found: str) -> None:
    assert found in refusal(content)


@pytest.mark.parametrize(
    "content",
    [
        jpeg() + pictures.samsung(0x0A01),
        jpeg() + pictures.samsung(0x0A01, 0x0AA1, data=b"d" * 30_000),
        jpeg() + pictures.samsung(0x0A01, data=b"d" * 300_000),
        jpeg() + pictures.samsung(0x0A01) + b"\0\0",
        jpeg(segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"\0" * 40)),
        jpeg(segment(0xFE, b"PK\5\6 is no archive's end")),
        jpeg(segment(0xFE, b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 2, 0, 0, 0))),
        jpeg(segment(0xFE, b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, 0, 0, 60_000))),
        jpeg(segment(0xE5, b"x"), b"\0" * 65_528, segment(0xFE, pictures.sof(width=1))),  # a marker in two windows
        jpeg(segment(0xFE, b"<html>"), segment(0xFE)).replace(b"<html>", b"<p>PDF"),
        jpeg(segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x GCamera:MotionPhoto="1"/>')),
    ],
)
def test_what_does_no_harm(content: bytes) -> None:
    assert look(content)[0] == JPEG_FACTS


@pytest.mark.parametrize(
    ("width", "height", "is_bomb"), [(MAX_PIXELS, 1, False), (MAX_PIXELS // 2, 3, True), (2**31 - 1, 2**31 - 1, True)]
)
def test_decompression_bombs(width: int, height: int, is_bomb: bool) -> None:
    content = png(header=ihdr(width, height))
    if is_bomb:
        assert f"{width:,} x {height:,} pixels, {width * height:,} in all; allowed: at most 178,956,970" in (
            refusal(content)
        )
    else:
        assert look(content)[0].width == width


def test_a_jpeg_can_be_a_bomb() -> None:
    assert "65,535 x 65,535 pixels" in refusal(pictures.with_frame(pictures.sof(width=65_535, height=65_535)))


def sparse(head: bytes, filler: Callable[[int], bytes]) -> tuple[int, Callable[[int, int], bytes]]:
    """A file of 50 MB that is never in memory."""
    size = 50_000_000

    def read(start: int, length: int) -> bytes:
        length = max(0, min(length, size - start))
        return (head[start : start + length] + filler(length))[:length]

    return size, read


@pytest.mark.parametrize(
    ("head", "filler"),
    [
        (SOI, lambda length: b"\xff" * length),
        (SOI, lambda length: b"\xff\xfe\0\2" * (length // 4 + 1)),
        (pictures.PNG_MAGIC + ihdr(), lambda length: chunk(b"teXt") * (length // 12 + 1)),
        (jpeg()[:-2], lambda length: b"\0" * length),
        (pictures.PNG_MAGIC + ihdr(colour=6), lambda length: b"PK\5\6" * (length // 4 + 1)),
    ],
)
def test_memory_stays_small(head: bytes, filler: Callable[[int], bytes]) -> None:
    size, read = sparse(head, filler)
    tracemalloc.start()
    try:
        with pytest.raises(RecipeInvalid):
            inspect("a", size, read)
        assert tracemalloc.get_traced_memory()[1] < 8 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("answer", "found"), [(b"", "an empty file"), (b"\xff\xd8\xff", "damaged"), (jpeg()[:-2], "without its end")]
)
def test_a_store_that_gives_less_than_there_should_be(answer: bytes, found: str) -> None:
    with pytest.raises(RecipeInvalid, match=found):
        inspect("a.jpg", 500_000, lambda _, length: answer[:length])


def test_a_store_that_gives_more_than_asked_for() -> None:
    content = ODD_JPEGS["255 icc pieces"]
    assert inspect("a.jpg", len(content), lambda start, _: content[start : start + MIB]) == JPEG_FACTS


MASK = Facts(PictureFormat.PNG, 640, 480, True)


@pytest.mark.parametrize("first", [MASK, Facts(PictureFormat.JPEG, 640, 480, False)])
def test_a_mask_that_fits(first: Facts) -> None:
    assert mask_problem("mask.png", MASK, first) is None


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (Facts(PictureFormat.PNG, 640, 480, False), "a PNG picture without alpha channel of 640 x 480 pixels"),
        (Facts(PictureFormat.JPEG, 640, 480, False), "a JPEG picture without alpha channel of 640 x 480 pixels"),
        (Facts(PictureFormat.JPEG, 640, 480, True), "a JPEG picture with alpha channel of 640 x 480 pixels"),
        (Facts(PictureFormat.PNG, 480, 640, True), "a PNG picture with alpha channel of 480 x 640 pixels"),
    ],
)
def test_a_mask_that_does_not_fit(mask: Facts, found: str) -> None:
    assert mask_problem("mask.png", mask, MASK) == (
        f"mask.png: found {found}; allowed: a PNG picture with alpha channel of 640 x 480 pixels, "
        "as the first reference has."
    )


LENGTHS = st.integers(0, 60_000)
CHUNKS = st.lists(st.tuples(st.sampled_from([b"tEXt", b"prVt", b"gAMA", b"IdAT"]), LENGTHS), max_size=6)


@given(CHUNKS, st.booleans(), st.sampled_from(sorted(TRNS)))
def test_any_sequence_of_chunks(before: list[tuple[bytes, int]], is_transparent: bool, colour: int) -> None:
    """Their contents look like the chunks that are looked for."""
    metadata = [chunk(kind, b"\0\0\0\2tRNSIDAT"[:length].ljust(length)) for kind, length in before]
    trns = [chunk(b"tRNS", TRNS[colour])] if is_transparent else []
    facts, reads = look(png(*metadata, PALETTE, *trns, header=ihdr(colour=colour)))
    assert told(facts) == ("PNG", 4, 3, is_transparent)
    assert reads <= 2 + len(before)


SEGMENTS: dict[str, Callable[[int], bytes]] = {
    "application data": lambda length: segment(0xED, b"Photoshop 3.0\0" + pictures.sof() * (length // 19)),
    "comments": lambda length: segment(0xFE, pictures.sof() * (length // 19)) * 3,
    "EXIF": lambda length: pictures.exif(jpeg()[:length]),
    "profile": lambda length: pictures.icc(1 + length % 254, size=1 + length, last=1 + length // 3),
    "packet": lambda length: pictures.extended_xmp(length * 20 + 1, size=length // 2 + 1000),
    "fill bytes": lambda length: b"\xff" * (1 + length // 10),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(SEGMENTS)), LENGTHS), max_size=3))
def test_any_sequence_of_segments(before: list[tuple[str, int]]) -> None:
    """Their contents look like the header that is looked for."""
    assert look(jpeg(*(SEGMENTS[kind](length) for kind, length in before)))[0] == JPEG_FACTS


def test_pieces_whose_numbers_lie_are_stepped_over_one_by_one() -> None:
    lying = pictures.icc(3).replace(struct.pack("BB", 1, 3), struct.pack("BB", 1, 255), 1)
    assert look(jpeg(lying))[0] == JPEG_FACTS


def test_markers_without_a_segment_are_passed_over() -> None:
    """As libjpeg does (next_marker); Pillow stops at TEM."""
    assert look(jpeg(b"\xff\x01\xff\xd0"))[0] == JPEG_FACTS
