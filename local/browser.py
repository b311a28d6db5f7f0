"""`make browser`: the pages beside results, rendered from sample jobs into build/browser and looked at in Chromium.

Where a Chromium is on the PATH, every page is opened as a file and over HTTP, on a phone and on a desk, in light and
in dark. What a visitor would miss is a failure: a picture that does not show, a page that scrolls sideways, a request
to anywhere else. Pictures of some pages go to docs/pictures.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, product
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self, cast

from PIL import Image, ImageOps

from bucketbrush.domain import verdicts
from bucketbrush.domain.errors import Money, RecipeInvalid
from bucketbrush.domain.jobs import Job, Line, ObjectVersion, Outcome
from bucketbrush.domain.life import State
from bucketbrush.domain.page import Shown, render
from bucketbrush.domain.pictures import PictureFormat, Pixels
from bucketbrush.domain.recipe import read_preset
from bucketbrush.domain.result import Picture, Result
from bucketbrush.wiring.submit import deployed_catalogue
from local import samples
from local.simulator import painting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "browser"
PICTURES = ROOT / "docs" / "pictures"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
DEVICES = {"phone": (390, 1300), "desktop": (1280, 1500)}  # how wide, and how much of a page is pictured: CSS pixels
SCHEMES = ("light", "dark")
SAVED = {
    *(f"completed-{width}-{scheme}" for width, scheme in product(DEVICES, SCHEMES)),
    "partial-desktop-light",
    "rejected-phone-dark",
}
MOST_BYTES = 300_000  # of a picture in docs
PATIENCE_SECONDS = 60
_TASK = "tsk_img_01JY3QK7"
_BEGAN = 1_795_255_200
_WINDOW = (350, 70, 770, 410)  # of the sample cat, in pixels
_OPTIONS = (
    "--headless",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
# What a visitor would miss, once every picture has been decoded or given up.
_LOOK = """(async () => {
  const pictures = [...document.images];
  await Promise.allSettled(pictures.map(picture => picture.decode()));
  return {
    hidden: pictures.filter(picture => !picture.naturalWidth).map(picture => picture.alt),
    sideways: document.documentElement.scrollWidth - innerWidth,
    unstyled: getComputedStyle(document.querySelector("dl")).display !== "grid",
  };
})()"""


class BrowserError(Exception):
    """Chromium did not do what it was told."""


@dataclass(frozen=True)
class Sample:
    """A job that has ended, and the files beside its page by their names."""

    result: Result
    shown: Shown
    files: dict[str, bytes]


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every page was as it should be, or when there was no browser to look at them with."""
    parser = argparse.ArgumentParser(prog="python -m local.browser", description="Render sample pages; look at them.")
    parser.parse_args(arguments)
    names = write_pages(FOLDER)
    _say(f"{len(names)} pages are in {FOLDER.relative_to(ROOT)}: {', '.join(names)}")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        _say(f"Nobody looked at them: there is no {' or '.join(PROGRAMS)} on the PATH.")
        return 0
    try:
        problems = _look(program, names)
    except BrowserError as problem:
        problems = [str(problem)]
    for line in problems or [f"all is well with them; pictures of some are in {PICTURES.relative_to(ROOT)}"]:
        _say(line)
    return 1 if problems else 0


def write_pages(folder: Path) -> list[str]:
    """Write each sample job's page into a folder of its own, and return the names of these."""
    shutil.rmtree(folder, ignore_errors=True)
    made = {"completed": completed(), "partial": partial(), "rejected": rejected(), "crowded": crowded()}
    for name, sample in made.items():
        (folder / name).mkdir(parents=True)
        files = {
            **sample.files,
            "result.json": sample.result.model_dump_json(indent=2).encode(),
            "index.html": render(sample.result, sample.shown).encode(),
        }
        for file, content in files.items():
            (folder / name / file).write_bytes(content)
    return list(made)


# ---- The sample jobs


def completed() -> Sample:
    """Two references, a mask and four results."""
    prompt = (
        "A new sky in the window, in the mood of the harbour at sunset.\n\n"
        "Keep the cat, the sofa and the light in the room exactly as they are."
    )
    cat, harbour = _opened(samples.cat()), _opened(samples.harbour())
    hole = Image.new("L", cat.size)
    hole.paste(255, _WINDOW)
    mask = Image.merge("RGBA", [*Image.new("RGB", cat.size).split(), ImageOps.invert(hole)])
    scene = [cat, ImageOps.fit(harbour, cat.size)]
    files = {
        "reference-1.png": samples.cat(),
        "reference-2.jpg": samples.harbour(),
        "mask.png": _saved(mask),
        **{f"{variant + 1}.png": _saved(painting.edit(scene, hole, prompt, variant)) for variant in range(4)},
    }
    recipe = {"model": "gpt-image-1.5-official", "prompt": prompt, "size": "4:3", "resolution": "1k", "n": 4}
    sources = {"reference-1.png": "inbox/Summer cat.PNG", "reference-2.jpg": "references/harbour.jpg"}
    result = _result(
        "inbox/A new sky.job.json",
        files,
        recipe={**recipe, "quality": "high", "output_format": "png"},
        references=tuple(_version(key, files[name]) for name, key in sources.items()),
        mask=_version("references/window.png", files["mask.png"]),
        estimated_usd=0.16,
        billed_usd=0.16,
    )
    return Sample(result, Shown(tuple(sources), "mask.png"), files)


def partial() -> Sample:
    """One reference, and two results of three."""
    prompt = "A travel poster from the 1950s"
    mountains = _opened(samples.mountains())
    painted = {f"{number}.png": _saved(painting.edit([mountains], None, prompt, number)) for number in (1, 3)}
    files = {"reference-1.jpeg": samples.mountains(), **painted}
    source = _version("inbox/poster/mountains.jpeg", files["reference-1.jpeg"])
    result = _result(
        source.key,
        files,
        problems=["Picture 2 is no PNG or JPEG picture: markup (HTML, XML or SVG)."],
        preset="poster",
        preset_version=_version("presets/poster.json", prompt.encode()),
        recipe={"model": "gpt-image-2-vip", "prompt": prompt, "size": "3:2", "resolution": "1k", "n": 3},
        references=(source,),
        lateness_seconds=5,
    )
    return Sample(result, Shown(("reference-1.jpeg",)), files)


def rejected() -> Sample:
    """A line of a batch whose recipe was refused."""
    try:
        read_preset(
            {"model": "gpt-image-2-vip", "size": "7:5", "n": 40}, "autumn.jobs.jsonl, line 12", deployed_catalogue()
        )
    except RecipeInvalid as problem:
        message = str(problem)
    result = _result(
        "inbox/autumn.jobs.jsonl",
        {},
        outcome=Outcome.REJECTED,
        reason="RecipeInvalid",
        money=Money.NOT_MOVED,
        message=message,
        batch="autumn-6f0c2d0c1f8a1b7e9d35",
        line=Line(number=12, start=1_874, length=61),
        task_id=None,
        polls=0,
        ended_at=_BEGAN + 2,
        submitting_at=None,
        submitted_at=None,
        task_created_at=None,
        task_completed_at=None,
    )
    return Sample(result, Shown(()), {})


def crowded() -> Sample:
    """As many pictures as there can be, and texts as awkward as they come."""
    name = "قطة نائمة \u202egnp.tac <b>&amp;\"'" + "x" * 120 + ".png"
    prompt = (
        "قطة تنام على أريكة زرقاء تحت النافذة.\n\n" + "A very long sentence about light and paint. " * 40 + "w" * 300
    )
    draw = (samples.cat, samples.harbour, samples.mountains)
    copies = {f"reference-{number}.png": _thumbnail(draw[number % 3]()) for number in range(1, 16)}
    shapes = [(512, 512), (768, 512), (384, 672), (800, 400)]
    made = {f"{number}.png": _saved(painting.invent("light", shapes[number % 4], number)) for number in range(1, 11)}
    source = _version(f"inbox/{name}", b"")
    result = _result(
        source.key,
        {**copies, **made},
        recipe={"model": "gpt-image-1.5-official", "prompt": prompt, "n": 10},
        references=(*(_version(f"references/{number} {name}", b"") for number in range(1, 16)), source),
        again_of="cat-0f0f0f0f0f0f0f0f0f0f",
        attempt=2,
        resends=1,
    )
    return Sample(result, Shown((*copies, None)), {**copies, **made})


def _result(key: str, files: dict[str, bytes], problems: Sequence[str] = (), **fields: Any) -> Result:
    """A result with what the sample jobs have in common; its pictures are the files that have numbers for names.

    ``problems`` says why there are no more of them.
    """
    pictures = {name: content for name, content in files.items() if name[0].isdigit()}
    references = fields.get("references", ())
    source = next((one for one in references if one.key == key), _version(key, key.encode()))
    job_id = f"{Path(key).name.partition('.')[0].lower().replace(' ', '-')}-{source.etag}"
    job_id = job_id if job_id.isascii() else f"file-{source.etag}"
    job = Job(job_id=job_id, state=State.WAITING, created_at=_BEGAN, recipe=fields.get("recipe"), task_id=_TASK)
    common: dict[str, Any] = {
        **verdicts.stored(job, len(pictures), problems).model_dump(),
        "job_id": job_id,
        "preset": None,
        "source": source,
        "recipe": None,
        "references": (),
        "task_id": _TASK,
        "pictures": tuple(_picture(name, content) for name, content in pictures.items()),
        "polls": 4,
        "requested_at": _BEGAN,
        "created_at": _BEGAN + 1,
        "submitting_at": _BEGAN + 2,
        "submitted_at": _BEGAN + 3,
        "task_created_at": _BEGAN + 3,
        "task_completed_at": _BEGAN + 75,
        "ended_at": _BEGAN + 82,
    }
    model = (fields.get("recipe") or {}).get("model")
    return Result(**{**common, "model": model, "model_answered": model, **fields})


def _picture(name: str, content: bytes) -> Picture:
    pixels = Pixels(*_opened(content).size)
    digest = hashlib.sha256(content).hexdigest()
    return Picture(key=f"results/{name}", bytes=len(content), format=PictureFormat.PNG, pixels=pixels, sha256=digest)


def _version(key: str, content: bytes) -> ObjectVersion:
    digest = hashlib.sha256(content)
    return ObjectVersion(
        bucket="studio-inbox",
        key=key,
        version_id=digest.hexdigest()[:32],
        etag=digest.hexdigest()[32:52],
        size=len(content) or None,
        checksum=f"sha256:{base64.b64encode(digest.digest()).decode()}",
    )


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def _saved(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _thumbnail(content: bytes) -> bytes:
    picture = _opened(content)
    picture.thumbnail((320, 320))
    return _saved(picture)


# ---- The browser


class Chromium:
    """A headless Chromium with one page, told what to do over a pipe (Chrome DevTools Protocol).

    With --remote-debugging-pipe it reads commands from file descriptor 3 and answers on 4, each ended by a NUL.
    """

    def __init__(self, program: str, profile: str) -> None:
        # Chromium will not run as root in its own sandbox.
        options = [*_OPTIONS, f"--user-data-dir={profile}", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 >&2 </dev/null', program, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._process = process
        self._commands, self._answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        self._numbers = count(1)
        self._session: dict[str, str] = {}
        self._heard = b""
        self._alarm = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        self._alarm.start()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._alarm.cancel()
        self._process.terminate()
        self._process.communicate()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What a command answers. Raises BrowserError."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters, **self._session}
        try:
            self._commands.write(json.dumps(command).encode() + b"\0")
            self._commands.flush()
        except OSError:
            raise BrowserError(f"Chromium ended before {method}.") from None
        answer = self._hear(lambda message: message.get("id") == number)
        if "error" in answer:
            raise BrowserError(f"{method}: Chromium answers {answer['error']['message']}.")
        return dict(answer["result"])

    def open(self, url: str, width: int, scheme: str) -> list[str]:
        """Show a page at a width, in light or dark; what is wrong with it."""
        self._events.clear()
        is_phone = width < DEVICES["desktop"][0]
        screen = {"width": width, "height": 900, "deviceScaleFactor": 2 if is_phone else 1, "mobile": is_phone}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        if not self._told("Page.loadEventFired"):
            self._hear(lambda message: message.get("method") == "Page.loadEventFired")
        seen = self.call("Runtime.evaluate", expression=_LOOK, awaitPromise=True, returnByValue=True)["result"]["value"]
        here = f"{url.rpartition('/')[0]}/"
        asked = [event["request"]["url"] for event in self._told("Network.requestWillBeSent")]
        said = [event["entry"] for event in self._told("Log.entryAdded")]
        return [
            *(f"this picture does not show: {alt}" for alt in seen["hidden"]),
            *([f"it is {seen['sideways']} pixels too wide"] if seen["sideways"] > 0 else []),
            *(["its style is not applied"] if seen["unstyled"] else []),
            *(f"it asks for {address}" for address in asked if not address.startswith(here) and not _own(address)),
            *(f"Chromium says: {entry['text']}" for entry in said if not _own(entry.get("url", ""))),
        ]

    def picture(self, most: int) -> Image.Image:
        """The page from its top, at most so many CSS pixels of it."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], most), "scale": 1}
        taken = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return _opened(base64.b64decode(taken["data"]))

    def _told(self, method: str) -> list[dict[str, Any]]:
        """The events of one kind since the page was opened."""
        return [event["params"] for event in self._events if event["method"] == method]

    def _hear(self, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message that is wanted; events before it are kept."""
        while True:
            heard, end, rest = self._heard.partition(b"\0")
            if not end:
                more = os.read(self._answers.fileno(), 1 << 16)
                if not more:
                    raise BrowserError(f"Chromium ended, or had nothing to say for {PATIENCE_SECONDS} s.")
                self._heard += more
                continue
            self._heard = rest
            message = json.loads(heard)
            if "method" in message:
                self._events.append(message)
            if is_wanted(message):
                return dict(message)


def _own(address: str) -> bool:
    """Whether a browser asks for this by itself, on every site."""
    return address.endswith("/favicon.ico")


def _look(program: str, names: Sequence[str]) -> list[str]:
    """Open every page in every way, and save the pictures; what is wrong."""
    problems = []
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile, _served(FOLDER) as address, Chromium(program, profile) as chromium:
        for name, base, device, scheme in product(names, (FOLDER.as_uri(), address), DEVICES, SCHEMES):
            width, height = DEVICES[device]
            found = chromium.open(f"{base}/{name}/index.html", width, scheme)
            where = f"{name} ({base.partition(':')[0]}, {device}, {scheme})"
            problems += [f"{where}: {problem}" for problem in found]
            if f"{name}-{device}-{scheme}" in SAVED and base == address:
                (PICTURES / f"{name}-{device}-{scheme}.png").write_bytes(shrunk(chromium.picture(height)))
    return problems


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """A folder over HTTP on this machine; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def shrunk(picture: Image.Image, most: int = MOST_BYTES) -> bytes:
    """A picture as PNG of 256 colours, with as many pixels as fit into so many bytes."""
    while True:
        # The palette that also has a page's rare colours, and dots where a picture has more of them.
        palette = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
        content = io.BytesIO()
        picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(content, "PNG", optimize=True)
        if content.tell() <= most:
            return content.getvalue()
        picture = picture.resize((picture.width * 4 // 5, picture.height * 4 // 5), Image.Resampling.LANCZOS)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
