"""LlamaIndex: vectors and BM25 over its default nodes, joined by reciprocal ranks, as its hybrid example does."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.rivals.contest import compete


class LlamaIndex:
    modules = (
        "Stemmer",
        "llama_index.core",
        "llama_index.core.llms",
        "llama_index.core.node_parser",
        "llama_index.core.retrievers",
        "llama_index.retrievers.bm25",
    )
    packages = (
        *("llama-index-core", "llama-index-embeddings-huggingface", "llama-index-retrievers-bm25"),
        *("sentence-transformers", "torch", "bm25s"),
    )
    settings: Mapping[str, Any] = {
        "index": "VectorStoreIndex in memory, BM25Retriever with an English stemmer",
        "fusion": "QueryFusionRetriever(mode='reciprocal_rerank', num_queries=1)",
        "chunks": "SentenceSplitter, its default of 1024 tokens with an overlap of 200",
    }

    def load(self, model: str) -> None:
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding

        self._model = HuggingFaceEmbedding(model_name=model)
        self._retrievers: dict[int, Any] = {}

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None:
        import Stemmer
        from llama_index.core import Document, VectorStoreIndex
        from llama_index.core.node_parser import SentenceSplitter
        from llama_index.retrievers.bm25 import BM25Retriever

        texts = [
            Document(text=one["text"], id_=one["id"], metadata={"title": one["title"]} if one["title"] else {})
            for one in documents
        ]
        nodes = SentenceSplitter().get_nodes_from_documents(texts)
        self._size = len(nodes)
        self._index = VectorStoreIndex(nodes, embed_model=self._model)
        self._words = BM25Retriever.from_defaults(nodes=nodes, stemmer=Stemmer.Stemmer("english"), language="english")

    def search(self, question: str, hits: int) -> Sequence[str]:
        return [found.node.ref_doc_id for found in self._retriever(hits).retrieve(question)]

    def _retriever(self, hits: int) -> Any:
        from llama_index.core.llms import MockLLM
        from llama_index.core.retrievers import QueryFusionRetriever

        if hits not in self._retrievers:
            self._words.similarity_top_k = min(hits, self._size)
            self._retrievers[hits] = QueryFusionRetriever(
                [self._index.as_retriever(similarity_top_k=hits), self._words],
                llm=MockLLM(),  # with one query none is generated
                mode="reciprocal_rerank",
                similarity_top_k=hits,
                num_queries=1,
                use_async=False,
            )
        return self._retrievers[hits]


if __name__ == "__main__":
    compete(LlamaIndex())
