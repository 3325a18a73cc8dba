"""A library of small notes and two model-free embedders, quick to switch between and quick to kill."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.config import Settings, load_settings
from rag.embed.hashing import HashingEmbedder
from rag.errors import ModelNotFound
from rag.library import Library
from rag.records import ModelState
from rag.store.ledger import Ledger
from tests.colours import ColourEmbedder
from tests.store.processes import parse_here

STEPS = ("begun", "written", "noted", "before the change", "changed", "dropped")
"""Where a switch can be killed, in the order in which it gets there."""


class Words(HashingEmbedder):
    """A HashingEmbedder under another name, which is another model: its vectors are turned by the name's length."""

    def __init__(self, name: str, dim: int = 32, max_tokens: int = 254) -> None:
        super().__init__(dim)
        self.fingerprint = f"{name}-{dim}"
        self.max_tokens = max_tokens
        self.state = ModelState("embedder", name, "cpu", "fp32", "no model: words are hashed", loaded=True)

    def embed(self, texts: Sequence[str], kind: Any) -> Any:
        return np.roll(super().embed(texts, kind), len(self.state.name), axis=1)


def embedder(settings: Settings, reference: str = "") -> HashingEmbedder:
    """What `build_embedder` gives in these tests."""
    reference = reference or ("first" if settings.embedder == "auto" else settings.embedder)
    if reference in ("starter", "first"):
        return Words("first")
    if reference in ("second", "third"):
        return Words(reference, 48)
    if reference == "short":
        return Words("short", 48, max_tokens=4)
    raise ModelNotFound(f"there is no model {reference!r}")


def prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those embedders, and files that are read in this process."""
    monkeypatch.setattr("rag.build.build_embedder", embedder)
    monkeypatch.setattr("rag.build.build_image_embedder", lambda settings: ColourEmbedder())
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)


def opened(home: Path, store: str = "lance", **chosen: Any) -> Library:
    import rag.build

    return rag.build.open_library(load_settings(home=home, store=store, generator="none", ocr=False, **chosen))


def write_notes(folder: Path, numbers: Sequence[int], words: str = "about bees") -> None:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nWritten {words}, and topic{number} stands in it.")


def switch_and_wait(connection: Connection, home: Path, step: str) -> None:
    """Switch to the second embedder, and wait to be killed where it gets to `step`."""
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch)
        patch.setattr("rag.carrying.READ_CHUNKS", 3)
        patch.setattr("rag.carrying.WRITE_CHUNKS", 3)
        with waiting_at(step, connection, patch):
            library = opened(home)
            library.switch_embedder("second")
            connection.send("ended")


@contextmanager
def waiting_at(step: str, connection: Connection, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell when this process gets to `step`, for the second time where it comes often, and go no further."""
    from rag.store import index_versions
    from rag.store.lance_store import LanceStore

    left = 2 if step in ("written", "noted") else 1

    def stop_at(name: str) -> None:
        nonlocal left
        left -= name == step
        if not left:
            connection.send(step)
            connection.recv()

    def tell(owner: Any, name: str, before: str = "", after: str = "") -> None:
        real = getattr(owner, name)

        def called(*args: Any, **given: Any) -> Any:
            stop_at(before)
            result = real(*args, **given)
            stop_at(after)
            return result

        patch.setattr(owner, name, called)

    tell(index_versions, "write_manifest", after="begun")
    tell(LanceStore, "replace_documents", after="written")
    tell(Ledger, "carry", after="noted")
    tell(Ledger, "make_live", before="before the change", after="changed")
    tell(Ledger, "drop", after="dropped")
    yield
