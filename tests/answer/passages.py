"""Passages for the tests of this folder, made from plain texts, and pictures with words."""

from dataclasses import replace
from datetime import UTC, datetime

from rag.pictures import digest
from rag.records import Box, Chunk, Hit, Passage, SearchResult


def hit(number: int, text: str, *, page: int | None = None, start: int = 0, language: str = "en") -> Hit:
    chunk = Chunk(
        id=f"chunk-{number}",
        document_id=f"document-{number}",
        version="v",
        ordinal=0,
        modality="text",
        text=text,
        start=start,
        end=start + len(text),
        page=page,
        title=f"Title {number}",
        headings=(),
        path=f"/notes/{number}.md",
        kind="note",
        language=language,
    )
    return Hit(chunk, number, 1.0 / number, ())


def passages(*texts: str, start: int = 0) -> tuple[Passage, ...]:
    hits = [hit(n, text, start=start) for n, text in enumerate(texts, 1)]
    return tuple(Passage(n, h, h.chunk.text, h.chunk.start, h.chunk.end) for n, h in enumerate(hits, 1))


def result(question: str, *texts: str) -> SearchResult:
    return SearchResult(question, tuple(hit(n, text, page=n) for n, text in enumerate(texts, 1)), {"search": 1.0})


def picture_bytes(number: int) -> bytes:
    """What stands for the encoded picture of `picture_hit(number)` where nobody decodes it."""
    return b"picture %d" % number


def picture_hit(number: int, text: str = "", *, caption: str = "", around: str = "", start: int = 0) -> Hit:
    """A photo with those words in it, taken on 1 May 2024."""
    found = hit(number, text, start=start)
    chunk = replace(
        found.chunk,
        modality="image",
        picture=1,
        digest=digest(picture_bytes(number)),
        caption=caption,
        around=around,
        kind="image",
        path=f"/photos/{number}.jpg",
        date=datetime(2024, 5, 1, tzinfo=UTC),
    )
    return replace(found, chunk=chunk)


def scanned_hit(number: int, text: str, *, start: int = 0) -> Hit:
    """Part of a page that was read from its pixels."""
    found = hit(number, text, page=1, start=start)
    return replace(found, chunk=replace(found.chunk, kind="pdf", region=Box(0.1, 0.1, 0.9, 0.9)))


def found_result(question: str, *hits: Hit) -> SearchResult:
    return SearchResult(question, hits, {"search": 1.0})
