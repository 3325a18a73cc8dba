"""Commonplace itself, as it is shipped: its chunker, its embedded store on disk, its one ranked list."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from eval.cache import CachedEmbedder
from eval.datasets import Dataset, Entry
from eval.index import build_index
from eval.rivals.contest import compete
from eval.stores import spaces_of, temporary_store
from rag.config import load_settings
from rag.embed.text import TextEmbedder
from rag.environment import prepare_environment

PRECISION = "CONTEST_PRECISION"  # in the environment: fp32 as the others have it, else what the program chooses


class Commonplace:
    modules = ("lancedb",)
    packages = ("lancedb", "sentence-transformers", "torch")

    def load(self, model: str) -> None:
        prepare_environment()
        precision: Any = os.environ.get(PRECISION, "auto")
        self._embedder = CachedEmbedder(TextEmbedder(Path(model), name="starter", precision=precision), None)
        self._embedder.load()
        self.settings: Mapping[str, Any] = {
            "index": "LanceDB on disk",
            "fusion": "by how far a passage stands out (rag/retrieve/fuse.py)",
            "chunks": "200 tokens",
            "precision": self._embedder.state.precision,
        }

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None:
        entries = tuple(Entry(one["id"], one["title"], one["text"]) for one in documents)
        self._open = ExitStack()
        home = Path(self._open.enter_context(TemporaryDirectory(prefix="commonplace-rivals-")))
        settings = load_settings(home=home)
        store, _ = self._open.enter_context(temporary_store("lance", spaces_of(self._embedder, None), settings))
        self._index = build_index(
            Dataset("contest", entries, {}, {}), self._embedder, settings, store, home, lambda done, total: None
        )

    def search(self, question: str, hits: int) -> Sequence[str]:
        found = self._index.searcher.search(question, hits)
        return [self._index.names[hit.chunk.document_id] for hit in found.hits]


if __name__ == "__main__":
    contestant = Commonplace()
    try:
        compete(contestant)
    finally:
        contestant._open.close()
