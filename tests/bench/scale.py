"""The tables of docs/scale.md: which limit binds first at how many jobs a day, the bill, and what a simulation says.

`make bench SECTION=scale` simulates, and writes the tables anew.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from bucketbrush.domain.durations import BUCKETS
from local.cost import duration
from local.engine.controller import ROOT
from tests.bench import page
from tests.bench.measured import Goal, Measured
from tests.bench.page import LOOKS
from tests.bench.prices import Meter
from tests.bench.quotas import (
    ACCOUNTS,
    AWS,
    DAY,
    DEADLINE_SECONDS,
    DEFAULT,
    DURATIONS_ROW,
    ELSEWHERE,
    FINALIZE_SECONDS,
    LATENESS,
    LOOK_SECONDS,
    MEMORY,
    OWN_SECONDS,
    QUEUE_SECONDS,
    ROW,
    SENT_SECONDS,
    SVIP,
    TASK_SECONDS,
    TRANSACTION_SECONDS,
    VIP,
    Account,
    Limit,
    Limits,
    Name,
    Settings,
    limits,
    open_at_most,
    parts,
)
from tests.bench.traffic import Traffic, spread
from tests.template.stack import load

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.bench.measured import Say

_Found = TypeVar("_Found")
PAGE = ROOT / "docs" / "scale.md"
DECADES: Mapping[int, Settings] = MappingProxyType(
    {**{10**power: DEFAULT for power in range(6)}, 1_000_000: VIP, 2_880_000: SVIP}
)
_MONTH = 30  # days
_JOB_COMPUTE = page.usage()[0][Meter.COMPUTE]
_FEWEST, _SECONDS = 2_000, 300  # jobs that are simulated, and seconds when these have more
_OVER = 1.1  # how far beyond what it can take a limit is pushed
_HUNDREDTH = 100  # of a crowd and of what may be open: the one is as many times the other
_WAITED_FOR = Name.PACE, Name.INTAKE  # they let jobs wait
PACES = (13.0, 26.0, SVIP.pace)  # jobs a second under a budget
LEAST, MOST = "simulated / computed, least", "simulated / computed, most"
REFUSED, AS_SAID = "refused below the limits", "pushed beyond: refused first as computed"


# ---- What is computed -----------------------------------------------------------------------------------------------


def _spread(jobs: int, settings: Settings, found: Limits) -> dict[Name, float]:
    """The parts that are used when so many jobs a day come at random."""
    rate = jobs / DAY
    return parts(found, lambda limit: limit.used(rate, settings.waiting(rate)))


def _crowd(jobs: int, settings: Settings, found: Limits) -> dict[Name, float]:
    """The parts that are used when so many were dropped at once, while they are taken in."""

    def used(limit: Limit) -> float:
        if limit is found[Name.OPEN]:
            return open_at_most(jobs, settings) / limit.most
        return limit.used_by_crowd(settings.intake, settings.pace)

    return parts(found, used)


def _first(used: Mapping[Name, float]) -> str:
    name, part = next(iter(used.items()))
    return f"{name}, {_percent(part)}"


def _stack(settings: Settings) -> str:
    return f"{settings.account.name}, {settings.submits_per_second:g}, {settings.maximum_concurrency}"


def _percent(part: float) -> str:
    if part < 0.0001:
        return "below 0.01 %"
    return f"{100 * part:.0f} %" if part >= 0.1 else f"{100 * part:.2g} %"


def decades() -> Iterator[str]:
    """What is full first."""
    yield "| jobs a day | stack | over the day: binds first | at AWS | at once: sent in | open executions | at AWS |"
    yield "| ---: | --- | --- | --- | --- | ---: | --- |"
    for jobs, settings in DECADES.items():
        sent = duration(math.ceil(jobs / settings.pace / 60) * 60)
        cells = (
            f"{jobs:,}",
            _stack(settings),
            _first(_spread(jobs, settings, limits(settings))),
            _first(_spread(jobs, settings, AWS)),
            sent,
            f"{open_at_most(jobs, settings):,.0f}",
            _first(_crowd(jobs, settings, AWS)),
        )
        yield f"| {' | '.join(cells)} |"


def quotas() -> Iterator[str]:
    """Each limit of the stack as it is deployed by default, the one that is full first at the top."""
    yield "| limit | default | a job | full at jobs a day | only with | the template sets | what moves it | source |"
    yield "| --- | ---: | ---: | ---: | --- | --- | --- | --- |"
    for name, limit in sorted(limits(DEFAULT).items(), key=lambda item: item[1].full_at):
        most = f"{limit.most:,.0f}" if limit.most >= 100 else f"{limit.most:.4g}"
        unit, use = ("", " s") if limit.is_level else (" a second", "")
        each, full_at = _amount(limit.use.waiting), f"{float(f'{limit.full_at:.3g}'):,.0f}"
        cells = (name, most + unit, each + use, full_at, limit.needs, limit.sets, limit.moves, limit.page)
        yield f"| {' | '.join(cells)} |"


def _amount(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def arithmetic() -> Iterator[str]:
    """Where the amounts come from that one job uses."""
    submit, look, finalize = (f"{seconds:.2f}" for seconds in (SENT_SECONDS, LOOK_SECONDS, FINALIZE_SECONDS))
    own, waits = f"{OWN_SECONDS:.2f}", f"{TASK_SECONDS:.0f} s task + {LATENESS:.0f} s lateness"
    yield "| a job that waits uses | arithmetic |"
    yield "| --- | --- |"
    for name, how in {
        Name.INTAKE: f"{_JOB_COMPUTE} GB-s counted / {MEMORY / 1024:g} GB / ({MEMORY} / 1,769) of a core / 2 = {own} s",
        Name.CONCURRENCY: f"{own} s taken in + {submit} s sent + {LOOKS} looks x {look} s + {finalize} s finalize",
        Name.OPEN: f"{submit} s sent + {waits} + {LOOKS} looks x {look} s + {finalize} s finalize",
        Name.TRANSITIONS: f"5 + {LOOKS} looks x 3 + 3 for the wait",
        Name.REQUESTS: f"3 + {LOOKS} looks",
        Name.READS: f"{LOOKS} looks + 1 by finalize",
        Name.INDEX: "1 written + 2 held + 2 accepted + 1 ended: each change of `next_check` is two",
        Name.JOBS: f"{ROW} units x (6 writes + {LOOKS} looks): a row has between 1 and 2 KB",
        Name.DURATIONS: f"{BUCKETS} buckets of at most 12 bytes: {DURATIONS_ROW} units",
        Name.MONTH: f"reserved, and settled; {1000 * TRANSACTION_SECONDS:g} ms each",
        Name.CHECKS: f"once each time that a job's age has grown by itself, hourly at most, in {DEADLINE_SECONDS:,} s",
    }.items():
        yield f"| {name} | {how} |"


def bills() -> Iterator[str]:
    """What a month of such days comes to."""
    fixed = sum(row.usd for row in page.monthly(load()))
    yield "| jobs a day | AWS a month, USD | the API at 0.0019 a picture | at 0.05 a picture |"
    yield "| ---: | ---: | ---: | ---: |"
    for jobs, settings in DECADES.items():
        month = _MONTH * jobs
        each = (page.for_jobs() + settings.waiting(jobs / DAY) * page.cost(page.HELD)) / page.JOBS
        yield f"| {jobs:,} | {fixed + month * each:,.2f} | {month * 0.0019:,.2f} | {month * 0.05:,.2f} |"


def tables() -> Iterator[list[str]]:
    """Those that are computed, as lines."""
    yield from map(list, (decades(), quotas(), arithmetic(), bills()))


# ---- What is simulated ----------------------------------------------------------------------------------------------


class Agreement(NamedTuple):
    """What was computed and what was simulated, of each limit in its unit, and how often one was exceeded."""

    what: str
    jobs: int
    computed: Mapping[Name, float]
    simulated: Mapping[Name, float]
    refused: int

    @property
    def ratios(self) -> list[float]:
        """Simulated to computed, in ascending order."""
        return sorted(amount / self.computed[name] for name, amount in self.simulated.items())

    def __str__(self) -> str:
        least, *_, most = self.ratios
        return f"| {self.what} | {self.jobs:,} | {least:.2f} to {most:.2f} | {self.refused} |"


def over_the_day(jobs: int, settings: Settings) -> Agreement:
    """A stretch of a day with so many jobs: what is used a second or at once, in the mean."""
    found, rate, count = limits(settings), jobs / DAY, _enough(settings)
    traffic = Traffic(settings, found, seed=jobs)
    traffic.run(spread(count, rate, seed=jobs))
    simulated = {name: total * rate / count for name, total in traffic.total.items()}
    return _agreement(f"{jobs:,} over the day", count, found, _spread(jobs, settings, found), simulated, traffic)


def at_once(settings: Settings) -> Agreement:
    """A crowd: what is used in its busiest minute, and how many executions are open at most."""
    found, count = limits(settings), _enough(settings)
    traffic = Traffic(settings, found, seed=2)
    traffic.run([0.0] * count)
    simulated = {**traffic.peaks, Name.OPEN: traffic.most_at_once[Name.OPEN]}
    return _agreement(f"at once, {_stack(settings)}", count, found, _crowd(count, settings, found), simulated, traffic)


def _agreement(
    what: str,
    jobs: int,
    found: Limits,
    used: Mapping[Name, float],
    simulated: Mapping[Name, float],
    traffic: Traffic,
) -> Agreement:
    computed = {name: part * found[name].most for name, part in used.items() if name in simulated}
    return Agreement(what, jobs, computed, {name: simulated[name] for name in computed}, traffic.refused.total())


def _enough(settings: Settings) -> int:
    return max(_FEWEST, round(_SECONDS * settings.pace))


class Push(NamedTuple):
    """A stack of which more is asked than a limit can take: by jobs at random, or by a ``crowd`` dropped at once."""

    what: str
    settings: Settings
    aws: Limits = AWS
    needs: str = ""
    crowd: int = 0

    @property
    def computed(self) -> Name:
        """The limit that refuses first."""
        return next(iter(self._parts()))

    def simulated(self) -> Name | None:
        """The one that is exceeded first, by a tenth more jobs than it can take or by the crowd."""
        queue_seconds = QUEUE_SECONDS // _HUNDREDTH if self.crowd else QUEUE_SECONDS
        traffic = Traffic(self.settings, limits(self.settings, self.aws), 4, self.needs, queue_seconds)
        arrivals = [0.0] * self.crowd or spread(round(_SECONDS * self._rate), self._rate, seed=5)
        traffic.run(arrivals, until_refused=True)
        return traffic.first

    def row(self, first: Name | None) -> str:
        jobs = f"{self.crowd:,} at once" if self.crowd else f"{self._rate:.3g} a second"
        return f"| {self.what} | {jobs} | {self.computed} | {first} |"

    @property
    def _rate(self) -> float:
        return _OVER / max(self._parts().values())

    def _parts(self) -> dict[Name, float]:
        """The parts that the crowd uses, or one job a second, of the limits that refuse."""
        found = limits(self.settings, self.aws)
        if self.crowd:
            used = _crowd(self.crowd, self.settings, found)
        else:
            used = parts(found, lambda limit: limit.used(1, waiting=0), self.needs)
        return {name: part for name, part in used.items() if name not in _WAITED_FOR}


_ANY = Account("any", 10**9, 10**9, 10**9)
_WIDE = Settings(_ANY, 1_000, 1_000)
_RAISED: Limits = {
    **AWS,
    Name.CONCURRENCY: AWS[Name.CONCURRENCY]._replace(most=10_000),
    Name.REQUESTS: AWS[Name.REQUESTS]._replace(most=100_000),
}
_HUNDREDTHS: Limits = {**AWS, Name.OPEN: AWS[Name.OPEN]._replace(most=AWS[Name.OPEN].most / _HUNDREDTH)}
PUSHES = (
    Push("default account, `SubmitsPerSecond` 50", Settings(ACCOUNTS[0], 50, 50)),
    Push("svip account, `SubmitsPerSecond` 50", Settings(ACCOUNTS[2], 50, 50)),
    Push("an API without limits", _WIDE),
    Push("the same in another region", _WIDE, ELSEWHERE),
    Push("the same with 10,000 invocations at once", _WIDE, _RAISED),
    Push("the same with `NotificationEmail`", _WIDE, needs=AWS[Name.MAILS].needs),
    Push("the same with `MonthlyBudgetUsd`", _WIDE, needs=AWS[Name.MONTH].needs),
    Push(
        "svip account, `MaximumConcurrency` 100, a hundredth of 2,880,000 files and of what may be open",
        SVIP._replace(maximum_concurrency=100),
        _HUNDREDTHS,
        crowd=28_800,
    ),
)


def crowded(rate: float) -> float:
    """The part of the changes of a budget that are given up for the moment, with so many jobs a second."""
    traffic = Traffic(_WIDE, limits(_WIDE), 6, AWS[Name.MONTH].needs)
    traffic.run(spread(round(_SECONDS * rate), rate, seed=7))
    given_up = traffic.refused[Name.MONTH]
    return given_up / (given_up + traffic.total[Name.MONTH])


def agreed(found: Iterable[Agreement]) -> Iterator[str]:
    """How far what was simulated is what was computed."""
    yield "| jobs | simulated | simulated / computed, least and most of all limits | refused |"
    yield "| --- | ---: | --- | ---: |"
    yield from map(str, found)


def top(day: Agreement, crowd: Agreement) -> Iterator[str]:
    """What is used a second, or at once, of each limit at the top tier."""
    yield "| at the top tier | over the day: computed | simulated | at once: computed | busiest minute |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for name in day.computed:
        amounts = (found[name] for each in (day, crowd) for found in (each.computed, each.simulated))
        yield f"| {name} | {' | '.join(map(_amount, amounts))} |"


def pushed(firsts: Iterable[Name | None]) -> Iterator[str]:
    """Which limit refuses first, when it must."""
    yield "| more than it can take | jobs | computed: refuses first | simulated |"
    yield "| --- | ---: | --- | --- |"
    yield from (push.row(first) for push, first in zip(PUSHES, firsts, strict=True))


def budgeted(given_up: Iterable[float]) -> Iterator[str]:
    """How often changes of a budget meet."""
    yield "| jobs a second under a budget | changes of the month's row that are given up for some seconds |"
    yield "| ---: | ---: |"
    yield from (f"| {rate:.3g} | {_percent(part)} |" for rate, part in zip(PACES, given_up, strict=True))


def bench(say: Say) -> Measured:
    """The section. It writes the page."""
    days = [_told(over_the_day(jobs, settings), say) for jobs, settings in DECADES.items()]
    crowds = [_told(at_once(settings), say) for settings in dict.fromkeys(DECADES.values())]
    agreements = [*days, *crowds]
    firsts = [_told(push.simulated(), say) for push in PUSHES]
    given_up = [_told(crowded(rate), say) for rate in PACES]
    simulated = map(list, (agreed(agreements), top(days[-1], crowds[-1]), pushed(firsts), budgeted(given_up)))
    PAGE.write_text(page.written(PAGE.read_text(), [*tables(), *simulated]))
    figures = {
        LEAST: min(agreement.ratios[0] for agreement in agreements),
        MOST: max(agreement.ratios[-1] for agreement in agreements),
        REFUSED: sum(agreement.refused for agreement in agreements),
        AS_SAID: sum(first is push.computed for push, first in zip(PUSHES, firsts, strict=True)),
    }
    goals = {
        LEAST: Goal(least=0.9),
        MOST: Goal(most=1.1),
        REFUSED: Goal(most=0),
        AS_SAID: Goal(least=len(PUSHES)),
    }
    return Measured({name: round(figure, 4) for name, figure in figures.items()}, goals)


def _told(found: _Found, say: Say) -> _Found:
    say(str(found))
    return found
