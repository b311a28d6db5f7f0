"""100,000 broken, spliced and made-up files: each has facts or is refused, within the bounds, and nothing else."""

from __future__ import annotations

import random

import pytest

from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.headers import MAX_BYTES, MAX_READS
from bucketbrush.domain.inspection import Facts, inspect
from tests.corpus import pictures
from tests.corpus.pictures import ODD_JPEGS, PNG_SUITE, VIDEO, chunk, ihdr, jpeg, png, segment

SEEDS, FILES_PER_SEED = range(10), 10_000
SMALL = 4_000  # bytes: most of them are looked at, most mutations meet something
WHOLE = [
    *(content for content in (*PNG_SUITE.values(), *ODD_JPEGS.values()) if len(content) <= SMALL),
    png(chunk(b"PLTE", bytes(48)), chunk(b"tRNS", b"\0"), header=ihdr(colour=3)),
    jpeg(pictures.icc(9, size=50, last=9)),
    jpeg(pictures.extended_xmp(500, size=60)),
    jpeg(segment(0xEB, b"JP\x02\x11" + b"j" * 60) * 9),
    jpeg() + pictures.samsung(0x0A01),
    jpeg() + VIDEO,
    png() + pictures.archive(),
]
LARGE = [ODD_JPEGS[name] for name in ("255 icc pieces", "60 pieces without numbers", "12 comments of 64 KiB")]
STARTS = [pictures.PNG_MAGIC, pictures.PNG_MAGIC + ihdr(colour=3), b"\xff\xd8\xff", jpeg()[:200]]
NUMBERS = [b"\0", b"\xff", b"\0\0", b"\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\xff\xd9"]
NAMES = ["a", "a", "a.png", "a.jpg"]


def changed(chance: random.Random, content: bytes) -> bytes:
    """Some of its bytes are others."""
    mutable = bytearray(content)
    for _ in range(chance.randrange(1, 6)):
        number = chance.choice(NUMBERS) if chance.random() < 0.5 else chance.randbytes(1)
        # Mostly where headers are.
        at = chance.randrange(min(len(mutable), chance.choice((40, 400, len(mutable)))))
        mutable[at : at + len(number)] = number
    return bytes(mutable)


def cut(chance: random.Random, content: bytes) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def spliced(chance: random.Random, content: bytes) -> bytes:
    """A piece of it is replaced by a piece of another file."""
    other = chance.choice(WHOLE)
    start, end = sorted((chance.randrange(len(content)), chance.randrange(len(content))))
    first, last = sorted((chance.randrange(len(other)), chance.randrange(len(other))))
    return content[:start] + other[first:last] + content[end:]


def invented(chance: random.Random, _: bytes) -> bytes:
    return chance.choice(STARTS) + chance.randbytes(chance.randrange(600))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_has_facts_or_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    told = [0, 0]
    for number in range(FILES_PER_SEED):
        source = chance.choice(WHOLE) if number % 200 else chance.choice(LARGE)
        content = chance.choice((changed, changed, cut, spliced, invented))(chance, source)
        told[is_accepted(chance.choice(NAMES), content)] += 1
    assert min(told) > FILES_PER_SEED // 100, "either answer must have been put to the test"


def is_accepted(name: str, content: bytes) -> bool:
    reads: list[int] = []

    def read(start: int, length: int) -> bytes:
        assert start >= 0
        reads.append(length)
        return content[start : start + length]

    try:
        facts = inspect(name, len(content), read)
    except RecipeInvalid as problem:
        assert problem.message.startswith(f"{name}: found ")  # noqa: PT017 - one of two good ends
        return False
    finally:
        assert len(reads) <= MAX_READS
        assert sum(reads) <= MAX_BYTES
    assert isinstance(facts, Facts)
    assert facts.width > 0
    assert facts.height > 0
    return True
