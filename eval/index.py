"""A data set to a filled store, by the very chunker, analyser, indexer and stores of the program."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.datasets import Dataset, DatasetError, Entry
from rag import pictures
from rag.config import Settings
from rag.errors import UnreadableFile
from rag.indexing import EMBED_CHUNKS, Indexer, ReadLimits
from rag.ingest.analyse import analyse, analyse_picture, analyse_query
from rag.ingest.chunk import chunk, embedding_text, says_something
from rag.ingest.document import make_document
from rag.ingest.options import ReadOptions
from rag.ingest.parse import load_tokenizer
from rag.ingest.readers import read
from rag.looking import Looker
from rag.protocols import Embedder, ImageEmbedder, Reranker, Store
from rag.records import Chunk, Document, EmbeddedChunk, Source, Vector, document_id
from rag.retrieve.search import Searcher
from rag.store.catalogue import Catalogue
from rag.text import one_line

OnProgress = Callable[[float, int], None]  # done, with a part of what is large; total

_WRITE_DOCUMENTS = 1000  # in one commit
_LONGEST_TITLE = 300  # characters


@dataclass(frozen=True)
class Index:
    """A filled store. `names` gives the data set's name of each document id; `seconds` is what filling it took, with
    the model loaded before.
    """

    store: Store
    embedder: Embedder
    image_embedder: ImageEmbedder | None
    names: dict[str, str]
    languages: tuple[str, ...]
    chunks: int
    seconds: float
    reranker: Reranker | None = None

    @cached_property
    def searcher(self) -> Searcher:
        terms = partial(analyse_query, languages=self.languages)
        return Searcher(self.embedder, self.store, terms, self.image_embedder, self.reranker)


def build_index(
    dataset: Dataset,
    embedder: CachedEmbedder,
    settings: Settings,
    store: Store,
    folder: Path,
    show: OnProgress,
    image_embedder: CachedImageEmbedder | None = None,
) -> Index:
    """Index `dataset` in `store`, with what else is written in `folder`; both are empty.

    Entries become plain text documents, or pictures, without a file name. Files go through the same `Indexer` and
    `Looker` as `rag add`.
    """
    models = _Models(embedder, image_embedder)
    for model in models:
        if model is not None:
            model.load()
    started = time.monotonic()
    if dataset.folder is None:
        filling = _Entries(dataset, models, store, settings)
        filling.run(show)
        names, languages, chunks = filling.names, filling.languages, filling.chunks
    else:
        names, languages, chunks = _index_files(dataset.folder, models, store, settings, folder, show)
    store.maintain()
    most_first = tuple(language for language, _ in languages.most_common())
    return Index(store, *models, names, most_first, chunks, time.monotonic() - started)


def texts_have_looks(dataset: Dataset) -> bool:
    """Whether texts get a vector of the image embedder: where all are texts, and pictures ask for them.

    The program gives passages none; this is to measure the embedder from pictures to words, by the same search.
    """
    return bool(dataset.pictures) and not any(entry.image for entry in dataset.entries)


class _Models(NamedTuple):
    text: Embedder
    image: ImageEmbedder | None


class _Entries:
    """Entries on their way into the store."""

    def __init__(self, dataset: Dataset, models: _Models, store: Store, settings: Settings) -> None:
        self._entries = dataset.entries
        self._sought_by_pictures = texts_have_looks(dataset)
        self._models = models
        self._store = store
        self._reading = ReadOptions(settings.ocr, settings.picture_location, settings.max_megapixels)
        file = models.text.tokenizer_file
        self._tokenize = load_tokenizer(str(file) if file else None)
        self._max_tokens = min(settings.chunk_tokens, models.text.max_tokens)
        self.names = {document_id(entry.id): entry.id for entry in self._entries}
        self.languages: Counter[str] = Counter()
        self.chunks = 0

    def run(self, show: OnProgress) -> None:
        for start in range(0, len(self._entries), _WRITE_DOCUMENTS):
            entries = self._entries[start : start + _WRITE_DOCUMENTS]

            def so_far(done: float, start: int = start) -> None:
                show(start + done, len(self._entries))

            documents = []
            for entry in entries:
                documents.append(_picture(entry, entry.image, self._reading) if entry.image else _document(entry))
                if entry.image:  # reading it takes long
                    so_far(len(documents))
            self.languages.update(document.language for document in documents)
            self._store.replace_documents(self._embedded(documents, so_far))
            self._look(entries)
            so_far(len(documents))

    def _embedded(self, documents: Sequence[Document], show: Callable[[float], None]) -> dict[str, list[EmbeddedChunk]]:
        """The chunks of each document, those that say anything with a vector of text; `show` counts documents."""
        pieces: list[tuple[float, str, Chunk]] = []  # how many documents are done with it
        for number, document in enumerate(documents):
            cut = chunk(document, self._tokenize, self._max_tokens)
            pieces += [(number + at / len(cut), document.language, piece) for at, piece in enumerate(cut, start=1)]
        filed: dict[str, list[EmbeddedChunk]] = {document.id: [] for document in documents}
        for start in range(0, len(pieces), EMBED_CHUNKS):
            part = pieces[start : start + EMBED_CHUNKS]
            vectors = self._vectors([piece for _, _, piece in part])
            for _, language, piece in part:
                terms = analyse_picture if piece.modality == "image" else analyse
                words = terms(embedding_text(piece), language)
                filed[piece.document_id].append(EmbeddedChunk(piece, words, vectors.get(piece.id, ())))
            show(part[-1][0])
        self.chunks += len(pieces)
        return filed

    def _vectors(self, pieces: Sequence[Chunk]) -> dict[str, tuple[Vector, ...]]:
        saying = [piece for piece in pieces if says_something(piece)]
        rows = self._models.text.embed([embedding_text(piece) for piece in saying], "passage")
        return {piece.id: (Vector(self._models.text.space, row),) for piece, row in zip(saying, rows, strict=True)}

    def _look(self, entries: Sequence[Entry]) -> None:
        """Give the pictures their vectors, or the texts that are to be found by pictures."""
        model = self._models.image
        if model is None:
            return
        files = {document_id(entry.id): entry.image for entry in entries if entry.image}
        # Later frames of a file belong to the same entry, which its first one stands for.
        seen = [piece for piece in self._store.chunks(list(files)) if (piece.modality, piece.picture) == ("image", 1)]
        told = self._store.chunks([document_id(entry.id) for entry in entries]) if self._sought_by_pictures else []
        for part in _parts(seen):
            rows = model.embed_images([files[piece.document_id].read_bytes() for piece in part])
            self._store.add_vectors(model.space, {piece.id: row for piece, row in zip(part, rows, strict=True)})
        for part in _parts(told):
            rows = model.embed_texts([piece.text for piece in part])
            self._store.add_vectors(model.space, {piece.id: row for piece, row in zip(part, rows, strict=True)})


def _parts(pieces: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    return (pieces[start : start + EMBED_CHUNKS] for start in range(0, len(pieces), EMBED_CHUNKS))


def _document(entry: Entry) -> Document:
    source = Source(entry.id, "text/plain", entry.text.encode("utf-8", "surrogatepass"))
    document = make_document(source, "text", entry.text)
    return replace(document, title=one_line(entry.title, _LONGEST_TITLE))  # an id is no title


def _picture(entry: Entry, image: Path, options: ReadOptions) -> Document:
    """The picture read as a file would be, with the entry's text for a caption."""
    data = image.read_bytes()
    media_type = pictures.media_type(data) or "application/octet-stream"
    try:
        document = read(Source(entry.id, media_type, data), options)
    except UnreadableFile as exc:
        raise DatasetError(f"the picture {str(image)!r} of {entry.id!r} cannot be read: {exc.reason}") from exc
    shown = tuple(replace(picture, caption=entry.text or picture.caption, preview=b"") for picture in document.pictures)
    return replace(document, title=one_line(entry.title, _LONGEST_TITLE), pictures=shown)


def _index_files(
    root: Path, models: _Models, store: Store, settings: Settings, folder: Path, show: OnProgress
) -> tuple[dict[str, str], Counter[str], int]:
    catalogue = Catalogue(folder / "catalogue.sqlite")
    try:
        limits = ReadLimits.of(settings)
        report = Indexer(catalogue, lambda: store, models.text, limits, lambda p: show(p.done, p.total)).run([root])
        if models.image is not None:
            Looker(catalogue, lambda: store, models.image, nullcontext).run()
        names = {info.id: info.path for info in catalogue.infos()}
        return names, Counter(catalogue.languages()), report.chunks
    finally:
        catalogue.close()
