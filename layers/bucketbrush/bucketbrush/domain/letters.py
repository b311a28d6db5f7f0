"""What people read in their mail about a job that has ended."""

import shlex

from bucketbrush.domain.errors import Money
from bucketbrush.domain.redact import printable
from bucketbrush.domain.result import Announcement


def letter_of(announcement: Announcement) -> str:
    """The outcome, what it means, where the results lie and how to fetch them. No prompt, no links."""
    folder = announcement.result.uri.rpartition("/")[0] + "/"
    fetch = f"aws s3 cp --recursive {shlex.quote(folder)} {shlex.quote(f'./{announcement.job_id}/')}"
    lines = [
        f"Bucketbrush: {announcement.outcome}",
        "",
        *_named("Job", announcement.job_id),
        *_named("File", announcement.source and announcement.source.uri),
        *_named("Line", announcement.line),
        *_named("Cost", _cost(announcement)),
        "",
        announcement.message,
        "",
        *_named("Pictures", len(announcement.pictures) or None),
        *_named("Results", folder),
        *_named("Page", announcement.page and announcement.page.uri),
        *_named("Record", announcement.result.uri),
        "",
        "Fetch all of it:",
        f"  {fetch}",
    ]
    return "\n".join(map(printable, lines)) + "\n"


def _named(name: str, value: object) -> list[str]:
    return [] if value is None else [f"{name + ':':<9} {value}"]


def _cost(announcement: Announcement) -> str | None:
    """What was billed, else what is expected of a job that may have been paid."""
    if announcement.billed_usd is not None:
        return f"{announcement.billed_usd:.6g} USD"
    if announcement.estimated_usd is not None and announcement.money is not Money.NOT_MOVED:
        return f"about {announcement.estimated_usd:.6g} USD (not billed yet)"
    return None
