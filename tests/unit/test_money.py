"""What a job costs, and what its steps do to the month's budget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketbrush.domain.catalogue import Model
from bucketbrush.domain.errors import Money
from bucketbrush.domain.jobs import Share
from bucketbrush.domain.money import (
    Budget,
    budget_change,
    estimate,
    micros,
    month_of,
    picture_price,
    said,
    settled,
    usd,
)
from tests.models import OURS

MONTH = "2026-11"
PRICED = OURS["gpt-image-2-vip"].model_copy(
    update={
        "prices": Model.model_validate(
            {
                "fields": OURS["gpt-image-2-vip"].fields,
                "prices": [
                    {"usd": "0.5", "of": {"resolution": "4k", "quality": "high"}},
                    {"usd": 0.25, "of": {"resolution": "4k"}},
                    {"usd": "0.0019", "of": {"quality": "low"}},
                ],
            }
        ).prices
    }
)
SHARES = st.one_of(
    st.none(), st.builds(Share, month=st.just(MONTH), reserved=st.integers(0, 10**9), spent=st.integers(0, 10**9))
)


@pytest.mark.parametrize(
    ("recipe", "price"),
    [
        ({"resolution": "4k", "quality": "high"}, 500_000),
        ({"resolution": "4k", "quality": "low"}, 250_000),  # the first that fits
        ({"resolution": "1k", "quality": "low"}, 1900),
        ({"resolution": "1k", "quality": "high"}, None),
        ({}, None),
    ],
)
def test_the_first_price_that_fits_counts_and_else_what_is_assumed(recipe: dict[str, Any], price: int | None) -> None:
    assert picture_price(recipe, PRICED, None) == price
    assert picture_price(recipe, PRICED, 77) == (77 if price is None else price)
    assert estimate({**recipe, "n": 3}, PRICED, None) == (None if price is None else 3 * price)
    assert estimate(recipe, PRICED, 77) == picture_price(recipe, PRICED, 77)


def test_the_one_price_that_a_page_names_is_there() -> None:
    assert picture_price({"resolution": "1k", "quality": "low"}, OURS["gpt-image-2-vip"], None) == 1900


@pytest.mark.parametrize(
    ("given", "amount"), [("0.0019", 1900), ("0.0000001", 1), ("0", 0), ("12", 12_000_000), ("0.0000019", 2)]
)
def test_amounts_are_rounded_up_to_millionths(given: str, amount: int) -> None:
    assert micros(Decimal(given)) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00 USD"),
        (1900, "0.0019 USD"),
        (500_000, "0.50 USD"),
        (12_345_678_900, "12,345.6789 USD"),
        (100_000_000, "100.00 USD"),
    ],
)
def test_a_sentence_has_at_least_the_cents(amount: int, text: str) -> None:
    assert said(amount) == text


def test_dollars_of_messages() -> None:
    assert (usd(1900), usd(None), usd(0)) == (0.0019, None, 0.0)


@pytest.mark.parametrize(
    ("now", "month"),
    [(1_793_491_199, "2026-10"), (1_793_491_200, "2026-11"), (1_796_083_199, "2026-11"), (0, "1970-01")],
)
def test_a_month_begins_at_midnight_utc(now: int, month: str) -> None:
    assert month_of(now) == month


@pytest.mark.parametrize(
    ("money", "billed", "after"),
    [
        (Money.NOT_MOVED, None, None),
        (Money.NOT_MOVED, 0, None),
        (Money.MOVED, None, Share(month=MONTH, spent=500)),
        (Money.MOVED, 300, Share(month=MONTH, spent=300)),
        (Money.MOVED, 900, Share(month=MONTH, spent=900)),
        (Money.UNKNOWN, None, Share(month=MONTH, reserved=500)),
        (Money.UNKNOWN, 300, Share(month=MONTH, reserved=500)),
    ],
)
def test_a_share_is_spent_released_or_kept(money: Money, billed: int | None, after: Share | None) -> None:
    assert settled(Share(month=MONTH, reserved=500), money, billed) == after


@given(st.lists(SHARES, min_size=1, max_size=8))
def test_the_changes_of_any_shares_add_up_to_the_last_one(shares: list[Share | None]) -> None:
    committed = spent = 0
    for before, after in zip([None, *shares], shares, strict=False):
        change = budget_change(before, after) or Budget(month=MONTH)
        committed, spent = committed + change.committed, spent + change.spent
    last = shares[-1] or Share(month=MONTH)
    assert (committed, spent) == (last.committed, last.spent)


def test_the_same_share_changes_nothing_and_a_share_keeps_its_month() -> None:
    share = Share(month=MONTH, reserved=5)
    assert budget_change(share, share) is None
    assert budget_change(None, None) is None
    with pytest.raises(ValueError, match="2026-11 and 2026-12"):
        budget_change(share, Share(month="2026-12", reserved=5))
