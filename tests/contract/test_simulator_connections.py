"""Connections that die while they look alive, and the count of those that are used again."""

from __future__ import annotations

import httpx
import pytest


@pytest.fixture
def new_client(simulator):
    """Makes clients with the key and no connection yet."""
    headers = {"Authorization": f"Bearer {simulator.api_key}"}
    return lambda: httpx.Client(base_url=simulator.base_url, headers=headers)


# What a reset looks like depends on whether it comes while the client still writes.
RESET = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


def test_submit_stale_socket(simulator, simulator_api, new_client):
    order = {"model": "gpt-image-2-vip", "prompt": "fault:submit-stale-socket"}
    with new_client() as client:
        answer = client.post("/v1/images/generations", json=order)
        with pytest.raises(RESET):
            client.post("/v1/images/generations", json={**order, "prompt": "another"})

    assert "close" not in answer.headers.get("connection", "")
    assert [task["id"] for task in simulator.tasks()] == [answer.json()["id"]]
    assert simulator_api.finished(answer.json()["id"])["status"] == "completed"


def test_status_stale_socket(simulator_api, new_client):
    path = f"/v1/images/generations/{simulator_api.accepted(prompt='fault:status-stale-socket=2')}"
    with new_client() as client:
        assert client.get(path).status_code == 200
        with pytest.raises(RESET):
            client.get(path)
    for _ in range(3):  # each on a connection of its own
        with new_client() as client:
            assert client.get(path).status_code == 200


def test_requests_on_a_connection_that_is_not_new_are_counted(simulator, new_client):
    for _ in range(3):
        with new_client() as client:
            client.get("/v1/images/generations/nobody")
    assert simulator.health()["reused_connections"] == 0

    with new_client() as client:
        for _ in range(3):
            client.get("/v1/images/generations/nobody")
    assert simulator.health()["reused_connections"] == 2
