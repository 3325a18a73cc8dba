"""A Weaviate server for tests: the one at WEAVIATE_URL, or a binary that is started on free ports of this machine.

The binary is the one at WEAVIATE_BINARY, or one that weaviate-client's embedded mode keeps in its cache. Without
either, the tests that need a server are skipped.
"""

import atexit
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
import weaviate

from rag.store.weaviate_store import WeaviateStore
from rag.store.weaviate_tenants import COLLECTION, TenantVersions

_START_SECONDS = 60
_REASON = "no Weaviate server: set WEAVIATE_URL to a running one, or WEAVIATE_BINARY to the program"


class Server:
    """A server process of our own, with its data in `folder`. It may be stopped, killed and started again."""

    def __init__(self, binary: Path, folder: Path, **settings: str) -> None:
        self._binary = binary
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = (*free_pair(), *free_pair(), *free_pair())
        self.url = f"weaviate://127.0.0.1:{self._ports[0]}?grpc={self._ports[1]}"

    def start(self) -> "Server":
        """Start it and wait until it answers."""
        port, grpc, gossip, data, raft, raft_rpc = map(str, self._ports)
        own = {
            "PERSISTENCE_DATA_PATH": str(self._folder),
            "GRPC_PORT": grpc,
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_IN_LOCALHOST": "true",
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_GOSSIP_BIND_PORT": gossip,
            "CLUSTER_DATA_BIND_PORT": data,
            "RAFT_PORT": raft,
            "RAFT_INTERNAL_RPC_PORT": raft_rpc,
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_HEARTBEAT_TIMEOUT": "1",  # seconds; alone, it waits for nobody
            "RAFT_ELECTION_TIMEOUT": "1",
            "RAFT_LEADER_LEASE_TIMEOUT": "1",
            "RAFT_TIMEOUTS_MULTIPLIER": "1",
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "API_BASED_MODULES_DISABLED": "true",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            "LOG_LEVEL": "error",
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # nothing of it comes from outside this file and the environment
                [self._binary, "--host", "127.0.0.1", "--port", port, "--scheme", "http"],
                env={**os.environ, **own, **self._settings},
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready(port)
        return self

    def stop(self) -> None:
        """End it as an operator would."""
        self._end(self._process.terminate if self._process else None)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(self._process.kill if self._process else None)

    def send(self, signal: int) -> None:
        if self._process is not None:
            self._process.send_signal(signal)

    def _end(self, end: object) -> None:
        if self._process is not None and callable(end):
            end()
            self._process.wait(30)
            self._process = None

    def _wait_until_ready(self, port: str) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/.well-known/ready", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        self.kill()
        raise AssertionError(f"the server did not start: {(self._folder / 'server.log').read_text()[-2000:]}")


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def free_pair() -> tuple[int, int]:
    """Two free ports in a row: a server finds the second one of its cluster's ports by counting on from the first."""
    while True:
        (first,) = free_ports(1)
        try:
            socket.create_server(("127.0.0.1", first + 1)).close()
        except (OSError, OverflowError):
            continue
        return first, first + 1


def find_binary() -> Path | None:
    """A server that can be started here."""
    if chosen := os.environ.get("WEAVIATE_BINARY"):
        return Path(chosen)
    cache_folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache" / "weaviate-embedded"))
    found = sorted(cache_folder.glob("weaviate-v1.*"))
    return found[-1] if found else None


def own_server(folder: Path, **settings: str) -> Server:
    """A fresh server of this test alone, started; the test is skipped where there is no binary."""
    binary = find_binary()
    if binary is None:
        pytest.skip("no Weaviate server that may be stopped: set WEAVIATE_BINARY to the program")
    return Server(binary, folder, **settings).start()


@cache
def shared_url() -> str | None:
    """The address of the server that all tests of this run share; None where there is none."""
    if url := os.environ.get("WEAVIATE_URL"):
        return url
    binary = find_binary()
    if binary is None:
        return None
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    server = Server(binary, Path(folder.name)).start()
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return server.url


def server_url() -> str:
    """The address of the shared server; the test is skipped where there is none."""
    url = shared_url()
    if url is None:
        pytest.skip(_REASON)
    return url


def fresh_name() -> str:
    """The name of a library that no other test has."""
    return f"Test_{uuid4().hex[:12]}"


def drop(store: WeaviateStore) -> None:
    """Close a store and delete everything that its library has on the server."""
    client: weaviate.WeaviateClient = store._connection.client
    versions = store.versions_of_index
    names = [versions.collection(name) for name in versions.all()]
    if isinstance(versions, TenantVersions):
        client.collections.use(COLLECTION).tenants.remove([*names, versions.name])
    else:
        client.alias.delete(alias_name=versions.name)
        client.collections.delete(names)
    store.close()
