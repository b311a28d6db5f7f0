"""The parts of `make demo` that need no servers: what it drops, how it reads, what it says."""

from __future__ import annotations

import argparse
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError
from PIL import Image
from rich.console import Console

from bucketbrush.domain import layout
from bucketbrush.domain.layout import Inbox
from bucketbrush.domain.life import State
from bucketbrush.domain.recipe import Place, read_job, read_recipe
from local import demo, progress, samples, serve, terminal
from local.engine.sam import DeployError
from tests.models import OURS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "inbox/cat [red].png"


def item(**values: Any) -> dict[str, Any]:
    """A ledger row as DynamoDB gives it."""
    row = {"job_id": "cat-1", "source": {"bucket": "inbox-bucket", "key": KEY}, **values}
    return {name: TypeSerializer().serialize(value) for name, value in row.items()}


def message(outcome: str = "completed", key: str = KEY, sent: int = 1_700_000_012_500) -> dict[str, Any]:
    """What the SQS subscriber of the results topic gets."""
    place = {"bucket": "results-bucket", "key": "results/cat-1/result.json"}
    page = {**place, "key": "results/cat-1/index.html"}
    announcement = {"source": {"key": key}, "outcome": outcome, "result": place, "page": page, "pictures": []}
    envelope = {
        "Type": "Notification",
        "Subject": f"Bucketbrush {outcome}: cat-1",
        "Message": json.dumps(announcement),
        "MessageAttributes": {"outcome": {"Type": "String", "Value": outcome}},
    }
    return {"Body": json.dumps(envelope), "Attributes": {"SentTimestamp": str(sent)}}


def ended(outcome: str = "completed", task_id: str | None = "tsk_img_1", **result: Any) -> demo.Ended:
    """A job dropped at 1,700,000,000 and told 12.5 seconds later, of which 4 were planned for its task."""
    notice = progress.read_notice(message(outcome))
    given = {"outcome": outcome, "message": "why", "task_id": task_id, "preset": "default", "recipe": None}
    job = progress.Job(KEY, 1_700_000_000.0, {"state": "ended"}, notice)
    return demo.Ended(job, notice, {**given, "pictures": [], **result}, planned_seconds=4.0)


def text_console() -> Console:
    return Console(file=io.StringIO(), markup=False, highlight=False, width=80, force_terminal=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# ---- What is dropped


@pytest.mark.parametrize(
    ("draw", "format_", "size"),
    [
        (samples.cat, "PNG", (1200, 900)),
        (samples.harbour, "JPEG", (1280, 720)),
        (samples.mountains, "JPEG", (1200, 800)),
    ],
)
def test_a_sample_is_a_picture_and_always_the_same(
    draw: Callable[[], bytes], format_: str, size: tuple[int, int]
) -> None:
    content = draw()
    assert content == draw()
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.format, picture.size) == (format_, size)
        assert len(picture.convert("RGB").getcolors(maxcolors=2**24) or []) > 1000


def test_the_samples_use_each_model_once_and_one_preset_makes_two_pictures() -> None:
    plan = demo.make_plan([], None, None)
    assert {preset["model"] for preset in plan.presets.values()} == set(OURS)
    recipes = [read_recipe(dict(preset), "preset", OURS) for preset in plan.presets.values()]
    assert sorted(recipe["n"] for recipe in recipes) == [1, 2]
    assert len(plan.drops) == 3
    assert {Inbox("").preset_name(key) for key in plan.drops} == set(plan.presets)
    assert not [key for key, content in plan.drops.items() if layout.drop_problem(key, len(content))]


def test_a_prompt_without_files_is_for_the_samples() -> None:
    plan = demo.make_plan([], "make it blue", None)
    assert {preset["prompt"] for preset in plan.presets.values()} == {"make it blue"}
    assert len(plan.drops) == 3


def test_own_files_are_dropped_under_their_names(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("cat.PNG", "sub/cat.PNG", "a dog.jpeg"):
        (tmp_path / name).write_bytes(name.encode())
    plan = demo.make_plan([tmp_path / "cat.PNG", tmp_path / "a dog.jpeg", tmp_path / "sub" / "cat.PNG"], None, "m")
    assert plan.presets == {"default": {"model": "m", "prompt": demo.PROMPT}}
    assert plan.drops == {
        "inbox/default/1/cat.PNG": b"cat.PNG",
        "inbox/a dog.jpeg": b"a dog.jpeg",
        "inbox/default/3/cat.PNG": b"sub/cat.PNG",
    }
    assert {Inbox("").preset_name(key) for key in plan.drops} == {"default"}


def test_every_file_that_cannot_be_dropped_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "bare").write_text("x")
    (tmp_path / "ok.png").write_text("x")
    paths = [tmp_path / name for name in ("gone.png", "notes.txt", "bare", "ok.png", ".")]
    with pytest.raises(terminal.CommandError) as caught:
        demo.read_files(paths)
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/gone.png: there is no such file.",
        f"{tmp_path}/notes.txt: found the suffix .txt; allowed: .png, .jpg, .jpeg in any case.",
        f"{tmp_path}/bare: found no suffix; allowed: .png, .jpg, .jpeg in any case.",
        f"{tmp_path}: this is a folder.",
    ]


def test_the_demo_knows_the_suffixes_of_the_pipeline() -> None:
    assert set(demo.SUFFIXES) == set(layout.PICTURE_SUFFIXES)


# ---- Where the jobs stand


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (None, "dropped"),
        ({"state": "accepted"}, "accepted"),
        ({"state": "accepted", "hold_until": 2}, "held"),
        ({"state": "submitting"}, "submitting"),
        ({"state": "waiting"}, "queued"),
        ({"state": "waiting", "provider_status": "queued"}, "queued"),
        ({"state": "waiting", "provider_status": "in_progress", "progress": 45}, "in progress 45 %"),
        ({"state": "waiting", "provider_status": "pondering"}, "pondering"),
        ({"state": "waiting", "provider_status": "completed", "progress": 100}, "storing"),
        ({"state": "waiting", "provider_status": "failed"}, "telling"),
        ({"state": "decided"}, "telling"),
        ({"state": "ended"}, "telling"),
    ],
)
def test_a_row_is_a_stage(row: dict[str, Any] | None, text: str) -> None:
    stage = progress.stage_of(row)
    assert stage.text == text
    assert stage.awaits
    assert 0 <= stage.percent < 100


def test_every_state_of_the_ledger_has_a_stage_of_its_own() -> None:
    stages = {progress.stage_of({"state": state.value}) for state in State}
    assert len(stages) == len(State)


def test_a_job_is_done_when_its_row_has_ended_and_its_message_has_come() -> None:
    job = progress.Job(KEY, 0.0)
    progress.look([item(state="waiting", provider_status="in_progress", progress=30)], [], [job])
    assert job.stage.text == "in progress 30 %"
    progress.look([item(state="ended")], [], [job])
    assert not job.done
    first, again = (progress.read_notice(message(sent=sent)) for sent in (1_000, 2_000))
    progress.look([item(state="ended")], [first], [job])
    progress.look([], [again], [job])
    assert job.done
    assert job.notice is first


def test_rows_and_messages_of_other_jobs_change_nothing() -> None:
    job = progress.Job("inbox/other.png", 0.0)
    rows = [item(state="ended"), {"job_id": {"S": "direct"}, "state": {"S": "ended"}}]
    progress.look(rows, [progress.read_notice(message())], [job])
    assert (job.row, job.notice) == (None, None)


def test_without_a_terminal_each_change_is_one_line() -> None:
    console, job = text_console(), progress.Job(KEY, 0.0)
    say_changes = progress._line_printer([job], console)
    for row in (None, None, {"state": "waiting"}, {"state": "waiting"}):
        job.row = row
        say_changes()
    assert printed(console) == f"{KEY}: dropped\n{KEY}: queued\n"


def test_the_live_table_shows_key_and_stage() -> None:
    console = text_console()
    console.print(progress._LiveTable([progress.Job(KEY, 0.0, {"state": "submitting"})]).render())
    assert KEY in printed(console)
    assert "submitting" in printed(console)


def test_a_timeout_names_what_each_open_job_waits_for() -> None:
    done = progress.Job("inbox/b.png", 0.0, {"state": "ended"}, progress.read_notice(message()))
    waiting = {"state": "waiting", "provider_status": "in_progress", "progress": 7}
    jobs = [progress.Job("inbox/a.png", 0.0), done, progress.Job("inbox/c.png", 0.0, waiting)]
    assert demo.timeout_message(jobs).splitlines() == [
        "The time is over:",
        "inbox/a.png waits for the submit function to pick it up.",
        "inbox/c.png waits for the task to end, which is in progress 7 %.",
        "What the engine says: build/demo/engine.log",
    ]


# ---- What is told at the end


def test_overhead_is_the_time_to_the_message_without_the_task() -> None:
    job = ended()
    assert (job.total_seconds, job.task_seconds, job.overhead_seconds) == (12.5, 4.0, 8.5)


def test_a_job_that_was_never_sent_had_no_task() -> None:
    job = ended("rejected", task_id=None)
    assert (job.task_seconds, job.overhead_seconds) == (0.0, 12.5)


def test_the_summary_shows_outcomes_times_and_messages_as_they_are() -> None:
    console = text_console()
    demo._print(console, [ended(), ended("partial", message="1 of 2 [red]pictures")])
    text = printed(console)
    assert KEY in text
    assert "8.5 s" in text
    assert f"{KEY}: 1 of 2 [red]pictures\n" in text
    assert "subject: Bucketbrush completed: cat-1" in text
    assert "attributes: outcome=completed" in text
    assert "s3://results-bucket/results/cat-1/  result.json index.html\n" in text
    assert max(map(len, text.splitlines()[:8])) <= 80


def test_the_page_shows_pictures_recipe_outcome_and_times(tmp_path: Path) -> None:
    recipe = {"model": "gpt-image-2-vip", "prompt": "<b>blue</b>", "n": 1}
    picture = {"index": 1, "key": "results/cat-1/1.png"}
    demo.write_page([ended(recipe=recipe, pictures=[picture]), ended("rejected", None)], tmp_path)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    for text in (
        "./results/cat-1/1.png",
        "./inbox/cat%20%5Bred%5D.png",
        "&lt;b&gt;blue&lt;/b&gt;",
        "model gpt-image-2-vip, n 1",
        "12.5 s from the drop to the SNS message: task 4.0 s + overhead 8.5 s",
        "rejected",
        "2 pictures dropped, 1 picture made",
    ):
        assert text in html


# ---- How commands end


def test_a_fault_is_one_message_and_exit_code_1() -> None:
    refusal = ClientError({"Error": {"Code": "NoSuchBucket", "Message": "gone"}}, "PutObject")
    for problem in (DeployError("sam build failed:\n[boom]"), OSError("disk full"), refusal):
        console = text_console()
        assert terminal.run(console, _raising(problem)) == 1
        assert printed(console) == f"{problem}\n"


def test_ctrl_c_is_an_orderly_end() -> None:
    console = text_console()
    assert terminal.run(console, _raising(KeyboardInterrupt())) == 130
    assert printed(console) == "Stopped; everything that was started has ended.\n"


def test_a_fault_in_the_code_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        terminal.run(text_console(), _raising(KeyError("x")))


def _raising(problem: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise problem

    return command


@pytest.mark.parametrize("text", ["-1", "nan", "inf"])
def test_seconds_are_zero_or_more(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="zero or more"):
        terminal.seconds(text)
    assert terminal.seconds("0.5") == 0.5


def test_a_missing_file_ends_the_demo_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["no/such.png"]) == 1
    assert capsys.readouterr().out == "no/such.png: there is no such file.\n"


# ---- make local


def test_the_printed_lines_name_the_stack_and_hold_valid_json() -> None:
    outputs = {"InboxBucket": "in", "ResultsBucket": "out", "JobsTable": "jobs", "JobsMachineArn": "arn:machine"}
    lines = serve.command_lines({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, outputs).splitlines()
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:1" in lines
    assert "aws s3 cp build/local/sample.jpg s3://in/inbox/" in lines
    started = next(line for line in lines if "start-execution" in line)
    document = json.loads(started.partition("--input ")[2].strip("'"))
    assert read_job(document, Place("input", Inbox("bucket")), OURS).recipe["n"] == 1
    found = next(line for line in lines if "get-item" in line)
    assert json.loads(found.partition("--key ")[2].strip("'")) == {"job_id": {"S": "my-job-1"}}
