"""The words near a place in a text: what tells a picture without words from another."""

import re

from rag.text import one_line

LONGEST = 400  # characters
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")


def words_around(text: str, start: int, end: int, first: int, last: int, longest: int = LONGEST) -> str:
    """The paragraph that ends before `start` and the one that begins behind `end`, within `text[first:last]`.

    In one line of at most about `longest` characters; of too long a paragraph the part that is nearer.
    """
    before, after = text[first:start].rstrip(), text[end:last].lstrip()
    breaks = [match.end() for match in _PARAGRAPH_END.finditer(before)]
    before = before[breaks[-1] if breaks else 0 :]
    following = _PARAGRAPH_END.search(after)
    after = after[: following.start() if following else len(after)]
    half = longest // 2
    spare = max(half - len(after), 0)
    return " ".join(filter(None, (_ending(before, half + spare), one_line(after, max(longest - len(before), half)))))


def _ending(text: str, longest: int) -> str:
    """The end of `text` in one line, from a word on."""
    line = one_line(text)
    if len(line) <= longest:
        return line
    cut = line.find(" ", len(line) - longest)
    return "…" + line[cut + 1 if cut >= 0 else -longest :]
