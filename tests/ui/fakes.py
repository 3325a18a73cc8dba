"""A small library in memory with the real one's shape: word overlap for search, mean colours for pictures."""

import hashlib
import io
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from PIL import Image, UnidentifiedImageError

from rag.config import Settings
from rag.embed.hashing import HashingEmbedder
from rag.errors import DocumentNotFound, InvalidQuery, RagError, StoreError, UnreadableFile
from rag.filters import Filter, In
from rag.records import (
    AddReport,
    Answer,
    AnswerEvent,
    Audience,
    Box,
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
    IndexVersion,
    Kind,
    Message,
    ModelState,
    OcrLine,
    Page,
    Passage,
    Picture,
    Progress,
    Retrieved,
    SearchResult,
    Source,
    Status,
    SwitchReport,
    Turn,
    chunk_id,
    document_id,
)
from rag.tune.feedback import FeedbackLog
from rag.tune.records import ShownChunk
from tests.ui.fake_improver import FakeImprover

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


def encoded(colour: str, size: tuple[int, int] = (64, 48), kind: str = "PNG") -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def make_picture(
    number: int, text: str, start: int, end: int, *, at: int | None = None, data: bytes = b"", **more: Any
) -> Picture:
    """A picture whose lines, one below the other, are those of `text[start:end]`."""
    spans = [(start + m.start(), start + m.end()) for m in re.finditer(r"[^\n]+", text[start:end])]
    height = 1 / max(len(spans), 1)
    lines = tuple(OcrLine(a, b, Box(0.1, n * height, 0.9, (n + 0.8) * height), 0.99) for n, (a, b) in enumerate(spans))
    digest = hashlib.sha256(data or f"{number}:{text}".encode()).hexdigest()
    where = start if at is None else at
    return Picture(number, digest, 640, 480, start, end, where, lines=lines, **more)


def make_image(path: str, words: str, colour: str = "#336699", *, title: str = "", caption: str = "") -> Document:
    """A picture file in which `words` were read."""
    data = encoded(colour)
    document = replace(
        make_document(path, words, title=title, kind="image"),
        media_type="image/png",
        sha256=hashlib.sha256(data).hexdigest(),
    )
    picture = make_picture(1, words, 0, len(words), data=data, caption=caption)
    return replace(document, pictures=(picture,), fields=(("camera", "Brownie No. 2"),))


def picture_chunk(document: Document, number: int = 1) -> Chunk:
    """The chunk that is a picture of `document`."""
    picture = document.pictures[number - 1]
    return replace(
        make_chunk(document, picture.start, picture.end, picture.page),
        id=chunk_id(document.id, document.sha256, picture.start, picture.end, number),
        modality="image",
        picture=number,
        digest=picture.digest,
        caption=picture.caption,
        around=picture.around,
        region=picture.box,
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


def _version(state: Literal["live", "kept"], embedder: str) -> IndexVersion:
    return IndexVersion(f"of-{embedder}", state, embedder, embedder, 384, NOW.isoformat(), 2, 0)


_PIECES = 3  # of an answer, or files of a job, that come before `may_end` is asked


class FakeLibrary:
    """`pace` seconds pass between two pieces of an answer and two files of a job."""

    def __init__(self, home: Path, documents: Sequence[Document] = (), pace: float = 0.0) -> None:
        self.settings = Settings(home=home, port=0)
        self.conversations = FakeConversations()
        self.feedback = FeedbackLog(home / "feedback.jsonl")
        self.improver = FakeImprover(home)
        self.pace = pace
        self.bad: dict[str, str] = {}
        self.trouble: RagError | None = None  # raised by the next answers
        self.reply = ""  # what the model writes; else the evidence of the best passages
        self._documents = {document.id: document for document in documents}
        self.colours: dict[str, str] = {}  # of picture files by document; else grey
        self.kept: dict[str, bytes] = {}
        self.eyes = False  # an image embedder is there
        self.index: tuple[IndexVersion, ...] = ()
        self.may_switch = threading.Event()  # cleared: a switch of the embedder waits before its first passage
        self.may_switch.set()
        self.may_end = threading.Event()  # cleared: answers and jobs wait after a few pieces, unless they are stopped
        self.may_end.set()
        self.unseen = 0

    def status(self) -> Status:
        kinds: dict[str, int] = {}
        for document in self._documents.values():
            kinds[document.kind] = kinds.get(document.kind, 0) + 1
        searches = self.index[0].embedder if self.index else "all-MiniLM-L6-v2"
        models: tuple[ModelState, ...] = (
            ModelState("embedder", searches, "cpu", "bf16", "this processor has bf16 instructions", True),
            ModelState("generator", "SmolLM2-135M-Instruct Q4_1", "cpu", "Q4_1", "no GPU was found", True),
        )
        if self.eyes:
            eyes = ModelState("image embedder", "ViT-B-32", "cpu", "fp32", "no GPU was found", True)
            models = (*models, eyes)
        return Status(
            home=str(self.settings.home),
            documents=len(self._documents),
            chunks=len(self._documents),
            kinds=kinds,
            models=models,
            pictures=sum(len(document.pictures) for document in self._documents.values()),
            unseen=self.unseen,
        )

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

    def preview(self, document: str, number: int) -> bytes:
        found = self.document(document)
        if not any(picture.number == number for picture in found.pictures):
            raise UnreadableFile(found.path, f"it has no picture {number}")
        return encoded(self.colours.get(document, "#999999"), kind="WEBP")

    view = preview

    def page_view(self, document: str, page: int) -> bytes:
        found = self.document(document)
        if not any(numbered.number == page for numbered in found.pages):
            raise UnreadableFile(found.path, f"it has no page {page}")
        return encoded("#fdfdf5", (595, 842), "WEBP")

    def keep_picture(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        try:
            colour = _mean(data)
        except UnidentifiedImageError as exc:
            raise UnreadableFile("picture", "it is not a picture that can be read") from exc
        self.kept[digest] = encoded(f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}", kind="WEBP")
        return digest

    def kept_picture(self, digest: str) -> bytes:
        if digest not in self.kept:
            raise UnreadableFile(digest, "that picture is not kept any more")
        return self.kept[digest]

    def look(
        self, *, on_progress: Callable[[Progress], None] | None = None, stop: threading.Event | None = None
    ) -> int:
        seen, todo = 0, self.unseen
        while seen < todo and not (stop is not None and stop.is_set()):
            if on_progress is not None:
                on_progress(Progress(seen, todo, "", 0, seen * self.pace, (todo - seen) * self.pace, "look"))
            time.sleep(self.pace)
            seen += 1
        self.unseen = todo - seen
        return seen

    def versions(self) -> list[IndexVersion]:
        return list(self.index)

    def switch_embedder(
        self,
        reference: str,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SwitchReport:
        """Four passages, one every `pace`; then the version before stays beside the new one."""
        self.may_switch.wait()
        for done in range(4):
            if stop is not None and stop.is_set():
                return SwitchReport("v2", reference, False, 4, done, 0, done * self.pace)
            if on_progress is not None:
                on_progress(Progress(done, 4, "", done, done * self.pace, (4 - done) * self.pace, "switch"))
            time.sleep(self.pace)
        before = self.index[0].reference if self.index else "starter"
        self.index = (_version("live", reference), _version("kept", before))
        return SwitchReport("v2", reference, True, 4, 4, 0, 4 * self.pace)

    def roll_back(
        self, on_progress: Callable[[Progress], None] | None = None, stop: threading.Event | None = None
    ) -> SwitchReport:
        if len(self.index) < 2:
            raise StoreError("there is no older version of the index to go back to")
        return self.switch_embedder(self.index[1].reference, on_progress, stop)

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
            if self._halted(done, stop):
                break
            if on_progress is not None:
                on_progress(Progress(done, len(paths), path, done, done * self.pace, (len(paths) - done) * self.pace))
            time.sleep(self.pace)
            data = Path(path).read_bytes()
            text = "" if Path(path).suffix == ".png" else data.decode("utf-8", "replace")
            if data and not text:
                image = make_image(path, Path(path).stem)
                self._documents[image.id] = image
                colour = _mean(data)
                self.colours[image.id] = f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}"
                added.append(path)
                continue
            if not text.strip():
                self.bad[path] = "it is empty"
                failed.append(Failure(path, "it is empty"))
                continue
            self.bad.pop(path, None)
            document = make_document(path, text)
            self._documents[document.id] = document
            added.append(path)
        return AddReport(added=tuple(added), failed=tuple(failed), chunks=len(added), seconds=self.pace)

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
        if not (text.strip() or picture or like):
            raise InvalidQuery("the query is empty; write a word or more")
        documents = [d for d in self._documents.values() if where != In("modality", ("image",)) or d.pictures]
        wanted = set(_words(text))
        scored = [(len(wanted & set(_words(d.text + " " + d.title))), d) for d in documents]
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])[: k or 6]
        hits = tuple(
            Hit(_chunk_of(d), rank, score / 10, (FoundBy("bm25", rank, score),))
            for rank, (score, d) in enumerate(best, 1)
        )
        notes = () if self.eyes or not (picture or like) else ("Pictures are not compared by what they look like.",)
        found = SearchResult(text, hits or self._alike(picture, like), {"embed": 2.0, "bm25": 1.0}, notes)
        return found if audience == "program" or picture or like else self._logged(found, audience == "person")

    def _logged(self, result: SearchResult, settled: bool) -> SearchResult:
        chunks = [ShownChunk(hit.chunk.id, hit.chunk.document_id, hit.rank, {"bm25": hit.rank}) for hit in result.hits]
        return replace(result, shown=self.feedback.show(result.query, "fake", "", chunks, settled=settled))

    def _alike(self, picture: bytes | None, like: str) -> tuple[Hit, ...]:
        """Pictures by how near their colour is to that of `picture`, or of the one whose chunk is `like`."""
        pictures = {d.id: self.colours.get(d.id, "#999999") for d in self._documents.values() if d.kind == "image"}
        chunks = {name: picture_chunk(self._documents[name]) for name in pictures}
        origin = next((name for name, chunk in chunks.items() if chunk.id == like), None)
        if not self.eyes or (picture is None and origin is None):
            return ()
        wanted = _mean(picture) if picture is not None else _mean(encoded(pictures[origin or ""]))
        far = {
            name: sum(abs(a - b) for a, b in zip(wanted, _mean(encoded(colour)), strict=True))
            for name, colour in pictures.items()
            if name != origin
        }
        return tuple(
            Hit(
                chunks[name], rank, 1 - far[name] / 765, (FoundBy("likeness", rank, 1 - far[name] / 765, 0.002 * rank),)
            )
            for rank, name in enumerate(sorted(far, key=lambda name: far[name]), 1)
        )

    def models(self) -> tuple[HashingEmbedder, None]:
        return HashingEmbedder(), None

    @property
    def image_embedder(self) -> None:
        return None

    def resolve(self, reference: str) -> str:
        found = [
            d.id for d in self._documents.values() if reference and (d.id.startswith(reference) or d.path == reference)
        ]
        if len(found) != 1:
            raise DocumentNotFound(f"no document {reference!r}")
        return found[0]

    def ask(
        self,
        question: str,
        *,
        picture: bytes | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: threading.Event | None = None,
        answer_tokens: int | None = None,
        audience: Audience = "program",
    ) -> Iterator[AnswerEvent]:
        if self.trouble is not None:
            raise self.trouble
        result = self.search(question, picture=picture, audience=audience)
        passages = tuple(self._passage(hit, question) for hit in result.hits)
        yield Retrieved(result, passages)
        time.sleep(self.pace)
        said = ""
        pieces = re.findall(r"\S+\s*", self._reply(passages))[:answer_tokens]
        for done, piece in enumerate(pieces):
            if self._halted(done, stop):
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
                shown=result.shown,
            )
        )

    def _halted(self, done: int, stop: threading.Event | None) -> bool:
        """Whether to stop after `done` pieces; before that, wait for as long as `may_end` says."""
        halted = stop.is_set if stop is not None else lambda: False
        while done == _PIECES and not halted() and not self.may_end.wait(0.02):
            pass
        return halted()

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


def _chunk_of(document: Document) -> Chunk:
    return (
        picture_chunk(document)
        if document.kind == "image"
        else make_chunk(document, page=1 if document.pages else None)
    )


def _mean(data: bytes) -> tuple[int, int, int]:
    """The mean colour of an encoded picture."""
    red, green, blue = Image.open(io.BytesIO(data)).convert("RGB").resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return int(red), int(green), int(blue)


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
