"""Which mask or sidecar belongs to a picture, whatever order they came in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain import companions
from bucketbrush.domain.companions import Put
from bucketbrush.domain.errors import CompanionAwaited, RecipeInvalid
from bucketbrush.domain.jobs import ObjectVersion

PATIENCE = 60
NAME = "inbox/cat.mask.png"


def put(word: str) -> Put:
    """``P1@10`` is the first version of the picture at second 10, ``M2@20`` the second one of its companion; ``M-@30``
    deletes that.
    """
    name, at = word.split("@")
    key = "inbox/cat.png" if name.startswith("P") else NAME
    return Put(int(at), None if name.endswith("-") else ObjectVersion(bucket="b", key=key, version_id=name[1:]))


def required(happened: str, mine: str, now: int) -> str:
    """The version of the companion that a picture gets, or in a word why none."""
    puts = {word: put(word) for word in happened.split()}
    pictures = [seen for word, seen in puts.items() if word.startswith("P")]
    masks = [seen for word, seen in puts.items() if word.startswith("M")]
    own = next(seen for word, seen in puts.items() if word.startswith(f"{mine}@"))
    try:
        found = companions.required(NAME, own, pictures, masks, now, PATIENCE)
    except CompanionAwaited:
        return "waits"
    except RecipeInvalid as problem:
        return "several" if "several uploads" in problem.message else "none"
    return str(found.version_id)


@pytest.mark.parametrize(
    ("happened", "mine", "now", "found"),
    [
        ("M1@5 P1@10", "P1", 10, "1"),
        ("P1@10 M1@15", "P1", 15, "1"),
        ("M1@10 P1@10", "P1", 10, "1"),
        ("P1@10", "P1", 10, "waits"),
        ("P1@10", "P1", 69, "waits"),
        ("P1@10", "P1", 70, "none"),
        ("P1@10 M1@70", "P1", 1000, "1"),
        ("P1@10 M1@71", "P1", 1000, "none"),
        # A new upload never meets the mask of the one before.
        ("P1@10 M1@15 P2@20", "P2", 20, "waits"),
        ("P1@10 M1@15 P2@20 M2@25", "P2", 25, "2"),
        ("P1@10 M1@15 P2@20 M2@25", "P1", 25, "1"),
        ("M1@10 P1@15 P2@2000", "P2", 2000, "waits"),
        ("M1@10 P1@15 P2@2000", "P2", 3000, "none"),
        ("M1@10 P1@15 M2@20 P2@25", "P2", 25, "2"),
        ("M1@10 P1@15 M2@20 P2@25", "P1", 25, "1"),
        ("P1@10 M1@15 M2@20 P2@25", "P2", 25, "2"),
        # One that was corrected before its picture came.
        ("M1@10 M2@20 P1@30", "P1", 30, "2"),
        ("M1@10 M-@20 P1@30", "P1", 30, "waits"),
        ("M1@10 M-@20 M2@25 P1@30", "P1", 30, "2"),
        # Two pictures wait: what comes could be for either, so neither is paid.
        ("P1@10 P2@20", "P1", 20, "several"),
        ("P1@10 P2@20", "P2", 20, "several"),
        ("P1@10 P2@20 M1@30", "P2", 30, "several"),
        ("P1@10 P2@20 M1@30 M2@40", "P2", 40, "several"),
        ("P1@10 P2@20 M1@30 P3@40", "P3", 40, "1"),
        # Within one second nobody knows what came first.
        ("M1@5 P1@6 M2@6 P2@7", "P1", 7, "several"),
        ("M1@6 P1@6 M2@6 P2@6", "P1", 7, "several"),
        # At P1 nobody knows which of two it took, so P2 does not know what is left.
        ("M1@11 P1@14 M2@14 P2@16 M3@17", "P2", 17, "several"),
        ("P1@5 M1@6 P2@6 M2@7", "P1", 7, "several"),
        ("P1@3 M1@3 P2@9 M2@9", "P2", 9, "2"),
        ("P1@3 M1@4 M2@9 P2@9", "P2", 9, "2"),
        # An upload may be listed no more, and then its mask seems to be nobody's.
        ("M1@10 P1@86410", "P1", 86_410, "1"),
        ("M1@10 P1@86411", "P1", 86_411, "waits"),
        # The first was rejected long ago.
        ("P1@10 P2@2000 M2@2005", "P2", 2005, "2"),
        ("P1@10 M1@500 P2@2000", "P2", 2000, "1"),
        ("P1@10 P-@15 M1@20 P2@30", "P1", 20, "1"),
    ],
)
def test_a_required_companion_is_that_of_the_same_upload(happened: str, mine: str, now: int, found: str) -> None:
    assert required(happened, mine, now) == found


def test_a_large_picture_counts_from_its_event() -> None:
    """S3 dates a multipart upload by its beginning (API reference, "Object": LastModified)."""
    mine, listed, mask = put("P1@30"), put("P1@10"), put("M1@20")
    assert companions.required(NAME, mine, [listed], [mask], 30, 5).version_id == "1"


def test_uploads_that_overlap_are_not_paired() -> None:
    """The first began before the second and ended while that was under way."""
    first, second = [put("P1@10"), put("P2@25")], [put("M1@20"), put("M2@50")]
    for mine in (put("P1@30"), put("P2@60")):
        if mine.version and mine.version.version_id == "2":
            assert companions.required(NAME, mine, first, second, 60, PATIENCE).version_id == "2"
        else:
            for decide in (companions.required, companions.optional):
                given: Any = {"now": 60, "patience": PATIENCE} if decide is companions.required else {"is_first": True}
                with pytest.raises(RecipeInvalid, match=r"several uploads|uploaded after its picture"):
                    decide(NAME, mine, first, second, **given)


def test_without_versions_uploads_differ_by_their_etag() -> None:
    mine, other = (Put(10, ObjectVersion(bucket="b", key="k", version_id="null", etag=etag)) for etag in "ab")
    assert (mine.is_of(mine), mine.is_of(other), mine.version and mine.version.version_id) == (True, False, None)


@dataclass(frozen=True)
class Upload:
    """A pair that is uploaded: how long after the last one, the seconds between both, and which of them comes first."""

    pause: int
    gap: int
    is_picture_first: bool


UPLOADS = st.lists(
    st.builds(Upload, st.integers(1, 200), st.integers(1, PATIENCE - 1), st.booleans()), min_size=1, max_size=6
)


def history(uploads: list[Upload]) -> str:
    words, now = [], 0
    for number, upload in enumerate(uploads, 1):
        now += upload.pause
        pair = [f"P{number}", f"M{number}"] if upload.is_picture_first else [f"M{number}", f"P{number}"]
        words += [f"{pair[0]}@{now}", f"{pair[1]}@{now + upload.gap}"]
        now += upload.gap
    return " ".join(words)


@given(uploads=UPLOADS, late=st.integers(0, 10_000))
def test_pairs_that_come_one_after_the_other_are_never_mixed(uploads: list[Upload], late: int) -> None:
    happened = history(uploads)
    for number in range(1, len(uploads) + 1):
        assert required(happened, f"P{number}", 10_000 + late) == str(number)


@given(uploads=UPLOADS, late=st.integers(0, 1000))
def test_pairs_are_never_mixed_however_little_s3_says_of_their_times(uploads: list[Upload], late: int) -> None:
    """As before, in quarters of a second of which S3 tells the whole ones; a doubt is an answer."""
    happened = re.sub(r"@(\d+)", lambda at: f"@{int(at[1]) // 4}", history(uploads))
    for number in range(1, len(uploads) + 1):
        assert required(happened, f"P{number}", 10_000 + late) in (str(number), "several", "none")


def test_an_upload_in_parts_may_have_come_later_than_s3_says() -> None:
    """It began at second 0, was there at 100 and took the mask of second 105; the next picture waits for its own."""
    in_parts = Put(0, ObjectVersion(bucket="b", key="inbox/cat.png", version_id="1", etag="0f-7"))
    with pytest.raises(RecipeInvalid, match="several uploads"):
        companions.required(NAME, put("P2@140"), [in_parts, put("P2@140")], [put("M1@105")], 141, PATIENCE)
    later = companions.required(NAME, put("P2@9000"), [in_parts, put("P2@9000")], [put("M2@9001")], 9001, PATIENCE)
    assert later.version_id == "2"


def test_what_is_decided_late_is_not_decided_by_what_is_left() -> None:
    """A day later the version that took the mask may be gone."""
    assert required("M1@10 P1@20", "P1", 20 + 86_400) == "1"
    assert required("M1@10 P1@20", "P1", 20 + 86_401) == "none"


@given(
    order=st.lists(st.sampled_from("PM"), min_size=1, max_size=10),
    pauses=st.lists(st.integers(1, 50), min_size=10, max_size=10),
)
def test_no_companion_is_ever_used_twice_and_no_decision_changes(order: list[str], pauses: list[int]) -> None:
    """Each picture is looked at after each event, as a job may be."""
    words, now, found = [], 0, {}
    for place, kind in enumerate(order):
        now += pauses[place]
        words.append(f"{kind}{place}@{now}")
        for mine in (word.split("@")[0] for word in words if word.startswith("P")):
            answer = required(" ".join(words), mine, now)
            if mine in found and found[mine] != "waits":
                assert answer == found[mine] or {answer, found[mine]} <= {"several", "none"}
            found[mine] = answer
    used = [answer for answer in found.values() if answer.isdecimal()]
    assert len(used) == len({*used})


def optional(happened: str, mine: str, *, is_first: bool = True) -> str | None:
    puts = {word: put(word) for word in happened.split()}
    pictures = [seen for word, seen in puts.items() if word.startswith("P")]
    sidecars = [seen for word, seen in puts.items() if word.startswith("M")]
    own = next(seen for word, seen in puts.items() if word.startswith(f"{mine}@"))
    try:
        found = companions.optional(NAME, own, pictures, sidecars, is_first=is_first)
    except RecipeInvalid as problem:
        return "late" if "uploaded after its picture" in problem.message else "several"
    return found and found.version_id


@pytest.mark.parametrize(
    ("happened", "mine", "found"),
    [
        ("P1@10", "P1", None),
        ("M1@5 P1@10", "P1", "1"),
        ("M1@10 P1@10", "P1", "1"),
        ("M1@5 P1@10 P2@500", "P2", "1"),  # it stays in force until it is replaced
        ("M1@5 P1@10 M2@20 P2@30", "P1", "1"),
        ("M1@5 P1@10 M2@20 P2@30", "P2", "2"),
        ("M1@5 M-@7 P1@10", "P1", None),
        ("P1@10 M1@11", "P1", "late"),
        ("M1@5 P1@10 M2@11", "P1", "late"),
        ("P1@10 M1@11 P2@12", "P1", None),
        ("P1@10 M1@11 P2@12", "P2", "1"),
        ("P1@10 M1@11 P2@12 M2@13", "P2", "late"),
        ("M1@5 P1@10 M-@11", "P1", "1"),
        ("M1@5 P1@6 M2@6 P2@7", "P1", "several"),
        ("M1@5 P1@5 M2@5 P2@5", "P1", "several"),
        ("M1@5 P1@5 M2@10 P2@10", "P2", "2"),
        ("M1@5 P1@5 P2@10", "P2", "1"),
    ],
)
def test_an_optional_companion_is_the_one_that_was_there(happened: str, mine: str, found: str | None) -> None:
    assert optional(happened, mine) == found


def test_a_further_attempt_takes_what_was_mended_and_not_what_is_for_a_newer_picture() -> None:
    assert optional("M1@5 P1@10 M2@20", "P1", is_first=False) == "2"
    assert optional("M1@5 P1@10 M2@20 P2@30", "P1", is_first=False) == "1"
    assert optional("P1@10 M1@20 M-@25", "P1", is_first=False) is None
