"""Passages for the tests of this folder, made from plain texts."""

from rag.records import Chunk, Hit, Passage, SearchResult


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
