"""The page beside results shows everything that a result holds, as text, and loads nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bucketbrush.domain.errors import Money
from bucketbrush.domain.jobs import Line, ObjectVersion, Outcome
from bucketbrush.domain.page import STYLE, Shown, figure, render
from bucketbrush.domain.pictures import PictureFormat, Pixels
from bucketbrush.domain.result import Picture, Result
from local import browser
from tests.properties import PROPERTIES
from tests.unit.pages import Reading

if TYPE_CHECKING:
    from pathlib import Path

HERE = "http://page.example/results/cat-1/"
BEGAN = 1_700_000_000  # 2023-11-14 22:13:20 UTC
HOSTILE = (
    """"><script>alert(1)</script><img src=x onerror='alert("2")'>&amp;{}""",
    "</title></style><!-- <![CDATA[ ]]> -->",
    "' onmouseover=alert(1) x='",
    "javascript:alert(1)",
    "//elsewhere.example/x?y#z",
    "https://elsewhere.example/",
    "../../..",
    "a\r\nb\rc\n\n d\te",
    "nul \0 bell \a c1 \x85 lone \ud800 \udfff none \uffff",
    "\u202egnp.tac\u2066 قطة",
    "&lt;b&gt; &#x3c; &notit; %3Cb%3E %2e%2e/",
    "",
)
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=())))


def said(text: str) -> str:
    """A text as a page can hold it."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    bad = {*range(32), *range(127, 160), *range(0xD800, 0xE000)} - {9, 10}
    return "".join("\ufffd" if ord(letter) in bad else letter for letter in lines)


def file_name(text: str) -> str:
    return f"{text.replace('/', '_')}.png"


def version(key: str, **fields: Any) -> ObjectVersion:
    return ObjectVersion(bucket="inbox-bucket", key=key, **fields)


def picture(name: str, pixels: Pixels | None = None, size: int = 1_234_567) -> Picture:
    return Picture(key=f"results/cat-1/{name}", bytes=size, format=PictureFormat.PNG, pixels=pixels, sha256="0" * 64)


def result(**fields: Any) -> Result:
    """A completed job with a reference and a picture."""
    source = version("inbox/cat.png", version_id="v1", etag="e1", size=2_345, checksum="crc64nvme:AAAA")
    given_ = {
        "job_id": "cat-1",
        "outcome": Outcome.COMPLETED,
        "money": Money.MOVED,
        "message": "Stored 1 of 1 pictures.",
        "preset": "default",
        "source": source,
        "recipe": {"model": "m", "prompt": "make it blue", "n": 1},
        "references": (source,),
        "task_id": "tsk_1",
        "pictures": (picture("1.png", Pixels(1024, 768)),),
        "polls": 3,
        "created_at": BEGAN,
        "submitted_at": BEGAN + 2,
        "task_created_at": BEGAN + 2,
        "task_completed_at": BEGAN + 62,
        "ended_at": BEGAN + 65,
    }
    return Result(**{**given_, **fields})


ONE = Shown(("reference-1.png",))


def read(result_: Result, shown: Shown = ONE) -> Reading:
    return Reading(render(result_, shown))


def facts(page: Reading) -> dict[str, str]:
    assert len(page.texts["dt"]) == len(page.texts["dd"])
    return dict(zip(page.texts["dt"], page.texts["dd"], strict=True))


# ---- Strangers' texts


@st.composite
def shapes(draw: st.DrawFn) -> dict[str, Any]:
    """What decides which elements a page has."""
    return {
        "copies": draw(st.lists(st.booleans(), max_size=3)),
        "pictures": draw(st.lists(st.booleans(), max_size=3)),
        "outcome": draw(st.sampled_from(Outcome)),
        **{name: draw(st.booleans()) for name in ("source", "mask", "recipe", "line", "rest")},
    }


def job(shape: dict[str, Any], text: str) -> tuple[Result, Shown]:
    """A job of a shape in which every text is the one given."""
    every = version(f"inbox/{text}", version_id=text, etag=text, checksum=text, size=1)
    made = result(
        job_id=text,
        outcome=shape["outcome"],
        message=text,
        preset=text if shape["rest"] else None,
        source=every if shape["source"] else None,
        # Not the source: it would be named only once.
        references=tuple(version(f"references/{number}{text}") for number, _ in enumerate(shape["copies"])),
        mask=every if shape["mask"] else None,
        recipe={f"prompt{text}": text, "nested": {text: [text, 1, None]}} if shape["recipe"] else None,
        pictures=tuple(picture(file_name(text), Pixels(3, 2) if known else None) for known in shape["pictures"]),
        line=Line(number=7, start=0, length=1) if shape["line"] else None,
        task_id=text,
        reason=text,
        **dict.fromkeys(("batch", "again_of", "model", "model_answered"), text if shape["rest"] else None),
        **dict.fromkeys(("sidecar", "preset_version"), every if shape["rest"] else None),
    )
    copies = tuple(file_name(text) if copied else None for copied in shape["copies"])
    return made, Shown(copies, file_name(text) if shape["mask"] else None)


EVERYTHING = {
    "copies": [True, False],
    "pictures": [True, False],
    "outcome": Outcome.PARTIAL,
    **dict.fromkeys(("source", "mask", "recipe", "line", "rest"), True),
}


@pytest.mark.properties
@PROPERTIES
@given(shape=shapes(), text=TEXTS)
@example(shape=EVERYTHING, text=HOSTILE[0])
@example(shape=EVERYTHING, text="\ud800\0\r\n")
def test_no_text_becomes_an_element_or_an_attribute(shape: dict[str, Any], text: str) -> None:
    html = render(*job(shape, text)).encode()
    page = Reading(html.decode())
    assert page.structure == read(*job(shape, "a")).structure
    assert page.texts["p"][1] == said(text)
    if shape["recipe"]:
        assert facts(page)[said(f"prompt{text}")] == said(text)
    if shape["rest"]:
        assert facts(page)["Batch"] == facts(page)["Model asked"] == facts(page)["Task"] == said(text)
        assert facts(page)["Sidecar"].startswith(said(f"s3://inbox-bucket/inbox/{text}"))
    if not shape["source"]:
        assert page.texts["h1"][0].startswith(said(text))
        assert page.texts["title"][0].startswith(said(text))


def test_no_text_turns_what_is_around_it() -> None:
    """HTML standard, "The bdi element" and "The dir attribute": both isolate what they hold."""
    html = render(*job(EVERYTHING, "\u202egnp.tac"))
    assert html.count("\u202e") > 30
    isolated = r"<title>.*?</title>|<bdi>.*?</bdi>|<(\w+) dir=\"auto\">.*?</\1>|alt=\".*?\""
    assert "\u202e" not in re.sub(isolated, "", html)


@pytest.mark.properties
@PROPERTIES
@given(shape=shapes(), text=TEXTS)
@example(shape=EVERYTHING, text="../..")
@example(shape=EVERYTHING, text="\\\\elsewhere.example\\x")
@example(shape=EVERYTHING, text="100 % cat #1?")
def test_only_files_beside_the_page_are_asked_for(shape: dict[str, Any], text: str) -> None:
    page = read(*job(shape, text))
    shown = [*filter(None, shape["copies"]), *([True] if shape["mask"] else []), *shape["pictures"]]
    addresses = page.attributes("img", "src")
    assert len(addresses) == len(shown)
    assert page.attributes("a", "href") == [*addresses, "./result.json"]
    for address in addresses:
        assert address is not None
        assert urljoin(f"{HERE}index.html", address).startswith(HERE)
        assert re.fullmatch(r"\./[\w.~%-]+", address, re.ASCII)
        assert unquote(address) == f"./{file_name(text).encode(errors='replace').decode()}"
    # Nothing else of HTML that would be loaded or led to.
    loading = {"src", "href", "srcset", "style", "action", "background", "poster", "data", "http-equiv"}
    found = {(tag, name) for tag, names in page.structure for name in names if name in loading}
    assert found <= {("img", "src"), ("a", "href"), ("meta", "http-equiv")}
    assert "url(" not in STYLE
    assert "@import" not in STYLE


@pytest.mark.properties
@PROPERTIES
@given(path=st.one_of(TEXTS, st.text("./\\%2e:#?a", max_size=8)))
@example(path="..")
@example(path="a/../../b")
@example(path="/etc/x")
@example(path="")
def test_no_path_leads_out_of_the_folder(path: str) -> None:
    for address in Reading(figure(path, "a", "a")).attributes("img", "src"):
        assert address is not None
        assert urljoin(f"{HERE}index.html", address).startswith(HERE)
        assert address.startswith("./")
        assert ".." not in address.split("/")


# ---- What stands there


def test_a_completed_job_is_told_whole() -> None:
    page = read(
        result(
            requested_at=BEGAN - 3600,
            submitting_at=BEGAN + 1,
            lateness_seconds=3,
            batch="batch-1",
            line=Line(number=1_200, start=5, length=6),
            model="m",
            model_answered="m-2",
            resends=1,
            attempt=2,
            again_of="cat-0",
            reason="Because",
            billed_usd=0.16,
            estimated_usd=0.2,
            preset_version=version("presets/default.json", version_id="p1"),
            sidecar=version("inbox/cat.png.json", version_id="s1"),
            mask=version("references/mask.png", version_id="m1", size=12),
        ),
        Shown(("reference-1.png",), "mask.png"),
    )
    assert facts(page) == {
        "model": "m",
        "prompt": "make it blue",
        "n": "1",
        "Requested": "2023-11-14 21:13:20 UTC",
        "Accepted": "2023-11-14 22:13:20 UTC 1 h 0 min later",
        "Sent": "2023-11-14 22:13:21 UTC 1 h 0 min later",
        "Task accepted": "2023-11-14 22:13:22 UTC 1 h 0 min later",
        "Task created": "2023-11-14 22:13:22 UTC 1 h 0 min later",
        "Task completed": "2023-11-14 22:14:22 UTC 1 h 1 min later",
        "Ended": "2023-11-14 22:14:25 UTC 1 h 1 min later",
        "Seen done": "3 s after its completion",
        "Task": "tsk_1",
        "Attempt": "2, again of cat-0",
        "Sent again": "1 time",
        "Model asked": "m",
        "Model that answered": "m-2",
        "Polls": "3",
        "Billed": "0.16 USD",
        "Estimated": "0.20 USD",
        "Money": "moved",
        "Reason": "Because",
        "Job": "cat-1",
        "Source": "s3://inbox-bucket/inbox/cat.pngversion v1ETag e1checksum crc64nvme:AAAA",
        "Batch": "batch-1",
        "Line": "1,200",
        "Preset": "default",
        "Preset's file": "s3://inbox-bucket/presets/default.jsonversion p1",
        "Sidecar": "s3://inbox-bucket/inbox/cat.png.jsonversion s1",
        "Mask": "s3://inbox-bucket/references/mask.pngversion m1",
    }
    assert page.texts["title"] == ["cat.png, line 1,200: completed"]
    assert page.texts["h1"] == ["cat.png, line 1,200"]
    assert page.texts["p"][:3] == ["completed", "Stored 1 of 1 pictures.", "1 picture · 1 h 1 min · 0.16 USD"]
    assert page.texts["h2"] == ["References and mask", "Results", "Recipe", "Times", "Task and cost", "Origin"]
    assert page.attributes("img", "alt") == ["Reference: cat.png", "Mask: mask.png", "Result: 1.png"]
    assert page.texts["figcaption"] == [
        "cat.png Reference, 2.3\xa0kB",
        "mask.png Mask, 12 bytes",
        "1.png 1024 \xd7 768 pixels, PNG, 1.2\xa0MB",
    ]
    assert page.attributes("time", "datetime")[:2] == ["2023-11-14T21:13:20Z", "2023-11-14T22:13:20Z"]


def test_a_reference_that_is_not_the_dropped_file_has_an_origin_of_its_own() -> None:
    references = (version("inbox/cat.png"), version("references/b.png", version_id="b1"))
    assert (
        facts(read(result(references=references)))["Reference 2 of 2"] == "s3://inbox-bucket/references/b.pngversion b1"
    )
    assert "Reference 1 of 2" not in facts(read(result(references=references)))


def test_known_pixels_keep_the_place_of_a_picture() -> None:
    page = read(result(pictures=(picture("1.png", Pixels(1024, 768)), picture("2.png"))))
    assert page.attributes("img", "width") == [None, "1024", None]
    assert page.attributes("img", "height") == [None, "768", None]
    assert page.attributes("img", "alt")[1:] == ["Result 1 of 2: 1.png", "Result 2 of 2: 2.png"]


def test_many_references_and_results_are_numbered() -> None:
    references = tuple(version(f"references/{number}.png") for number in range(1, 17))
    pictures = tuple(picture(f"{number}.png") for number in range(1, 11))
    page = read(
        result(references=references, pictures=pictures, recipe={"n": 10}),
        Shown(tuple(f"reference-{number}.png" for number in range(1, 17))),
    )
    alts = page.attributes("img", "alt")
    assert (len(alts), alts[0], alts[15], alts[25]) == (
        26,
        "Reference 1 of 16: 1.png",
        "Reference 16 of 16: 16.png",
        "Result 10 of 10: 10.png",
    )
    assert page.texts["h2"][1] == "Results"


def test_missing_results_are_counted() -> None:
    page = read(result(outcome=Outcome.PARTIAL, recipe={"n": 4}, pictures=(picture("1.png"), picture("4.png"))))
    assert page.texts["h2"][1] == "Results 2 of 4"
    assert page.attributes("img", "src")[1:] == ["./1.png", "./4.png"]


def test_a_rejected_job_says_why_and_has_no_pictures() -> None:
    page = read(
        result(
            outcome=Outcome.REJECTED,
            message="size: found 7:5",
            recipe=None,
            references=(),
            pictures=(),
            **dict.fromkeys(("source", "task_id", "preset", "submitted_at", "task_created_at", "task_completed_at")),
        ),
        Shown(()),
    )
    assert page.texts["h1"] == ["cat-1"]
    assert page.texts["p"][:3] == ["rejected", "size: found 7:5", "0 pictures · 1 min 5 s"]
    assert "img" not in dict(page.elements)
    assert page.texts["h2"] == ["Results", "Recipe", "Times", "Task and cost", "Origin"]
    assert {"This job has no pictures.", "The job ended before it had a recipe."} <= {*page.texts["p"]}
    assert not {"Task", "Source", "Task created", "Billed", "Preset"} & {*facts(page)}


@pytest.mark.parametrize("shown", [Shown((None,)), Shown(())], ids=["one failed", "none are shown"])
def test_a_reference_without_a_copy_is_named_all_the_same(shown: Shown) -> None:
    page = read(result(mask=version("references/mask.png")), shown)
    assert page.attributes("img", "src") == ["./1.png"]
    assert [text.split()[0] for text in page.texts["figcaption"]] == ["cat.png", "mask.png", "1.png"]
    assert page.texts["p"].count("No copy of this picture lies beside this page.") == 2


def test_the_prompt_keeps_its_lines() -> None:
    prompt = "one\n\n  two \u2028 قطة"
    assert facts(read(result(recipe={"prompt": prompt, "n": 1})))["prompt"] == prompt
    assert re.search(r"\.recipe dd \{[^}]*white-space: pre-wrap", STYLE)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "-1 s since 1970"), (10**18, "1,000,000,000,000,000,000 s since 1970"), (0, "1970-01-01 00:00:00 UTC ")],
)
def test_a_time_of_no_calendar_is_shown_as_it_is(seconds: int, shown: str) -> None:
    assert facts(read(result(task_created_at=seconds)))["Task created"].startswith(shown)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_661, "1 h 1 min"), (360_000, "100 h 0 min"), (-61, "-1 min 1 s")],
)
def test_durations_have_two_units_at_most(seconds: int, shown: str) -> None:
    assert read(result(ended_at=BEGAN + seconds)).texts["p"][2] == f"1 picture · {shown}"


# ---- For every reader


def test_the_page_forbids_itself_everything_but_its_pictures_and_its_style() -> None:
    page = read(result())
    digest = base64.b64encode(hashlib.sha256(page.texts["style"][0].encode()).digest()).decode()
    policy = page.attributes("meta", "content")[page.attributes("meta", "http-equiv").index("Content-Security-Policy")]
    assert policy is not None
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src 'self' file:",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    tags = [tag for tag, _ in page.elements]
    assert not {"script", "iframe", "object", "embed", "form", "base", "link"} & {*tags}
    assert tags.index("meta") < tags.index("style")


def test_the_page_is_built_for_screen_readers_and_phones() -> None:
    page = read(result(mask=version("references/mask.png")))
    assert page.attributes("html", "lang") == ["en"]
    metas = dict(zip(page.attributes("meta", "name"), page.attributes("meta", "content"), strict=True))
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["referrer"] == "no-referrer"
    assert [tag for tag, _ in page.elements if tag in ("header", "main", "footer", "h1")] == [
        "header",
        "h1",
        "main",
        "footer",
    ]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len({*ids}) == len(ids)
    assert page.attributes("section", "aria-labelledby") == ids
    assert ":focus-visible" in STYLE


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, "relative luminance")."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_has_enough_contrast(scheme: int) -> None:
    """4.5 to 1 (WCAG 2.2, success criterion 1.4.3)."""
    roots = re.findall(r":root \{([^}]*)\}", STYLE)
    colours = dict(re.findall(r"--(\w+): (#\w+)", roots[scheme]))
    assert {*colours} == {"paper", "card", "ink", "quiet", "line", "good", "fair", "bad", "link"}
    for ink in ("ink", "quiet", "good", "fair", "bad", "link"):
        for paper in ("paper", "card"):
            dark, light = sorted((luminance(colours[ink]), luminance(colours[paper])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


# ---- The samples


def test_without_a_browser_the_sample_pages_are_written_and_nobody_has_looked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(browser, "ROOT", tmp_path)
    monkeypatch.setattr(browser, "FOLDER", tmp_path / "pages")
    monkeypatch.setattr(browser.shutil, "which", lambda _: None)
    assert browser.main([]) == 0
    assert "Nobody looked at them" in capsys.readouterr().out
    assert {folder.name for folder in (tmp_path / "pages").iterdir()} == {"completed", "partial", "rejected", "crowded"}
    for page in (tmp_path / "pages").glob("*/index.html"):
        for address in Reading(page.read_text(encoding="utf-8")).attributes("a", "href"):
            assert (page.parent / unquote(address or "")).is_file()
