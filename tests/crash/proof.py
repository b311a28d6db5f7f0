"""What must be true when the world has come to rest, whatever happened on the way."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from html import escape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.contract.aws import client
from tests.crash.shares import wrong_budgets, wrong_costs
from tests.crash.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.crash.rig import Rig
    from tests.crash.scenarios import Scenario
    from tests.crash.tap import Effect, How
    from tests.template.stack import Json

_BILL = {"billed", "share", "next_check", "open"}  # what is still written when a job has ended
_ON_THE_WAY = ("Image Job Submitted", "Image Job Late")
_COSTS = ("estimated_usd", "billed_usd")


@dataclass(frozen=True)
class Trouble:
    """What happens to a run, and the sentence that says so.

    ``also`` are outcomes that it may lead to; with ``again`` everything is delivered once more when all is over.
    """

    says: str = "nothing happens"
    kills: Mapping[int, How] = field(default_factory=dict)
    intruders: Mapping[int, Callable[[World], None]] = field(default_factory=dict)
    again: bool = False
    also: tuple[str, ...] = ()


def run(rig: Rig, scenario: Scenario, trouble: Trouble | None = None) -> World:
    """One run to its end, proven. Whatever fails, fails with the whole story."""
    trouble = trouble or Trouble()
    world = World(rig, scenario, trouble.kills, trouble.intruders)
    try:
        world.run()
        prove(world, trouble)
        if trouble.again:
            _deliver_again(world)
            prove(world, trouble)
    except Exception as problem:
        story = "\n".join(
            [f"{scenario.name}: {trouble.says}", f"{type(problem).__name__}: {problem}", *timeline(world)]
        )
        raise AssertionError(story) from problem
    finally:
        world.close()
    return world


def _deliver_again(world: World) -> None:
    """The last message once more, and every workflow from each of its tasks."""
    if world.message:
        world.deliver(world.message)
    for job in world.jobs():
        world.redrive(job)
    world.go_on()


def timeline(world: World) -> Iterable[str]:
    """Every side effect with what it did to the ledger, and the provider's tasks."""
    for effect in world.tap.effects:
        state = f" -> {effect.row['job_id']} {effect.row['state']}" if effect.row else ""
        second = f"{effect.second:>8.1f} s"
        yield f"{effect.number:>4} {second}  {effect.invocation:<12} {effect.what}: {effect.status}{state}"
    for task in world.rig.simulator.tasks():
        yield f"task {task['id']} of {task['client_business_id']}: {task['status']}, {task['posts']} POSTs"
    yield from (f"row {job['job_id']}: {job['state']} {job.get('verdict')} {job.get('share')}" for job in world.jobs())
    yield from (f"budget {month}: {budget}" for month, budget in world.budgets().items())


def prove(world: World, trouble: Trouble) -> None:
    """The laws, for every job of a run and for what they share."""
    jobs = sorted(world.jobs(), key=lambda job: int(job["attempt"]))
    assert len(jobs) == len(world.scenario.outcomes), "jobs"
    for job, outcome in zip(jobs, world.scenario.outcomes, strict=True):
        tasks = [task for task in world.rig.simulator.tasks() if task["client_business_id"] == job["job_id"]]
        assert len(tasks) <= 1, f"{job['job_id']} is paid {len(tasks)} times"
        result, pictures = _stored(world, job)
        _prove_outcome(world, trouble, job, {outcome, *trouble.also}, bool(tasks))
        _prove_money(job, [task["status"] for task in tasks])
        _prove_row(world, job, result)
        assert not (wrong := list(wrong_costs(job, result))), wrong
        _prove_pictures(world, tasks, result, pictures)
        _prove_announcements(world, job, result)
    _prove_departures(world)
    assert not (wrong := list(wrong_budgets(jobs, world.budgets(), world.budget))), wrong


def _stored(world: World, job: Json) -> tuple[Json, dict[str, bytes]]:
    """result.json and the pictures by their key, each there once; beside them are the page and what it shows."""
    s3, prefix = client("s3"), job["results_at"].rpartition("/")[0] + "/"
    listed = s3.list_object_versions(Bucket=world.rig.results, Prefix=prefix)
    every = [version["Key"] for version in listed.get("Versions", [])]
    # A page is written again by a later try. So is a copy here: the engine does not look at its condition.
    copies = {key for key in every if key.startswith((f"{prefix}reference-", f"{prefix}mask."))}
    keys = [key for key in every if key not in {*copies, f"{prefix}index.html"}]
    assert len(keys) == len(set(keys)), f"written twice: {sorted(keys)}"
    references = enumerate(job.get("references", []), 1)
    shown = {f"{prefix}reference-{number}{PurePosixPath(one['key']).suffix}" for number, one in references}
    shown |= {f"{prefix}mask.png"} if job.get("mask") else set()
    assert copies == shown, f"found copies {sorted(copies)}; allowed: {sorted(shown)}"
    assert not listed.get("DeleteMarkers"), "something was deleted"
    bodies = {key: s3.get_object(Bucket=world.rig.results, Key=key)["Body"].read() for key in keys}
    assert prefix + "result.json" in bodies, f"no result.json, only {keys}"
    result: Json = json.loads(bodies.pop(prefix + "result.json"))
    assert result["page"] == prefix + "index.html", f"found page {result['page']}"
    page = s3.get_object(Bucket=world.rig.results, Key=result["page"])["Body"].read().decode()
    assert escape(result["message"]) in page, "the page tells another end"
    return result, bodies


def _prove_outcome(world: World, trouble: Trouble, job: Json, expected: set[str], has_task: bool) -> None:
    """Unknown is also right when the crash lay where a POST may have been written, and none was."""
    in_doubt = any(_state_at(world, job["job_id"], number) == "submitting" for number in trouble.kills)
    allowed = expected | ({"unknown"} if in_doubt and not has_task else set())
    found = job.get("verdict", {}).get("outcome")
    assert found in allowed, f"found outcome {found}; allowed: {sorted(allowed)}"


def _state_at(world: World, job_id: str, number: int) -> str:
    """The job's state in the ledger when a side effect was over."""
    rows = _rows(world.tap.effects[:number], job_id)
    return rows[-1]["state"] if rows else ""


def _prove_money(job: Json, tasks: list[str]) -> None:
    """Nobody is told that nothing was paid when it was, or that something was when it was not."""
    money = job["verdict"]["money"]
    assert money != "not moved" or tasks in ([], ["failed"]), f"found money {money}, tasks {tasks}"
    assert money != "moved" or tasks not in ([], ["failed"]), f"found money {money}, tasks {tasks}"


def _prove_row(world: World, job: Json, result: Json) -> None:
    told = {name: result[name] for name in ("outcome", "reason", "money", "message") if result[name] is not None}
    assert job["state"] == "ended", job["state"]
    assert job["verdict"] == told, f"the row says {job['verdict']}, result.json {told}"
    assert "next_check" not in job, "the sweep would look after an ended job"
    rows = _rows(world.tap.effects, job["job_id"])
    ended = rows[[row["state"] for row in rows].index("ended") :]
    for row in ended:
        assert _without_bill(row) == _without_bill(ended[0]), f"written after its end: {row['state']}"
        assert ("open" in row) == ("next_check" in row), "the sweep's index is wrong"
        is_awaited = row["verdict"]["money"] == "moved" and "billed" not in row
        assert is_awaited or "next_check" not in row, "the sweep would look after an ended job"


def _without_bill(row: Json) -> Json:
    """What nobody may change when a job has ended."""
    return {name: value for name, value in row.items() if name not in _BILL}


def _prove_departures(world: World) -> None:
    """Nothing is sent before its turn as it stood then, nor while the intake is paused."""
    for submit in world.submits:
        job, schedule = submit.job, submit.schedule
        place = job.get("departure", {"at": 0, "in_front": False})
        moved = schedule.get("shift", 0) + (0 if place["in_front"] else schedule.get("inserted", 0))
        turn = max(place["at"] + moved, schedule.get("stopped_until", 0))
        early = turn - 1000 * submit.at
        assert early < 1, f"{job['job_id']} is sent {early:.0f} ms before its departure"
        assert "paused" not in schedule, f"{job['job_id']} is sent while the intake is paused"


def _prove_pictures(world: World, tasks: list[Any], result: Json, pictures: dict[str, bytes]) -> None:
    """Those that the result names are those that are there, and those that the provider made."""
    assert {picture["key"] for picture in result["pictures"]} == set(pictures)
    for picture in result["pictures"]:
        content = pictures[picture["key"]]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (picture["bytes"], picture["sha256"])
    if result["outcome"] == "completed":
        answer = world.rig.http.get(f"/v1/images/generations/{tasks[0]['id']}").json()
        made = [world.rig.anyone.get(item["url"]).content for item in answer["result"]["data"]]
        assert [pictures[picture["key"]] for picture in result["pictures"]] == made, "not the provider's pictures"
        assert len(made) == result["recipe"]["n"]


def _prove_announcements(world: World, job: Json, result: Json) -> None:
    """Each way at least once, always the same, and never before result.json."""
    effects, name = world.tap.effects, job["job_id"]
    told = [effect for effect in effects if effect.status == "200" and _told(effect).get("job_id") == name]
    for kind in ("sns Publish", "events PutEvents"):
        bodies = {effect.body for effect in told if effect.what == kind}
        assert len(bodies) == 1, f"{kind}: found {len(bodies)} different announcements; allowed: 1"
    announcement, *others = map(_told, told)
    assert all(other == announcement for other in others), "mail and event differ"
    assert (announcement["id"], announcement["outcome"]) == (name, result["outcome"])
    keys = [picture["key"] for picture in announcement["pictures"]]
    assert keys == [picture["key"] for picture in result["pictures"]]
    assert [announcement[name] for name in _COSTS] == [result[name] for name in _COSTS]
    written = [
        effect.number
        for effect in effects
        if effect.what.startswith("s3 PUT") and effect.what.endswith(f"/{name}/result.json") and effect.status == "200"
    ]
    assert len(written) == 1, f"result.json was written {len(written)} times"
    assert written[0] < min(effect.number for effect in told), "told before result.json was there"


def _told(effect: Effect) -> Json:
    """The announcement that a request carries; empty when it is none but a notice of a job that goes on."""
    if effect.what == "sns Publish":
        message = json.loads(parse_qs(effect.body)["Message"][0])["default"]
    elif effect.what == "events PutEvents" and not any(kind in effect.body for kind in _ON_THE_WAY):
        message = json.loads(effect.body)["Entries"][0]["Detail"]
    else:
        message = "{}"
    found: Json = json.loads(message)
    return found


def _rows(effects: Iterable[Effect], job_id: str) -> list[Json]:
    """A job's row as each of its writes has left it."""
    return [effect.row for effect in effects if effect.row.get("job_id") == job_id]
