"""How long tasks take: what was measured of them, and what to believe of the next one.

What was measured is a histogram for each class of jobs, one for each of its parents, and nothing else (``levels``). Its
buckets are equally wide in the logarithm of time, because durations differ by factors. It ages by forward decay
(Cormode, Shkapenyuk, Srivastava and Xu, "Forward decay", ICDE 2009): a job's weight grows with its number, so that
nothing is ever written but additions, and whoever reads divides by the weight of the newest.

What is believed is a shape: the probability of each bucket. A smooth hill (a lognormal) and two kernel estimates are
fitted to a histogram, and each counts by the likelihood that it gives to jobs that it has not seen (leave-one-out:
Habbema, Hermans and van den Broek, COMPSTAT 1974): the fewer jobs there are, the more they are taken for one hill. The
shape is then mixed with the one of the parent, as if that were one more job; the last parent is the prior.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from bucketbrush.domain.jobs import Frozen, Job
from bucketbrush.domain.result import Result

BUCKETS = 140  # up to two days
HALF_LIFE = 50  # jobs
_OCTAVE = 8  # buckets to a doubling
_EPOCH = 20 * HALF_LIFE  # jobs after which the landmark is moved: what came before counts a millionth
_MOST_JOBS = 2 * HALF_LIFE / math.log(2)  # twice what all jobs of all times can weigh together
# These were chosen by `make bench SECTION=polling`.
_WIDTHS = (0.5, 0.25)  # of the kernels: a part of the spread, which shrinks with the fifth root of the jobs
_NARROWEST = 1.5  # buckets
_SPREAD = 0.6 * _OCTAVE / math.log(2)  # the standard deviation, in buckets, that is assumed as if it were one job's
_DOUBT = 2.0  # what the logarithm of a kernel's likelihood loses to the hill's
_ODD = 0.01  # the part of the jobs that no shape has seen coming
_PARENT_JOBS = 1.0
_LEAST = 1e-9  # of a job: what counts less is forgotten, long before DynamoDB has no number for it
_CLOCK_SECONDS = 5  # that clocks differ by

Shape = tuple[float, ...]
_Bucket = Annotated[int, Field(ge=0, lt=BUCKETS)]
_Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Duration(NamedTuple):
    """A task took more than ``least`` and at most ``most`` seconds; both are the same when the provider says it."""

    least: float
    most: float


class Histogram(Frozen):
    """What was measured. ``weights`` are by bucket; the job of number ``landmark`` had the weight 1, and ``jobs`` is
    how many there were.
    """

    jobs: Annotated[int, Field(ge=0)] = 0
    landmark: Annotated[int, Field(ge=0)] = 0
    weights: dict[_Bucket, _Weight] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if not 0 <= self.jobs - self.landmark <= 2 * _EPOCH:
            raise ValueError(f"jobs: found {self.jobs} with the landmark {self.landmark}")
        if not sum(self.aged.values()) <= _MOST_JOBS:
            raise ValueError("weights: found more than there can be")
        return self

    @property
    def newest(self) -> float:
        """The weight of the next job."""
        return math.exp2((self.jobs - self.landmark) / HALF_LIFE)

    @property
    def aged(self) -> dict[int, float]:
        """The weights as they are now, when the next job's is 1."""
        newest = self.newest
        return {bucket: weight / newest for bucket, weight in self.weights.items() if weight > _LEAST * newest}

    @property
    def is_full(self) -> bool:
        """Whether the landmark should be moved, before the weights become too large."""
        return self.jobs - self.landmark >= _EPOCH

    def moved(self) -> "Histogram":
        """The same, with the next job as landmark."""
        return Histogram(jobs=self.jobs, landmark=self.jobs, weights=self.aged)

    def added(self, parts: Mapping[int, float]) -> "Histogram":
        """With one more job, whose ``parts`` lie in these buckets."""
        newest, weights = self.newest, dict(self.weights)
        for bucket, part in parts.items():
            weights[bucket] = weights.get(bucket, 0.0) + part * newest
        return Histogram(jobs=self.jobs + 1, landmark=self.landmark, weights=weights)


def read_histogram(row: Mapping[str, Any]) -> Histogram | None:
    """The histogram of a row: ``jobs``, ``landmark`` and ``b0``, ``b1`` and so on; None when it cannot be one."""
    weights = {name[1:]: weight for name, weight in row.items() if re.fullmatch("b[0-9]{1,3}", name)}
    try:
        return Histogram.model_validate({"jobs": row["jobs"], "landmark": row.get("landmark", 0), "weights": weights})
    except (KeyError, ValidationError):
        return None


def levels(job: Job) -> tuple[str, ...]:
    """The names of what a job's duration teaches something about, the narrowest first."""
    recipe = job.recipe or {}
    model = str(recipe.get("model"))
    resolution, quality = (_word(recipe.get(name)) for name in ("resolution", "quality"))
    made_of = "references" if job.references else "text"
    return f"{model} {resolution} {quality} n={job.asked} {made_of}", f"{model} {resolution}", model


def measured(job: Job, result: Result) -> Duration | None:
    """How long the task of a job that has its pictures took; None when nothing says it.

    What the provider says must lie between our looks. Else a task that nobody could see done, or a clock that jumped,
    would be learned; and the looks say it more roughly. The task began between the request and its answer, from which
    the plan is walked.
    """
    if not result.outcome.succeeded or job.submitted_at is None:
        return None
    began = job.answered_at or job.submitted_at
    least, seen_at = (job.looked_at or began) - began, job.seen_at or result.ended_at
    if result.task_created_at is not None and result.task_completed_at is not None:
        said = result.task_completed_at - result.task_created_at
        if max(0, least - _CLOCK_SECONDS) <= said <= seen_at - job.submitted_at + _CLOCK_SECONDS:
            return Duration(said, said)
    return Duration(least, seen_at - began) if job.seen_at and 0 <= least < seen_at - began else None


def contradicts(result: Result, duration: Duration | None) -> bool:
    """Whether the provider says how long a task took, and that was not believed."""
    created_at, completed_at = result.task_created_at, result.task_completed_at
    if not result.outcome.succeeded or created_at is None or completed_at is None:
        return False
    return duration is None or duration.least != duration.most


def parts(duration: Duration, shape: Shape) -> dict[int, float]:
    """Where a job belongs: into one bucket, or into each that it may have ended in, by its probability."""
    first, last = _bucket(duration.least), _bucket(duration.most)
    likely = {bucket: shape[bucket] * _overlap(bucket, duration) for bucket in range(first, last + 1)}
    total = sum(likely.values())
    if total <= 0:
        return {last: 1.0}
    return {bucket: part / total for bucket, part in likely.items() if part > total * 1e-6}


def believed(known: Iterable[Histogram]) -> Shape:
    """The shape for the first of these, each of which is shrunk to those behind it; for none the prior."""
    shape = PRIOR
    for histogram in reversed([*known]):
        if aged := histogram.aged:
            jobs = sum(aged.values())
            own = jobs / (jobs + _PARENT_JOBS)
            shape = _mixed([(_fitted(aged), own), (shape, 1 - own)])
    return shape


def edge(bucket: int) -> float:
    """The longest duration of a bucket, in seconds."""
    return float(2 ** ((bucket + 0.5) / _OCTAVE))


def _word(value: Any) -> str:
    """A field as part of a name; a model may take any text in it, and texts are the user's own."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.:-]{1,20}", value) else "-"


def _bucket(seconds: float) -> int:
    return min(BUCKETS - 1, round(_OCTAVE * math.log2(max(seconds, 1))))


def _overlap(bucket: int, duration: Duration) -> float:
    """The part of the bucket that lies within a duration's limits."""
    low, high = edge(bucket - 1) if bucket else 0.0, edge(bucket)
    return (min(high, duration.most) - max(low, duration.least)) / (high - low)


def _fitted(aged: Mapping[int, float]) -> Shape:
    jobs = sum(aged.values())
    mean = sum(bucket * weight for bucket, weight in aged.items()) / jobs
    squares = sum((bucket - mean) ** 2 * weight for bucket, weight in aged.items())
    spread = math.sqrt((squares + _SPREAD**2) / (jobs + 1))
    hill = _lognormal(mean, spread)
    fits = [(hill, _likelihood(aged, hill))]
    for part in _WIDTHS:
        kernel = _kernel(max(_NARROWEST, part * spread * jobs**-0.2))
        heights = [
            sum(weight * kernel[abs(bucket - middle)] for middle, weight in aged.items()) / jobs
            for bucket in range(BUCKETS)
        ]
        inside = sum(heights)  # some of a kernel may lie before the first bucket
        shape = tuple(height / inside for height in heights)
        fits.append((shape, _likelihood(aged, shape, kernel[0] / inside) - _DOUBT))
    best = max(likelihood for _, likelihood in fits)
    return _mixed([(shape, math.exp(likelihood - best)) for shape, likelihood in fits])


def _likelihood(aged: Mapping[int, float], shape: Shape, own: float | None = None) -> float:
    """The logarithm. ``own`` is the part of its own kernel in a job's bucket, without which the job is judged."""
    jobs, found = sum(aged.values()), 0.0
    for bucket, weight in aged.items():
        left = 0.0 if own is None else min(1.0, weight)
        others = (jobs * shape[bucket] - left * (own or 0.0)) / max(jobs - left, _ODD)
        found += weight * math.log((1 - _ODD) * max(0.0, others) + _ODD / BUCKETS)
    return found


def _lognormal(mean: float, spread: float) -> Shape:
    """A lognormal; its parameters are in buckets. What lies beyond the last bucket is in it."""
    below = [0.0, *(_normal((bucket + 0.5 - mean) / spread) for bucket in range(BUCKETS - 1)), 1.0]
    return tuple(high - low for low, high in pairwise(below))


def _kernel(width: float) -> Shape:
    """The part of a kernel in each bucket, by the distance from its middle."""
    below = [_normal((distance - 0.5) / width) for distance in range(BUCKETS + 1)]
    return tuple(high - low for low, high in pairwise(below))


def _normal(deviation: float) -> float:
    return 0.5 * math.erfc(-deviation / math.sqrt(2))


def _mixed(parts: Sequence[tuple[Shape, float]]) -> Shape:
    """The mean of the shapes by their weights."""
    total = sum(weight for _, weight in parts)
    return tuple(sum(shape[bucket] * weight for shape, weight in parts) / total for bucket in range(BUCKETS))


# Tasks of all kinds as they were met: half of them take 15 to 100 seconds, one in ten 4 minutes or more (ToAPIs, image
# task status page: 5 to 30 seconds, at most 120).
PRIOR = _lognormal(_OCTAVE * math.log2(40), 1.4 * _OCTAVE / math.log(2))
