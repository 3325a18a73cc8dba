"""Vectors of an earlier run, so that a second run of a benchmark takes seconds."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.protocols import Embedder, ImageEmbedder
from rag.records import ModelState

Rows = NDArray[np.float32]  # [N, dim]
T = TypeVar("T")

_SAVE_SECONDS = 20.0  # what a run that is killed loses of its embedding, at most


class _Remembered:
    """Rows by key (a sha256) in `<folder>/<fingerprint>.npy`.

    `save` writes the file in one step; of two runs that save at once the later one wins, which costs the other's time
    and nothing else. A long run saves now and then, so that one that is interrupted goes on where it was. A file that
    cannot be read is ignored. With no `folder` nothing is read or written.
    """

    def __init__(self, fingerprint: str, dim: int, folder: Path | None) -> None:
        name = hashlib.sha256(fingerprint.encode()).hexdigest()[:32]
        self.path = None if folder is None else folder / f"{name}.npy"
        self.hits = 0
        self._dim = dim
        self._row = np.dtype([("key", np.uint8, (32,)), ("values", np.float32, (dim,))])
        self._known = self._read()
        self._saved = len(self._known)
        self._save_due = time.monotonic() + _SAVE_SECONDS

    def rows(self, items: Mapping[bytes, T], keys: Sequence[bytes], embed: Callable[[list[T]], Rows]) -> Rows:
        """The rows of `keys`; those of `items` that are new are embedded first."""
        new = {key: item for key, item in items.items() if key not in self._known}
        self.hits += sum(key not in new for key in keys)
        self._known.update(zip(new, embed(list(new.values())), strict=True))
        if time.monotonic() > self._save_due:
            self.save()
        return np.stack([self._known[key] for key in keys]) if keys else np.zeros((0, self._dim), np.float32)

    def save(self) -> None:
        """Write what is known, when there is anything new."""
        self._save_due = time.monotonic() + _SAVE_SECONDS
        if self.path is None or len(self._known) == self._saved:
            return
        table = np.empty(len(self._known), self._row)
        for row, (key, values) in zip(table, self._known.items(), strict=True):
            row["key"], row["values"] = np.frombuffer(key, np.uint8), values
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self.path.parent, suffix=".part", delete=False) as file:
            np.save(file, table, allow_pickle=False)
        Path(file.name).replace(self.path)
        self._saved = len(self._known)

    def _read(self) -> dict[bytes, NDArray[np.float32]]:
        if self.path is None:
            return {}
        try:
            table = np.load(self.path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return {}
        if table.dtype != self._row:
            return {}
        return {row["key"].tobytes(): row["values"] for row in table}


class CachedEmbedder:
    """An Embedder that remembers what it has embedded, from run to run where it is given a folder."""

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self.space, self.dim, self.max_tokens = embedder.space, embedder.dim, embedder.max_tokens
        self.fingerprint, self.tokenizer_file = embedder.fingerprint, embedder.tokenizer_file
        self._remembered = _Remembered(self.fingerprint + _insisted_on(embedder.state), self.dim, folder)

    @property
    def remembers(self) -> bool:
        """Whether vectors are kept from run to run, so that the time a text takes is not that of the model."""
        return self._remembered.path is not None

    @property
    def hits(self) -> int:
        """How many texts did not reach the model."""
        return self._remembered.hits

    @property
    def state(self) -> ModelState:
        return self._embedder.state

    def load(self) -> None:
        self._embedder.load()

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> Rows:
        """See `Embedder.embed`; only texts that are new reach the model."""
        keys = [_key(text, kind) for text in texts]
        return self._remembered.rows(
            dict(zip(keys, texts, strict=True)), keys, lambda new: self._embedder.embed(new, kind)
        )

    def save(self) -> None:
        """Keep what is new for the next run."""
        self._remembered.save()


class CachedImageEmbedder:
    """An ImageEmbedder that remembers pictures and texts, as CachedEmbedder does."""

    def __init__(self, embedder: ImageEmbedder, folder: Path | None) -> None:
        self._embedder = embedder
        self.space, self.dim, self.fingerprint = embedder.space, embedder.dim, embedder.fingerprint
        self._remembered = _Remembered(self.fingerprint, self.dim, folder)

    @property
    def hits(self) -> int:
        """How many pictures and texts did not reach the model."""
        return self._remembered.hits

    @property
    def state(self) -> ModelState:
        return self._embedder.state

    def load(self) -> None:
        self._embedder.load()

    def embed_images(self, pictures: Sequence[bytes]) -> Rows:
        """See `ImageEmbedder.embed_images`; only pictures that are new reach the model."""
        keys = [hashlib.sha256(picture).digest() for picture in pictures]
        return self._remembered.rows(dict(zip(keys, pictures, strict=True)), keys, self._embedder.embed_images)

    def embed_texts(self, texts: Sequence[str]) -> Rows:
        """See `ImageEmbedder.embed_texts`; only texts that are new reach the model."""
        keys = [_key(text, "query") for text in texts]
        return self._remembered.rows(dict(zip(keys, texts, strict=True)), keys, self._embedder.embed_texts)

    def save(self) -> None:
        """Keep what is new for the next run."""
        self._remembered.save()


def _insisted_on(state: ModelState) -> str:
    """The precision where somebody chose one: a fingerprint says nothing of it, and its effect is to be measured."""
    return "" if state.loaded or state.precision == "auto" else f" {state.precision}"


def _key(text: str, kind: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).digest()
