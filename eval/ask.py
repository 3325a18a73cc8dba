"""Every question of a data set through the program's own search, and what each retriever found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.datasets import Dataset
from eval.fusions import fused
from eval.index import Index, OnProgress
from rag.ingest.ocr import Ocr
from rag.pictures import decode
from rag.records import Chunk, Query
from rag.retrieve import search
from rag.retrieve.search import Ranked

HYBRID = "hybrid"
_IN_ORDER = (
    *(search.TEXT, search.BM25, search.PICTURE_TEXT, search.PICTURE_BM25, search.IMAGE, search.LIKENESS),
    HYBRID,
)

_CHUNKS_PER_DOCUMENT = 2  # asked for, since a document is found by its best chunk and long ones have several


@dataclass(frozen=True, slots=True)
class Rankings:
    """By retriever and question the names of documents, best first; and the milliseconds of each stage by question."""

    documents: Mapping[str, Mapping[str, Sequence[str]]]
    ms: Sequence[Mapping[str, float]]


def ask(
    dataset: Dataset, index: Index, depth: int, fusions: Sequence[str], show: OnProgress, *, ocr: bool = True
) -> Rankings:
    """Every question through the Searcher, as deep as `depth` documents; pictures asked with are read if `ocr`."""
    documents: dict[str, dict[str, list[str]]] = {HYBRID: {}}
    reader, ms = Ocr(), []
    for number, (name, text) in enumerate(dataset.queries.items(), start=1):
        query = _query(text, dataset.pictures.get(name), reader if ocr else None)
        result, lists = index.searcher.explain(query, depth * _CHUNKS_PER_DOCUMENT)
        found = {ranked.retriever: [match.chunk for match in ranked.matches] for ranked in lists}
        found[HYBRID] = [chunk for hit in result.hits for chunk in (hit.chunk, *hit.also)]
        found.update((fusion, _fused(fusion, lists)) for fusion in fusions)
        for retriever, chunks in found.items():
            ranked = _documents(chunks, index.names)
            kept = without_itself(name, ranked, dataset.judgements[name])[:depth]
            documents.setdefault(retriever, {})[name] = kept
        ms.append(result.ms)
        show(number, len(dataset.queries))
    return Rankings({name: documents[name] for name in (*_IN_ORDER, *fusions) if name in documents}, ms)


def _query(text: str, picture: Path | None, ocr: Ocr | None) -> Query:
    if picture is None:
        return Query(text)
    data = picture.read_bytes()
    return Query(text, data, ocr.read(decode(data, path=str(picture))).text if ocr else "")


def _fused(fusion: str, lists: Sequence[Ranked]) -> list[Chunk]:
    chunks = {match.chunk.id: match.chunk for ranked in lists for match in ranked.matches}
    scores = {ranked.retriever: [(match.chunk.id, match.score) for match in ranked.matches] for ranked in lists}
    return [chunks[name] for name in fused(fusion, scores)]


def _documents(chunks: Sequence[Chunk], names: Mapping[str, str]) -> list[str]:
    """The documents of `chunks`, each at the place of its best chunk."""
    return list(dict.fromkeys(names[chunk.document_id] for chunk in chunks))


def without_itself(query: str, ranked: Sequence[str], grades: Mapping[str, int]) -> list[str]:
    """Where questions are documents too (same id), finding oneself is no merit, unless it is judged to be one."""
    return [name for name in ranked if name != query or grades.get(name, 0) > 0]
