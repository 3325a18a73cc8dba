"""How is a Weaviate server reached, and what is said when it is not?

What weaviate-client 4.23 does, found by experiment, and what is made of it here:

- Its own checks at the start ask a package index on the internet for a newer client, so they are left out, and the
  version and the gRPC port are asked here.
- A search against a server that is gone sleeps 1 + 2 + 4 + 8 + 16 + 32 seconds between attempts, whatever the timeout.
  So each call runs in a thread of its own, and while it does not come back the server is asked whether it is there: a
  short interruption is bridged by those attempts, and one that lasts is told after a few seconds.
- In a cluster that has just lost its leader, which takes some ten seconds to notice, a change that is begun hangs for
  up to a minute. So before a write something harmless is asked that only a leader answers, until it is answered.
- A call that is given up on may still reach the server. `rag.store.weaviate_state` keeps what it writes out of sight.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import grpc  # type: ignore[import-untyped]
import httpx
import weaviate
from weaviate.classes.config import ConsistencyLevel
from weaviate.classes.init import AdditionalConfig, Auth, GrpcConfig, Timeout
from weaviate.exceptions import WeaviateBaseError

from rag.errors import ConfigError, DiskFull, StoreError

T = TypeVar("T")

READ_SECONDS = 10.0  # the longest that a question may take while the server is there
WRITE_SECONDS = 60.0  # the same of a change
_PATIENCE = 1.5  # seconds without an answer after which the server is asked whether it is there
_PROBE_SECONDS = 1.5
_CLIENT_READS, _CLIENT_WRITES = 30, 50  # the client's own timeouts, in seconds
_ELECTION_SECONDS, _LEADER_SECONDS = 40.0, 3.0  # for a cluster to choose a leader; for a leader to answer
_PORT, _GRPC_PORT = 8080, 50051
# A server that is back is noticed at once; gRPC by itself would wait for up to two minutes between its attempts.
_RECONNECTION = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING = b"\x08\x01"  # a HealthCheckResponse whose status is SERVING
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

# The first patch of each minor version that does not write half objects in a cluster; all later minors have the mend.
_FLOORS = {(1, 37): 14, (1, 38): 7}
_FIRST = (1, 39)


class NoAnswer(StoreError):
    """The server is gone, or did not answer in time: asking it something else would only take longer."""


class UnknownCollection(StoreError):
    """The server knows no collection, or no tenant of it, of the name that was asked for."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: its HTTP port and its gRPC port, both with TLS (`secure`) or both without."""

    host: str
    port: int
    grpc_host: str
    grpc_port: int
    secure: bool

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `weaviate://host[:port][?grpc=port]` or `https://cluster[:port][?grpc=[host:]port]`.

        Raises:
            ConfigError: it is neither.
        """
        try:
            parts = urlsplit(url)
            host, port, options = parts.hostname, parts.port, parse_qs(parts.query, strict_parsing=bool(parts.query))
            grpc_host, _, grpc_port = "".join(options.pop("grpc", [""])).rpartition(":")
            number = int(grpc_port) if grpc_port else None
        except ValueError as exc:
            raise ConfigError(f"{url!r} is not the address of a store: {exc}; {_FORMS}") from exc
        if not host or parts.scheme not in ("weaviate", "https") or parts.path.strip("/") or options or parts.username:
            raise ConfigError(f"{url!r} is not the address of a store; {_FORMS}")
        if parts.scheme == "weaviate":
            return cls(host, port or _PORT, grpc_host or host, number or _GRPC_PORT, secure=False)
        return cls(host, port or 443, grpc_host or _cloud_grpc_host(host), number or 443, secure=True)

    def __str__(self) -> str:
        return f"{self.host}:{self.port} (gRPC {self.grpc_host}:{self.grpc_port})"


class Connection:
    """A connection to the server at `address`, once it is known to answer and to be new enough.

    `read_seconds` and `write_seconds` are the longest that a question and a change may take while it is there.

    Raises:
        StoreError: it is not there, refuses the key, or is too old.
    """

    def __init__(
        self, address: Address, api_key: str | None = None, consistency: ConsistencyLevel | None = None
    ) -> None:
        self.address = address
        self._consistency = consistency
        self.read_seconds, self.write_seconds = READ_SECONDS, WRITE_SECONDS
        self.client = self.ask("connect to the store", lambda: _connect(address, api_key))
        try:
            self._check_version(str(self.ask("ask for the store's version", self.client.get_meta).get("version")))
            if not self.is_serving():
                raise StoreError(
                    f"the Weaviate server at {address} answers, but not on its gRPC port; open that port, or name "
                    "it in the address: weaviate://host:port?grpc=port"
                )
        except BaseException:
            self.client.close()
            raise

    def ask(self, doing: str, question: Callable[[], T]) -> T:
        """What `question` returns, soon; see `call`."""
        return self.call(doing, question, self.read_seconds)

    def change(self, doing: str, work: Callable[[], T]) -> T:
        """What `work` returns, which changes something; see `call`."""
        return self.call(doing, work, self.write_seconds)

    def await_leader(self, doing: str, question: Callable[[], object]) -> None:
        """Ask `question`, which a cluster's leader answers, again and again until it is answered, or for long enough.

        Raises:
            StoreError: as `call`.
        """
        end = monotonic() + _ELECTION_SECONDS
        while True:
            try:
                self.call(doing, question, _LEADER_SECONDS)
                return
            except NoAnswer:
                if monotonic() > end or not self.is_serving():
                    raise

    def call(self, doing: str, work: Callable[[], T], seconds: float) -> T:
        """What `work` returns; it may take `seconds`, but not outlive the server. `doing` completes "cannot ...".

        Raises:
            NoAnswer: the server is gone, or too slow.
            UnknownCollection: it does not know what it is asked about.
            StoreError: it refuses. Each message says what to do.
        """
        outcome: Future[T] = Future()
        Thread(target=_run, args=(outcome, work), name=doing, daemon=True).start()
        self._await(outcome, doing, seconds)
        try:
            return outcome.result()
        except (WeaviateBaseError, httpx.HTTPError, grpc.RpcError, OSError, ValueError) as exc:
            if isinstance(exc, (httpx.TransportError, OSError)) or not self.is_serving():
                raise NoAnswer(f"cannot {doing}: {self._gone()}") from exc
            raise self.explained(doing, str(exc)) from exc

    def explained(self, doing: str, text: str) -> StoreError:
        """The error that says what the server's or the client's message means, and what to do."""
        for pattern, meaning in _MEANINGS:
            if re.search(pattern, text, re.IGNORECASE):
                kind = UnknownCollection if meaning is _DELETED else StoreError
                return kind(f"cannot {doing}: {meaning.format(address=self.address)}")
        if re.search(r"no space left|disk.{0,20}full", text, re.IGNORECASE):
            return DiskFull(f"cannot {doing}: the disk of the Weaviate server is full; make room there and try again")
        return StoreError(f"cannot {doing}: Weaviate at {self.address} says: {(text.splitlines() or [''])[0][:500]}")

    def use(self, collection: str) -> Any:
        """The client's collection of that name, or behind that alias, at the consistency that was chosen."""
        found = self.client.collections.use(collection)
        return found if self._consistency is None else found.with_consistency_level(self._consistency)

    def is_serving(self) -> bool:
        """Whether the gRPC port answers within moments. Asked over a connection of its own."""
        target = f"{self.address.grpc_host}:{self.address.grpc_port}"
        secure = grpc.ssl_channel_credentials() if self.address.secure else None
        channel = grpc.secure_channel(target, secure) if secure else grpc.insecure_channel(target)
        with channel:
            try:
                return bool(channel.unary_unary(_HEALTH)(b"", timeout=_PROBE_SECONDS) == _SERVING)
            except grpc.RpcError as exc:
                return isinstance(exc, grpc.Call) and exc.code() not in _AWAY

    def close(self) -> None:
        self.client.close()

    def _await(self, outcome: Future[T], doing: str, seconds: float) -> None:
        """Wait until `outcome` is there, for `seconds` at most and only while the server is there."""
        end = monotonic() + seconds
        while not wait([outcome], min(_PATIENCE, max(end - monotonic(), 0))).done:
            if not self.is_serving():
                raise NoAnswer(f"cannot {doing}: {self._gone()}")
            if monotonic() >= end:
                raise NoAnswer(
                    f"cannot {doing}: the Weaviate server at {self.address} is there but did not do it within "
                    f"{seconds:.0f} s; try again, and if it stays so look at its log or restart it"
                )

    def _check_version(self, version: str) -> None:
        found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
        major, minor, patch = (int(part) for part in found.groups()) if found else (0, 0, 0)
        floor = _FLOORS.get((major, minor))
        if (major, minor) < _FIRST and (floor is None or patch < floor):
            raise StoreError(
                f"the Weaviate server at {self.address} is version {version}; it must be 1.37.14, 1.38.7, 1.39.0 or "
                "later, since earlier ones can damage objects: update it"
            )

    def _gone(self) -> str:
        return f"no Weaviate server answers at {self.address}; start it, or set `store` (RAG_STORE) to where it is"


_FORMS = "write lance, weaviate://host:port, weaviate://host:port?grpc=port, or https://cluster"

_DELETED = (
    "the collection of this library is no longer on the Weaviate server at {address}: someone deleted it. Restore a "
    "backup of the server, or begin a new index by setting RAG_HOME to a new folder and adding the files there"
)

# What stands in the server's or the client's message -> what it means to the person.
_MEANINGS = (
    (
        r"\b401\b|\b403\b|unauthenticated|unauthorized|forbidden|permission|anonymous access",
        "the Weaviate server at {address} refuses the key; set RAG_WEAVIATE_API_KEY to one that may read and write",
    ),
    (
        r"could not find class|not present in schema|unexpected status code: 404|tenant not found",
        _DELETED,
    ),
    (
        r"does not have configuration for vector|does not have named vector",
        "the index on the Weaviate server at {address} was made anew with other models; start the program again, and "
        "if it says this again index the files with the models of now (RAG_EMBEDDER, RAG_IMAGE_EMBEDDER)",
    ),
    (
        r"read.?only",
        "the Weaviate server at {address} takes no writes: its disk is nearly full or cannot be written to; make room "
        "there and set its shards to READY again",
    ),
    (
        r"not enough memory|out of memory|memory pressure",
        "the Weaviate server at {address} is short of memory; give it more, or write less at once, and try again",
    ),
    (
        r"lower than the minimum|not supported\. please use|unsupported version",
        "the Weaviate server at {address} is too old; update it to 1.39.0 or later",
    ),
)


def _connect(address: Address, api_key: str | None) -> weaviate.WeaviateClient:
    return weaviate.connect_to_custom(
        http_host=address.host,
        http_port=address.port,
        http_secure=address.secure,
        grpc_host=address.grpc_host,
        grpc_port=address.grpc_port,
        grpc_secure=address.secure,
        auth_credentials=Auth.api_key(api_key) if api_key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(init=2, query=_CLIENT_READS, insert=_CLIENT_WRITES),
            grpc_config=GrpcConfig(channel_options=_RECONNECTION),
        ),
        skip_init_checks=True,
    )


def _run(outcome: Future[T], work: Callable[[], T]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as exc:  # noqa: BLE001  it is raised again where it is waited for
        outcome.set_exception(exc)


def _cloud_grpc_host(host: str) -> str:
    """Where Weaviate's own cloud has the gRPC port of a cluster; elsewhere it is on the same host."""
    if host.endswith(".weaviate.network"):
        cluster, _, domain = host.partition(".")
        return f"{cluster}.grpc.{domain}"
    return f"grpc-{host}" if host.endswith((".weaviate.cloud", ".weaviate.io")) else host
