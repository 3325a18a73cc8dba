"""Addresses within this program. A document is named by its id, never by its path."""

import re
from urllib.parse import urlencode

from rag.records import Chunk, Passage

_ID = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = 16  # digits of a digest in an address: whoever sees other ones fetches the picture again


def is_document_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def is_like(text: str) -> bool:
    """Whether `text` can name what others should be like: the id of a chunk or of a document."""
    return _CHUNK.fullmatch(text) is not None or is_document_id(text)


def document_address(document: str, start: int | None = None, end: int | None = None) -> str:
    """The page of a document, with `[start:end]` of its text marked and in view."""
    if start is None or end is None:
        return f"/source/{_checked(document)}"
    return f"/source/{_checked(document)}?{urlencode({'start': start, 'end': end})}#passage"


def picture_address(
    document: str, number: int, start: int | None = None, end: int | None = None, *, chunk: str = ""
) -> str:
    """The page of one picture of a document, with the words `[start:end]` marked where they stand in it.

    `chunk` is the id of the picture's chunk where it is known: from there one can go on to others like it.
    """
    asked = {"picture": number, "start": start, "end": end, "chunk": chunk or None}
    return f"/source/{_checked(document)}?{urlencode({key: v for key, v in asked.items() if v is not None})}"


def place_address(document: str, number: int, near: int) -> str:
    """The page of a document where it shows picture `number`, which stands near character `near` of its text."""
    return f"/source/{_checked(document)}?{urlencode({'start': near, 'end': near})}#picture-{int(number)}"


def chunk_address(chunk: Chunk, span: tuple[int, int] | None = None) -> str:
    """Where a chunk is read or looked at, marked at `span` of its document.

    Without a span the whole chunk is marked, but of a whole picture nothing: that would mark every word in it.
    """
    start, end = span or (chunk.start, chunk.end)
    if chunk.picture is None:
        return document_address(chunk.document_id, start, end)
    if chunk.modality == "text":
        return picture_address(chunk.document_id, chunk.picture, start, end)
    return picture_address(chunk.document_id, chunk.picture, *(span or (None, None)), chunk=chunk.id)


def source_address(passage: Passage) -> str:
    """Where a passage is read or looked at: at its best evidence if there is any, else as a whole."""
    best = max(passage.evidence, key=lambda evidence: evidence.score, default=None)
    whole = None if passage.hit.chunk.modality == "image" else (passage.start, passage.end)
    return chunk_address(passage.hit.chunk, (best.start, best.end) if best else whole)


def alike_address(like: str, document: str, number: int) -> str:
    """More like picture `number` of a document, on the Search page; `like`: the id of its chunk or document."""
    if not is_like(like):
        raise ValueError(f"{like!r} is not the id of a chunk or a document")
    return f"/#search/like/{like}/{_checked(document)}/{int(number)}"


def original_address(document: str, page: int | None = None) -> str:
    """The file itself, at `page` where the browser's own viewer understands that."""
    return f"/original/{_checked(document)}" + (f"#page={page}" if page is not None else "")


# --- pictures as files -------------------------------------------------------------------------------------------


def preview_address(document: str, number: int, digest: str = "") -> str:
    """A picture of a document, small. With its digest the browser may keep it for good."""
    return f"/preview/{_checked(document)}/{int(number)}{_version(digest)}"


def view_address(document: str, number: int, digest: str = "") -> str:
    """A picture of a document, as large as the screen shows it."""
    return f"/view/{_checked(document)}/{int(number)}{_version(digest)}"


def page_address(document: str, page: int, digest: str = "") -> str:
    """A page of a document, drawn."""
    return f"/page/{_checked(document)}/{int(page)}{_version(digest)}"


def asked_address(digest: str) -> str:
    """A picture that was asked with."""
    if not is_digest(digest):
        raise ValueError(f"{digest!r} is not the digest of a picture")
    return f"/asked/{digest}"


def _version(digest: str) -> str:
    return f"?v={digest[:_VERSION]}" if is_digest(digest[:64]) else ""  # behind it may stand the number of a frame


def _checked(document: str) -> str:
    if not is_document_id(document):
        raise ValueError(f"{document!r} is not the id of a document")
    return document
