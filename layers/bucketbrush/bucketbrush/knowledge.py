"""Knowledge: what the jobs that have ended teach about how long the next one takes."""

from collections.abc import Mapping
from dataclasses import dataclass

from bucketbrush.adapters.durations import Durations
from bucketbrush.domain.durations import PRIOR, Histogram, Shape, believed, contradicts, levels, measured, parts
from bucketbrush.domain.errors import DurationsUnavailable
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.result import Result
from bucketbrush.observability import count, logger


@dataclass(frozen=True)
class Knowledge:
    """The use case. It raises nothing: without it looks are timed worse, and that is all."""

    durations: Durations

    def shape(self, job: Job) -> Shape:
        """What to believe of the duration of the job's task."""
        return _believed(self._known(job))

    def learn(self, job: Job, result: Result) -> None:
        """Add a job that has ended to what is known of its levels."""
        duration = measured(job, result)
        if contradicts(result, duration):
            _note("durations: found times of the task that do not lie between the looks at it.")
        if not duration:
            return
        known = self._known(job)
        # What is known exactly lies in one bucket, whatever is believed: fitting shapes takes longer than all the rest.
        added = parts(duration, PRIOR if duration.least == duration.most else _believed(known))
        for name, seen in known.items():
            try:
                self.durations.add(name, seen, added)
            except DurationsUnavailable as problem:
                _note(str(problem))

    def _known(self, job: Job) -> Mapping[str, Histogram | None]:
        """The job's levels, with None for what is no histogram; none when they cannot be read."""
        try:
            known = self.durations.read(levels(job))
        except DurationsUnavailable as problem:
            _note(str(problem))
            return {}
        for name in (name for name, histogram in known.items() if histogram is None):
            _note(f"durations {name}: found a row that is no histogram. It is written anew when a job ends.")
        return known


def _believed(known: Mapping[str, Histogram | None]) -> Shape:
    return believed(filter(None, known.values()))


def _note(reason: str) -> None:
    logger.warning("durations are not known", reason=reason)
    count("DurationsUnavailable")
