"""What a key means and where results go."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketbrush.domain import layout
from bucketbrush.domain.layout import MAX_REFERENCE_BYTES, Inbox
from bucketbrush.domain.pictures import PictureFormat

HERE = Inbox("inbox-bucket")


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
    assert HERE.preset_name(key) == preset
    assert HERE.preset_key(preset) == f"presets/{preset}.json"


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
    assert HERE.is_ignored(key, size) is ignored


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


CASE = "results/{folder}/{stem}/{job_id}/{index}.{ext}"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TEMPLATES = st.sampled_from(
    [
        CASE,
        "results/{job_id}/{index}.{ext}",
        "a/b/{date}/{job_id}/{stem}-x/picture-{index}.{ext}",
        "o/{folder}-{stem}/{job_id}/{index}.{ext}",
    ]
)


def test_the_default_place_is_folder_stem_and_job() -> None:
    assert layout.RESULTS_KEY == CASE
    at = layout.results_at(CASE, "cat-0123", "poster/2026", "My cat", "2026-11-21")
    assert at == "results/poster/2026/My cat/cat-0123/{index}.{ext}"
    assert layout.picture_stem(at, 2) == "results/poster/2026/My cat/cat-0123/2"
    assert layout.beside(at, "result.json") == "results/poster/2026/My cat/cat-0123/result.json"


@pytest.mark.parametrize(
    ("template", "place"),
    [
        ("results/{folder}/{stem}/{job_id}/{index}.{ext}", "results/a/b/cat/cat-1/"),
        ("out/{date}/{job_id}/{index}.{ext}", "out/2026-11-21/cat-1/"),
        ("a/b/{stem}-{date}/{job_id}/pictures/p{index}.{ext}", "a/b/cat-2026-11-21/cat-1/pictures/p"),
        ("x/{job_id}/{folder}/{index}.{ext}", "x/cat-1/a/b/"),
        ("x/{date}-{folder}/{job_id}/{index}.{ext}", "x/2026-11-21-a-b/cat-1/"),
    ],
)
def test_a_template_is_filled(template: str, place: str) -> None:
    assert layout.demand_results_key(template) == template
    at = layout.results_at(template, "cat-1", "a/b", "cat", "2026-11-21")
    assert layout.picture_stem(at, 7) == f"{place}7"
    assert at.startswith(layout.results_prefix(template))


def test_without_a_file_nothing_stands_for_it() -> None:
    assert layout.results_at(CASE, "a-request") == "results/a-request/{index}.{ext}"


@pytest.mark.parametrize(
    "template",
    [
        "",
        "{job_id}/{index}.{ext}",  # no prefix that permissions could be bound to
        "results{job_id}/{index}.{ext}",
        "results/{index}.{ext}",
        "results/{job_id}-{stem}/{index}.{ext}",  # two jobs could have the same folder
        "results/{job_id}/{index}",
        "results/{job_id}/{ext}.{index}",
        "results/{job_id}/{stem}.{ext}",
        "results/{job_id}/{index}{index}.{ext}",
        "results/{job_id}/reference-{index}.{ext}",  # a copy of a reference would be taken for a picture
        "results/{job_id}/{index}-{stem}.{ext}",
        "results/{colour}/{job_id}/{index}.{ext}",
        "results/{job_id/{index}.{ext}",
        "results/}{job_id}/{index}.{ext}",
        "results//{job_id}/{index}.{ext}",
        "results/../{job_id}/{index}.{ext}",
        "/results/{job_id}/{index}.{ext}",
        "res*/{job_id}/{index}.{ext}",
        "results-{stem}/{job_id}/{index}.{ext}",  # permissions are for whole folders
    ],
)
def test_a_template_that_would_mix_jobs_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="allowed: a prefix that ends with a slash"):
        layout.demand_results_key(template)


@example(template=CASE, job_id="..", folder="../..", stem="..")
@given(template=TEMPLATES, job_id=TEXT.filter(bool) | st.sampled_from([".", "..", "a/b", "/"]), folder=TEXT, stem=TEXT)
def test_results_never_leave_their_prefix(template: str, job_id: str, folder: str, stem: str) -> None:
    at = layout.results_at(template, job_id, folder, stem, "2026-11-21")
    key = layout.beside(at, "result.json")
    assert key.startswith(layout.results_prefix(template))
    assert len(f"{layout.picture_stem(at, 10)}.jpg".encode()) <= 1024
    assert not {"", ".", ".."} & {*key.split("/")}
    assert key.isprintable()
    assert at.count("{") == at.count("}") == 2


@example(template=CASE, first=(".", "", ""), second=("_.", "", ""))
@example(template=CASE, first=("a", "b", "c"), second=("c", "b/a", ""))
@given(
    template=TEMPLATES,
    first=st.tuples(st.text("ab./%_", min_size=1), st.text("ab/"), st.text("ab")),
    second=st.tuples(st.text("ab./%_", min_size=1), st.text("ab/"), st.text("ab")),
)
def test_two_jobs_never_share_a_folder(
    template: str, first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    """A job has a file, and so a stem, or neither."""
    jobs = [(job_id, folder if stem else "", stem) for job_id, folder, stem in (first, second)]
    folders = {layout.beside(layout.results_at(template, *job, "2026-11-21"), "1") for job in jobs}
    assert len(folders) >= len({job_id for job_id, _, _ in jobs})


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
        ("reference-1.png", None),
    ],
)
@pytest.mark.parametrize("job_id", ["cat-1", "..", "an odd/name"])
def test_a_picture_is_known_by_its_number(job_id: str, name: str, number: int | None) -> None:
    at = layout.results_at(CASE, job_id, "a (b)", "c+d")
    assert layout.picture_number(at, layout.beside(at, name)) == number


def test_a_picture_of_another_job_has_no_number() -> None:
    at = layout.results_at(CASE, "cat-1")
    assert layout.picture_number(at, "results/cat-12/1.png") is None
    assert layout.picture_number(at, "results/cat-1-2/1.png") is None


@given(
    template=TEMPLATES,
    job_id=st.text("ab./%_-{}", min_size=1),
    folder=TEXT,
    number=st.integers(1, 10),
    kind=st.sampled_from(PictureFormat),
)
def test_what_is_stored_as_a_picture_is_found_as_it(
    template: str, job_id: str, folder: str, number: int, kind: PictureFormat
) -> None:
    at = layout.results_at(template, job_id, folder, "{index}", "2026-11-21")
    assert layout.picture_number(at, f"{layout.picture_stem(at, number)}.{kind}") == number


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        ("inbox/cat.png", "cat"),
        ("inbox/a/my.cat.PNG", "my.cat"),
        ("inbox/starry.job.json", "starry"),
        ("inbox/night.JOBS.jsonl", "night"),
        ("inbox/README", "README"),
        ("inbox/.png", ".png"),
    ],
)
def test_the_stem_of_a_file(key: str, stem: str) -> None:
    assert layout.stem(key) == stem


@pytest.mark.parametrize(
    ("key", "is_mask", "is_sidecar"),
    [
        ("inbox/cat.mask.png", True, False),
        ("inbox/cat.MASK.PNG", True, False),
        ("inbox/cat.png.json", False, True),
        ("inbox/cat.JPEG.JSON", False, True),
        ("inbox/cat.json", False, False),
        ("inbox/cat.job.json", False, False),
        ("inbox/cat.mask.png.json", False, False),
        ("inbox/mask.png", False, False),
        ("inbox/cat.png", False, False),
    ],
)
def test_companions_start_no_job(key: str, is_mask: bool, is_sidecar: bool) -> None:
    assert (layout.is_mask(key), layout.is_sidecar(key)) == (is_mask, is_sidecar)
    assert HERE.is_ignored(key, 9) is (is_mask or is_sidecar)


def test_companions_lie_beside_their_picture() -> None:
    assert layout.sidecar_key("inbox/a/Cat.PNG") == "inbox/a/Cat.PNG.json"
    assert layout.mask_key("inbox/a/Cat.PNG") == "inbox/a/Cat.mask.png"


def test_results_under_the_inbox_start_nothing() -> None:
    """Else each would be a job with results of its own, and all of them paid."""
    mixed = Inbox("one", drops="photos/", results="photos/results/")
    assert mixed.is_ignored("photos/results/cat/1.png", 9)
    assert not mixed.is_ignored("photos/results-of-may/1.png", 9)
    assert not mixed.is_ignored("photos/cat.png", 9)
    assert Inbox("one", drops="photos/").is_ignored("elsewhere/cat.png", 9)


@pytest.mark.parametrize(
    ("key", "folder"), [("inbox/cat.png", ""), ("inbox/a/b/cat.png", "a/b"), ("presets/x.json", "presets")]
)
def test_a_folder_is_told_without_the_inbox(key: str, folder: str) -> None:
    assert HERE.folder(key) == folder
