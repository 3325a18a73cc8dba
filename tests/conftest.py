"""Every test gets its own RAG_HOME and no RAG_* settings of the machine; nothing reaches beyond loopback."""

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from rag.environment import prepare_environment
from tests.browser import chromium, pytest_runtest_makereport, window  # noqa: F401  fixtures and a hook
from tests.sample import sample_home  # noqa: F401  a fixture
from tests.servers.llama_server import model_server  # noqa: F401  a fixture
from tests.small_clip import small_clip, spelling_clip  # noqa: F401  fixtures

prepare_environment()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests begin first: a long file that begins last leaves one of two workers with nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.get_closest_marker("browser")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in os.environ:
        if name.startswith("RAG_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("RAG_HOME", str(home))
    return home


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Fail any connection to another machine: offline is the normal case, and this is where it is enforced."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address!r}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ip_address(host.split("%")[0]).is_loopback
