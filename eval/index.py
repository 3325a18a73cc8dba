"""A data set to a filled store, by the very chunker, analyser, indexer and stores of the program."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from eval.cache import CachedEmbedder
from eval.datasets import Dataset, Entry
from rag.config import Settings
from rag.indexing import EMBED_CHUNKS, Indexer, ReadLimits
from rag.ingest.analyse import analyse, analyse_query
from rag.ingest.chunk import chunk, embedding_text
from rag.ingest.document import make_document
from rag.ingest.parse import load_tokenizer
from rag.protocols import Embedder, Store
from rag.records import Document, EmbeddedChunk, Source, Vector, document_id
from rag.retrieve.search import Searcher
from rag.store.catalogue import Catalogue
from rag.text import one_line

StoreName = Literal["lance", "memory"]
OnProgress = Callable[[int, int], None]  # done, total

_WRITE_DOCUMENTS = 1000  # in one commit
_LONGEST_TITLE = 300  # characters


@dataclass(frozen=True)
class Index:
    """A filled store. `names` gives the data set's name of each document id; `seconds` is what filling it took, with
    the model loaded before.
    """

    store: Store
    embedder: Embedder
    names: dict[str, str]
    languages: tuple[str, ...]
    chunks: int
    seconds: float

    @cached_property
    def searcher(self) -> Searcher:
        return Searcher(self.embedder, self.store, lambda query: analyse_query(query, self.languages))


def build_index(
    dataset: Dataset, embedder: CachedEmbedder, settings: Settings, store: StoreName, folder: Path, show: OnProgress
) -> Index:
    """Index `dataset` with a store in `folder`, which is empty.

    Entries become plain text documents without a file name. Files go through the same `Indexer` as `rag add`.
    """
    opened = _open_store(store, embedder, folder)
    embedder.load()
    started = time.monotonic()
    if dataset.folder is None:
        filling = _Entries(dataset.entries, embedder, opened, settings)
        filling.run(show)
        names, languages, chunks = filling.names, filling.languages, filling.chunks
    else:
        names, languages, chunks = _index_files(dataset.folder, embedder, opened, settings, folder, show)
    opened.maintain()
    most_first = tuple(language for language, _ in languages.most_common())
    return Index(opened, embedder, names, most_first, chunks, time.monotonic() - started)


class _Entries:
    """Entries on their way into the store."""

    def __init__(self, entries: Sequence[Entry], embedder: Embedder, store: Store, settings: Settings) -> None:
        self._entries = entries
        self._embedder = embedder
        self._store = store
        file = embedder.tokenizer_file
        self._tokenize = load_tokenizer(str(file) if file else None)
        self._max_tokens = min(settings.chunk_tokens, embedder.max_tokens)
        self.names = {document_id(entry.id): entry.id for entry in entries}
        self.languages: Counter[str] = Counter()
        self.chunks = 0

    def run(self, show: OnProgress) -> None:
        for start in range(0, len(self._entries), _WRITE_DOCUMENTS):
            documents = [_document(entry) for entry in self._entries[start : start + _WRITE_DOCUMENTS]]
            self.languages.update(document.language for document in documents)
            filed: dict[str, list[EmbeddedChunk]] = {document.id: [] for document in documents}
            for number, embedded in self._embedded(documents):
                filed[embedded.chunk.document_id].append(embedded)
                self.chunks += 1
                if self.chunks % EMBED_CHUNKS == 0:
                    show(start + number, len(self._entries))
            self._store.replace_documents(filed)
            show(start + len(documents), len(self._entries))

    def _embedded(self, documents: Sequence[Document]) -> Iterator[tuple[int, EmbeddedChunk]]:
        """Each chunk of `documents`, embedded, with the number of its document from 1."""
        pieces = [
            (number, document.language, piece)
            for number, document in enumerate(documents, start=1)
            for piece in chunk(document, self._tokenize, self._max_tokens)
        ]
        for start in range(0, len(pieces), EMBED_CHUNKS):
            part = pieces[start : start + EMBED_CHUNKS]
            texts = [embedding_text(piece) for _, _, piece in part]
            rows = self._embedder.embed(texts, "passage")
            for (number, language, piece), text, row in zip(part, texts, rows, strict=True):
                yield number, EmbeddedChunk(piece, analyse(text, language), (Vector(self._embedder.space, row),))


def _document(entry: Entry) -> Document:
    source = Source(entry.id, "text/plain", entry.text.encode("utf-8", "surrogatepass"))
    document = make_document(source, "text", entry.text)
    return replace(document, title=one_line(entry.title, _LONGEST_TITLE))  # an id is no title


def _index_files(
    root: Path, embedder: Embedder, store: Store, settings: Settings, folder: Path, show: OnProgress
) -> tuple[dict[str, str], Counter[str], int]:
    catalogue = Catalogue(folder / "catalogue.sqlite")
    try:
        indexer = Indexer(catalogue, lambda: store, embedder, ReadLimits.of(settings), lambda p: show(p.done, p.total))
        report = indexer.run([root])
        names = {info.id: info.path for info in catalogue.infos()}
        return names, Counter(catalogue.languages()), report.chunks
    finally:
        catalogue.close()


def _open_store(name: StoreName, embedder: Embedder, folder: Path) -> Store:
    spaces = {embedder.space: embedder.dim}
    if name == "memory":
        from rag.store.memory_store import MemoryStore

        return MemoryStore(spaces)
    from rag.store.lance_store import LanceStore

    return LanceStore(folder / "index", spaces)
