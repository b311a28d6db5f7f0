"""Real servers on loopback that the contract tests talk to."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from local.simulator import Simulator
from tests.contract.scripted import Scripted, serving
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[Simulator]:
    """One simulator for the whole run; use `simulator`, which is clean for each test."""
    with Simulator(queue_seconds=0.05, task_seconds=0.1, seed=7) as simulator:
        yield simulator


@pytest.fixture
def simulator(simulator_process: Simulator) -> Simulator:
    """A fast simulator without tasks and faults."""
    simulator_process.reset()
    return simulator_process


class SimulatorApi:
    """What a careful client does: submit, poll, fetch. `client` sends the key, `anyone` does not."""

    def __init__(self, client: httpx.Client, anyone: httpx.Client) -> None:
        self.client, self.anyone = client, anyone

    def submit(self, **fields: Any) -> httpx.Response:
        """POST with the fields given, plus a model and a prompt."""
        body = {"model": "gpt-image-1.5-official", "prompt": "paint it", **fields}
        return self.client.post("/v1/images/generations", json=body)

    def status(self, name: str) -> httpx.Response:
        """One GET by task id or client_business_id."""
        return self.client.get(f"/v1/images/generations/{name}")

    def accepted(self, **fields: Any) -> str:
        """The task id of an order that must be accepted."""
        answer = self.submit(**fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def polled_until(self, name: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll until the body is as wanted."""

        def look() -> dict[str, Any] | None:
            answer = self.status(name)
            return answer.json() if answer.status_code == 200 else None

        return until(look, f"the wanted status of {name}", wanted)

    def finished(self, name: str) -> dict[str, Any]:
        """Poll until completed or failed."""
        return self.polled_until(name, lambda body: body["status"] in ("completed", "failed"))

    def files(self, **fields: Any) -> list[bytes]:
        """The bytes of every picture of an order."""
        body = self.finished(self.accepted(**fields))
        assert body["status"] == "completed", body
        answers = [self.anyone.get(picture["url"]) for picture in body["result"]["data"]]
        return [answer.raise_for_status().content for answer in answers]

    def pictures(self, **fields: Any) -> list[Image.Image]:
        """Every picture of an order, decoded."""
        return [Image.open(io.BytesIO(content)) for content in self.files(**fields)]


@pytest.fixture(scope="session")
def simulator_clients(simulator_process: Simulator) -> Iterator[SimulatorApi]:
    """Clients for the whole run: making one takes longer than most tests."""
    headers = {"Authorization": f"Bearer {simulator_process.api_key}"}
    address = simulator_process.base_url
    with httpx.Client(base_url=address, headers=headers) as client, httpx.Client(base_url=address) as anyone:
        yield SimulatorApi(client, anyone)


@pytest.fixture
def simulator_api(simulator: Simulator, simulator_clients: SimulatorApi) -> SimulatorApi:
    """A client of the clean `simulator`."""
    return simulator_clients


class PictureHost:
    """A web server for reference pictures that remembers how it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pages: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []  # method, path with query, headers

    def serve(self, path: str, content: bytes | Image.Image, file_format: str = "PNG") -> str:
        """Put a picture or bytes at a path and return its URL."""
        if isinstance(content, Image.Image):
            buffer = io.BytesIO()
            content.save(buffer, file_format)
            content = buffer.getvalue()
        self.pages[path] = content
        return self.url + path


@pytest.fixture
def picture_host() -> Iterator[PictureHost]:
    """An empty picture server on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.requests.append((self.command, self.path, dict(self.headers)))
            content = host.pages.get(self.path)
            self.send_response(200 if content is not None else 403)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host = PictureHost(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield host
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def script() -> Iterator[Scripted]:
    """A server that is told what to answer."""
    with serving() as made:
        yield made
