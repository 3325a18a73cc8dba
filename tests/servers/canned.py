"""A server on loopback that answers as it is told: as the servers of others are documented to, or badly."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


Send = Callable[[bytes], None]
Answer = Callable[[Asked, "Talk"], None]


@dataclass(slots=True)
class Talk:
    """The connection that is answered on. `over` is set when the test ends, for answers that never come."""

    handler: BaseHTTPRequestHandler
    over: Event

    def json(self, value: Any, status: int = 200) -> None:
        self.head("application/json", status)
        self.send(json.dumps(value).encode())

    def head(self, media_type: str, status: int = 200, **headers: str) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", media_type)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def events(self, *events: Any, done: bool = True) -> None:
        """Server-sent events, the last of them [DONE]."""
        self.head("text/event-stream")
        for event in events:
            self.send(f"data: {json.dumps(event)}\n\n".encode())
        if done:
            self.send(b"data: [DONE]\n\n")

    def lines(self, *values: Any) -> None:
        """JSON, one value to a line, as Ollama streams."""
        self.head("application/x-ndjson")
        for value in values:
            self.send(json.dumps(value).encode() + b"\n")

    def hang(self) -> None:
        self.over.wait(60)

    def is_gone(self) -> bool:
        """Whether the other side has closed the connection; waits for that."""
        connection = self.handler.connection
        connection.settimeout(30)
        try:
            return connection.recv(1) == b""
        except ConnectionError:
            return True


@dataclass(slots=True)
class CannedServer:
    """`routes` may be changed at any time; `asked` are the requests so far. An unknown path is 404."""

    url: str
    routes: dict[str, Answer]
    asked: list[Asked] = field(default_factory=list)

    def bodies(self, path: str) -> list[Any]:
        return [request.body for request in self.asked if request.path == path]


@contextmanager
def canned_server(routes: Mapping[str, Answer | Any]) -> Iterator[CannedServer]:
    """Answers by path; what is not callable is the JSON to answer with."""
    over = Event()
    canned = CannedServer("", {path: answer if callable(answer) else always(answer) for path, answer in routes.items()})

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(self.command, self.path, dict(self.headers), json.loads(self.rfile.read(length) or b"null"))
            canned.asked.append(asked)
            talk = Talk(self, over)
            route = canned.routes.get(self.path.partition("?")[0])
            with suppress(ConnectionError):  # the client has heard enough
                route(asked, talk) if route else talk.json({"error": "no such path"}, 404)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    canned.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield canned
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def always(value: Any, status: int = 200) -> Answer:
    return lambda _, talk: talk.json(value, status)


def delta(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """An event of an OpenAI-style stream."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "model": "model", "choices": [choice], **more}


def reply(*texts: str) -> Answer:
    """A whole reply of those pieces."""
    return lambda _, talk: talk.events(*map(delta, texts), delta("", "stop"))


def plain(model: str = "model", answer: Answer | None = None) -> dict[str, Answer | Any]:
    """A server of no known kind, with one model."""
    listed = {"object": "list", "data": [{"id": model, "object": "model", "owned_by": "someone"}]}
    return {"/v1/models": listed, "/v1/chat/completions": answer or reply("It ", "is ", "so.")}


@contextmanager
def dead_port() -> Iterator[int]:
    """A port on which nothing listens, and nothing else can meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def closing_after(data: bytes, texts: Sequence[str] = ()) -> Answer:
    """Some events, then bytes, and then the end of the connection in the middle of a chunk."""

    def answer(_: Asked, talk: Talk) -> None:
        talk.handler.protocol_version = "HTTP/1.1"
        talk.head("text/event-stream", Transfer_Encoding="chunked")
        for text in texts:
            event = f"data: {json.dumps(delta(text))}\n\n".encode()
            talk.send(b"%x\r\n%s\r\n" % (len(event), event))
        talk.send(data)
        talk.handler.close_connection = True

    return answer
