"""`make live`: one picture from text and one edit against the real service, and what its answers look like.

With TOAPIS_API_KEY it runs the very client that is deployed, costs well under a cent, and prints the shape of every
kind of answer, how it differs from what we know, and whether what we rely on holds. Without a key it says that nothing
was verified. It never prints the key, a link or a prompt. TOAPIS_BASE_URL names another address.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bucketbrush.adapters.answers import TaskState
from bucketbrush.adapters.toapis import ToApis
from bucketbrush.domain.errors import BucketbrushError, TaskUnreadable
from bucketbrush.domain.inspection import inspect
from bucketbrush.domain.recipe import read_recipe, request_body
from bucketbrush.wiring.submit import deployed_catalogue
from local import samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from bucketbrush.adapters.answers import Answer, Task

MODEL = "gpt-image-2-vip"
LOOK_SECONDS, PATIENCE_SECONDS = 5, 600
_TIMEOUT = 60

# What our pages and what others have seen lead us to expect (ToAPIs, both model pages, image task status, uploads).
_TASK: dict[str, Any] = {"id": "", "object": "", "model": "", "status": "", "progress": 0, "created_at": 0}
_SETTLED = {"status": "", "credits": "", "cost_usd": ""}
KNOWN: dict[str, Any] = {
    "submit": {**_TASK, "metadata": {}},
    "waiting": {**_TASK, "client_business_id": "", "billing": {"status": ""}},
    "done": {
        **_TASK,
        "client_business_id": "",
        "completed_at": 0,
        "expires_at": 0,
        "result": {"type": "", "data": [{"url": ""}]},
        "billing": _SETTLED,
        "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    },
    "failed": {**_TASK, "client_business_id": "", "billing": _SETTLED, "error": {"code": "", "message": ""}},
    "unknown task": {"error": {"code": 0, "message": "", "type": ""}},
    "upload": {"success": True, "message": "", "data": {"id": "", "url": "", "mime_type": "", "size": 0}},
}


def shape(value: Any) -> Any:
    """A JSON value with the kind of each text, number and truth in its place."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "truth"
    return "text" if isinstance(value, str) else "number"


def differences(known: Any, seen: Any, place: str = "") -> list[str]:
    """What is missing from a shape, what is new in it, and what is of another kind."""
    if isinstance(known, dict) and isinstance(seen, dict):
        found = [f"{place}{name}: missing" for name in known if name not in seen]
        found += [f"{place}{name}: new, {json.dumps(seen[name])}" for name in seen if name not in known]
        both = [name for name in known if name in seen]
        return found + [line for name in both for line in differences(known[name], seen[name], f"{place}{name}.")]
    if isinstance(known, list) and isinstance(seen, list):
        return differences(known[0], seen[0], f"{place.rstrip('.')}[].") if known and seen else []
    here = place.rstrip(".") or "the answer"
    return [] if known == seen else [f"{here}: {json.dumps(seen)} instead of {json.dumps(known)}"]


class Recorded(ToApis):
    """The client, remembering the answers of the API."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answers: list[Answer] = []

    def _ask(self, *args: Any, **options: Any) -> Answer:
        self.answers.append(super()._ask(*args, **options))
        return self.answers[-1]


@dataclass
class Check:
    """One run. ``say`` prints a line; ``wait`` waits so many seconds."""

    api: Recorded
    say: Callable[[str], None]
    wait: Callable[[float], None]
    name: str = field(default_factory=lambda: f"bucketbrush-live-{secrets.token_hex(6)}")
    shown: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def __call__(self) -> list[str]:
        """What of that which we rely on does not hold. Raises BucketbrushError when it cannot go on."""
        found = self.api.find(f"{self.name}-nobody")
        self._show("unknown task")
        self._holds(found is None, "an id that nobody knows is told from a failure")
        self._make("from text", [], f"{self.name}-text")
        picture = samples.mountains()
        link = self.api.upload("mountains.jpg", "image/jpeg", len(picture), iter([picture]))
        self._show("upload")
        self._make("an edit of an upload", [link], f"{self.name}-edit")
        return self.broken

    def _make(self, what: str, links: list[str], business_id: str) -> None:
        self.say(f"{what}: submitting as {business_id}")
        catalogue = deployed_catalogue()
        document = {"model": MODEL, "prompt": "A small sailing boat on a calm lake, watercolour", "quality": "low"}
        recipe = read_recipe(document, "live", catalogue)
        task_id = self.api.submit(request_body(recipe, catalogue[MODEL], links, None, business_id))
        self._show("submit")
        looked_up = self.api.find(business_id)
        self._holds(looked_up is not None, "a task is found by client_business_id right after its submit")
        task = self._wait_for(task_id)
        if task.state is TaskState.FAILED or not task.urls:
            raise task.problem or BucketbrushError("the task gives no link")
        self._holds(len(task.urls) == 1, f"a task for one picture gives one link: {len(task.urls)}")
        with self.api.download(task.urls[0]) as (chunks, announced):
            content = b"".join(chunks)
        self._holds(announced in (None, len(content)), f"the announced length is the true one: {announced}")
        suffix = "png" if content.startswith(b"\x89PNG") else "jpg"
        facts = inspect(f"picture.{suffix}", len(content), lambda start, length: content[start : start + length])
        self.say(f"{what}: {facts.width} x {facts.height} {facts.format.name}, {len(content):,} bytes")

    def _wait_for(self, task_id: str) -> Task:
        for _ in range(PATIENCE_SECONDS // LOOK_SECONDS):
            try:
                task = self.api.read(task_id)
            except TaskUnreadable as problem:
                self.say(f"    {problem.message}")
            else:
                self._show(task.state.value)
                if task.state is not TaskState.WAITING:
                    return task
            self.wait(LOOK_SECONDS)
        raise BucketbrushError(f"task {task_id} did not end within {PATIENCE_SECONDS} s")

    def _show(self, kind: str) -> None:
        """The shape of the last answer, once for each kind."""
        if kind in self.shown:
            return
        self.shown.add(kind)
        answer = self.api.answers[-1]
        try:
            seen = shape(json.loads(answer.body))
        except ValueError:
            self.say(f"{kind}: HTTP {answer.status}, {len(answer.body):,} bytes that are no JSON")
            return
        self.say(f"{kind}: HTTP {answer.status}, {json.dumps(seen)}")
        for line in differences(shape(KNOWN[kind]), seen) or ["as we know it"]:
            self.say(f"    {line}")

    def _holds(self, is_true: bool, what: str) -> None:
        self.say(f"  {'holds' if is_true else 'DOES NOT HOLD'}: {what}")
        if not is_true:
            self.broken.append(what)


def main() -> int:
    """0 when it was verified, or when there was no key to verify it with."""
    key = os.environ.get("TOAPIS_API_KEY", "")
    if not key:
        _say("NOT VERIFIED: set TOAPIS_API_KEY to run one picture from text and one edit against the real service.")
        return 0
    try:
        api = Recorded(os.environ.get("TOAPIS_BASE_URL", "https://toapis.com"), key, _TIMEOUT)
    except ValueError as problem:
        _say(f"NOT VERIFIED: TOAPIS_BASE_URL: {problem}.")
        return 1
    return 0 if verify(api, _say, time.sleep) else 1


def verify(api: Recorded, say: Callable[[str], None], wait: Callable[[float], None]) -> bool:
    """Run the check, say what it saw and whether all that we rely on holds."""
    try:
        broken = Check(api, say, wait)()
    except BucketbrushError as problem:
        broken = [problem.message]
    if broken:
        say(f"NOT VERIFIED: {'; '.join(broken)}")
        return False
    say(f"VERIFIED: write {datetime.now(UTC):%Y-%m-%d} into docs/provider.md.")
    return True


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
