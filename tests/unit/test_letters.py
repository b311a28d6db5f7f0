"""What people read in their mail, and that no message becomes too long for SNS."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.adapters.announcements import Announcements
from bucketbrush.domain.errors import Money
from bucketbrush.domain.jobs import Line, ObjectVersion, Outcome
from bucketbrush.domain.letters import letter_of
from bucketbrush.domain.pictures import PictureFormat
from bucketbrush.domain.result import Announcement, Picture, Result, announcement_of

MOST_BYTES = 262_144  # of an SNS message with its attributes, and of an event (SNS and EventBridge quotas)
FOLDER = "results/poster/cat 1/cat-1"
PROMPT = "paint a starry sky"


def announcement(**fields: Any) -> Announcement:
    facts: dict[str, Any] = {
        "job_id": "cat-1",
        "outcome": Outcome.COMPLETED,
        "money": Money.MOVED,
        "message": "Stored 2 of 2 pictures.",
        "preset": "poster",
        "source": ObjectVersion(bucket="in", key="inbox/poster/cat 1.png"),
        "recipe": {"model": "gpt-image-2-vip", "prompt": PROMPT},
        "references": (),
        "task_id": "tsk_1",
        "pictures": tuple(
            Picture(key=f"{FOLDER}/{number}.png", bytes=1, format=PictureFormat.PNG, sha256="0") for number in (1, 2)
        ),
        "page": f"{FOLDER}/index.html",
        "polls": 1,
        "created_at": 1,
        "submitted_at": 2,
        "task_created_at": 3,
        "task_completed_at": 4,
        "ended_at": 5,
        **fields,
    }
    return announcement_of(Result(**facts), "out", f"{FOLDER}/result.json")


def test_a_letter_says_what_happened_and_where_it_lies() -> None:
    assert (
        letter_of(announcement(estimated_usd=0.04, billed_usd=0.03))
        == """\
Bucketbrush: completed

Job:      cat-1
File:     s3://in/inbox/poster/cat 1.png
Cost:     0.03 USD

Stored 2 of 2 pictures.

Pictures: 2
Results:  s3://out/results/poster/cat 1/cat-1/
Page:     s3://out/results/poster/cat 1/cat-1/index.html
Record:   s3://out/results/poster/cat 1/cat-1/result.json

Fetch all of it:
  aws s3 cp --recursive 's3://out/results/poster/cat 1/cat-1/' ./cat-1/
"""
    )


def test_a_letter_says_nothing_of_what_there_is_not() -> None:
    fields: dict[str, Any] = {"outcome": Outcome.REJECTED, "money": Money.NOT_MOVED, "message": "n: found 0."}
    letter = letter_of(announcement(**fields, source=None, pictures=(), page=None, estimated_usd=0.04))
    assert "n: found 0." in letter
    assert [word for word in ("File:", "Line:", "Cost:", "Pictures:", "Page:") if word in letter] == []


def test_a_letter_about_a_line_of_a_batch_says_which() -> None:
    assert "\nLine:     17\n" in letter_of(announcement(batch="cats-1", line=Line(number=17, start=0, length=9)))


@pytest.mark.parametrize(
    ("money", "estimated", "billed", "words"),
    [
        (Money.MOVED, 0.04, 0.0375, "0.0375 USD\n"),
        (Money.NOT_MOVED, 0.04, 0.0, "0 USD\n"),
        (Money.MOVED, 0.04, None, "about 0.04 USD (not billed yet)"),
        (Money.UNKNOWN, 0.0019, None, "about 0.0019 USD (not billed yet)"),
    ],
)
def test_a_letter_says_the_cost(money: Money, estimated: float, billed: float | None, words: str) -> None:
    assert f"Cost:     {words}" in letter_of(announcement(money=money, estimated_usd=estimated, billed_usd=billed))


def test_no_letter_holds_the_prompt() -> None:
    assert PROMPT not in letter_of(announcement())


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(name=TEXTS, message=TEXTS)
def test_the_command_fetches_the_folder_whatever_its_name_is(name: str, message: str) -> None:
    """A key of our own holds no control characters, and what people copy into a shell must not run anything else."""
    folder = "results/" + "".join(letter for letter in name if letter.isprintable()) + "/cat-1"
    told = announcement(message=message).model_copy(
        update={"result": announcement().result.model_copy(update={"key": f"{folder}/result.json"})}
    )
    letter = letter_of(told)
    command = letter.rstrip("\n").rpartition("\n")[2]
    assert shlex.split(command) == ["aws", "s3", "cp", "--recursive", f"s3://out/{folder}/", "./cat-1/"]
    assert all(letter.isprintable() for letter in letter.replace("\n", ""))


@given(name=TEXTS, message=TEXTS)
def test_a_name_or_message_adds_no_line_to_a_letter(name: str, message: str) -> None:
    """Somebody else's "Cost:" or command must not stand where ours do."""
    source = ObjectVersion(bucket="in", key=f"inbox/{name}\nCost:     0 USD\n")
    plain, odd = announcement(), announcement(source=source, message=f"{message}\r\n\u2028Results:  s3://evil/")
    assert len(letter_of(odd).splitlines()) == len(letter_of(plain).splitlines())


class Wire:
    """SNS and EventBridge, which keep what they are sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def publish(self, subject: str, message: str, letter: str, attributes: dict[str, str | None]) -> None:
        self.sent.append({"subject": subject, "message": message, "letter": letter, "attributes": attributes})

    def put(self, kind: str, detail: str) -> None:
        assert kind.startswith("Image Job ")
        assert len(detail.encode()) < MOST_BYTES - 1000


def told_by(wire: Any, announcement: Announcement) -> None:
    Announcements(wire, wire).tell(announcement)


@pytest.mark.parametrize("sign", ["x", '"', "\\", "\n", "\x01", "é", "猫", "🎨"])
def test_the_largest_message_fits(sign: str) -> None:
    """Each place holds as much as it can: keys of 1,024 bytes, a hundred pictures, an endless message."""
    key = sign * (1000 // len(sign.encode()))
    pictures = tuple(Picture(key=key, bytes=1, format=PictureFormat.PNG, sha256="0" * 64) for _ in range(100))
    huge = announcement(
        message=sign * 1_000_000,
        reason="R" * 1000,
        folder=key,
        preset=key,
        batch=key[:64],
        source=ObjectVersion(bucket="b" * 63, key=key, version_id="v" * 1024, etag="e" * 64, checksum="c" * 100),
        pictures=pictures,
    )
    wire = Wire()
    told_by(wire, huge)
    (sent,) = wire.sent
    body = json.dumps({"default": sent["message"], "email": sent["letter"]}, ensure_ascii=False)
    attributes = sum(len(f"{name}String{value}".encode()) for name, value in sent["attributes"].items())
    assert len(body.encode()) + attributes < MOST_BYTES


def test_the_same_is_told_in_the_same_bytes() -> None:
    wire = Wire()
    for _ in range(3):
        told_by(wire, announcement(batch="cats-1"))
    assert wire.sent[0] == wire.sent[1] == wire.sent[2]
    assert len(wire.sent[0]["attributes"]) <= 10  # the SQS subscriber's limit (SNS Developer Guide, "Raw delivery")
