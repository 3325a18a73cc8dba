"""The library: add, search, ask, remove. What the command line, the browser UI and the benchmarks all talk to."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from filecmp import cmp
from itertools import count
from pathlib import Path
from threading import Event, Lock

from rag.answer.answer import answer
from rag.config import Settings
from rag.errors import LibraryBusy, UnreadableFile
from rag.filters import Filter
from rag.indexing import Indexer, OnProgress, ReadLimits, remove_documents
from rag.ingest.analyse import analyse_query
from rag.ingest.attachments import read_original
from rag.protocols import Embedder, Generator, Store
from rag.records import (
    AddReport,
    AnswerEvent,
    Document,
    DocumentInfo,
    Failure,
    Kind,
    Message,
    SearchResult,
    Source,
    Status,
    VerifyReport,
)
from rag.retrieve.context import HITS_PER_SOURCE, choose
from rag.retrieve.search import Searcher
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.lock import write_lock
from rag.store.recover import recover, verify


class Library:
    """One person's documents and the models that serve them. Open it with `rag.build.open_library`; close it.

    Searching and asking may go on from several threads while one thread adds. `add`, `adopt` and `remove` take the
    write lock and raise LibraryBusy when another process holds it.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        conversations: Conversations,
        open_store: Callable[[], Store],
        embedder: Embedder,
        generator: Generator | None,
    ) -> None:
        self.settings = settings
        self.conversations = conversations
        self._catalogue = catalogue
        self._open_store = open_store
        self._opened: Store | None = None
        self._opening = Lock()
        self._embedder = embedder
        self._generator = generator

    # --- what is in it ---

    def status(self) -> Status:
        """Counts and models, without loading anything."""
        kinds = self._catalogue.kinds()
        models = [model.state for model in (self._embedder, self._generator) if model is not None]
        return Status(
            home=str(self.settings.home),
            documents=sum(kinds.values()),
            chunks=self._catalogue.chunks(),
            kinds=kinds,
            models=tuple(models),
        )

    def documents(self, text: str = "", kinds: Sequence[Kind] = ()) -> list[DocumentInfo]:
        """The documents whose title or path contains `text`, of any of `kinds` (none: all), by path."""
        return self._catalogue.infos(text, kinds)

    def document(self, document: str) -> Document:
        """A whole document by its id.

        Raises:
            DocumentNotFound: it is not in the library.
        """
        return self._catalogue.document(document)

    def resolve(self, reference: str) -> str:
        """The id of the document that `reference` (an id, the beginning of one, or a path) names.

        Raises:
            DocumentNotFound: none, or more than one.
        """
        return self._catalogue.resolve(reference)

    def original(self, document: str) -> Source:
        """The bytes of the file or attachment that a document was read from.

        Raises:
            DocumentNotFound: it is not in the library.
            UnreadableFile: the file is gone, or is no longer what was indexed.
        """
        found = self._catalogue.document(document)
        source = read_original(found.path, found.media_type, found.parent)
        if source.sha256 != found.sha256:
            raise UnreadableFile(found.path, "it has changed since it was indexed; add it again")
        return source

    def models(self) -> tuple[Embedder, Generator | None]:
        """The models in use, for `doctor` to measure."""
        return self._embedder, self._generator

    def failures(self) -> list[Failure]:
        """Files that could not be taken in when they were last tried, with the reason."""
        return self._catalogue.failures()

    def verify(self) -> VerifyReport:
        """Compare the catalogue with the store, and every chunk with its document's text.

        Raises:
            LibraryBusy: another process is writing, so that the two cannot be compared.
        """
        with self._writing():
            return verify(self._catalogue, self._store)

    # --- changing it ---

    def add(
        self,
        paths: Sequence[Path | str],
        *,
        prune: bool = False,
        on_progress: OnProgress | None = None,
        stop: Event | None = None,
    ) -> AddReport:
        """Index files and folders. Unchanged files are skipped; a file that cannot be read costs a line of the report.

        Args:
            paths: files and folders, walked without following links to folders.
            prune: remove documents whose files are gone from these folders; otherwise they are only reported.
            on_progress: called from this thread, a few times a second at most.
            stop: set it to end after the batch in work; what is written stays written.

        Raises:
            LibraryBusy: another process is adding.
            DiskFull: nothing of the batch in work was kept; everything before it was.
        """
        with self._writing():
            limits = ReadLimits.of(self.settings)
            indexer = Indexer(self._catalogue, lambda: self._store, self._embedder, limits, on_progress, stop)
            return indexer.run(paths, prune)

    def adopt(
        self,
        files: Sequence[Path | str],
        *,
        on_progress: OnProgress | None = None,
        stop: Event | None = None,
    ) -> AddReport:
        """Copy files into the library's own folder, then add the copies: for files dropped into the browser."""
        copies = [adopted(Path(file), self.settings.home / "files") for file in files]
        return self.add(copies, on_progress=on_progress, stop=stop)

    def remove(self, documents: Sequence[str]) -> int:
        """Remove documents by id, with what was attached to them; how many went. Files on disk are not touched.

        Raises:
            DocumentNotFound: one of them is not in the library; nothing was removed.
        """
        with self._writing():
            for document in documents:
                self._catalogue.info(document)
            return remove_documents(self._catalogue, self._store, documents)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The write lock, and what a killed writer left behind put right first."""
        with write_lock(self.settings.home):
            if self._catalogue.pending():
                recover(self._catalogue, self._store)
            yield

    # --- asking it ---

    def search(self, query: str, *, k: int | None = None, where: Filter | None = None) -> SearchResult:
        """The one ranked list: `k` hits, best first. Filters are `rag.filters`.

        Raises:
            InvalidQuery: the query is empty.
        """
        return self._searcher.search(query, k or self.settings.sources, where)

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: Event | None = None,
    ) -> Iterator[AnswerEvent]:
        """An answer as it comes: Retrieved, then Deltas, then Done. Closing the iterator or `stop` ends it.

        Raises:
            InvalidQuery: the question is empty.
        """
        sources = self.settings.sources
        yield from answer(
            question,
            choose(self.search(question, k=HITS_PER_SOURCE * sources, where=where), sources),
            embedder=self._embedder,
            generator=self._generator,
            answer_tokens=self.settings.answer_tokens,
            history=history,
            stop=stop,
        )

    def warm(self) -> None:
        """Load the models and open the store now rather than at the first question."""
        self._embedder.load()
        _ = self._store
        if self._generator is not None:
            self._generator.load()

    def close(self) -> None:
        """Close the databases. The library cannot be used after it."""
        if self._opened is not None:
            self._opened.close()
        self._catalogue.close()
        self.conversations.close()

    @property
    def _store(self) -> Store:
        """Opened at first use: listing and unchanged files need no vector database."""
        with self._opening:
            if self._opened is None:
                self._opened = self._open_store()
                self._mend(self._opened)
            return self._opened

    def _mend(self, store: Store) -> None:
        """Put right what a killed writer left, unless another writer is at work: then it is what that one does."""
        with suppress(LibraryBusy):
            if self._catalogue.pending():
                with write_lock(self.settings.home, wait=0):
                    recover(self._catalogue, store)

    @property
    def _searcher(self) -> Searcher:
        return Searcher(self._embedder, self._store, lambda query: analyse_query(query, self._catalogue.languages()))


def adopted(file: Path, folder: Path) -> Path:
    """A copy of `file` in `folder`: under its own name, or a numbered one where that name holds something else."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        copy = folder / (file.name if number == 1 else f"{file.stem} ({number}){file.suffix}")
        if not copy.exists():
            shutil.copy2(file, copy)
            return copy
        if cmp(file, copy, shallow=False):
            return copy
    raise AssertionError("unreachable: there is always a next number")
