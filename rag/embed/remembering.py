"""An embedder that keeps what it has embedded in a file, for those who ask about the same texts again and again."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rag.embed.wrapped import WrappedEmbedder
from rag.protocols import Embedder

_KEY = 16  # bytes of a sha256: texts themselves are not kept


class RememberingEmbedder(WrappedEmbedder):
    """`base` as an Embedder that remembers; `save` keeps what was asked for since it was opened, and forgets the rest.

    The file at `path` is read with the first text. One of another embedder, or that cannot be read, counts as empty.
    """

    def __init__(self, base: Embedder, path: Path) -> None:
        super().__init__(base)
        self._path = path
        self._known: dict[bytes, NDArray[np.float32]] | None = None
        self._asked: set[bytes] = set()

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """See `Embedder.embed`; only texts that are new reach the model."""
        if self._known is None:
            self._known = self._read()
        keys = [hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).digest()[:_KEY] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        self._known.update(zip(new, self._base.embed(list(new.values()), kind), strict=True))
        self._asked.update(keys)
        return np.stack([self._known[key] for key in keys]) if keys else np.zeros((0, self.dim), np.float32)

    def save(self) -> None:
        """Write the file in one step. That it cannot be written costs time later, nothing else, and is passed over."""
        known = self._known or {}
        keys = sorted(self._asked)
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                np.savez(
                    file,
                    of=np.frombuffer(hashlib.sha256(self.fingerprint.encode()).digest(), np.uint8),
                    keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, _KEY),
                    rows=np.stack([known[key] for key in keys]) if keys else np.zeros((0, self.dim), np.float32),
                )
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def _read(self) -> dict[bytes, NDArray[np.float32]]:
        try:
            with np.load(self._path, allow_pickle=False) as file:
                of, keys, rows = file["of"].tobytes(), file["keys"], file["rows"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return {}
        whole = keys.dtype == np.uint8 and keys.shape == (len(rows), _KEY) and rows.shape == (len(rows), self.dim)
        if of != hashlib.sha256(self.fingerprint.encode()).digest() or not whole or rows.dtype != np.float32:
            return {}
        return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}
