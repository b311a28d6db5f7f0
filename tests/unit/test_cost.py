"""`make cost`: what files would cost, judged as the inbox would judge them, with nothing sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.cost import Inbox, duration, main
from tests.samples import mask_picture, picture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROMPT = "quokkamoss on a rock"
CHEAP = {"model": "gpt-image-2-vip", "prompt": PROMPT, "quality": "low"}  # the one with a price of ours
MOTION = picture("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to drop."""
    made = tmp_path / "summer"
    made.mkdir()
    return made


@pytest.fixture
def cost(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run the command: its exit code and what it printed, each run of spaces as one."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: Any) -> tuple[int, str]:
        code = main([str(argument) for argument in arguments])
        out = capsys.readouterr().out
        assert PROMPT not in out
        return code, "\n".join(" ".join(line.split()) for line in out.splitlines())

    return run


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_pictures_of_a_folder_cost_what_the_price_list_says(folder: Path, cost: Any) -> None:
    for name in ("a.png", "b.PNG", "deep/c d.png"):
        write(folder / name, picture())
    code, out = cost("--quality=low", "--n=4", folder)
    assert "gpt-image-2-vip 1k low 3 12 0.0019 0.0228" in out
    assert "Total: 0.0228 USD; jobs: 3; pictures: 12." in out
    assert "Sending takes 1 s at SubmitsPerSecond 4." in out
    assert code == 0


def test_a_preset_says_what_the_pictures_become_and_options_replace_it(tmp_path: Path, folder: Path, cost: Any) -> None:
    preset = write(tmp_path / "poster.json", {**CHEAP, "n": 2})
    write(folder / "a.png", picture())
    assert "gpt-image-2-vip 1k low 1 2 0.0019 0.0038" in cost("--preset", preset, folder)[1]
    code, out = cost("--preset", preset, "--n=3", "--resolution=2K", "--assumed-price-usd=0.0155", folder)
    assert "gpt-image-2-vip 2k low 1 3 0.0155 0.0465" in out
    assert code == 0


def test_each_kind_is_a_line_and_the_total_is_exact(tmp_path: Path, cost: Any) -> None:
    low = write(tmp_path / "low.job.json", {**CHEAP, "n": 7})
    high = write(tmp_path / "High.JOB.json", {"model": "gpt-image-1.5-official", "prompt": PROMPT, "resolution": "4k"})
    high.write_text(high.read_text().replace("}", ', "size": "16:9"}'))
    code, out = cost("--assumed-price-usd=0.1", "--submits-per-second=0.01", low, high, low)
    assert "gpt-image-1.5-official 4k high 1 1 0.10 0.10" in out
    assert "gpt-image-2-vip 1k low 2 14 0.0019 0.0266" in out
    assert "Total: 0.1266 USD; jobs: 3; pictures: 15." in out
    assert "Sending takes 5 min at SubmitsPerSecond 0.01." in out
    assert code == 0


def test_what_would_be_rejected_is_named_with_the_inboxs_own_words(folder: Path, cost: Any) -> None:
    write(folder / "good.png", picture())
    write(folder / "motion.jpg", MOTION)
    write(folder / "cut.png", picture()[:-20])
    write(folder / "notes.txt", b"hello")
    write(folder / "bad.job.json", {**CHEAP, "n": 11})
    code, out = cost("--quality=low", folder)
    assert "Total: 0.0019 USD; jobs: 1; pictures: 1." in out
    assert "Rejected, nothing sent and nothing paid: 4." in out
    assert f"{folder}/motion.jpg: found a JPEG picture with a video behind it (a motion photo)" in out
    assert f"{folder}/cut.png: found a PNG picture without its end" in out
    assert f"{folder}/notes.txt: found the suffix .txt; allowed: .png" in out
    assert f"{folder}/bad.job.json: n: found 11; allowed: a whole number from 1 to 10" in out
    assert code == 1


def test_of_many_rejected_files_twenty_are_named(folder: Path, cost: Any) -> None:
    for number in range(23):
        write(folder / f"{number:02}.gif", b"GIF89a")
    _, out = cost(folder)
    assert [out.count(f"/{number:02}.gif:") for number in (0, 19, 20, 22)] == [1, 1, 0, 0]
    assert "and 3 more." in out


def test_what_starts_no_job_is_only_counted(folder: Path, cost: Any) -> None:
    for name in (".DS_Store", "Thumbs.db", "References/mask.png", "deep/references/x.gif"):
        write(folder / name, picture())
    code, out = cost(folder)
    assert "Ignored, as the inbox does: 4." in out
    assert "Total: 0.00 USD; jobs: 0; pictures: 0." in out
    assert code == 0


def test_pictures_of_a_job_document_are_looked_for_beside_it(folder: Path, cost: Any) -> None:
    write(folder / "references/cat.png", picture())
    write(folder / "references/mask.png", mask_picture())
    asked = {"model": "gpt-image-1.5-official", "prompt": PROMPT, "references": ["references/cat.png"]}
    write(folder / "sky.job.json", {**asked, "mask": "references/mask.png", "n": 3})
    code, out = cost("--assumed-price-usd=1", folder)
    assert "Total: 3.00 USD; jobs: 1; pictures: 3." in out
    assert code == 0

    write(folder / "references/mask.png", picture())
    write(folder / "gone.job.json", {**asked, "references": ["references/dog.png"]})
    code, out = cost("--assumed-price-usd=1", folder)
    assert "gone.job.json: references[0]: inbox/summer/references/dog.png: found no such object" in out
    assert "sky.job.json: mask: inbox/summer/references/mask.png: found a PNG picture without alpha channel" in out
    assert code == 1


def test_a_document_may_name_the_bucket_and_folders_beside_its_own(folder: Path, cost: Any) -> None:
    write(folder / "cats/cat.png", picture())
    write(folder / "jobs/a.job.json", {**CHEAP, "references": ["../cats/cat.png"]})
    write(folder / "jobs/b.job.json", {**CHEAP, "references": ["s3://my-inbox/inbox/summer/cats/cat.png"]})
    assert cost("--bucket=my-inbox", "--quality=low", folder)[0] == 0
    code, out = cost("--quality=low", folder)
    assert "b.job.json: references: found" in out
    assert code == 1


def test_an_unknown_price_says_what_to_do(folder: Path, cost: Any) -> None:
    write(folder / "a.png", picture())
    write(folder / "b.job.json", CHEAP)
    code, out = cost("--model=gpt-image-2-vip", "--quality=high", folder)
    assert "gpt-image-2-vip 1k high 1 1 unknown unknown" in out
    assert "Price unknown: gpt-image-2-vip 1k high. Put it into the price list of a models document" in out
    assert "Total: at least 0.0019 USD (no price is known for 1 of the jobs); jobs: 2; pictures: 2." in out
    assert code == 1


def test_an_empty_folder_costs_nothing(folder: Path, cost: Any) -> None:
    code, out = cost(folder)
    assert "Total: 0.00 USD; jobs: 0; pictures: 0." in out
    assert "Sending takes 0 s" in out
    assert code == 0


def test_paths_that_are_not_there_are_named(folder: Path, cost: Any) -> None:
    code, out = cost(folder / "nope.png", folder, folder / "nor.png")
    assert out.splitlines() == [
        f"{folder}/{name}: there is no such file or folder." for name in ("nope.png", "nor.png")
    ]
    assert code == 1


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        ({**CHEAP, "quality": "best"}, 'poster.json: quality: found "best"; allowed: low, medium, high.'),
        (b"{", "poster.json: found no JSON at line 1"),
        (None, "No such file or directory"),
    ],
)
def test_a_preset_that_cannot_be_used_ends_it(tmp_path: Path, folder: Path, cost: Any, preset: Any, said: str) -> None:
    path = tmp_path / "poster.json"
    if preset is not None:
        write(path, preset)
    code, out = cost("--preset", path, folder)
    assert said in out
    assert str(path) in out
    assert code == 1


def test_an_unknown_model_is_named_with_those_there_are(folder: Path, cost: Any) -> None:
    code, out = cost("--model=dall-e", folder)
    assert 'model: found "dall-e"; allowed: gpt-image-1.5-official, gpt-image-2-vip' in out
    assert code == 1


@pytest.mark.parametrize(
    "option",
    ["--assumed-price-usd=nan", "--assumed-price-usd=1 $", "--submits-per-second=0", "--submits-per-second=x", "--n=x"],
)
def test_numbers_are_numbers(folder: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option, str(folder)])
    assert ended.value.code == 2
    assert option.split("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["nowhere.json", "."])
def test_a_preset_that_cannot_be_read_is_named(folder: Path, cost: Any, preset: str) -> None:
    code, out = cost(f"--preset={folder / preset}", folder)
    assert code == 1
    assert f"{folder / preset}: found no readable file" in out


def test_a_name_cannot_command_the_terminal(folder: Path, cost: Any) -> None:
    write(folder / "evil\x1b[2J\n.txt", b"x")
    code, out = cost(folder)
    assert code == 1
    assert "evil?[2J?.txt: found the suffix .txt" in out


def test_what_cannot_be_read_is_told_and_the_others_are_priced(folder: Path, cost: Any) -> None:
    write(folder / "good.png", picture())
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "loop.job.json").mkdir()
    code, out = cost("--quality=low", folder)
    assert (code, "jobs: 1;" in out) == (0, True)


def test_large_files_are_not_read_whole(folder: Path, cost: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    read_range = Inbox.read_range

    def counted(inbox: Inbox, *asked: Any) -> bytes:
        content = read_range(inbox, *asked)
        read.append(len(content))
        return content

    monkeypatch.setattr(Inbox, "read_range", counted)
    whole = picture()
    end = whole.rindex(b"IDAT") - 4
    chunk = (4_000_000).to_bytes(4, "big") + b"zzZz" + bytes(4_000_004)
    write(folder / "large.png", whole[:end] + chunk + whole[end:])
    assert cost("--quality=low", folder)[0] == 0
    assert 0 < sum(read) < 262_144


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (3723, "1 h 2 min 3 s"), (400_000, "111 h 6 min 40 s")],
)
def test_durations_are_said_in_hours_minutes_and_seconds(seconds: int, said: str) -> None:
    assert duration(seconds) == said
