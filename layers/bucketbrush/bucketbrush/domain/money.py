"""What a job costs, and what it takes of a month's budget.

Amounts are whole micro-dollars, millionths of a US dollar: their sums are exact. A month is a calendar month in UTC,
written ``2026-11``. The budget holds what is reserved for jobs under way and what is spent on those that ended; each
job's row says its own share, and the two are only ever written together.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from bucketbrush.domain.catalogue import Model
from bucketbrush.domain.errors import Money, PriceUnknown
from bucketbrush.domain.jobs import Frozen, Job, Share
from bucketbrush.domain.life import State

_MICROS = 1_000_000


class Budget(Frozen):
    """What a month's jobs have reserved and spent together, and how much of that is spent."""

    month: str
    committed: int = 0
    spent: int = 0


def micros(usd: Decimal) -> int:
    """Micro-dollars, rounded up: a budget must not be overdrawn by fractions."""
    return int((usd * _MICROS).to_integral_value(ROUND_CEILING))


def usd(amount: int | None) -> float | None:
    """An amount as the US dollars of messages and metrics."""
    return None if amount is None else amount / _MICROS


def said(amount: int) -> str:
    """An amount in a sentence, with at least the cents."""
    text = f"{Decimal(amount) / _MICROS:,.6f}".rstrip("0")
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest:0<2} USD"


def month_of(now: int) -> str:
    """The calendar month in UTC; ``now`` is in seconds since 1970."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m")


def picture_price(recipe: Mapping[str, Any], model: Model, assumed: int | None) -> int | None:
    """What one picture of the recipe costs: the first price of the model's list that fits, else ``assumed``."""
    fitting = (price for price in model.prices if all(recipe.get(name) == value for name, value in price.of.items()))
    price = next(fitting, None)
    return assumed if price is None else micros(price.usd)


def estimate(recipe: Mapping[str, Any], model: Model, assumed: int | None) -> int | None:
    """What a job costs if every picture is made; None when no price is known."""
    price = picture_price(recipe, model, assumed)
    return None if price is None else price * int(recipe.get("n", 1))


def reserved(job: Job, budget: int | None, now: int) -> Share | None:
    """A job's share with its intent: its estimate, of this month's budget if there is one, and twice when sent twice.

    A job that was refused for now keeps its share. Raises PriceUnknown under a budget without a price.
    """
    is_sent_again = job.state is State.SUBMITTING
    if budget is None or (job.share and not is_sent_again):
        return job.share
    if job.estimated is None:
        recipe = job.recipe or {}
        facts = ", ".join(f"{name} {recipe[name]}" for name in ("model", "resolution", "quality") if name in recipe)
        raise PriceUnknown(
            f"price: found none for {facts}; allowed under a budget: one in the model's price list, or AssumedPriceUsd "
            "above 0."
        )
    before = job.share or Share(month=month_of(now))
    return before.model_copy(update={"reserved": before.reserved + job.estimated})


def settled(share: Share, money: Money, billed: int | None) -> Share | None:
    """A share when its job ends: spent, as billed or else as reserved; released; or kept when nobody knows."""
    if money is Money.NOT_MOVED:
        return None
    if money is Money.UNKNOWN:
        return share
    return Share(month=share.month, spent=share.committed if billed is None else billed)


def budget_change(before: Share | None, after: Share | None) -> Budget | None:
    """What one job's step adds to its month's budget; None when nothing changes there."""
    either = after or before
    if either is None or before == after:
        return None
    none = Share(month=either.month)
    old, new = before or none, after or none
    if old.month != new.month:
        raise ValueError(f"share: found months {old.month} and {new.month}; allowed: one.")
    return Budget(month=either.month, committed=new.committed - old.committed, spent=new.spent - old.spent)
