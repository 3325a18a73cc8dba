"""The real application around a small library in memory, and on a port of this machine where the wire is the point."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from tests.ui.fakes import FakeLibrary, make_document
from tests.ui.test_jobs import until
from ui.app import build_app

HOME = "http://127.0.0.1:7860"
BEES = "# Swarms\nThe queen leaves with half the hive in May. Keep an empty box ready.\n# Honey\nTwelve jars in August."
TRAIN = "The night train to Vienna leaves Hamburg at 20:29. Berth 45 is by the window."
ODD = "Words in a file whose name is no UTF-8, about \U0001f41d."


def make_library(home: Path) -> FakeLibrary:
    documents = [
        make_document("/home/ada/notes/bees.md", BEES, title="Bees"),
        make_document("/home/ada/papers/train.pdf", TRAIN, title="Night train", kind="pdf", pages=2),
        make_document("/home/ada/odd\udcff.md", ODD, title="Odd \udcff"),
    ]
    return FakeLibrary(home, documents)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FakeLibrary:
    return make_library(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def client(library: FakeLibrary) -> Iterator[TestClient]:
    with TestClient(build_app(library), base_url=HOME) as client:  # type: ignore[arg-type]
        yield client


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address at which `app` is served by the server that `rag serve` uses."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
