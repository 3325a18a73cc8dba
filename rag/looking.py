"""Looking at pictures: each one that has no vector yet gets one. There is no other way in which they come about.

So "added just now", "killed half-way" and "the image embedder came later" are one case. What a picture looks like is
embedded once, however often the library has it, and what could not be opened is passed over until the next run.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from threading import Event

import numpy as np
from numpy.typing import NDArray

from rag.errors import DocumentNotFound, LibraryBusy, UnreadableFile
from rag.filters import And, In
from rag.ingest.attachments import read_original
from rag.ingest.originals import open_picture
from rag.protocols import IMAGE_SPACE, ImageEmbedder, Store
from rag.records import Chunk, Document, Failure, Progress, Source
from rag.store.catalogue import Catalogue

OnProgress = Callable[[Progress], None]

PICTURES = In("modality", ("image",))

EMBED_PICTURES = 32  # progress is told after so many,
_EMBED_BYTES = 64 << 20  # or fewer where their files are large: they are in memory together
_ROUND = 1024  # pictures that the store is asked for at a time; those of one document are opened one after the other
_ROUND_LIMIT = 4096  # pictures of their documents that are taken on beside them
_WRITE_SECONDS = 10.0  # what is lost at most when the program is killed


@dataclass(frozen=True, slots=True)
class Looked:
    """How many pictures got a vector, and which could not be opened, each with the reason."""

    pictures: int = 0
    failed: tuple[Failure, ...] = ()


class Looker:
    """One run of looking at all that is unseen. Use it once.

    `store` gives that of the live index, which another one may take the place of at any moment. `writing` gives the
    library's write lock, which is held while vectors are written and at no other time: adding may go on beside it. A
    `LibraryBusy` from it is waited out.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: Callable[[], Store],
        embedder: ImageEmbedder,
        writing: Callable[[], AbstractContextManager[None]],
        on_progress: OnProgress | None = None,
        stop: Event | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._embedder = embedder
        self._writing = writing
        self._on_progress = on_progress
        self._stop = stop or Event()
        self._started = self._written = time.monotonic()
        self._vectors: dict[str, NDArray[np.float32]] = {}  # by digest, on their way to the store
        self._passed: dict[str, Failure] = {}  # by chunk id
        self._looked = 0

    def run(self) -> Looked:
        """Look until nothing is unseen but what cannot be opened, or until it is stopped."""
        while unseen := self._unseen():
            self._tell(unseen[0].path)
            for batch in self._batches(unseen):
                self._embed(batch)
                self._tell(batch[-1][0].path)
                if time.monotonic() - self._written >= _WRITE_SECONDS:
                    self._write()
            self._write()
            self._tell(unseen[-1].path)
        if self._looked and not self._stop.is_set():
            self._locked(lambda: self._store().maintain())
        return Looked(self._looked, tuple(self._passed.values()))

    def _unseen(self) -> list[Chunk]:
        """Pictures to look at next, by document; none when it is stopped."""
        if self._stop.is_set():
            return []
        first = self._store().without_vector(IMAGE_SPACE, _ROUND + len(self._passed), PICTURES)
        documents = tuple({chunk.document_id for chunk in first if chunk.id not in self._passed})
        if not documents:
            return []
        theirs = And((PICTURES, In("document_id", documents)))
        found = self._store().without_vector(IMAGE_SPACE, _ROUND_LIMIT + len(self._passed), theirs)
        unseen = [chunk for chunk in found if chunk.id not in self._passed]
        return sorted(unseen, key=lambda chunk: (chunk.document_id, chunk.picture or 0))

    def _batches(self, unseen: Sequence[Chunk]) -> Iterator[list[tuple[Chunk, bytes]]]:
        """The pictures opened, a few at a time."""
        batch: list[tuple[Chunk, bytes]] = []
        for chunk, data in self._opened(unseen):
            batch.append((chunk, data))
            if len(batch) == EMBED_PICTURES or sum(len(data) for _, data in batch) >= _EMBED_BYTES:
                yield batch
                batch = []
        if batch:
            yield batch

    def _opened(self, unseen: Sequence[Chunk]) -> Iterator[tuple[Chunk, bytes]]:
        """The encoded pictures, each digest once, until it is stopped."""
        taken: set[str] = set()
        for name, group in groupby(unseen, key=lambda chunk: chunk.document_id):
            chunks = [chunk for chunk in group if chunk.digest not in taken]
            opened = _Opened(self._catalogue, name, several=len(chunks) > 1)
            for chunk in chunks:
                if self._stop.is_set():
                    return
                if chunk.digest in taken:
                    continue
                try:
                    data = opened.picture(chunk)
                except DocumentNotFound:
                    self._pass_over(chunk, "its document was removed meanwhile")
                except UnreadableFile as exc:
                    self._pass_over(chunk, exc.reason)
                else:
                    taken.add(chunk.digest)
                    yield chunk, data

    def _embed(self, batch: Sequence[tuple[Chunk, bytes]]) -> None:
        try:
            rows = self._embedder.embed_images([data for _, data in batch])
        except UnreadableFile as exc:
            if len(batch) == 1:
                self._pass_over(batch[0][0], exc.reason)
            else:  # which one it was is found by taking them one by one
                for pair in batch:
                    self._embed([pair])
            return
        self._vectors.update(zip((chunk.digest for chunk, _ in batch), rows, strict=True))

    def _write(self) -> None:
        """Give the vectors to every picture that still has their digest, wherever it stands."""
        if not self._vectors:
            return

        def write() -> None:
            theirs = And((PICTURES, In("digest", tuple(self._vectors))))
            chunks = self._store().without_vector(IMAGE_SPACE, self._store().count(theirs), theirs)
            self._store().add_vectors(IMAGE_SPACE, {chunk.id: self._vectors[chunk.digest] for chunk in chunks})
            self._looked += len(chunks)

        self._locked(write)
        self._vectors = {}
        self._written = time.monotonic()

    def _locked(self, change: Callable[[], None]) -> None:
        """Make a change with the write lock held, however long another writer has it; when stopped, not at all."""
        while True:
            try:
                with self._writing():
                    change()
                return
            except LibraryBusy:
                if self._stop.is_set():
                    return

    def _pass_over(self, chunk: Chunk, reason: str) -> None:
        self._passed[chunk.id] = Failure(chunk.path, f"picture {chunk.picture} could not be looked at: {reason}")

    def _tell(self, path: str) -> None:
        if self._on_progress is None:
            return
        seconds = time.monotonic() - self._started
        through = len(self._vectors) + len(self._passed)  # and unseen to the store
        done = self._looked + through
        left = max(self._store().count(PICTURES, without=IMAGE_SPACE) - through, 0)
        seconds_left = seconds / done * left if done else None
        self._on_progress(Progress(done, done + left, path, done, seconds, seconds_left, "look"))


class _Opened:
    """A document whose pictures are wanted; its file is read once where there are `several` of them in it."""

    def __init__(self, catalogue: Catalogue, name: str, several: bool) -> None:
        self._catalogue = catalogue
        self._name = name
        self._several = several

    @cached_property
    def _document(self) -> Document:
        return self._catalogue.document(self._name)

    @cached_property
    def _original(self) -> Source | None:
        document = self._document
        return read_original(document.path, document.media_type, document.parent) if self._several else None

    def picture(self, chunk: Chunk) -> bytes:
        """The encoded picture, once it is sure that the document still has it at its number."""
        document = self._document
        for each in document.pictures:
            if (each.number, each.digest) == (chunk.picture, chunk.digest):
                return open_picture(document, each.number, None if each.path else self._original)
        raise UnreadableFile(document.path, "it was read again meanwhile")
