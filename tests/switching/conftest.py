"""A small library for each test, here and on a server, with embedders that are quick."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.library import Library
from tests.store.weaviate_server import server_url
from tests.store.weaviate_stub import WeaviateStub, running_stub
from tests.switching.looked_at import address
from tests.switching.made import opened, prepare, write_notes


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    write_notes(tmp_path / "notes", range(8))
    return tmp_path / "notes"


@pytest.fixture(params=["lance", "stub", pytest.param("server", marks=pytest.mark.weaviate)])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the index is kept: here, on a stub of a server, on a server."""
    if request.param == "stub":
        with running_stub() as stub:
            yield address(stub)
    else:
        yield server_url() if request.param == "server" else "lance"


@pytest.fixture
def library(tmp_path: Path, notes: Path, store: str) -> Iterator[Library]:
    """Eight notes, embedded by the first embedder."""
    library = opened(tmp_path / "home", store)
    library.add([notes])
    yield library
    library.close()


@pytest.fixture
def local(tmp_path: Path, notes: Path) -> Iterator[Library]:
    """The same in a folder, for what does not depend on the engine."""
    library = opened(tmp_path / "home")
    library.add([notes])
    yield library
    library.close()


@pytest.fixture
def stub() -> Iterator[WeaviateStub]:
    with running_stub() as stub:
        yield stub
