"""Small questions about text that several packages ask: where its sentences are, how it reads in one line."""

import re
from collections.abc import Iterator

import sentencex

# sentencex takes time quadratic in the sentences of one call, so it is given windows of this many characters.
_WINDOW = 4000
_BLOCK_END = re.compile(r"\n\s*\n|\n(?=[ \t]*(?:[-*+•>]|\d{1,3}[.)]|#{1,6})[ \t])")
_MARKER = re.compile(r"\s*(?:[-*+•>]|\d{1,3}[.)]|#{1,6})[ \t]+(?=\S)")
_LINE = re.compile(r"[^\n]+")
_INNER_BAR = re.compile(r"[^\n|]*\S[ \t]\|[ \t]")
_NOT_ENCODABLE = re.compile(r"[\x00\ud800-\udfff]")
# Control characters but tab and line feed, what turns the direction of text round, and what is not seen at all. Marks
# of direction and joiners stay: Arabic, Hebrew, Indic scripts and emoji are written with them.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SPACE_OR_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")


def sentences(text: str, language: str = "en") -> list[tuple[int, int]]:
    """The sentences of `text` as spans in order: `text[start:end]`, without white space at either end.

    Blank lines, list items and headings end a sentence too, and each row of a table is one. Every character that is
    not white space lies in exactly one span. Boundaries are those of the sentencex library for `language` (ISO 639-1,
    English rules where it is unknown); a sentence beyond 2,000 characters may be cut at white space. Linear in the
    length.
    """
    readable = encodable(text)
    spans = []
    for start, end, is_row in _blocks(readable):
        if is_row:
            spans.append(trimmed(readable, start, end))
            continue
        marker = _MARKER.match(readable, start, end)  # "2. Two" is one sentence, not "2." and "Two"
        body = marker.end() if marker else start
        for left, right in _block_sentences(readable, body, end, language):
            left = start if left == body else left
            first, last = trimmed(readable, left, right)
            if first < last:
                spans.append((first, last))
    return spans


def table_rows(text: str) -> list[tuple[int, int]]:
    """The lines of `text` that are rows of a table, as spans in order, those that only part its head from it too.

    Such a line begins with a bar, as in Markdown, or has a bar between spaces and stands beside another line with one,
    as in tables of web pages: a single such line may be a formula.
    """
    lines = [match.span() for match in _LINE.finditer(text)] if "|" in text else []
    barred = ["|" in text[start:end] for start, end in lines]
    found = []
    for i, (start, end) in enumerate(lines):
        if not barred[i]:
            continue
        beside = any(barred[j] and _touch(lines, i, j) for j in (i - 1, i + 1) if 0 <= j < len(lines))
        if text[start:end].lstrip().startswith("|") or (beside and _INNER_BAR.match(text, start, end)):
            found.append((start, end))
    return found


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span `start:end` without the white space at either end of it; empty where it holds nothing else."""
    piece = text[start:end]
    first = start + len(piece) - len(piece.lstrip())
    return first, max(first, start + len(piece.rstrip()))


def _touch(lines: list[tuple[int, int]], i: int, j: int) -> bool:
    """Whether no blank line is between two neighbours."""
    (_, before), (after, _) = sorted((lines[i], lines[j]))
    return after - before == 1


def encodable(text: str) -> str:
    """`text` with each NUL and lone surrogate, which UTF-8 and databases refuse, replaced by U+FFFD: same length."""
    return _NOT_ENCODABLE.sub("�", text)


def visible(text: str) -> str:
    """`text` without what steers a terminal, turns its direction round or hides words in it; all that is read stays."""
    return _UNSEEN.sub("", text)


def one_line(text: str, limit: int | None = None) -> str:
    """`text` in one line: runs of white space and control characters become one space.

    Beyond `limit` characters (> 0) it is cut, between words where one ends in the second half, and ends with "…".
    """
    line = _SPACE_OR_CONTROL.sub(" ", text).strip()
    if limit is None or len(line) <= limit:
        return line
    cut = line.rfind(" ", limit // 2, limit)
    return line[: cut if cut > 0 else limit - 1].rstrip() + "…"


def _blocks(text: str) -> Iterator[tuple[int, int, bool]]:
    """Spans in which sentences lie whole, and whether one is a row of a table."""
    at = 0
    for start, end in [*table_rows(text), (len(text), len(text))]:
        begin = at
        for match in _BLOCK_END.finditer(text, at, start):
            yield begin, match.start(), False
            begin = match.end()
        yield begin, start, False
        if start < end:
            yield start, end, True
        at = end


def _block_sentences(text: str, start: int, end: int, language: str) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = min(start + _WINDOW, end)
        found = sentencex.get_sentence_boundaries(language, text[start:stop])
        spans = [(start + item["start_index"], start + item["end_index"]) for item in found]
        if stop == end:
            yield from spans
            return
        # The window's last sentence may go on behind it: the next window begins with that one.
        if spans[-1][0] - start >= _WINDOW // 2:
            stop = spans.pop()[0]
        else:
            stop = _last_space(text, spans[-1][0], stop)
            spans[-1] = (spans[-1][0], stop)
        yield from spans
        start = stop


def _last_space(text: str, start: int, stop: int) -> int:
    """Just behind the last white space of the second half of `text[start:stop]`, or `stop` where there is none."""
    return next((at for at in range(stop, (start + stop) // 2, -1) if text[at - 1].isspace()), stop)


def duration(seconds: float) -> str:
    """`a moment`, `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 1:
        return "a moment"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size_words(size: int) -> str:
    """`1.4 GiB`, `90 MiB`: bytes as people say them."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"


def gigabytes(size: float) -> str:
    """`4.3 GB`, `90 MB`: bytes in powers of ten, as downloads and the memory of graphics cards are told."""
    return f"{size / 1e9:.1f} GB" if size >= 0.95e8 else f"{size / 1e6:.0f} MB"
