"""`python -m local.cost`: what dropping files would cost, before anybody drops them.

Nothing is sent, and neither account nor key is needed. The use case that is deployed judges each file, with the files
of this machine in place of the inbox: a file would be dropped as ``inbox/<name>``, a folder with all that is in it as
``inbox/<folder>/...``. The prompts are never printed.
"""

from __future__ import annotations

import argparse
import json
import math
import posixpath
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from rich import box
from rich.table import Table

from bucketbrush.adapters.objects import Facts
from bucketbrush.documents import Documents
from bucketbrush.domain import layout, money
from bucketbrush.domain.companions import Put
from bucketbrush.domain.departures import step_between
from bucketbrush.domain.errors import RecipeInvalid
from bucketbrush.domain.jobs import Job, ObjectVersion
from bucketbrush.domain.life import State
from bucketbrush.domain.recipe import parse_document, read_preset
from bucketbrush.domain.redact import printable
from bucketbrush.prepare import Prepare
from bucketbrush.wiring.submit import deployed_catalogue
from local import terminal
from local.demo import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from bucketbrush.adapters.objects import Objects
    from bucketbrush.domain.catalogue import Catalogue

SUBMITS_PER_SECOND = 4.0  # as the template has it
_MOST_REJECTED = 20  # that are named
_OVERRIDES = ("model", "n", "resolution", "quality")
_EPILOG = """\
MODEL, N, RESOLUTION and QUALITY replace what the preset says; a job document says for itself what it asks for, and its
references and mask are looked for beside it. The exit code is 0 when every file would be sent at a known price, and 1
when one would be rejected, when a price is unknown, or when a path or the preset cannot be read.
"""


class Kind(NamedTuple):
    """What jobs of one line have in common. ``price`` is in micro-dollars for one picture, None when unknown."""

    model: str
    resolution: str
    quality: str
    price: int | None

    def __str__(self) -> str:
        return " ".join(word for word in self[:3] if word)


@dataclass
class Quote:
    """What all files come to: jobs and pictures of each kind, the messages of the rejected, and how many start none."""

    jobs: Counter[Kind] = field(default_factory=Counter)
    pictures: Counter[Kind] = field(default_factory=Counter)
    rejected: list[str] = field(default_factory=list)
    ignored: int = 0

    @property
    def unpriced(self) -> list[Kind]:
        return [kind for kind in self.jobs if kind.price is None]

    @property
    def cost(self) -> int:
        """Micro-dollars, of what has a price."""
        return sum(count * (kind.price or 0) for kind, count in self.pictures.items())


@dataclass(frozen=True)
class Inbox:
    """What Prepare asks of the bucket, answered from the folder of the file that would be dropped as ``key``."""

    path: Path
    key: str
    bucket: str
    preset: bytes

    def current(self, key: str) -> ObjectVersion | None:
        path = self._path(key)
        if not path.is_file():
            return None
        return ObjectVersion(bucket=self.bucket, key=key, version_id="here", size=path.stat().st_size)

    def read_current(self, key: str, most: int) -> tuple[ObjectVersion, bytes]:
        """The preset, whatever its name is."""
        return ObjectVersion(bucket=self.bucket, key=key), self.preset[:most]

    def facts(self, _version: ObjectVersion) -> Facts:
        """A file here has no metadata."""
        return Facts({}, 0, None)

    def history(self, _key: str) -> Mapping[str, list[Put]]:
        """The picture, its sidecar and its mask, all put there at once."""
        names = (self.key, layout.sidecar_key(self.key), layout.mask_key(self.key))
        found = [self.current(name) for name in names]
        return {version.key: [Put(0, version)] for version in found if version}

    def read_range(self, version: ObjectVersion, start: int, length: int) -> bytes:
        with self._path(version.key).open("rb") as file:
            file.seek(start)
            return file.read(length)

    def _path(self, key: str) -> Path:
        return self.path if key == self.key else self.path.parent / posixpath.relpath(key, posixpath.dirname(self.key))


@dataclass(frozen=True)
class Till:
    """Judges and prices files. ``assumed`` is what a picture of unknown price costs, in micro-dollars, or None."""

    catalogue: Catalogue
    preset: bytes
    places: layout.Inbox
    assumed: int | None

    def __call__(self, paths: Sequence[Path]) -> Quote:
        quote = Quote()
        for path, key in walk(paths):
            try:
                if self.places.is_ignored(key, path.stat().st_size):
                    quote.ignored += 1
                    continue
                recipe = self._recipe(path, key)
            except RecipeInvalid as problem:
                quote.rejected.append(printable(f"{path}: {problem.message.removeprefix(f'{key}: ')}"))
            except OSError as problem:
                quote.rejected.append(printable(f"{path}: it cannot be read ({problem.strerror})."))
            else:
                kind = self._kind(recipe)
                quote.jobs[kind] += 1
                quote.pictures[kind] += int(recipe.get("n", 1))
        return quote

    def _recipe(self, path: Path, key: str) -> Mapping[str, Any]:
        """Raises RecipeInvalid as the job would be rejected."""
        inbox = Inbox(path, key, self.places.bucket, self.preset)
        objects = cast("Objects", inbox)
        documents = Documents(objects, self.places, self.catalogue, layout.MAX_REFERENCE_BYTES, 1, time.time)
        prepare = Prepare(documents)
        job = Job(job_id="cost", state=State.ACCEPTED, created_at=0, source=inbox.current(key))
        recipe: Mapping[str, Any] = prepare(job, None)["recipe"]
        return recipe

    def _kind(self, recipe: Mapping[str, Any]) -> Kind:
        model = recipe["model"]
        price = money.picture_price(recipe, self.catalogue[model], self.assumed)
        return Kind(model, recipe.get("resolution", ""), recipe.get("quality", ""), price)


def walk(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each file, folders with all that is in them, and the key that it would be dropped as."""
    for path in paths:
        name = path.resolve().name if path.name in ("", "..") else path.name
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            key = PurePosixPath(layout.Inbox("").drops, name, file.relative_to(path).as_posix())
            yield file, str(key).encode(errors="replace").decode()


def read_preset_file(path: Path | None, overrides: Mapping[str, Any], catalogue: Catalogue) -> bytes:
    """The preset as it would lie in the bucket. Raises CommandError naming everything that is wrong with it."""
    name = str(path) if path else "recipe"
    try:
        document = parse_document(_read(path.expanduser()), name) if path else {"model": MODEL, "prompt": "-"}
        document = {**document, **overrides}
        read_preset(document, name, catalogue)
    except RecipeInvalid as problem:
        raise terminal.CommandError(problem.message) from None
    return json.dumps(document, ensure_ascii=False).encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise terminal.CommandError(
            f"{path}: found no readable file ({problem.strerror}); allowed: a preset."
        ) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the quote and return the exit code."""
    options = _parser().parse_args(arguments)
    console = terminal.make_console()
    return terminal.run(console, lambda: _cost(options, console))


def _cost(options: argparse.Namespace, console: Console) -> int:
    paths = [path.expanduser() for path in options.files]
    if missing := [
        f"{path}: there is no such file or folder." for path in paths if not (path.is_file() or path.is_dir())
    ]:
        raise terminal.CommandError("\n".join(missing))
    catalogue = deployed_catalogue()
    overrides = {name: value for name in _OVERRIDES if (value := getattr(options, name)) is not None}
    preset = read_preset_file(options.preset, overrides, catalogue)
    assumed = money.micros(options.assumed_price_usd) or None  # 0: nothing is assumed, as in the template
    quote = Till(catalogue, preset, layout.Inbox(options.bucket), assumed)(paths)
    _print(console, quote, options.submits_per_second)
    return 1 if quote.rejected or quote.unpriced else 0


def _print(console: Console, quote: Quote, submits_per_second: float) -> None:
    if quote.jobs:
        console.print(_table(quote), "")
    jobs = quote.jobs.total()
    console.print(f"Total: {_total(quote)}; jobs: {jobs:,}; pictures: {quote.pictures.total():,}.", soft_wrap=True)
    seconds = math.ceil(jobs * step_between(submits_per_second) / 1000)
    console.print(f"Sending takes {duration(seconds)} at SubmitsPerSecond {submits_per_second:g}.", soft_wrap=True)
    console.print(f"Ignored, as the inbox does: {quote.ignored:,}.")
    for kind in quote.unpriced:
        console.print(
            f"Price unknown: {kind}. Put it into the price list of a models document (docs/models.md), or deploy with "
            "AssumedPriceUsd (here ASSUMED_PRICE_USD); under a budget such a job is rejected.",
            style="red",
            soft_wrap=True,
        )
    if quote.rejected:
        console.print(f"Rejected, nothing sent and nothing paid: {len(quote.rejected):,}.", style="red")
    for message in quote.rejected[:_MOST_REJECTED]:
        console.print(f"  {message}", soft_wrap=True)
    if more := len(quote.rejected[_MOST_REJECTED:]):
        console.print(f"  and {more:,} more.")


def _table(quote: Quote) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("model", no_wrap=True)
    table.add_column("resolution")
    table.add_column("quality")
    for name in ("jobs", "pictures", "USD each", "USD"):
        table.add_column(name, justify="right")
    for kind, jobs in sorted(quote.jobs.items(), key=str):
        pictures = quote.pictures[kind]
        costs = ["unknown"] * 2 if kind.price is None else map(_number, (kind.price, pictures * kind.price))
        table.add_row(*kind[:3], f"{jobs:,}", f"{pictures:,}", *costs)
    return table


def _total(quote: Quote) -> str:
    unpriced = sum(quote.jobs[kind] for kind in quote.unpriced)
    if not unpriced:
        return money.said(quote.cost)
    known = f"at least {money.said(quote.cost)}" if unpriced < quote.jobs.total() else "unknown"
    return f"{known} (no price is known for {unpriced:,} of the jobs)"


def _number(amount: int) -> str:
    return money.said(amount).removesuffix(" USD")


def duration(seconds: int) -> str:
    """Such as ``1 h 2 min 3 s``."""
    minutes, rest = divmod(seconds, 60)
    parts = {"h": minutes // 60, "min": minutes % 60, "s": rest}
    return " ".join(f"{count:,} {unit}" for unit, count in parts.items() if count) or "0 s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.cost",
        description="What dropping these files would cost. Nothing is sent.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, job documents, folders of both")
    parser.add_argument("--preset", type=Path, metavar="FILE", help="the preset that the pictures are dropped for")
    parser.add_argument("--model", help=f"the model of the pictures (without a preset: {MODEL})")
    parser.add_argument("--n", type=int, help="how many results each picture shall have")
    parser.add_argument("--resolution", help="such as 2k")
    parser.add_argument("--quality", help="such as high")
    parser.add_argument("--bucket", default="BUCKET", help="the inbox bucket, if job documents name it in s3:// keys")
    parser.add_argument(
        "--assumed-price-usd",
        type=dollars,
        default=Decimal(0),
        metavar="USD",
        help="parameter AssumedPriceUsd: what a picture of unknown price is taken to cost",
    )
    parser.add_argument(
        "--submits-per-second",
        type=pace,
        default=SUBMITS_PER_SECOND,
        metavar="NUMBER",
        help=f"parameter SubmitsPerSecond (default: {SUBMITS_PER_SECOND:g})",
    )
    return parser


def dollars(text: str) -> Decimal:
    """A command line argument: what the parameter AssumedPriceUsd takes."""
    with suppress(InvalidOperation):  # also raised by the comparison, when it is no number at all
        if 0 <= (value := Decimal(text)) <= 1000:
            return value
    raise argparse.ArgumentTypeError(f"found {text}; allowed: US dollars from 0 to 1000")


def pace(text: str) -> float:
    """A command line argument: what the parameter SubmitsPerSecond takes."""
    value = float(text)
    if not 0.01 <= value <= 50:
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a number from 0.01 to 50")
    return value


if __name__ == "__main__":
    sys.exit(main())
