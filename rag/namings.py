"""What does a library call its own passages? Headings, links, subjects, captions and titles, found where they stand."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath
from urllib.parse import unquote

from rag.ingest.chunk import embedding_text, says_something
from rag.records import Chunk, Document, DocumentInfo, Link
from rag.tune.records import Excerpt
from rag.tune.structure import Kind, Naming

_LEADING = frozenset({"note", "web"})  # kinds whose links lead to other documents
_SHORT_HEADING = 2  # words; such a one is told with what stands above it: "Tomato soup: Ingredients"
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:|//", re.IGNORECASE)  # of one letter it is a Windows drive
_AT_ONCE = 256  # documents whose chunks are read together

ChunksOf = Callable[[Sequence[str]], Iterable[Chunk]]
DocumentOf = Callable[[str], Document]


def excerpt(chunk: Chunk) -> Excerpt:
    """A chunk as the embedder reads it."""
    return Excerpt(chunk.id, embedding_text(chunk), chunk.document_id)


def namings(documents: Sequence[DocumentInfo], chunks_of: ChunksOf, document_of: DocumentOf) -> Iterator[Naming]:
    """The names in `documents`; links are followed to others among them."""
    for info, chunks in _with_chunks(documents, chunks_of):
        for kind, words, chunk in _inside(info, chunks):
            yield Naming(kind, words, excerpt(chunk), info.indexed.timestamp())
    shelf = _Shelf(documents)
    leading = [info for info in documents if info.kind in _LEADING]
    found = [(link, info, shelf.target(link, info)) for info in leading for link in document_of(info.id).links]
    links = defaultdict(list)
    for link, info, target in found:
        if target is not None and target.id != info.id:
            links[target.id].append((link, info))
    for target, chunks in _with_chunks([info for info in documents if info.id in links], chunks_of):
        for link, info in links[target.id]:
            passage = _led_to(link, chunks)
            if passage is not None:
                yield Naming("link", _said(link), excerpt(passage), info.indexed.timestamp())


def _with_chunks(documents: Sequence[DocumentInfo], chunks_of: ChunksOf) -> Iterator[tuple[DocumentInfo, list[Chunk]]]:
    for start in range(0, len(documents), _AT_ONCE):
        part = documents[start : start + _AT_ONCE]
        found: dict[str, list[Chunk]] = {info.id: [] for info in part}
        for chunk in chunks_of(list(found)):
            found[chunk.document_id].append(chunk)
        for info in part:
            yield info, found[info.id]


def _inside(info: DocumentInfo, chunks: Sequence[Chunk]) -> Iterator[tuple[Kind, str, Chunk]]:
    """What a document says of its own passages."""
    if titled := next(filter(_titled, chunks), None):
        yield ("subject" if info.kind == "mail" else "title"), info.title, titled
    for chunk in chunks:
        if chunk.modality == "image" and chunk.caption:
            yield "caption", chunk.caption, chunk
    for chunk in _first_of_sections(chunks):
        yield "heading", _heading(chunk), chunk


def _titled(chunk: Chunk) -> bool:
    """Whether its title may say what is in it; that of a picture may be a name that a camera gave it."""
    return chunk.kind != "image" or says_something(replace(chunk, modality="image", text="", caption="", around=""))


def _first_of_sections(chunks: Sequence[Chunk]) -> Iterator[Chunk]:
    """The first passage under each heading; `chunks` are in the order of the document."""
    seen: set[tuple[str, ...]] = {()}
    for chunk in chunks:
        if chunk.modality == "text" and chunk.headings not in seen:
            seen.add(chunk.headings)
            yield chunk


def _heading(chunk: Chunk) -> str:
    *above, heading = chunk.title, *chunk.headings
    nearest = next((words for words in reversed(above) if words and words != heading), "")
    return f"{nearest}: {heading}" if nearest and len(heading.split()) <= _SHORT_HEADING else heading


def _said(link: Link) -> str:
    """The words of a link; where it shows only the name of a file, the words in that."""
    if link.text != link.target:
        return link.text
    return PurePath(link.target.partition("#")[0]).stem.replace("-", " ").replace("_", " ")


def _led_to(link: Link, chunks: Sequence[Chunk]) -> Chunk | None:
    """The passage that a link to their document leads to: the first under the heading that it names, or of all."""
    wanted = _folded(unquote(link.target.partition("#")[2]))
    speaking = [chunk for chunk in chunks if says_something(chunk)]
    under = [chunk for chunk in speaking if wanted and chunk.headings and _folded(chunk.headings[-1]) == wanted]
    return next(iter(under or speaking), None)


def _folded(heading: str) -> str:
    """A heading as links write it: in addresses its spaces are hyphens."""
    return heading.replace("-", " ").casefold()


class _Shelf:
    """Documents by the names that links use for them."""

    def __init__(self, documents: Sequence[DocumentInfo]) -> None:
        self._by_path = {os.path.normpath(info.path): info for info in documents}
        self._by_name: dict[str, DocumentInfo | None] = {}  # title and file name without case; None: of several
        for info in documents:
            path = PurePath(info.path)
            for name in {info.title.casefold(), path.name.casefold(), path.stem.casefold()}:
                self._by_name[name] = None if name in self._by_name else info

    def target(self, link: Link, origin: DocumentInfo) -> DocumentInfo | None:
        """The document that a link in `origin` leads to: one beside it at that path, else one of that name."""
        name = unquote(link.target.partition("#")[0])
        if not name or _ADDRESS.match(name):
            return None
        beside = os.path.normpath(os.path.join(os.path.dirname(origin.path), name))  # noqa: PTH118, PTH120 - no disk
        return self._by_path.get(beside) or self._by_name.get(PurePath(name).name.casefold())
