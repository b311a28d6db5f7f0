"""`python -m local.demo`: pictures through the whole system on this machine, and what came of them in build/demo."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from local import samples, terminal
from local.engine.controller import ROOT, Engine
from local.page import Entry, Shown, page
from local.progress import Job, Mailbox, Notice, follow
from local.simulator.process import Simulator
from local.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from local.stack import Stack

FOLDER = ROOT / "build" / "demo"
SUFFIXES = (".png", ".jpg", ".jpeg")
PROMPT = "Make this a travel poster from the 1950s"
MODEL = "gpt-image-2-vip"
PRESETS: dict[str, dict[str, Any]] = {
    "default": {
        "model": "gpt-image-1.5-official",
        "prompt": "A watercolour by the light of the moon",
        "size": "auto",
        "output_format": "jpeg",
    },
    "poster": {"model": MODEL, "prompt": PROMPT, "size": "16:9", "n": 2},
}


@dataclass(frozen=True)
class Plan:
    """What a demo does: the presets by name, and the pictures to drop by their keys."""

    presets: Mapping[str, Mapping[str, Any]]
    drops: Mapping[str, bytes]


@dataclass(frozen=True)
class Ended:
    """A job that has ended, with its result.json. ``planned_seconds`` is what the simulator takes for a task."""

    job: Job
    notice: Notice
    result: Mapping[str, Any]
    planned_seconds: float

    @property
    def completed(self) -> bool:
        return bool(self.result["outcome"] == "completed")

    @property
    def total_seconds(self) -> float:
        """From just before the drop to the arrival of the SNS message."""
        return self.notice.arrived_at - self.job.dropped_at

    @property
    def task_seconds(self) -> float:
        """What the simulator took of that; a job that was never sent had no task."""
        return self.planned_seconds if self.result["task_id"] else 0.0

    @property
    def overhead_seconds(self) -> float:
        return self.total_seconds - self.task_seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    options = _parser().parse_args(arguments)
    console = terminal.make_console()
    return terminal.run(console, lambda: _demo(options, console))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="Drop pictures, get edited ones back.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="your own pictures instead of the samples")
    parser.add_argument("--prompt", help="what to make of the pictures")
    parser.add_argument("--model", help=f"the model that does it (default: {MODEL})")
    terminal.add_simulator_options(parser)
    parser.add_argument(
        "--timeout-seconds",
        type=terminal.seconds,
        default=120.0,
        help="give up so long after the drops, the task time not counted (default: 120)",
    )
    return parser


def _demo(options: argparse.Namespace, console: Console) -> int:
    plan = make_plan(options.files, options.prompt, options.model)
    _make_fresh(FOLDER)
    say = terminal.stopwatch(console)
    task_seconds = options.queue_seconds + options.task_seconds
    simulator = Simulator(queue_seconds=options.queue_seconds, task_seconds=options.task_seconds)
    with running_stack(Engine(log_path=FOLDER / "engine.log"), simulator, say=say) as stack:
        mailbox = Mailbox(stack)
        say(f"uploading {_count(len(plan.presets), 'preset')} and dropping {_count(len(plan.drops), 'picture')}")
        jobs = _drop(stack, plan)
        if not follow(stack, mailbox, jobs, console, options.timeout_seconds + task_seconds):
            raise terminal.CommandError(timeout_message(jobs))
        say("all jobs have ended")
        ended = [_read_result(stack, job, task_seconds) for job in jobs]
        _copy_results(stack, plan, ended)
    write_page(ended)
    _print(console, ended)
    say("everything that was started has ended")
    return 0 if all(job.completed for job in ended) else 1


def make_plan(files: Sequence[Path], prompt: str | None, model: str | None) -> Plan:
    """The sample pictures with two presets, or what the user asks for: own pictures, own recipe, or both."""
    own = {"model": model or MODEL, "prompt": prompt or PROMPT}
    if files:
        return Plan({"default": own}, read_files(files))
    drops = {
        "inbox/Summer cat.PNG": samples.cat(),
        "inbox/mountains.jpeg": samples.mountains(),
        "inbox/poster/harbour.jpg": samples.harbour(),
    }
    return Plan(dict.fromkeys(PRESETS, own) if prompt or model else PRESETS, drops)


def read_files(files: Sequence[Path]) -> dict[str, bytes]:
    """The user's pictures by inbox key. Files of the same name get folders of their own."""
    paths = [file.expanduser() for file in files]
    if problems := [problem for path in paths if (problem := file_problem(path))]:
        raise terminal.CommandError("\n".join(problems))
    names = [path.name.encode(errors="replace").decode() for path in paths]
    uses = Counter(names)
    keys = [
        f"inbox/{name}" if uses[name] == 1 else f"inbox/default/{number}/{name}" for number, name in enumerate(names, 1)
    ]
    return dict(zip(keys, (path.read_bytes() for path in paths), strict=True))


def file_problem(path: Path) -> str | None:
    """Why a file cannot be dropped. The pipeline would answer too; this answer comes before a minute of waiting."""
    if not path.is_file():
        return f"{path}: {'this is a folder' if path.is_dir() else 'there is no such file'}."
    if path.suffix.lower() not in SUFFIXES:
        found = f"the suffix {path.suffix}" if path.suffix else "no suffix"
        return f"{path}: found {found}; allowed: {', '.join(SUFFIXES)} in any case."
    return None


def timeout_message(jobs: Sequence[Job]) -> str:
    """What each job that has not ended waits for."""
    waiting = [f"{job.key} waits for {job.stage.awaits}." for job in jobs if not job.done]
    return "\n".join(["The time is over:", *waiting, f"What the engine says: {_relative(FOLDER / 'engine.log')}"])


def _drop(stack: Stack, plan: Plan) -> list[Job]:
    for name, preset in plan.presets.items():
        stack.put_preset(name, preset)
    jobs = []
    for key, content in plan.drops.items():
        jobs.append(Job(key, time.time()))
        stack.drop(key, content)
    return jobs


def _read_result(stack: Stack, job: Job, task_seconds: float) -> Ended:
    if job.notice is None:
        raise terminal.CommandError(f"{job.key}: its SNS message has not arrived.")
    result = json.loads(stack.result(job.notice.announcement["result"]["key"]))
    return Ended(job, job.notice, result, task_seconds)


def _make_fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _copy_results(stack: Stack, plan: Plan, ended: Sequence[Ended]) -> None:
    """Under the same keys as in the buckets."""
    copies = dict(plan.drops)
    for job in ended:
        copies |= stack.folder(job.notice.announcement["result"]["key"])
    for key, content in copies.items():
        path = FOLDER / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_page(ended: Sequence[Ended], folder: Path = FOLDER) -> None:
    """The side-by-side page."""
    made = sum(len(job.result["pictures"]) for job in ended)
    summary = f"{_count(len(ended), 'picture')} dropped, {_count(made, 'picture')} made by the ToAPIs simulator."
    content = page("Bucketbrush demo", summary, map(entry, ended))
    (folder / "index.html").write_text(content, encoding="utf-8")


def entry(job: Ended) -> Entry:
    """A job as the page shows it."""
    recipe: dict[str, Any] = job.result["recipe"] or {}
    pictures = job.result["pictures"]
    return Entry(
        title=job.job.key.removeprefix("inbox/"),
        outcome=job.result["outcome"],
        good=job.completed,
        references=(Shown(job.job.key, f"Reference: {job.job.key}", "Reference"),),
        results=tuple(
            Shown(picture["key"], f"Result {number} of {len(pictures)}: {recipe.get('prompt', '')}", f"Result {number}")
            for number, picture in enumerate(pictures, 1)
        ),
        facts={
            "Prompt": recipe.get("prompt", "none: the recipe was not accepted"),
            "Recipe": ", ".join(f"{name} {value}" for name, value in recipe.items() if name != "prompt") or "none",
            "Preset": job.result["preset"] or "none",
            "Message": job.result["message"],
            "Time": f"{job.total_seconds:.1f} s from the drop to the SNS message: "
            f"task {job.task_seconds:.1f} s + overhead {job.overhead_seconds:.1f} s",
        },
    )


def _print(console: Console, ended: Sequence[Ended]) -> None:
    console.print(_table(ended), "")
    for job in ended:
        if not job.completed:
            console.print(f"{job.job.key}: {job.result['message']}", style="red", soft_wrap=True)
            console.print()
    _print_notice(console, ended[0].notice)
    console.print("\nThe results lay in the engine's bucket at")
    for job in ended:
        announcement = job.notice.announcement
        folder = announcement["result"]["key"].rpartition("/")[0]
        places = [announcement["result"], announcement["page"], *announcement["pictures"]]
        keys = [place["key"] for place in places if place]
        names = " ".join(key.removeprefix(f"{folder}/") for key in keys)
        console.print(f"  s3://{announcement['result']['bucket']}/{folder}/  {names}", soft_wrap=True)
    console.print(f"Copies are in {_relative(FOLDER)}; side by side: ", end="")
    console.print(_relative(FOLDER / "index.html"), style="bold", soft_wrap=True)


def _table(ended: Sequence[Ended]) -> Table:
    caption = "to SNS: from the drop to its SNS message; overhead: that minus the simulator's queue and task time"
    table = Table(box=box.SIMPLE, pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("dropped", overflow="fold")
    table.add_column("outcome")
    for name in ("pictures", "to SNS", "task", "overhead"):
        table.add_column(name, justify="right")
    for job in ended:
        times = (job.total_seconds, job.task_seconds, job.overhead_seconds)
        outcome, pictures = job.result["outcome"], str(len(job.result["pictures"]))
        table.add_row(job.job.key, outcome, pictures, *(f"{seconds:.1f} s" for seconds in times))
    return table


def _print_notice(console: Console, notice: Notice) -> None:
    console.print("One SNS message as a subscriber gets it:")
    console.print(f"  subject: {notice.subject}", soft_wrap=True)
    attributes = ", ".join(f"{name}={value}" for name, value in sorted(notice.attributes.items()))
    console.print(f"  attributes: {attributes}", soft_wrap=True)
    console.print(json.dumps(notice.announcement, indent=2, ensure_ascii=False), soft_wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
