"""The simulator as a process: start, end, loopback, log, many tasks at once."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from local.simulator import Simulator, SimulatorError
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]

reads_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")


def gone(pid: int) -> bool:
    """Whether a process has ended, though nobody may have asked for its exit code yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, when it is not expected to serve."""
    command = [sys.executable, "-m", "local.simulator", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def port_of(url: str) -> int:
    """The port of a URL."""
    return urlsplit(url).port or 0


@reads_proc
def test_it_ends_with_its_block_even_when_that_fails():
    simulator = Simulator()

    def failing_test() -> None:
        with simulator:
            assert not gone(simulator.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing_test()
    assert gone(simulator.pid)
    for url in (simulator.base_url, simulator.files_url):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port_of(url))) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_a_signal_and_leaves_no_folder_behind(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "local.simulator"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"ToAPIs simulator ready: base_url=http://127.0.0.1:")
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        assert process.wait(10) == 0
        assert list(tmp_path.iterdir()) == []
        assert process.stderr is not None
        assert process.stderr.read() == b""


@reads_proc
def test_it_ends_when_its_parent_is_killed():
    program = """
import sys
from local.simulator import Simulator
with Simulator() as simulator:
    sys.stdout.write(f"{simulator.pid}\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
        until(lambda: gone(pid), "the end of the simulator")


@reads_proc
def test_it_listens_on_loopback_only(simulator):
    listening = [line.split() for line in Path(f"/proc/{simulator.pid}/net/tcp").read_text().splitlines()[1:]]
    own = {f"{port_of(url):04X}" for url in (simulator.base_url, simulator.files_url)}
    addresses = {row[1] for row in listening if row[3] == "0A" and row[1].split(":")[1] in own}

    assert addresses == {f"0100007F:{port}" for port in own}


def test_a_port_in_use_is_said_so(simulator):
    with pytest.raises(SimulatorError, match="is in use"):
        Simulator(port=port_of(simulator.base_url)).start()


@pytest.mark.parametrize(("option", "variable"), [("--port", "PORT"), ("--files-port", "FILES_PORT")])
def test_a_port_in_use_is_one_line_with_the_way_out(simulator, option, variable):
    port = port_of(simulator.files_url)
    done = shell(f"{option}={port}")

    way_out = f"choose another with {option}, or make simulator {variable}=..."
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"port {port} is in use; {way_out}\n")


def test_both_hosts_cannot_have_one_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = shell(f"--port={port}", f"--files-port={port}")

    assert done.returncode == 1
    assert done.stderr.startswith(f"port {port} is in use; choose another with --files-port")


@pytest.mark.parametrize("option", ["--port", "--files-port"])
def test_what_is_no_port_is_said_so(option):
    done = shell(f"{option}=80000")

    assert done.returncode == 2
    assert done.stderr.endswith(f"argument {option}: found 80000; allowed: a port, 0 (any free one) to 65535\n")


def test_the_log_has_one_line_per_request_and_no_secret(simulator, simulator_api, picture_host):
    simulator_api.files(prompt="a private wish", client_business_id="log-1")
    simulator_api.status("log-1")
    simulator_api.finished(simulator_api.accepted(image_urls=[f"{picture_host.url}/gone.png?X-Signature=tell-nobody"]))
    simulator_api.anyone.get("/v1/nothing?token=tell-nobody")

    until(lambda: "GET /v1/nothing 404" in simulator.log_text(), "the line, which is written after its answer")
    log = simulator.log_text()
    assert "POST /v1/images/generations 200" in log
    assert "GET /v1/images/generations/log-1 200" in log
    assert not [secret for secret in ("private wish", "tell-nobody", simulator.api_key) if secret in log]


def test_another_key_and_seed(tmp_path):
    with Simulator(api_key="sk-other", seed=1, jitter=0.5, log=tmp_path / "log") as simulator:
        headers = {"Authorization": "Bearer sk-other"}
        body = {"model": "gpt-image-2-vip", "prompt": "x fault:task-failed"}
        assert httpx.post(f"{simulator.base_url}/v1/images/generations", headers=headers, json=body).status_code == 200

    assert "POST /v1/images/generations 200" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("model", "fields", "file_format"),
    [
        ("gpt-image-2-vip", {"size": "16:9"}, "PNG"),
        ("gpt-image-1.5-official", {"size": "16:9", "output_format": "jpeg"}, "JPEG"),
    ],
)
def test_without_paint_a_thousand_pictures_are_little_work(model, fields, file_format):
    with Simulator(queue_seconds=0.1, task_seconds=1.0, paint=False) as simulator:
        headers = {"Authorization": f"Bearer {simulator.api_key}"}
        with httpx.Client(base_url=simulator.base_url, headers=headers) as client:
            for number in range(100):
                order = {"model": model, "prompt": f"valley {number}", "n": 10, **fields}
                assert client.post("/v1/images/generations", json=order).status_code == 200
            until(lambda: {task["status"] for task in simulator.tasks()} == {"completed"}, "the end of all tasks")
            body = client.get(f"/v1/images/generations/{simulator.tasks()[-1]['id']}").json()
        contents = [httpx.get(picture["url"]).content for picture in body["result"]["data"]]

    assert len(set(contents)) == 10
    pictures = [Image.open(io.BytesIO(content)) for content in contents]
    assert {(picture.size, picture.format) for picture in pictures} == {((1536, 864), file_format)}
    pictures[0].load()


def test_it_answers_quickly_while_it_paints(simulator, simulator_api):
    ids = [simulator_api.accepted(prompt=f"valley {number}") for number in range(24)]
    slowest = 0.0
    while any(task["status"] != "completed" for task in simulator.tasks()):
        began = time.monotonic()
        assert simulator_api.status(ids[-1]).status_code == 200
        slowest = max(slowest, time.monotonic() - began)

    assert slowest < 1.0
