"""Vectors of an earlier run, so that a second run of a benchmark takes seconds."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.protocols import Embedder
from rag.records import ModelState


class CachedEmbedder:
    """An Embedder that remembers what it has embedded in `<folder>/<fingerprint>.npy`.

    A row is found by the sha256 of its kind and text. `save` writes the file in one step; of two runs that save at
    once the later one wins, which costs the other's time and nothing else. A file that cannot be read is ignored.
    With no `folder` nothing is read or written.
    """

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self.space, self.dim, self.max_tokens = embedder.space, embedder.dim, embedder.max_tokens
        self.fingerprint, self.tokenizer_file = embedder.fingerprint, embedder.tokenizer_file
        name = hashlib.sha256(self.fingerprint.encode()).hexdigest()[:32]
        self._path = None if folder is None else folder / f"{name}.npy"
        self._row = np.dtype([("key", np.uint8, (32,)), ("values", np.float32, (self.dim,))])
        self._known = self._read()
        self._saved = len(self._known)
        self.hits = 0

    @property
    def remembers(self) -> bool:
        """Whether vectors are kept from run to run, so that the time a text takes is not that of the model."""
        return self._path is not None

    @property
    def state(self) -> ModelState:
        return self._embedder.state

    def load(self) -> None:
        self._embedder.load()

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """See `Embedder.embed`; only texts that are new reach the model."""
        keys = [_key(text, kind) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        self.hits += len(texts) - len(new)
        self._known.update(zip(new, self._embedder.embed(list(new.values()), kind), strict=True))
        return np.stack([self._known[key] for key in keys]) if keys else np.zeros((0, self.dim), np.float32)

    def save(self) -> None:
        """Write what is known, when there is anything new."""
        if self._path is None or len(self._known) == self._saved:
            return
        table = np.empty(len(self._known), self._row)
        for row, (key, values) in zip(table, self._known.items(), strict=True):
            row["key"], row["values"] = np.frombuffer(key, np.uint8), values
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._path.parent, suffix=".part", delete=False) as file:
            np.save(file, table, allow_pickle=False)
        Path(file.name).replace(self._path)
        self._saved = len(self._known)

    def _read(self) -> dict[bytes, NDArray[np.float32]]:
        if self._path is None:
            return {}
        try:
            table = np.load(self._path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return {}
        if table.dtype != self._row:
            return {}
        return {row["key"].tobytes(): row["values"] for row in table}


def _key(text: str, kind: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).digest()
