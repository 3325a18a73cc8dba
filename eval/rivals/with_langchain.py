"""LangChain: BM25 and FAISS in an EnsembleRetriever with equal weights, as its documentation shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.rivals.contest import compete, whole


class LangChain:
    modules = (
        "faiss",
        "langchain_classic.retrievers",
        "langchain_community.retrievers",
        "langchain_community.vectorstores",
        "langchain_core.documents",
        "langchain_text_splitters",
    )
    packages = (
        *("langchain", "langchain-classic", "langchain-community", "langchain-huggingface", "langchain-text-splitters"),
        *("sentence-transformers", "torch", "faiss-cpu", "rank-bm25"),
    )
    settings: Mapping[str, Any] = {
        "index": "FAISS in memory, BM25Retriever",
        "fusion": "EnsembleRetriever(weights=[0.5, 0.5])",
        "chunks": "RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)",
    }

    def load(self, model: str) -> None:
        from langchain_huggingface import HuggingFaceEmbeddings

        self._model = HuggingFaceEmbeddings(model_name=model)
        self._model.embed_query("warm")

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None:
        from langchain_classic.retrievers import EnsembleRetriever
        from langchain_community.retrievers import BM25Retriever
        from langchain_community.vectorstores import FAISS
        from langchain_core.documents import Document
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
        texts = [Document(page_content=whole(one), metadata={"name": one["id"]}) for one in documents]
        pieces = splitter.split_documents(texts)
        self._store = FAISS.from_documents(pieces, self._model)
        self._words = BM25Retriever.from_documents(pieces)
        self._retriever = EnsembleRetriever(
            retrievers=[self._words, self._store.as_retriever()], weights=[0.5, 0.5], id_key=None
        )

    def search(self, question: str, hits: int) -> Sequence[str]:
        self._words.k = hits
        self._retriever.retrievers[1].search_kwargs = {"k": hits}
        return [str(document.metadata["name"]) for document in self._retriever.invoke(question)[:hits]]


if __name__ == "__main__":
    compete(LangChain())
