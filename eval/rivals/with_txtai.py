"""txtai: `hybrid=True`, which its documentation gives for vectors with BM25; rows are indexed as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.rivals.contest import compete, whole


class Txtai:
    modules = ("txtai",)
    packages = ("txtai", "torch", "transformers", "faiss-cpu")
    settings: Mapping[str, Any] = {"index": "Embeddings(hybrid=True)", "chunks": "none: a document is one row"}

    def load(self, model: str) -> None:
        from txtai import Embeddings

        self._embeddings = Embeddings(path=model, hybrid=True)
        self._embeddings.batchtransform(["warm"], "query")

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None:
        self._embeddings.index((document["id"], whole(document), None) for document in documents)

    def search(self, question: str, hits: int) -> Sequence[str]:
        return [str(name) for name, _ in self._embeddings.search(question, hits)]


if __name__ == "__main__":
    compete(Txtai())
