"""A small library in memory with the real one's shape: word overlap for search, sentences for answers."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rag.config import Settings
from rag.errors import DocumentNotFound, InvalidQuery, RagError, StoreError
from rag.filters import Filter
from rag.records import (
    AddReport,
    Answer,
    AnswerEvent,
    Chunk,
    Citation,
    Conversation,
    Delta,
    Document,
    DocumentInfo,
    Done,
    Evidence,
    Failure,
    FoundBy,
    Heading,
    Hit,
    Kind,
    Message,
    ModelState,
    Page,
    Passage,
    Progress,
    Retrieved,
    SearchResult,
    Source,
    Status,
    Turn,
    chunk_id,
    document_id,
)

NOW = datetime(2025, 3, 2, 9, 30, tzinfo=UTC)


def make_document(path: str, text: str, *, title: str = "", kind: Kind = "note", pages: int = 0) -> Document:
    """A document whose lines that begin with "# " are headings, cut into `pages` equal pages."""
    headings = tuple(Heading(1, m[1], m.start()) for m in re.finditer(r"^# (.+)$", text, re.M))
    size = -(-len(text) // pages) if pages else 0
    cut = tuple(Page(n + 1, n * size, min((n + 1) * size, len(text))) for n in range(pages))
    media = {"pdf": "application/pdf", "web": "text/html", "mail": "message/rfc822"}.get(kind, "text/markdown")
    return Document(
        id=document_id(path),
        path=path,
        sha256="0" * 64,
        kind=kind,
        media_type=media,
        title=title or Path(path).stem,
        text=text,
        pages=cut,
        headings=headings,
        date=NOW,
    )


def make_chunk(document: Document, start: int = 0, end: int | None = None, page: int | None = None) -> Chunk:
    end = len(document.text) if end is None else end
    above = [h.text for h in document.headings if h.start <= start]
    return Chunk(
        id=chunk_id(document.id, document.sha256, start, end),
        document_id=document.id,
        version=document.sha256,
        ordinal=0,
        modality="text",
        text=document.text[start:end],
        start=start,
        end=end,
        page=page,
        title=document.title,
        headings=tuple(above[-1:]),
        path=document.path,
        kind=document.kind,
        date=document.date,
    )


def make_passage(document: Document, number: int = 1, evidence: str = "", **chunk: int) -> Passage:
    """A passage of the whole document, or of `start`..`end`, with the words `evidence` as its evidence."""
    made = make_chunk(document, **chunk)
    found = (FoundBy("text", number, 0.62), FoundBy("bm25", number + 2, 7.5))
    at = document.text.find(evidence) if evidence else -1
    sentences = (Evidence(at, at + len(evidence), 0.8),) if at >= 0 else ()
    return Passage(number, Hit(made, number, 1 / number, found), made.text, made.start, made.end, sentences)


class FakeConversations:
    def __init__(self) -> None:
        self._kept: dict[str, Conversation] = {}

    def list(self, search: str = "") -> list[Conversation]:
        kept = sorted(self._kept.values(), key=lambda c: c.updated, reverse=True)
        return [c for c in kept if search.casefold() in c.title.casefold()]

    def get(self, conversation: str) -> Conversation:
        if conversation not in self._kept:
            raise StoreError(f"there is no conversation {conversation!r}")
        return self._kept[conversation]

    def create(self, title: str) -> Conversation:
        made = Conversation(f"{len(self._kept):032x}", title, NOW, NOW)
        self._kept[made.id] = made
        return made

    def append(self, conversation: str, turn: Turn) -> None:
        kept = self.get(conversation)
        self._kept[conversation] = replace(kept, turns=(*kept.turns, turn), updated=datetime.now(UTC))

    def rename(self, conversation: str, title: str) -> None:
        self._kept[conversation] = replace(self.get(conversation), title=title)

    def delete(self, conversation: str) -> None:
        self._kept.pop(conversation, None)


class FakeLibrary:
    """`pace` seconds pass between two pieces of an answer and two files of a job."""

    def __init__(self, home: Path, documents: Sequence[Document] = (), pace: float = 0.0) -> None:
        self.settings = Settings(home=home, port=0)
        self.conversations = FakeConversations()
        self.pace = pace
        self.bad: dict[str, str] = {}
        self.trouble: RagError | None = None  # raised by the next answers
        self.reply = ""  # what the model writes; else the evidence of the best passages
        self._documents = {document.id: document for document in documents}

    def status(self) -> Status:
        kinds: dict[str, int] = {}
        for document in self._documents.values():
            kinds[document.kind] = kinds.get(document.kind, 0) + 1
        models = (
            ModelState("embedder", "all-MiniLM-L6-v2", "cpu", "bf16", "this processor has bf16 instructions", True),
            ModelState("generator", "SmolLM2-135M-Instruct Q4_1", "cpu", "Q4_1", "no GPU was found", True),
        )
        return Status(str(self.settings.home), len(self._documents), len(self._documents), kinds, models)

    def documents(self, text: str = "", kinds: Sequence[Kind] = ()) -> list[DocumentInfo]:
        chosen = (d for d in self._documents.values() if text.casefold() in f"{d.title} {d.path}".casefold())
        return [_info(d) for d in chosen if not kinds or d.kind in kinds]

    def document(self, document: str) -> Document:
        if document not in self._documents:
            raise DocumentNotFound(f"no document {document!r}")
        return self._documents[document]

    def original(self, document: str) -> Source:
        found = self.document(document)
        return Source(found.path, found.media_type, found.text.encode("utf-8", "surrogatepass"))

    def failures(self) -> list[Failure]:
        return [Failure(path, reason) for path, reason in self.bad.items()]

    def remove(self, ids: Sequence[str]) -> int:
        return sum(self._documents.pop(one, None) is not None for one in ids)

    def warm(self) -> None:
        time.sleep(self.pace)

    def adopt(
        self,
        files: Sequence[Path | str],
        *,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> AddReport:
        return self.add(files, on_progress=on_progress, stop=stop)

    def add(
        self,
        paths: Sequence[Path | str],
        *,
        prune: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> AddReport:
        added: list[str] = []
        failed: list[Failure] = []
        for done, path in enumerate(map(str, paths)):
            if stop is not None and stop.is_set():
                break
            if on_progress is not None:
                on_progress(Progress(done, len(paths), path, done, done * self.pace, (len(paths) - done) * self.pace))
            time.sleep(self.pace)
            text = Path(path).read_bytes().decode("utf-8", "replace")
            if not text.strip():
                self.bad[path] = "it is empty"
                failed.append(Failure(path, "it is empty"))
                continue
            self.bad.pop(path, None)
            document = make_document(path, text)
            self._documents[document.id] = document
            added.append(path)
        return AddReport(added=tuple(added), failed=tuple(failed), chunks=len(added), seconds=self.pace)

    def search(self, query: str, *, k: int | None = None, where: Filter | None = None) -> SearchResult:
        if not query.strip():
            raise InvalidQuery("the query is empty; write a word or more")
        wanted = set(_words(query))
        scored = [(len(wanted & set(_words(d.text + " " + d.title))), d) for d in self._documents.values()]
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])[: k or 6]
        hits = tuple(
            Hit(make_chunk(d, page=1 if d.pages else None), rank, score / 10, (FoundBy("bm25", rank, score),))
            for rank, (score, d) in enumerate(best, 1)
        )
        return SearchResult(query, hits, {"embed": 2.0, "bm25": 1.0})

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[AnswerEvent]:
        if self.trouble is not None:
            raise self.trouble
        result = self.search(question)
        passages = tuple(self._passage(hit, question) for hit in result.hits)
        yield Retrieved(result, passages)
        time.sleep(self.pace)
        said = ""
        pieces = re.findall(r"\S+\s*", self._reply(passages))
        for piece in pieces:
            if stop is not None and stop.is_set():
                break
            said += piece
            yield Delta(piece)
            time.sleep(self.pace)
        stopped = stop is not None and stop.is_set()
        yield Done(
            Answer(
                question,
                said or "Nothing in your library answers this.",
                tuple(_citation(p) for p in passages[:1]),
                passages,
                "stopped" if stopped else "stop",
                "SmolLM2-135M-Instruct Q4_1",
                abstained=not passages,
                tokens=len(pieces),
                ms={"embed": 2.0, "bm25": 1.0, "first_token": 400.0, "generate": 1000.0},
            )
        )

    def _passage(self, hit: Hit, question: str) -> Passage:
        wanted = set(_words(question))
        sentences = re.finditer(r"[^.!?\n]+[.!?]?", hit.chunk.text)
        best = max(sentences, key=lambda m: len(wanted & set(_words(m[0]))), default=None)
        evidence = (Evidence(best.start(), best.end(), 0.7),) if best else ()
        return Passage(hit.rank, hit, hit.chunk.text, hit.chunk.start, hit.chunk.end, evidence)

    def _reply(self, passages: Sequence[Passage]) -> str:
        if not passages:
            return "Nothing in your library answers this."
        if self.reply:
            return self.reply
        said = (p.text[e.start : e.end].strip() + f" [{p.number}]" for p in passages[:3] for e in p.evidence)
        return "\n\n".join(said)


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.casefold()) if len(word) > 3]


def _citation(passage: Passage) -> Citation:
    chunk = passage.hit.chunk
    return Citation(
        passage.number, chunk.id, chunk.document_id, chunk.path, chunk.page, passage.start, passage.end, passage.text
    )


def _info(document: Document) -> DocumentInfo:
    return DocumentInfo(
        id=document.id,
        path=document.path,
        title=document.title,
        kind=document.kind,
        media_type=document.media_type,
        sha256=document.sha256,
        size=len(document.text),
        pages=len(document.pages),
        chunks=1,
        language=document.language,
        tags=document.tags,
        date=document.date,
        indexed=NOW,
        parent=document.parent,
        warnings=document.warnings,
    )
