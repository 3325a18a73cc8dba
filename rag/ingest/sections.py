"""What stands under which heading, on which page: a document's text in sections, without what is in its pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from rag.records import Document, Heading


@dataclass(frozen=True, slots=True)
class Section:
    """Text under one heading path on one page. `bare` means that it has no words beside its heading."""

    start: int
    end: int
    page: int | None
    path: tuple[str, ...]
    bare: bool = False

    def joined(self, following: "Section") -> "Section":
        """Both as one, under the headings that they share, or those of `following` where this one is bare."""
        both = zip(self.path, following.path, strict=False)
        shared = tuple(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], both))
        path = following.path if self.bare else shared
        return Section(self.start, following.end, self.page, path, self.bare and following.bare)


def sections(document: Document) -> Iterator[Section]:
    """The document cut at its pages, headings and pictures, each part with the path of headings above it."""
    headings = _in_order(document)
    path: list[Heading] = []
    at = 0
    for start, end, page in _regions(document):
        headed = False
        while at < len(headings) and headings[at].start < end:
            heading = headings[at]
            if heading.start > start:
                yield _section(document.text, start, heading.start, page, path, headed)
                start = heading.start
            path = _below(path, heading)
            at, headed = at + 1, True
        yield _section(document.text, start, end, page, path, headed)


def paths_at(document: Document, places: Sequence[int]) -> list[tuple[str, ...]]:
    """For each of some places in the text, the headings under which it stands."""
    headings = _in_order(document)
    found: dict[int, tuple[str, ...]] = {}
    path: list[Heading] = []
    at = 0
    for place in sorted(set(places)):
        while at < len(headings) and headings[at].start <= place:
            path = _below(path, headings[at])
            at += 1
        found[place] = tuple(heading.text for heading in path)
    return [found[place] for place in places]


def _in_order(document: Document) -> list[Heading]:
    return sorted(document.headings, key=lambda heading: heading.start)


def _below(path: list[Heading], heading: Heading) -> list[Heading]:
    return [*(above for above in path if above.level < heading.level), heading]


def _section(text: str, start: int, end: int, page: int | None, path: list[Heading], headed: bool) -> Section:
    body = text.find("\n", start, end) if headed else start
    bare = body < 0 or not any(map(str.isalnum, text[body:end]))
    return Section(start, end, page, tuple(heading.text for heading in path), bare)


def _regions(document: Document) -> Iterator[tuple[int, int, int | None]]:
    """Pages, and whatever text lies between them, in order; what was read in pictures is left out."""
    words = sorted((picture.start, picture.end) for picture in document.pictures if picture.start < picture.end)
    at = first = 0
    for start, end, page in _pages(document):
        while first < len(words) and words[first][0] < end:
            if at < words[first][0]:
                yield max(at, start), words[first][0], page
            at = max(at, words[first][1])
            first += 1
        if at < end or start == end:
            yield max(at, start), end, page
        at = max(at, end)


def _pages(document: Document) -> Iterator[tuple[int, int, int | None]]:
    at = 0
    for page in sorted(document.pages, key=lambda page: page.start):
        if at < page.start:
            yield at, page.start, None
        yield page.start, page.end, page.number
        at = page.end
    if at < len(document.text):
        yield at, len(document.text), None
