"""Haystack: the retrievers and the splitter of its tutorial on hybrid retrieval, joined by reciprocal ranks.

The tutorial goes on with a cross-encoder, which nobody has here: all contestants have the same weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.rivals.contest import compete


class Haystack:
    modules = (
        "haystack",
        "haystack.components.joiners",
        "haystack.components.preprocessors",
        "haystack.components.retrievers.in_memory",
        "haystack.document_stores.in_memory",
    )
    packages = ("haystack-ai", "sentence-transformers-haystack", "sentence-transformers", "torch")
    settings: Mapping[str, Any] = {
        "index": "InMemoryDocumentStore, InMemoryBM25Retriever, InMemoryEmbeddingRetriever",
        "fusion": "DocumentJoiner(join_mode='reciprocal_rank_fusion')",
        "chunks": "DocumentSplitter(split_by='word', split_length=512, split_overlap=32)",
        "embedded": "title and text",
    }

    def load(self, model: str) -> None:
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
            SentenceTransformersTextEmbedder,
        )

        self._documents: Any = SentenceTransformersDocumentEmbedder(
            model=model, meta_fields_to_embed=["title"], progress_bar=False
        )
        self._question: Any = SentenceTransformersTextEmbedder(model=model, progress_bar=False)
        self._documents.warm_up()
        self._question.warm_up()

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None:
        from haystack import Document
        from haystack.components.joiners import DocumentJoiner
        from haystack.components.preprocessors import DocumentSplitter
        from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
        from haystack.document_stores.in_memory import InMemoryDocumentStore

        store = InMemoryDocumentStore()
        splitter = DocumentSplitter(split_by="word", split_length=512, split_overlap=32)
        splitter.warm_up()
        texts = [Document(content=one["text"], meta={"name": one["id"], "title": one["title"]}) for one in documents]
        store.write_documents(self._documents.run(splitter.run(texts)["documents"])["documents"])
        self._words: Any = InMemoryBM25Retriever(store)
        self._near: Any = InMemoryEmbeddingRetriever(store)
        self._join: Any = DocumentJoiner(join_mode="reciprocal_rank_fusion")

    def search(self, question: str, hits: int) -> Sequence[str]:
        vector = self._question.run(question)["embedding"]
        near = self._near.run(query_embedding=vector, top_k=hits)["documents"]
        words = self._words.run(query=question, top_k=hits)["documents"]
        joined = self._join.run(documents=[near, words], top_k=hits)["documents"]
        return [document.meta["name"] for document in joined]


if __name__ == "__main__":
    compete(Haystack())
