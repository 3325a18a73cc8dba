"""Addresses within this program. A document is named by its id, never by its path."""

import re
from urllib.parse import urlencode

from rag.records import Passage

_ID = re.compile(r"[0-9a-f]{32}")


def is_document_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def document_address(document: str, start: int | None = None, end: int | None = None) -> str:
    """The page of a document, with `[start:end]` of its text marked and in view."""
    if start is None or end is None:
        return f"/source/{_checked(document)}"
    return f"/source/{_checked(document)}?{urlencode({'start': start, 'end': end})}#passage"


def original_address(document: str, page: int | None = None) -> str:
    """The file itself, at `page` where the browser's own viewer understands that."""
    return f"/original/{_checked(document)}" + (f"#page={page}" if page is not None else "")


def source_address(passage: Passage) -> str:
    """Where a passage is read: at its best evidence if there is any, else at its beginning."""
    best = max(passage.evidence, key=lambda evidence: evidence.score, default=None)
    start, end = (best.start, best.end) if best else (passage.start, passage.end)
    return document_address(passage.hit.chunk.document_id, start, end)


def _checked(document: str) -> str:
    if not is_document_id(document):
        raise ValueError(f"{document!r} is not the id of a document")
    return document
