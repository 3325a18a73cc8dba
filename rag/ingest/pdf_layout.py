"""Lines on a PDF page to running text: paragraphs joined, hyphens mended, headings told by their size. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.records import Heading, Page
from rag.text import one_line

_STOPS = ".!?:;。！？"
HYPHEN = "\x02"
"""What PDFium gives for a hyphen at the end of a line that it takes for a broken word."""

_HYPHENS = (HYPHEN, "-", "\u2010", "\xad")
_HEADING_RATIO = 1.15  # of a heading's height to that of the body text
_SAME_SIZE = 0.15  # heights that differ by less belong to the same kind of text
_PARAGRAPH_PITCH = 1.3  # of the usual distance between lines; more than this is a gap between paragraphs
_INDENT, _DEEPEST_INDENT = 0.8, 4  # of the first line of a paragraph, in heights
_REPEATED = 3  # pages with the same line at their edge make it a running head or foot
_LONGEST_HEADING = 150
_BULLET = re.compile(r"(?:[-–—•‣▪◦·*o]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_LAST_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"(?:(?P<word>page|seite|pagina|página|p\.)\s*)?[-–—]?\s*(?P<number>\d{1,4})\s*[-–—]?(?:\s*(?:of|/|von|de|sur|di)\s*\d{1,4})?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands on the page, in points from the lower left corner."""

    text: str
    left: float
    right: float
    bottom: float
    height: float


@dataclass(frozen=True, slots=True)
class Outline:
    """A bookmark: `title` at `level` (from 1) on page `page` (from 1)."""

    title: str
    level: int
    page: int


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a page, and where it begins in the text."""

    line: Line
    start: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The text with its pages and headings; `places[i]` are the lines of `pages[i]` that went into the text."""

    text: str
    pages: tuple[Page, ...]
    headings: tuple[Heading, ...]
    places: tuple[tuple[Place, ...], ...] = ()


def lay_out(pages: Sequence[Sequence[Line] | str], outline: Iterable[Outline] = ()) -> Layout:
    """The text of a document whose pages are lines in reading order (or, where there is no layout, plain text).

    Lines that were broken because the next word did not fit are joined; other lines keep their breaks; wider gaps,
    indents and changes of size become blank lines. Page numbers are left out, and running heads and feet after their
    first page. Pages are joined by blank lines, which belong to no page.
    """
    trimmed = _without_margins(pages)
    style = _Style.of([line for page in trimmed if not isinstance(page, str) for line in page])
    titles = {(each.page, _plain(each.title)): each.level for each in outline}
    parts: list[str] = []
    spans: list[Page] = []
    headings: list[Heading] = []
    places: list[tuple[Place, ...]] = []
    at = 0
    for number, page in enumerate(trimmed, 1):
        grown = _PageText(style)
        if not isinstance(page, str):
            _add_lines(grown, page, number, titles)
        text = page.strip() if isinstance(page, str) else "".join(grown.parts)
        headings.extend(Heading(each.level, each.text, each.start + at) for each in grown.headings)
        places.append(tuple(Place(each.line, each.start + at) for each in grown.places))
        spans.append(Page(number, at, at + len(text)))
        parts.append(text)
        at += len(text) + 2
    return Layout("\n\n".join(parts), tuple(spans), tuple(headings), tuple(places))


@dataclass(frozen=True, slots=True)
class _Style:
    """What is usual in this document: the height of its text, the distance of its lines, its hyphenated words."""

    height: float
    pitch: float
    heading_heights: tuple[float, ...]
    hyphenated: frozenset[str]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "_Style":
        heights: Counter[float] = Counter()
        for line in lines:
            heights[round(line.height, 1)] += len(line.text)
        body = heights.most_common(1)[0][0] if heights else 1.0
        pitches = sorted(a.bottom - b.bottom for a, b in pairwise(lines) if _alike(a, b) and a.bottom > b.bottom)
        words = (word.lower() for line in lines for word in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)+(?!-?$)", line.text))
        return cls(
            height=body,
            pitch=pitches[len(pitches) // 4] if pitches else body,
            heading_heights=_distinct(height for height in heights if height >= body * _HEADING_RATIO),
            hyphenated=frozenset(words),
        )

    def level(self, line: Line) -> int:
        """1..6 for a line that is large enough for a heading, else 0."""
        if line.height < self.height * _HEADING_RATIO * 0.995 or len(line.text) > _LONGEST_HEADING:
            return 0
        if not any(map(str.isalpha, line.text)):
            return 0
        return min(1 + sum(height > line.height * 1.05 for height in self.heading_heights), 6)


def _distinct(heights: Iterable[float]) -> tuple[float, ...]:
    """Heights from the largest down, those within a twentieth of each other counted once."""
    kept: list[float] = []
    for height in sorted(heights, reverse=True):
        if not kept or height < kept[-1] / 1.05:
            kept.append(height)
    return tuple(kept)


class _PageText:
    """The text of one page as it grows line by line."""

    def __init__(self, style: _Style) -> None:
        self.style = style
        self.parts: list[str] = []
        self.headings: list[Heading] = []
        self.places: list[Place] = []
        self.size = 0

    def add(self, line: Line, joint: str, level: int) -> None:
        text = line.text.replace(HYPHEN, "-")
        if joint == " " and self._ends_in_hyphen() and text[:1].isalnum():
            joint = self._mend(text)
        if level and joint == " " and self.headings:
            last = self.headings[-1]
            self.headings[-1] = Heading(last.level, f"{last.text} {text}", last.start)
        elif level:
            self.headings.append(Heading(level, text, self.size + len(joint)))
        self.places.append(Place(line, self.size + len(joint)))
        self.parts.append(joint + text)
        self.size += len(self.parts[-1])

    def _ends_in_hyphen(self) -> bool:
        return (
            bool(self.parts)
            and len(self.parts[-1]) > 1
            and self.parts[-1][-1] in _HYPHENS
            and self.parts[-1][-2].isalnum()
        )

    def _mend(self, following: str) -> str:
        """Takes the hyphen of a broken word away, unless it belongs to the word."""
        broken, rest = _LAST_WORD.search(self.parts[-1][:-1]), _FIRST_WORD.match(following)
        whole = f"{broken[0]}-{rest[0]}".lower() if broken and rest else ""
        if whole and following[0].islower() and whole not in self.style.hyphenated:
            self.parts[-1] = self.parts[-1][:-1]
            self.size -= 1
        return ""


def _add_lines(page: _PageText, lines: Sequence[Line], number: int, titles: dict[tuple[int, str], int]) -> None:
    style = page.style
    rights = _column_rights(lines, style.height)
    levels = [style.level(line) or titles.get((number, _plain(line.text)), 0) for line in lines]
    for at, line in enumerate(lines):
        joint = ""
        if at > 0:
            before = lines[at - 1]
            if levels[at] or levels[at - 1]:
                joint = " " if levels[at] == levels[at - 1] and _is_next_line(before, line) else "\n\n"
            else:
                joint = _joint(before, line, rights[at - 1], style)
        page.add(line, joint, levels[at])


def _joint(before: Line, line: Line, right: float, style: _Style) -> str:
    """What stands between two lines of body text: a space, a line break or a blank line."""
    down = before.bottom - line.bottom
    if down <= 0:  # the next column
        return " " if before.text[-1] not in _STOPS and line.text[0].islower() else "\n\n"
    if not _alike(before, line) or down > style.pitch * _PARAGRAPH_PITCH:
        return "\n\n"
    if _BULLET.match(line.text):
        return "\n"
    if line.left > before.left + line.height * _INDENT and not _BULLET.match(before.text):
        return "\n\n"
    if line.left < before.left - line.height * _DEEPEST_INDENT:  # set to the right, such as a sender's address
        return "\n"
    broken = before.text[-1] in _HYPHENS and before.text[-2:-1].isalpha() and line.text[0].islower()
    return " " if broken or _is_full(before, line, right) else "\n"


def _is_full(before: Line, line: Line, right: float) -> bool:
    """Whether the first word of the next line would not have fitted behind the line before it."""
    word = line.text.split(maxsplit=1)[0]
    character = (before.right - before.left) / len(before.text)
    return before.right + (len(word) + 1) * character > right


def _is_next_line(before: Line, line: Line) -> bool:
    return _alike(before, line) and 0 < before.bottom - line.bottom < line.height * 1.6


def _alike(a: Line, b: Line) -> bool:
    return abs(a.height - b.height) <= _SAME_SIZE * max(a.height, b.height)


def _column_rights(lines: Sequence[Line], height: float) -> list[float]:
    """How far to the right the column of each line reaches: columns are told by where their lines begin."""
    width = max(height, 1.0) * 4
    reach: dict[int, float] = {}
    for line in lines:
        column = int(line.left // width)
        reach[column] = max(reach.get(column, line.right), line.right)
    return [max(reach.get(int(line.left // width) + near, line.right) for near in (-1, 0, 1)) for line in lines]


def _without_margins(pages: Sequence[Sequence[Line] | str]) -> list[Sequence[Line] | str]:
    """Pages without page numbers, and with a running head or foot only where it stands first."""
    edges = [set() if isinstance(page, str) else _edges(page) for page in pages]
    counts = Counter(_running(line) for lines in edges for line in lines)
    seen: set[str] = set()
    kept: list[Sequence[Line] | str] = []
    for number, (page, edge) in enumerate(zip(pages, edges, strict=True), 1):
        gone = {line for line in edge if _running(line) in seen or _is_page_number(line.text, number)}
        seen.update(key for line in edge if counts[key := _running(line)] >= _REPEATED)
        kept.append(page if isinstance(page, str) else [line for line in page if line not in gone])
    return kept


def _edges(lines: Sequence[Line]) -> set[Line]:
    """The lowest and the highest line of a page that has others between them."""
    if len(lines) < 3:
        return set()
    return {min(lines, key=lambda line: line.bottom), max(lines, key=lambda line: line.bottom)}


def _running(line: Line) -> str:
    return _DIGITS.sub("0", _plain(line.text))


def _is_page_number(text: str, number: int) -> bool:
    match = _PAGE_NUMBER.fullmatch(text.strip())
    return bool(match and (match["word"] or int(match["number"]) == number))


def _plain(text: str) -> str:
    return one_line(text).casefold()
