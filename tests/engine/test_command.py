"""The engine from the shell: one command each to start, reset, stop and ask."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from local.engine.controller import ROOT
from local.engine.endpoint import Endpoint
from tests.engine.test_controller import group
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A record of its own, so that an engine that somebody is working with stays out of this."""
    state = tmp_path / "state.json"
    yield state
    command(state, "stop")


def shell(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.engine", "--state", str(state), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def command(state: Path, *arguments: str) -> tuple[int, str]:
    done = shell(state, *arguments)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_start_reset_and_stop(state: Path) -> None:
    assert command(state, "start", "--wait-scale", "0.5")[0] == 0
    record = json.loads(state.read_text())
    sqs = Endpoint(record["endpoint"]).client("sqs")
    sqs.create_queue(QueueName="kept")
    assert command(state, "status") == (0, f"engine {record['pid']} at {record['endpoint']}\n")
    assert sqs.list_queues()["QueueUrls"]

    assert command(state, "start")[0] == 0
    assert json.loads(state.read_text()) == record

    assert command(state, "reset")[0] == 0
    assert not sqs.list_queues().get("QueueUrls")

    log = state.with_name("engine.log")
    assert command(state, "stop") == (0, f"engine stopped, its log stays in {log}\n")
    assert "127.0.0.1" in log.read_text()
    until(lambda: not group(record["pid"]), "the end of the engine")
    assert not Path(record["folder"]).exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(record["endpoint"], trust_env=False)


@pytest.mark.parametrize("port", ["80000", "-1", "http"])
def test_what_is_no_port_is_said_so(state: Path, port: str) -> None:
    done = shell(state, "start", f"--port={port}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"argument --port: found {port}; allowed: a port, 0 (any free one) to 65535\n")


def test_a_taken_port_is_one_line(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell(state, "start", f"--port={port}")
    assert done.returncode == 1
    assert done.stderr == f"port {port} is in use; choose another, or 0 for any free one\n"


def test_without_an_engine_the_commands_say_so(state: Path) -> None:
    said = "no engine is running\n"
    assert [command(state, name) for name in ("status", "reset", "stop")] == [(1, said), (1, said), (0, said)]


def test_stop_leaves_a_process_alone_that_only_has_the_recorded_id(state: Path, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        record = {"pid": stranger.pid, "endpoint": "http://127.0.0.1:1", "folder": str(tmp_path)}
        (tmp_path / "alive").touch()
        state.write_text(json.dumps(record))
        assert command(state, "stop") == (0, "no engine is running\n")
        assert stranger.poll() is None
        stranger.kill()
    assert not state.exists()
