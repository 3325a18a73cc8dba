"""A stub of a Weaviate server on loopback, whose faults can be switched on: it drives the real client, and the store.

HTTP and gRPC listen on free ports of 127.0.0.1; the gRPC part stands on the servicer classes that come with
weaviate-client. Messages and codes of faults are those of server 1.39.0, as recorded from one: above all, a server
that has become read-only reports ONE error, with index 0, for a batch of any size of which it wrote nothing.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import grpc
from weaviate.proto.v1 import health_weaviate_pb2, weaviate_pb2_grpc

from tests.store.weaviate_calls import Calls
from tests.store.weaviate_schema import Schema, to_json

DISK_FULL = "disk usage too high. Set to read-only at 92.00%, threshold set to 90.00%"
MEMORY_FULL = "memory usage too high. Set to read-only at 96.00%, threshold set to 95.00%"
_WRITES = ("BatchObjects", "BatchDelete")


@dataclass
class Fault:
    """What a call comes to instead of its answer: a gRPC code, or an HTTP status for HTTP."""

    code: grpc.StatusCode | int
    message: str
    times: float = float("inf")  # how many calls it befalls


UNAVAILABLE = Fault(grpc.StatusCode.UNAVAILABLE, "connection reset by peer")
INTERNAL = Fault(grpc.StatusCode.INTERNAL, "panic occurred: runtime error: index out of range")
OUT_OF_MEMORY = Fault(grpc.StatusCode.UNKNOWN, "cannot process batch: not enough memory")
QUOTA = Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "usage limit exceeded: object count limit 1000 reached")


@dataclass
class Faults:
    """What goes wrong. Calls are named as in gRPC ("Search"), "Health", or as "HTTP"."""

    queue: dict[str, Fault] = field(default_factory=dict)
    delay: dict[str, float] = field(default_factory=dict)  # seconds before a call is looked at
    hang: Counter[str] = field(default_factory=Counter)  # calls still to come that get no answer
    hang_seconds: float = 60.0
    keys: dict[str, Literal["write", "read"]] = field(default_factory=dict)  # API keys; none: everyone may do all
    refused: Counter[str] = field(default_factory=Counter)  # UUID -> how often it fails in a batch
    refuse_next: int = 0  # objects still to come that will be put into `refused`, `refuse_times` each
    refuse_times: int = 1
    read_only_batches: int = 0  # batches that find the server read-only for a moment
    read_only_from: str = ""  # the call that finds the server read-only, as every later one does
    cut_after: int | None = None  # objects of batches that are written before the connection is cut

    def fail(self, call: str, fault: Fault, times: float | None = None) -> None:
        self.queue[call] = Fault(fault.code, fault.message, fault.times if times is None else times)

    def due(self, call: str) -> Fault | None:
        """The fault that befalls this call, counted off."""
        fault = self.queue.get(call)
        if fault is None or fault.times < 1:
            return None
        fault.times -= 1
        return fault


class WeaviateStub:
    """The server. `schema` is what it holds, `faults` what goes wrong, `calls` how often each call came."""

    def __init__(self) -> None:
        self.schema = Schema()
        self.faults = Faults()
        self.calls: Counter[str] = Counter()
        self.port = self.grpc_port = 0
        self.lock = threading.RLock()
        self._over = threading.Event()
        self.start()

    def start(self) -> None:
        """Listen, on the same ports as before; what it held is still there."""
        self._over.clear()
        self._web = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._web.daemon_threads = True
        self._rpc = grpc.server(ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
        weaviate_pb2_grpc.add_WeaviateServicer_to_server(Calls(self), self._rpc)
        self._rpc.add_generic_rpc_handlers((_health(self),))
        self.port = self._web.server_address[1]
        self.grpc_port = self._rpc.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        self._rpc.start()
        threading.Thread(target=self._web.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and cut those that are open, as when the process is killed."""
        self._over.set()
        self._rpc.stop(grace=None).wait(5)
        self._web.shutdown()
        self._web.server_close()

    def cut(self) -> None:
        """Kill the server from within one of its own calls, which therefore never answers."""
        self._over.set()
        self._rpc.stop(grace=None)
        threading.Thread(target=lambda: (self._web.shutdown(), self._web.server_close())).start()

    def admit(self, call: str, key: str) -> Fault | None:
        """Count the call, hold it up for as long as is asked, and tell what befalls it, if anything does."""
        self.calls[call] += 1
        if call == self.faults.read_only_from:
            self.schema.read_only = DISK_FULL
        if self.faults.hang[call] > 0:
            self.faults.hang[call] -= 1
            self._over.wait(self.faults.hang_seconds)
        self._over.wait(self.faults.delay.get(call, 0))
        if self.faults.keys and call != "Health":
            right = self.faults.keys.get(key.removeprefix("Bearer "))
            if right is None:
                web = call.startswith("HTTP")
                return Fault(401 if web else grpc.StatusCode.UNAUTHENTICATED, "unauthorized: invalid api key")
        return self.faults.due(call)

    def may_write(self, key: str) -> bool:
        return not self.faults.keys or self.faults.keys.get(key.removeprefix("Bearer ")) == "write"


@contextmanager
def running_stub() -> Iterator[WeaviateStub]:
    """A stub that is stopped at the end."""
    stub = WeaviateStub()
    try:
        yield stub
    finally:
        stub.stop()


def _health(stub: WeaviateStub) -> grpc.GenericRpcHandler:
    def check(request: Any, context: grpc.ServicerContext) -> Any:
        fault = stub.admit("Health", "")
        if fault is not None:
            context.abort(fault.code, fault.message)
        return health_weaviate_pb2.WeaviateHealthCheckResponse(status="SERVING")

    method = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=health_weaviate_pb2.WeaviateHealthCheckRequest.FromString,
        response_serializer=health_weaviate_pb2.WeaviateHealthCheckResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method})


def _handler(stub: WeaviateStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            path = [unquote(part) for part in url.path.split("/")[2:]]
            key, tenant = self.headers.get("Authorization") or "", "".join(parse_qs(url.query).get("tenant", ()))
            self._reply(*self._answer(path, key, json.loads(data) if data else None, tenant))

        def _answer(self, path: list[str], key: str, body: Any, tenant: str) -> tuple[int, Any]:
            public = path[0] == ".well-known"
            fault = stub.admit("HTTP", key if not public else next(iter(stub.faults.keys), ""))
            if fault is not None:
                return int(fault.code), {"code": fault.code, "message": fault.message}  # type: ignore[arg-type]
            if self.command not in ("GET", "HEAD") and not stub.may_write(key):
                message = "authorization, forbidden action: user 'reader' has insufficient permissions to C"
                return 403, {"error": [{"message": message}]}
            with stub.lock:
                return stub.schema.answer(self.command, path, body, tenant)

        def _reply(self, status: int, body: Any) -> None:
            data = to_json(body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD" and status != 204:
                self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    handle: Callable[[Any], None] = Handler.handle_any
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", handle)
    return Handler
