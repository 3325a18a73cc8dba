"""What `/api` answers, described for its OpenAPI document. `rag.json_forms` makes the answers themselves."""

from pydantic import BaseModel, ConfigDict, Field

from rag.records import Kind, Modality

PERSON = "somebody sees what is found: it is logged on this machine, and /api/feedback can say what came of it"


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow")


class FoundByForm(_Form):
    """One retriever that found a hit: its rank there (from 1) and its raw score."""

    rank: int
    score: float


class HitForm(_Form):
    """A place in the ranked list: `text` is characters `start` to `end` of the document."""

    rank: int
    score: float = Field(description="in [0, 1], comparable within one search only")
    modality: Modality
    chunk: str
    document: str
    path: str
    title: str
    page: int | None
    start: int
    end: int
    text: str
    picture: int | None
    caption: str
    found_by: dict[str, FoundByForm]


class SearchForm(_Form):
    """What `rag search --json` prints: hits with the best first, notes on what could not be searched, milliseconds."""

    query: str
    hits: list[HitForm]
    notes: list[str]
    ms: dict[str, float]
    shown: str = Field("", description="the list's id for feedback; only where a person sees it")


class DocumentInfoForm(_Form):
    """A document without its text: one item of what `rag list --json` prints."""

    id: str
    path: str
    title: str
    kind: Kind
    size: int = Field(description="characters of text")
    pages: int
    chunks: int
    tags: list[str]
    date: str | None
    parent: str | None


class DocumentsForm(BaseModel):
    """Some of the documents, by path, and how many there are in all."""

    total: int
    documents: list[DocumentInfoForm]


class DocumentForm(_Form):
    """What `rag show --json` prints, with `text` only from `start` to `end` of its `size` characters."""

    id: str
    path: str
    title: str
    kind: Kind
    text: str
    start: int
    end: int
    size: int
