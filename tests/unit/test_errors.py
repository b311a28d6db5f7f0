"""The error tree is public: its names, its advice, and the picture of it."""

from __future__ import annotations

import inspect
import re

import pytest

from bucketbrush.domain import errors
from bucketbrush.domain.errors import (
    AGAIN,
    AccountEmpty,
    BucketbrushError,
    ContentRefused,
    KeyRefused,
    KeyReplaced,
    Money,
    ProviderBusy,
    ProviderRefused,
    RateLimited,
    TaskUnreadable,
)
from tests.unit.test_architecture import PACKAGE

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BucketbrushError) and kind is not BucketbrushError
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_what_to_do(kind: type[BucketbrushError]) -> None:
    problem = kind("size: found 7.")
    assert str(problem) == f"size: found 7. {kind.advice}"
    assert problem.message == "size: found 7."
    assert kind.advice.endswith(".")
    assert isinstance(kind.retryable, bool)
    assert isinstance(kind.money, Money)


def test_the_drawn_tree_lists_exactly_the_classes() -> None:
    drawn: list[tuple[str, str]] = []
    above = ["BucketbrushError"]
    for bars, name in re.findall(r"^    ((?:[|`]   ?)*[|`]--) (\w+)", str(errors.__doc__), re.MULTILINE):
        del above[1 + len(bars) // 4 :]
        drawn.append((name, above[-1]))
        above.append(name)
    assert sorted(drawn) == sorted((kind.__name__, kind.__bases__[0].__name__) for kind in CLASSES)


def test_no_error_is_defined_elsewhere() -> None:
    """A class name is the errorType that the workflow sees, so none may appear that the tree does not list."""
    outside = [file for file in PACKAGE.rglob("*.py") if file.name != "errors.py"]
    names = "|".join(["Exception", "BucketbrushError", *(kind.__name__ for kind in CLASSES)])
    found = [
        line for file in outside for line in re.findall(rf"^class \w+\((?:{names})\).*", file.read_text(), re.MULTILINE)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("money", "names"),
    [
        (Money.UNKNOWN, {"SubmitUnanswered"}),
        (
            Money.MOVED,
            {"TaskUnreadable", "TaskUnfinished", "PictureUnreadable", "ResultUnstored", "LinkDead"},
        ),
    ],
)
def test_where_money_may_have_moved(money: Money, names: set[str]) -> None:
    assert {kind.__name__ for kind in CLASSES if kind.money is money} == names


def test_what_helps_when_it_is_tried_again() -> None:
    assert {kind.__name__ for kind in CLASSES if kind.retryable} == {
        "JobBusy",
        "BatchBusy",
        "MessagesUnsent",
        "DepartureAhead",
        "IntakePaused",
        "DeparturesBusy",
        "BudgetBusy",
        "ProviderUnreachable",
        "ProviderBusy",
        "RateLimited",
        "KeyReplaced",
        "TaskUnreadable",
        "DurationsUnavailable",
        "TaskUnfinished",
        "ResultUnstored",
        "LinkDead",
        "HandoverUnfinished",
        "CompanionAwaited",
        "AnnouncementFailed",
        "SweepIncomplete",
    }


def test_nothing_that_may_have_been_paid_says_to_run_it_again() -> None:
    assert [kind.__name__ for kind in CLASSES if AGAIN in kind.advice and kind.money is not Money.NOT_MOVED] == []


def test_only_what_paid_nothing_says_so() -> None:
    for kind in CLASSES:
        if re.search(r"[Nn]othing was (sent|paid)|was not paid", kind.advice):
            assert kind.money is Money.NOT_MOVED


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (ContentRefused, "change the prompt or the picture"),
        (AccountEmpty, "the operator tops up the account"),
        (KeyRefused, "put-secret-value"),
    ],
)
def test_a_refusal_says_whose_turn_it_is(kind: type[ProviderRefused], words: str) -> None:
    assert words in kind.advice
    assert (issubclass(kind, ProviderRefused), kind.retryable, kind.money) == (True, False, Money.NOT_MOVED)
    assert kind.advice.endswith(f"{AGAIN}.")


def test_an_unreadable_task_knows_whether_it_was_refused() -> None:
    assert (TaskUnreadable("x", KeyRefused).refused_as, TaskUnreadable("x").refused_as) == (KeyRefused, None)


def test_busy_knows_its_time() -> None:
    for kind in (ProviderBusy, RateLimited, KeyReplaced):
        assert (kind("x", 7).retry_after, kind("x").retry_after) == (7, None)
