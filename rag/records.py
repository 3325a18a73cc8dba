"""The frozen records that flow through Commonplace, one name per stage.

    Source -> Document -> Chunk -> EmbeddedChunk -> Match -> Hit -> Passage -> Answer

Every record is immutable; a changed value is a new record (`dataclasses.replace`).
All character offsets count Python characters (code points) from 0, `end` exclusive.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Modality = Literal["text", "image"]
Kind = Literal["note", "text", "web", "pdf", "mail", "image"]
Finish = Literal["stop", "length", "stopped", "no_model", "failed"]
Support = Literal["supported", "partly", "unsupported"]
Role = Literal["system", "user", "assistant"]
Audience = Literal["program", "person", "typist"]  # who sees what is found: a typist is a person still typing a query

_CHUNK_NAMESPACE = uuid.UUID("6f2f9f52-7e5b-5b0a-9d6a-6c1d6f6e9c11")


def document_id(path: str) -> str:
    """The name of the document at `path` (32 hex digits), the same when its content changes."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def chunk_id(document: str, version: str, start: int, end: int, picture: int | None = None) -> str:
    """A UUID made from what the chunk is, so that writing it twice is writing it once.

    `picture` is given for the chunk that is a picture: two of them may have the same, empty span.
    """
    place = f"{document}:{version}:{start}:{end}"
    return str(uuid.uuid5(_CHUNK_NAMESPACE, place if picture is None else f"{place}:picture:{picture}"))


# --- reading -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes to read: a file, or an attachment inside one.

    `path` is absolute; an attachment is written `<path of its mail>!/<number>/<name>`. `parent` is the id of the
    document that the attachment came with, `around` the words near its place there (a mail's subject and text).
    """

    path: str
    media_type: str
    data: bytes = field(repr=False)
    modified: datetime | None = None
    parent: str | None = None
    around: str = ""

    @property
    def id(self) -> str:
        return document_id(self.path)

    @property
    def name(self) -> str:
        return self.path.replace("\\", "/").rsplit("/", 1)[-1]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle of a picture or page: fractions of its width and height, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, boxes: Sequence["Box"]) -> "Box":
        """The smallest one that holds all of `boxes`, of which there is at least one."""
        return cls(
            min(box.left for box in boxes),
            min(box.top for box in boxes),
            max(box.right for box in boxes),
            max(box.bottom for box in boxes),
        )


@dataclass(frozen=True, slots=True)
class OcrLine:
    """Words that were read from pixels: `Document.text[start:end]` stands at `box` of its picture or page.

    `score` in [0, 1] is how sure the reader of characters is.
    """

    start: int
    end: int
    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Page:
    """Page `number` (from 1) is `Document.text[start:end]`. `lines` is filled for a page that was read from pixels."""

    number: int
    start: int
    end: int
    lines: tuple[OcrLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a document: the file itself, a figure on a page of a PDF, or a file that a note shows.

    `Document.text[start:end]` are the words that stand in it (none: an empty span). `width` and `height` are pixels
    as it is looked at, upright. `digest` is the sha256 of what it was made from: the same picture in two places has
    the same. `preview` is a small WebP on its way from the reader to the cache of thumbnails; it is not kept here.
    """

    number: int  # from 1 within its document
    digest: str
    width: int
    height: int
    start: int
    end: int
    at: int  # the place in Document.text where it is shown; `start` where it stands nowhere else
    page: int | None = None
    box: Box | None = None  # where on its page
    caption: str = ""  # a figure's caption, a note's alternative text, a photo's description
    around: str = ""  # the words near it
    path: str = ""  # absolute path of the file that a note shows; "" for what lies in the document itself
    lines: tuple[OcrLine, ...] = ()
    preview: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of depth `level` (1..6) whose line begins at `start`."""

    level: int
    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it was written: the words shown and the target, never followed."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file. `text` is the whole text; pages, headings and chunks are spans of it."""

    id: str
    path: str
    sha256: str
    kind: Kind
    media_type: str
    title: str
    text: str = field(repr=False)
    language: str = "und"  # ISO 639-1, "und" when unknown
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    links: tuple[Link, ...] = ()
    tags: tuple[str, ...] = ()
    date: datetime | None = None  # aware, UTC: the mail's or note's own date, else the file's
    fields: tuple[tuple[str, str], ...] = ()  # mail headers, front matter, PDF information
    parent: str | None = None
    pictures: tuple[Picture, ...] = ()
    attachments: tuple[Source, ...] = ()
    warnings: tuple[str, ...] = ()  # what could not be read of an otherwise readable file


# --- chunks and vectors ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit that is found and cited: `Document.text[start:end] == text`.

    `version` is the sha256 of the document that it was cut from; `headings` is the path of headings above it;
    `page` counts from 1 and is None where the format has no pages. The document's own facts (path, title, kind,
    tags, date, language) ride along so that a store can filter by them.

    A chunk of modality "image" is a whole picture: `picture` is its number, `digest` its fingerprint, `text` the words
    read in it or their beginning, `caption` and `around` what is written about it. A picture with more words than fit
    goes on in chunks of modality "text" that have its number too. `region` is where on its picture or page the chunk
    lies, None where that is all of it or the format has no regions.
    """

    id: str
    document_id: str
    version: str
    ordinal: int
    modality: Modality
    text: str
    start: int
    end: int
    page: int | None
    title: str
    headings: tuple[str, ...]
    path: str
    kind: Kind
    tags: tuple[str, ...] = ()
    date: datetime | None = None
    language: str = "und"
    picture: int | None = None
    digest: str = ""
    caption: str = ""
    around: str = ""
    region: Box | None = None

    @property
    def context(self) -> str:
        """Title and heading path in one line, given to the embedder and to BM25 before the text itself."""
        parts = [self.title, *self.headings]
        return " › ".join(part for i, part in enumerate(parts) if part and part not in parts[:i])


@dataclass(frozen=True, slots=True)
class Vector:
    """A unit row of `space`; `values` is float32[D]."""

    space: str
    values: NDArray[np.float32] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk with its vectors and `words`, its text analysed for BM25: terms joined by single spaces."""

    chunk: Chunk
    words: str
    vectors: tuple[Vector, ...]


# --- searching ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: words, a picture, or both.

    `picture` is encoded as any file is, `picture_text` are the words that were read in it and `described` is what a
    language model saw in it; `same` are the ids of chunks that are this very picture, byte for byte. `like` is the id
    of a chunk that is a picture, or of a document, whose first picture is meant: it asks for more like that one.
    """

    text: str = ""
    picture: bytes | None = field(default=None, repr=False)
    picture_text: str = ""
    like: str = ""
    described: str = ""
    same: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What a store found: the chunk and one retriever's raw score (exact cosine in [-1, 1], or BM25 >= 0)."""

    chunk: Chunk
    score: float


@dataclass(frozen=True, slots=True)
class FoundBy:
    """One retriever that had a hit in its list: its rank there (from 1) and its raw score.

    `chance` is for pictures: how many of the library's pictures would score as high by chance; None: not known.
    """

    retriever: str
    rank: int
    score: float
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in the one ranked list. `rank` counts from 1; `score` is in [0, 1], comparable within a query only.

    `also` are other places where the very same picture is, the best first; they have no place of their own.
    """

    chunk: Chunk
    rank: int
    score: float
    found_by: tuple[FoundBy, ...]
    also: tuple[Chunk, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A query's ranked list and how long each stage took, in milliseconds.

    `notes` say in plain words what could not be searched and why, such as pictures whose embedder does not load.
    `shown` is the list's id in the log of feedback, "" where it is not logged.
    """

    query: str
    hits: tuple[Hit, ...]
    ms: Mapping[str, float]
    notes: tuple[str, ...] = ()
    shown: str = ""


# --- answering ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One turn for the language model. `pictures` are encoded (JPEG, PNG or WebP) and shown before the text."""

    role: Role
    text: str
    pictures: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that bears on the question: `Document.text[start:end]`, and how much it does, in [-.5, 1]."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Passage:
    """A source as the reader and the prompt see it, numbered from 1.

    `text` is what went into the prompt: `Document.text[start:end]`, the hit's chunk or its beginning.
    `in_prompt` is False for a source that is shown but that the token budget left out.
    """

    number: int
    hit: Hit
    text: str
    start: int
    end: int
    evidence: tuple[Evidence, ...] = ()
    in_prompt: bool = True


@dataclass(frozen=True, slots=True)
class Citation:
    """`[number]` in the answer, resolved: the span of the document that it points to, and the words there."""

    number: int
    chunk_id: str
    document_id: str
    path: str
    page: int | None
    start: int
    end: int
    quote: str
    supported: bool | None = None  # None: not checked
    added: bool = False  # by us, for a sentence that the model left unmarked and whose source is clear
    picture: int | None = None  # number of the picture that it points to
    region: Box | None = None  # where on that picture, or on its page


@dataclass(frozen=True, slots=True)
class GroundedSentence:
    """A sentence of an answer, `Answer.text[start:end]` without white space at its ends, held against the sources.

    `reasons` say in plain words what the sources do not bear out; a supported sentence has none.
    """

    start: int
    end: int
    support: Support
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer. `removed_markers` counts citations to sources that do not exist, taken out of `text`.

    `sentences` are those that were judged, in their order. What claims nothing (a question, a notice of ours) and what
    is said of a picture's looks is not among them.
    """

    question: str
    text: str
    citations: tuple[Citation, ...]
    passages: tuple[Passage, ...]
    finish: Finish
    model: str | None
    removed_markers: int = 0
    abstained: bool = False
    tokens: int = 0
    picture: str = ""  # digest of the picture that was asked with
    standalone: str = ""  # the question as it was looked for, where it leant on earlier turns; else ""
    ms: Mapping[str, float] = field(default_factory=dict)
    sentences: tuple[GroundedSentence, ...] = ()
    shown: str = ""  # id of its sources in the log of feedback, "" where they are not logged


@dataclass(frozen=True, slots=True)
class Retrieved:
    """First event of an answer: what was found, before the model has said a word."""

    result: SearchResult
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of the model's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """Last event: the whole answer with its citations."""

    answer: Answer


AnswerEvent = Retrieved | Delta | Done


# --- the library -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A row of the catalogue: what is indexed, without the text."""

    id: str
    path: str
    title: str
    kind: Kind
    media_type: str
    sha256: str
    size: int  # characters of text
    pages: int  # 0 where the format has none
    chunks: int
    language: str
    tags: tuple[str, ...]
    date: datetime | None
    indexed: datetime
    parent: str | None
    warnings: tuple[str, ...]
    pictures: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be taken in, with a reason that a person can act on."""

    path: str
    error: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far long work has come. `seconds_left` is None until there is a rate to judge by.

    First files are read; then, at stage "look", `done` of `total` pictures have been looked at by the image embedder,
    and `chunks` are theirs. At stage "move" `done`, `total` and `chunks` count chunks and files that are moved. At
    stage "switch" `done` of `total` chunks are in another version of the index, `chunks` of them since this run began.
    At stage "make up" `done` of `total` passages were tried, and `chunks` queries were kept.
    """

    done: int
    total: int
    path: str
    chunks: int
    seconds: float
    seconds_left: float | None
    stage: Literal["read", "look", "move", "switch", "make up"] = "read"


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `add` did, by path. `vanished`: indexed, gone from the folders given, kept unless pruned."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()  # kinds of file that no reader takes
    failed: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()  # indexed, but not all of it could be read
    chunks: int = 0
    seconds: float = 0.0
    looked: int = 0  # pictures that the image embedder looked at, added now or earlier


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The catalogue against the store: `problems` is empty when they agree."""

    documents: int
    chunks: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexVersion:
    """A version of the index: the vectors of one text embedder for every document.

    One is live; those that are kept were live before, and one can go back to them; one that is begun was never live.
    `missing` documents are not in it as they are now: they are embedded before it becomes live.
    """

    version: str
    state: Literal["live", "kept", "begun"]
    embedder: str
    reference: str  # what the settings call the embedder, "" where that is not known
    dim: int
    created: str  # ISO 8601, UTC
    documents: int
    missing: int


@dataclass(frozen=True, slots=True)
class SwitchReport:
    """What came of making another version of the index live. Where it was stopped, `live` is False: it can go on.

    `embedded` chunks got a vector now; of all of `chunks` the embedder read no more than the beginning of `cut`, which
    were cut for one that reads longer texts. `dropped` are older versions that were deleted. `ready` tells that the
    version has every document, live or not.
    """

    version: str
    embedder: str
    live: bool
    chunks: int
    embedded: int
    cut: int
    seconds: float
    dropped: tuple[str, ...] = ()
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a loaded model takes, in bytes.

    `cache` is the KV cache of a language model for its whole context, `working` what it keeps of a batch besides, both
    as computed. `on_gpu` of all this is on the graphics card, with `layers` of the `all_layers` that could be there.
    """

    weights: int
    cache: int = 0
    working: int = 0
    on_gpu: int = 0
    layers: int = 0
    all_layers: int = 0


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as `doctor` and the status line tell it: what runs, where, at which precision, and why.

    `footprint` is known once it is loaded, and not for every model.
    """

    role: Literal["embedder", "image embedder", "reranker", "generator"]
    name: str
    device: str
    precision: str
    reason: str
    loaded: bool
    footprint: Footprint | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One glance at the library: what is in it, where it lives, and which models serve it."""

    home: str
    documents: int
    chunks: int
    kinds: Mapping[str, int]  # documents of each kind
    models: tuple[ModelState, ...]
    pictures: int = 0  # all of them: files, figures, what notes show
    unseen: int = 0  # pictures that the image embedder has yet to look at; all of them where there is none


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation with its answer."""

    question: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Conversation:
    """A kept conversation; `turns` oldest first."""

    id: str
    title: str
    created: datetime
    updated: datetime
    turns: tuple[Turn, ...] = ()


def rows(vectors: Sequence[Vector]) -> NDArray[np.float32]:
    """The values of `vectors` stacked: float32[N, D]."""
    return np.stack([vector.values for vector in vectors])
