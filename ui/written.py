"""How the text of a passage was written: its headings, lists, tables and emphasis, told by their Markdown.

The text itself is not changed: a block lists which stretches of it are read, each as a span of the text, so that what
is highlighted by offsets stays exact. What only marks up (`##`, `|`, `**`, the target of a link) is in no stretch. A
passage may begin in the middle of a table or a list, so each line is told by itself. Nothing here makes HTML.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rag.text import table_rows, trimmed

Shape = Literal["text", "heading", "item", "head", "row", "code"]

_LINE = re.compile(r"[^\n]+|\n(?=\n|\Z)")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_RULE = re.compile(r"[ \t]*(?:(?:[-*_][ \t]*){3,}|={3,})\s*\Z")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?\s*\Z")
_HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+")
_CLOSING = re.compile(r"[ \t]+#+\s*\Z")
_ITEM = re.compile(r"([ \t]*)([-*+•‣▪◦·]|\d{1,3}[.)])[ \t]+(?=\S)")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_BAR = re.compile(r"(?<!\\)\|")
# Each alternative has at most one group that is read, and none runs over more than this many characters: what opens
# and never closes costs so much at each opening, no more.
_INLINE = re.compile(
    r"""\\(?P<escaped>[!-/:-@\[-`{-~])
    |   `(?P<code>[^`\n]{1,200})`
    |   !?\[\[(?:[^\[\]|\n]{1,200}\|)?(?P<wiki>[^\[\]|\n]{1,200})\]\]
    |   !?\[(?P<link>[^\[\]\n]{0,200})\]\((?:[^()\n]|\([^()\n]{0,80}\)){0,400}\)
    |   (?P<two>\*\*|__)(?=\S)(?P<strong>.{1,400}?)(?<=\S)(?P=two)(?![*_])
    |   (?<!\w)(?P<one>[*_])(?=[^\s*_])(?P<em>.{1,400}?)(?<=[^\s*_])(?P=one)(?!\w)
    """,
    re.VERBOSE | re.DOTALL,
)
_READ = ("escaped", "code", "wiki", "link", "strong", "em")
_INDENT = 2  # spaces of one level of a list
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch that is read: `text[start:end]`, and the names of the emphasis on it."""

    start: int
    end: int
    styles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Block:
    """One line of the page, or a paragraph: the runs of each of its cells; of anything but a row there is one.

    `label` is the mark of a list's item as it is read, `depth` its level, from 0.
    """

    shape: Shape
    start: int
    end: int
    cells: tuple[tuple[Run, ...], ...]
    label: str = ""
    depth: int = 0


def blocks(text: str, headings: Collection[str] = ()) -> list[Block]:
    """The blocks of `text` in order: every character that is read lies in exactly one run.

    A line that is one of `headings` is a heading without a mark too: in PDFs and web pages they have none.
    """
    found: list[Block] = []
    rows = {start for start, _ in table_rows(text)}
    fenced, open_ = False, False  # within a fence; whether the next plain line goes on with the block before
    for match in _LINE.finditer(text):
        start, end = match.span()
        line = match[0]
        if _FENCE.match(line):
            fenced, open_ = not fenced, False
        elif fenced:
            found += [Block("code", start, end, ((Run(start, end),),))] if line.strip() else []
        elif not line.strip():
            open_ = False
        elif _is_ruled(line):
            _make_head(found)
            open_ = False
        elif line.strip() in headings:
            found.append(Block("heading", start, end, (_runs(text, start, end),)))
            open_ = False
        elif start in rows and not (_ITEM.match(line) or _HEADING.match(line)):
            found.append(Block("row", start, end, tuple(_runs(text, a, b) for a, b in _cells(text, start, end))))
            open_ = False
        else:
            open_ = _take(text, start, end, found, open_)
    return found


def _is_ruled(line: str) -> bool:
    return bool(_RULE.match(line) or ("-" in line and _TABLE_RULE.match(line)))


def _make_head(found: list[Block]) -> None:
    """The row above a table's rule is its head."""
    if found and found[-1].shape == "row" and (len(found) < 2 or found[-2].shape not in ("row", "head")):
        row = found[-1]
        found[-1] = Block("head", row.start, row.end, row.cells)


def _take(text: str, start: int, end: int, found: list[Block], goes_on: bool) -> bool:
    """Add the line to the blocks; whether a plain line after it goes on with the same block."""
    line = text[start:end]
    if heading := _HEADING.match(line):
        closing = _CLOSING.search(line)
        last = start + closing.start() if closing else end
        found.append(Block("heading", start, end, (_runs(text, start + heading.end(), last),)))
        return False
    if item := _ITEM.match(line):
        label = item[2] if item[2][0].isdigit() else "•"
        depth = min(len(item[1].expandtabs(4)) // _INDENT, _DEEPEST)
        found.append(Block("item", start, end, (_runs(text, start + item.end(), end),), label, depth))
        return True
    quote = _QUOTE.match(line)
    begin = start + (quote.end() if quote else 0)
    if not goes_on:
        found.append(Block("text", start, end, (_runs(text, begin, end),)))
    else:  # a paragraph that was wrapped; the line break is read as the space that it stands for
        before = found[-1]
        runs = _merged([*before.cells[0], Run(start - 1, start), *_runs(text, begin, end)])
        found[-1] = Block(before.shape, before.start, end, (runs,), before.label, before.depth)
    return True


def _merged(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Runs that touch and look alike as one, so that a sentence across lines is highlighted in one piece."""
    kept: list[Run] = []
    for run in runs:
        if kept and kept[-1].end == run.start and kept[-1].styles == run.styles:
            kept[-1] = Run(kept[-1].start, run.end, run.styles)
        else:
            kept.append(run)
    return tuple(kept)


def _cells(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans between the bars of a row, without those at its ends."""
    first, last = trimmed(text, start, end)
    first += text.startswith("|", first)
    last -= last > first and text[last - 1] == "|" and text[last - 2] != "\\"
    at = first
    for bar in _BAR.finditer(text, first, last):
        yield at, bar.start()
        at = bar.end()
    yield at, last


def _runs(text: str, start: int, end: int, styles: frozenset[str] = frozenset()) -> tuple[Run, ...]:
    """What is read of `text[start:end]`, emphasis within emphasis told once for each kind."""
    at, last = (start, end) if styles else trimmed(text, start, end)
    found: list[Run] = []
    for match in _INLINE.finditer(text, at, last):
        kind = next(name for name in _READ if match[name] is not None)
        found += [Run(at, match.start(), styles)] if at < match.start() else []
        a, b = match.span(kind)
        if kind in ("escaped", "wiki"):
            found.append(Run(a, b, styles))
        elif kind == "code":
            found.append(Run(a, b, styles | {"code"}))
        elif kind == "link":
            found += [Run(a, b, styles)] if a < b else []
        elif kind in styles:
            found.append(Run(a, b, styles))
        else:
            found += _runs(text, a, b, styles | {kind})
        at = match.end()
    return tuple([*found, Run(at, last, styles)] if at < last else found)
