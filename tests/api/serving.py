"""A small library in memory, one whose answers never end, and a server on a port of this machine."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import uvicorn
from starlette.types import ASGIApp

from rag.filters import Filter
from rag.records import Answer, AnswerEvent, Audience, Delta, Done, Message, Retrieved
from tests.patience import PATIENCE, until
from tests.ui.fakes import FakeLibrary, make_document

HOME = "http://127.0.0.1:7860"
BEES = "# Swarms\nThe queen leaves with half the hive in May. Keep an empty box ready.\n# Honey\nTwelve jars in August."
TRAIN = "The night train to Vienna leaves Hamburg at 20:29. Berth 45 is by the window."
ODD = "Words in a file whose name is no UTF-8, about \U0001f41d."


Kind = TypeVar("Kind", bound=FakeLibrary)


def make_library(home: Path, kind: type[Kind] = FakeLibrary) -> Kind:  # type: ignore[assignment]
    documents = [
        make_document("/home/ada/notes/bees.md", BEES, title="Bees"),
        make_document("/home/ada/papers/train.pdf", TRAIN, title="Night train", kind="pdf", pages=2),
        make_document("/home/ada/odd\udcff.md", ODD, title="Odd \udcff"),
    ]
    return kind(home, documents)


class Endless(FakeLibrary):
    """Writes one word, and then nothing until it is stopped or let go."""

    stops: list[threading.Event]
    ended: list[str]
    let_go: threading.Event

    def ask(
        self,
        question: str,
        *,
        picture: bytes | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: threading.Event | None = None,
        answer_tokens: int | None = None,
        audience: Audience = "program",
    ) -> Iterator[AnswerEvent]:
        assert stop is not None
        self.stops.append(stop)
        yield Retrieved(self.search(question), ())
        yield Delta("The")
        until(lambda: stop.is_set() or self.let_go.is_set())
        self.ended.append(question)
        yield Done(Answer(question, "The", (), (), "stopped" if stop.is_set() else "stop", "fake"))


def make_endless(home: Path) -> Endless:
    made = make_library(home, Endless)
    made.stops, made.ended, made.let_go = [], [], threading.Event()
    return made


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address at which `app` is served by the server that `rag serve` uses.

    In the end nobody is waited for: the page of a browser holds a stream open for as long as it is there.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()
