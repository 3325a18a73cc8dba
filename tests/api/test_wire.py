"""Over a real connection: a client that goes away stops the model, and the screen and programs wait in one line."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.serving import Endless, make_endless, served
from tests.patience import until
from ui.app import build_app

ASK = {"messages": [{"role": "user", "content": "Tell me about the queen"}]}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Endless]:
    made = make_endless(tmp_path)
    yield made
    made.let_go.set()


def send(address: str, body: dict[str, object]) -> socket.socket:
    """A connection on which that question was asked and nothing was read yet."""
    host, port = address.removeprefix("http://").split(":")
    sent = json.dumps(body).encode()
    connection = socket.create_connection((host, int(port)), timeout=120)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    connection.sendall(head.encode() + f"Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
    return connection


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_the_model(library: Endless, stream: bool) -> None:
    with served(build_app(library)) as address:
        connection = send(address, {**ASK, "stream": stream})
        if stream:
            received = b""
            while b'"The"' not in received:
                received += connection.recv(65536)
        until(lambda: library.stops)
        connection.close()
        until(lambda: library.ended)
        assert library.stops[0].is_set()


def test_who_leaves_the_line_is_never_asked_for(library: Endless) -> None:
    app = build_app(library)
    answers = app.state.desk.answers
    with served(app) as address:
        with answers.enter():
            connection = send(address, ASK)
            until(lambda: answers._line)
            connection.close()
            until(lambda: not answers._line)
        assert library.stops == []


def test_the_screen_and_programs_wait_in_one_line_of_limited_length(library: Endless) -> None:
    app = build_app(library)
    desk = app.state.desk
    with served(app) as address, httpx.Client(base_url=address) as client:
        desk.ask("", "a question at the screen")
        until(lambda: library.stops)
        waiting = [send(address, ASK) for _ in range(8)]
        until(lambda: len(desk.answers._line) == 8)
        refused = client.post("/v1/chat/completions", json=ASK)
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert int(refused.headers["retry-after"]) > 0
        assert len(library.stops) == 1
        library.let_go.set()
        for connection in waiting:
            assert b" 200 OK" in connection.recv(65536)
            connection.close()
        assert library.ended[0] == "a question at the screen"
        assert len(library.ended) == 9
