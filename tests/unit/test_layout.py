"""What a key means and where results go."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketbrush.domain import layout
from bucketbrush.domain.layout import MAX_REFERENCE_BYTES
from bucketbrush.domain.pictures import PictureFormat


@pytest.mark.parametrize(
    ("key", "preset"),
    [
        ("inbox/cat.png", "default"),
        ("inbox/poster/cat.png", "poster"),
        ("inbox/poster/2026/may/cat.png", "poster"),
        ("inbox/my preset+100%/cat.png", "my preset+100%"),
        ("inbox/海报/cat.png", "海报"),
        ("inbox//cat.png", "default"),
        ("inbox/inbox/cat.png", "inbox"),
    ],
)
def test_the_first_folder_is_the_preset(key: str, preset: str) -> None:
    assert layout.preset_name(key) == preset
    assert layout.preset_key(preset) == f"presets/{preset}.json"


@pytest.mark.parametrize(
    ("key", "size", "ignored"),
    [
        ("inbox/poster/", 0, True),
        ("inbox/poster/", 1, False),
        ("inbox/.DS_Store", 6148, True),
        ("inbox/poster/._cat.png", 10, True),
        ("inbox/Thumbs.db", 10, True),
        ("inbox/THUMBS.DB", 10, True),
        ("inbox/my thumbs.db", 10, False),
        ("inbox/cat.png", 0, False),
        ("inbox/.hidden/cat.png", 10, False),
        ("inbox/poster/references/cat.png", 10, True),
        ("inbox/poster/References/old/cat.job.json", 10, True),
        ("inbox/references/cat.png", 10, True),
        ("inbox/my references/cat.png", 10, False),
        ("inbox/references", 10, False),
        ("inbox/notes.txt", 10, False),
    ],
)
def test_only_litter_is_ignored(key: str, size: int, ignored: bool) -> None:
    assert layout.is_ignored(key, size) is ignored


@pytest.mark.parametrize("suffix", ["png", "PNG", "jpg", "JpG", "jpeg", "JPEG"])
@pytest.mark.parametrize("size", [1, MAX_REFERENCE_BYTES])
def test_pictures_are_taken(suffix: str, size: int) -> None:
    assert layout.drop_problem(f"inbox/cat.{suffix}", size) is None


@pytest.mark.parametrize(
    ("key", "size", "words"),
    [
        ("inbox/cat.gif", 9, ["inbox/cat.gif", "the suffix .gif", ".png, .jpg, .jpeg", "any case"]),
        ("inbox/cat.png.exe", 9, [".exe"]),
        ("inbox/cat", 9, ["no suffix"]),
        ("inbox/cat.", 9, ["no suffix"]),
        ("inbox/cat.png", 0, ["0 bytes", "1 to 50,000,000"]),
        ("inbox/cat.png", MAX_REFERENCE_BYTES + 1, ["50,000,001 bytes"]),
    ],
)
def test_other_files_are_told_what_is_allowed(key: str, size: int, words: list[str]) -> None:
    problem = layout.drop_problem(key, size)
    assert problem is not None
    assert [word for word in words if word not in problem] == []


@given(job_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from([".", "..", "a/b", "/"]))
def test_results_never_leave_their_folder(job_id: str) -> None:
    key = layout.result_key(job_id, "result.json")
    root, folder, name = key.split("/")
    assert (root, name) == ("results", "result.json")
    assert folder.strip(".")


@example(first=".", second="_.")
@given(first=st.text("ab./%_", min_size=1), second=st.text("ab./%_", min_size=1))
def test_two_jobs_never_share_a_folder(first: str, second: str) -> None:
    folders = {layout.result_key(job_id, "1") for job_id in (first, second)}
    assert len(folders) == len({first, second})


def test_a_job_id_is_its_folder() -> None:
    assert layout.result_key("cat-0123", "1.png") == "results/cat-0123/1.png"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1.png", 1),
        ("2.jpg", 2),
        ("10.png", 10),
        ("result.json", None),
        ("1.json", None),
        ("1.jpeg", None),
        ("1.PNG", None),
        ("1", None),
        ("png", None),
        (".png", None),
        ("", None),
        ("1.png.bak", None),
        ("-1.png", None),
        ("1a.png", None),
        ("more/1.png", None),
    ],
)
@pytest.mark.parametrize("job_id", ["cat-1", "..", "an odd/name"])
def test_a_picture_is_known_by_its_number(job_id: str, name: str, number: int | None) -> None:
    assert layout.picture_number(job_id, layout.result_key(job_id, name)) == number


def test_a_picture_of_another_job_has_no_number() -> None:
    assert layout.picture_number("cat-1", "results/cat-12/1.png") is None
    assert layout.picture_number("cat-1", "results/cat-1-2/1.png") is None


@given(job_id=st.text("ab./%_-", min_size=1), number=st.integers(1, 10), kind=st.sampled_from(PictureFormat))
def test_what_is_stored_as_a_picture_is_found_as_it(job_id: str, number: int, kind: PictureFormat) -> None:
    assert layout.picture_number(job_id, f"{layout.result_key(job_id, str(number))}.{kind}") == number
