"""The library: add, search, ask, remove. What the command line, the browser UI and the benchmarks all talk to."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock

from rag.adopting import adopted
from rag.answer.answer import answer
from rag.answer.describe import describe
from rag.answer.standalone import stand_alone
from rag.config import Settings
from rag.databases import Databases
from rag.errors import GenerationError, ModelError, StoreError, TuneError, UnreadableFile
from rag.filters import Filter
from rag.gallery import ASKED, Gallery
from rag.improving import Improver
from rag.indexing import Indexer, OnProgress, ReadLimits, remove_documents
from rag.ingest.analyse import analyse_query
from rag.ingest.attachments import read_original
from rag.ingest.ocr import Ocr
from rag.live import Index, LiveIndex
from rag.live_words import LiveWords
from rag.looking import PICTURES, Looked, Looker
from rag.pictures import PREVIEW_SIDE, VIEW_SIDE, decode, digest
from rag.protocols import IMAGE_SPACE, Embedder, Generator, ImageEmbedder, Reranker
from rag.records import (
    AddReport,
    Answer,
    AnswerEvent,
    Audience,
    Document,
    DocumentInfo,
    Done,
    Failure,
    IndexVersion,
    Kind,
    Message,
    Query,
    SearchResult,
    Source,
    Status,
    SwitchReport,
    VerifyReport,
)
from rag.retrieve.context import HITS_PER_SOURCE, choose
from rag.retrieve.fuse import WEIGHT
from rag.retrieve.search import Searcher
from rag.store.conversations import Conversations
from rag.store.recover import verify
from rag.switching import Switcher
from rag.tune.feedback import FILE as FEEDBACK
from rag.tune.feedback import FeedbackLog
from rag.tune.records import ShownChunk
from rag.tune.synthetic import Synthesized

log = logging.getLogger(__name__)


class Library:
    """One person's documents and the models that serve them. Open it with `rag.build.open_library`; close it.

    Searching and asking may go on from several threads while one thread adds. `add`, `adopt` and `remove` take the
    write lock and raise LibraryBusy when another process holds it; `look` waits for it. `feedback` is the log of what
    people were shown and what they chose.
    """

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        index: LiveIndex,
        switcher: Switcher,
        improver: Improver,
        conversations: Conversations,
        generator: Generator | None,
        image_embedder: ImageEmbedder | None = None,
        reranker: Reranker | None = None,
        words: LiveWords | None = None,
    ) -> None:
        self.settings = settings
        self.conversations = conversations
        self.improver = improver
        self.feedback = FeedbackLog(settings.home / FEEDBACK, enabled=settings.feedback)
        self._catalogue = catalogue = databases.catalogue
        self._databases = databases
        self._index = index
        self._switcher = switcher
        self._generator = generator
        self._image_embedder = image_embedder
        self._reranker = reranker
        self._words = words
        self._gallery = Gallery(settings.home, catalogue.document, settings.max_megapixels)
        self._ocr = Ocr()
        self._looking, self._beginning = Lock(), Lock()
        self._searching: tuple[Index, ImageEmbedder | None, Searcher] | None = None

    # --- what is in it ---

    def status(self) -> Status:
        """Counts and models, without loading a model."""
        kinds, pictures = self._catalogue.kinds(), self._catalogue.pictures()
        used = (self._embedder, self._image_embedder, self._reranker, self._generator)
        models = [each.state for each in used if each is not None]
        return Status(
            home=str(self.settings.home),
            documents=sum(kinds.values()),
            chunks=self._catalogue.chunks(),
            kinds=kinds,
            models=tuple(models),
            pictures=pictures,
            unseen=self._unseen() if pictures and self._image_embedder else pictures,
        )

    def _unseen(self) -> int:
        return self._databases.store.count(PICTURES, without=IMAGE_SPACE)

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
        """The models of texts in use, for `doctor` to measure."""
        return self._embedder, self._generator

    @property
    def image_embedder(self) -> ImageEmbedder | None:
        """What looks at pictures, None where that is off."""
        return self._image_embedder

    def failures(self) -> list[Failure]:
        """Files that could not be taken in when they were last tried, with the reason."""
        return self._catalogue.failures()

    def verify(self) -> VerifyReport:
        """Compare the catalogue with the store, and every chunk with its document's text.

        Raises:
            LibraryBusy: another process is writing, so that the two cannot be compared.
        """
        with self._databases.writing():
            return verify(self._catalogue, self._databases.store)

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

        At the end whatever pictures are unseen are looked at, as `look` does, with the write lock free again.

        Args:
            paths: files and folders, walked without following links to folders.
            prune: remove documents whose files are gone from these folders; otherwise they are only reported.
            on_progress: called from this thread, a few times a second at most.
            stop: set it to end after the batch in work; what is written stays written.

        Raises:
            LibraryBusy: another process is adding.
            DiskFull: nothing of the batch in work was kept; everything before it was.
        """
        with self._databases.writing():
            index = self._index.now()
            indexer = Indexer(
                self._catalogue,
                lambda: index.store,
                index.embedder,
                ReadLimits.of(self.settings),
                on_progress,
                stop,
                self._gallery.thumbnails,
            )
            report = indexer.run(paths, prune)
        return self._looked_after(report, on_progress, stop)

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

    def look(self, on_progress: OnProgress | None = None, stop: Event | None = None) -> int:
        """Let the image embedder look at every picture that it has not seen; how many those were.

        0 where there is no image embedder. It may be stopped, or killed, at any moment: the next call goes on. A
        picture that cannot be opened is passed over until then. Adding may go on beside it.

        Raises:
            ModelError: the image embedder cannot be used.
        """
        return self._look(on_progress, stop).pictures

    def remove(self, documents: Sequence[str]) -> int:
        """Remove documents by id, with what was attached to them; how many went. Files on disk are not touched.

        Raises:
            DocumentNotFound: one of them is not in the library; nothing was removed.
        """
        with self._databases.writing():
            for document in documents:
                self._catalogue.info(document)
            return remove_documents(self._catalogue, self._databases.store, documents, self._gallery.thumbnails)

    def _look(self, on_progress: OnProgress | None, stop: Event | None) -> Looked:
        if self._image_embedder is None or not self._catalogue.pictures():
            return Looked()
        while not self._looking.acquire(timeout=0.5):  # another thread looks, at what is new now too
            if stop is not None and stop.is_set():
                return Looked()
        try:
            databases = self._databases
            looker = Looker(
                self._catalogue,
                lambda: databases.store,
                self._image_embedder,
                databases.writing,
                on_progress,
                stop,
            )
            return looker.run()
        finally:
            self._looking.release()

    def _looked_after(self, report: AddReport, on_progress: OnProgress | None, stop: Event | None) -> AddReport:
        """`report` with what came of looking: a model that fails costs a line, what was written stays."""
        started = time.monotonic()
        asked_for = {*report.added, *report.updated, *report.unchanged}
        try:
            looked = self._look(on_progress, stop)
            failed = [failure for failure in looked.failed if failure.path in asked_for]
        except ModelError as exc:
            looked, failed = Looked(), [Failure("image_embedder", f"pictures were not looked at: {exc}")]
        return replace(
            report,
            looked=looked.pictures,
            warnings=(*report.warnings, *failed),
            seconds=report.seconds + time.monotonic() - started,
        )

    # --- learning ---

    def make_up_queries(
        self, most: int, on_progress: OnProgress | None = None, stop: Event | None = None
    ) -> Synthesized:
        """Have the language model make up queries for passages until there are `most` good ones to learn from.

        It may be stopped, or killed, at any moment: the next call goes on.

        Raises:
            TuneError: there is no language model.
            GenerationError, ModelError: it cannot be used.
        """
        if self._generator is None:
            raise TuneError("there is no language model to make up queries; choose one: rag models list")

        def found(query: str, k: int) -> list[str]:
            return [hit.chunk.id for hit in self.search(query, k=k).hits]

        return self.improver.gatherer.make_up(self._generator, found, most=most, on_progress=on_progress, stop=stop)

    # --- the versions of its index ---

    def versions(self) -> list[IndexVersion]:
        """The live version of the index, then those that one can go back to, then those that are being made."""
        return self._switcher.versions.all()

    def switch_embedder(
        self, reference: str, on_progress: OnProgress | None = None, stop: Event | None = None
    ) -> SwitchReport:
        """Embed every chunk with another model in a version of the index beside the live one, then make that live.

        Searching, asking and adding go on meanwhile, in this process and in others, with the version that is live. It
        may be stopped or killed at any moment: the next call for the same model goes on. Nothing is read again.

        Args:
            reference: the model, as the setting `embedder` names one.
            on_progress: called from this thread, a few times a second at most.
            stop: set it to end after what is in work.

        Raises:
            ConfigError: the setting `embedder` names another model, which would be refused afterwards.
            ModelError: the model cannot be used.
            LibraryBusy: another version is being made.
            DiskFull: there is no room; what is done stays, and the live version is as it was.
        """
        return self._switcher.use(reference, on_progress, stop)

    def roll_back(self, on_progress: OnProgress | None = None, stop: Event | None = None) -> SwitchReport:
        """Make the version live again that was so before. Documents that changed since are brought into it first.

        Raises:
            StoreError: there is none.
            ModelError: its model is needed and cannot be used.
            LibraryBusy: another version is being made.
        """
        return self._switcher.roll_back(on_progress, stop)

    def prune_versions(self) -> tuple[str, ...]:
        """Delete every version of the index but the live one; their names.

        Raises:
            LibraryBusy: another version is being made.
        """
        return self._switcher.prune()

    # --- asking it ---

    def search(
        self,
        text: str = "",
        *,
        picture: bytes | None = None,
        like: str = "",
        k: int | None = None,
        where: Filter | None = None,
        audience: Audience = "program",
    ) -> SearchResult:
        """The one ranked list: `k` hits, best first, for words, a picture, or both. Filters are `rag.filters`.

        Args:
            text: what is looked for, in words.
            picture: an encoded picture, which is looked at and read.
            like: the id of a chunk that is a picture, or of a document: more like that.
            k: how many hits; None: as many as the settings show beside an answer.
            where: what may be found.
            audience: who sees it. What a person was shown for words alone is logged, see `feedback`.

        Raises:
            InvalidQuery: there is nothing to look for.
            UnreadableFile: the picture cannot be decoded.
        """
        query = self._query(text, picture, like)
        result, index = self._found(query, k or self.settings.sources, where)
        return self._logged(result, query, index, audience)

    def ask(
        self,
        question: str,
        *,
        picture: bytes | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: Event | None = None,
        answer_tokens: int | None = None,
        audience: Audience = "program",
    ) -> Iterator[AnswerEvent]:
        """An answer as it comes: Retrieved, then Deltas, then Done. Closing the iterator or `stop` ends it.

        A question that leans on the `history` before it is made to stand alone first. A `picture` that the question is
        about is looked for as well, shown to a model that sees, and kept.
        `answer_tokens` is the longest reply, where that is shorter than the settings allow. The sources that a person
        (`audience`) sees are logged, see `feedback`, and those that the answer cites.

        Raises:
            InvalidQuery: the question is empty.
            UnreadableFile: the picture cannot be decoded.
        """
        sources, most = self.settings.sources, self.settings.answer_tokens
        if picture is not None:
            self.keep_picture(picture)
        standalone = "" if picture else stand_alone(question, history, self._generator, stop)
        query = self._query(standalone or question, picture)
        found, index = self._found(query, HITS_PER_SOURCE * sources, where)
        result = self._logged(choose(found, sources), query, index, audience)
        for event in answer(
            question,
            result,
            standalone=standalone,
            embedder=self._embedder,
            generator=self._generator,
            answer_tokens=min(most, answer_tokens or most),
            history=history,
            stop=stop,
            asked=picture,
            asked_words=query.picture_text,
            picture_of=self._gallery.picture_of,
            prompt_pictures=self.settings.prompt_pictures,
            lines_of=self._gallery.lines_of,
        ):
            if isinstance(event, Done):
                self._log_citations(event.answer, result.shown)
                event = Done(replace(event.answer, shown=result.shown))
            yield event

    def _logged(self, result: SearchResult, query: Query, index: Index, audience: Audience) -> SearchResult:
        """`result` with its id in the log of feedback, where a person sees it.

        With a picture the words are not all that was asked, and nothing could be learnt from them.
        """
        if audience == "program" or query.picture is not None or query.like:
            return result
        chunks = [
            ShownChunk(
                hit.chunk.id, hit.chunk.document_id, rank, {found.retriever: found.rank for found in hit.found_by}
            )
            for rank, hit in enumerate(result.hits, start=1)
        ]
        space, settled = index.embedder.fingerprint, audience == "person"
        return replace(result, shown=self.feedback.show(result.query, space, index.tuned.name, chunks, settled=settled))

    def _log_citations(self, answer: Answer, shown: str) -> None:
        """What an answer rests on; where nothing answers the question it rests on nothing."""
        if not answer.abstained:
            borne_out = (citation for citation in answer.citations if citation.supported is not False)
            self.feedback.cite(shown, [citation.chunk_id for citation in borne_out])

    def _query(self, text: str, picture: bytes | None, like: str = "") -> Query:
        """The query with the words in its picture read, and what a model that sees says about it."""
        if picture is None:
            return Query(text, like=like)
        image = decode(picture, path=ASKED, max_megapixels=self.settings.max_megapixels)
        read = self._ocr.read(image).text if self.settings.ocr else ""
        return Query(text, picture, read, like, self._described(picture), self._same(picture))

    def _same(self, picture: bytes) -> tuple[str, ...]:
        """The chunks that are this very picture, wherever it stands."""
        places = self._catalogue.showing(digest(picture))
        chunks = self._databases.store.chunks([document for document, _ in places]) if places else []
        return tuple(
            each.id for each in chunks if each.modality == "image" and (each.document_id, each.picture) in places
        )

    def _described(self, picture: bytes) -> str:
        """What the language model sees in a picture; "" where it sees nothing, for the search can go on without."""
        if self._generator is None:
            return ""
        try:
            return describe(self._generator, picture)
        except (GenerationError, ModelError) as exc:
            log.warning("the picture asked with was not described: %s", exc)
            return ""

    # --- its pictures ---

    def preview(self, document: str, number: int) -> bytes:
        """Picture `number` of a document as WebP, small enough for a card.

        Raises:
            DocumentNotFound: it is not in the library.
            UnreadableFile: there is no such picture, or its file is gone or has changed and it was never kept.
        """
        return self._gallery.picture(document, number, PREVIEW_SIDE)

    def view(self, document: str, number: int) -> bytes:
        """Picture `number` of a document as WebP, large enough to fill a screen; raises as `preview` does."""
        return self._gallery.picture(document, number, VIEW_SIDE)

    def page_view(self, document: str, page: int) -> bytes:
        """A page of a PDF as WebP, large enough to fill a screen; raises as `preview` does."""
        return self._gallery.page(document, page)

    def keep_picture(self, data: bytes) -> str:
        """Keep a picture that is asked with, for as long as a conversation shows it; its digest.

        Raises:
            UnreadableFile: it cannot be decoded.
        """
        self._gallery.forget_asked(self.conversations.pictures())
        return self._gallery.keep(data)

    def kept_picture(self, digest: str) -> bytes:
        """A picture that was asked with, as WebP; UnreadableFile where it is not kept any more."""
        return self._gallery.kept(digest)

    # --- the models and the store ---

    def warm(self) -> None:
        """Load the models and open the store now rather than at the first question."""
        index = self._index.now()
        _ = index.store  # only now it is sure that it is the embedder that wrote the index
        index.embedder.load()
        for model in (self._generator, self._image_embedder, self._reranker):
            if model is not None:
                model.load()

    def close(self) -> None:
        """Close the databases. The library cannot be used after it."""
        self._databases.close()
        self.conversations.close()

    @property
    def _embedder(self) -> Embedder:
        return self._index.now().embedder

    def _found(self, query: Query, k: int, where: Filter | None) -> tuple[SearchResult, Index]:
        """What the live version of the index finds, and which that is: another one may become live meanwhile."""
        while True:
            index = self._index.now()
            try:
                return self._searcher(index).search(query, k, where), index
            except StoreError:
                if self._index.now() is index:
                    raise

    def _searcher(self, index: Index) -> Searcher:
        looks = self._words.now() if self._words else self._image_embedder
        with self._beginning:
            if self._searching is None or self._searching[0] is not index or self._searching[1] is not looks:
                reranker = self._reranker
                weight = index.tuned.fusion_weight or WEIGHT
                searcher = Searcher(index.embedder, index.store, self._terms, looks, reranker, weight)
                self._searching = index, looks, searcher
            return self._searching[2]

    def _terms(self, query: str) -> str:
        return analyse_query(query, self._catalogue.languages())
