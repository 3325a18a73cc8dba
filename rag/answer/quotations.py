"""What is quoted where no model writes: the best evidence, or what lies nearest; safe to show."""

from collections.abc import Sequence

from rag.answer.clean import clean, unmarked
from rag.answer.sources import is_picture, without_markers, words_at
from rag.records import Passage
from rag.text import one_line

_QUOTES = 3
_LONGEST = 400  # characters of a quotation
_GLIMPSE = 160  # characters of the beginning of a source


def quoted(opening: str, passages: Sequence[Passage]) -> str:
    """`opening`, then the best evidence of the passages; where there is none, a glimpse of the first of them."""
    quotations = best(passages, _QUOTES) or [_glimpse(passage) for passage in passages[:_QUOTES]]
    return "\n\n".join([_safe(opening), *quotations])


def best(passages: Sequence[Passage], count: int, least: float = 0.0) -> list[str]:
    """The `count` best sentences of evidence, quoted, each with the marker of its passage.

    Those whose score is below `least` of the best one's are left out, and so is what was quoted before: a picture's
    caption may stand in the text around it too.
    """
    found = sorted(((e, p) for p in passages for e in p.evidence), key=lambda item: -item[0].score)
    kept: dict[str, tuple[str, Passage]] = {}
    for evidence, passage in found:
        if evidence.score >= least * found[0][0].score:
            words = words_at(passage, evidence.start, evidence.end)
            kept.setdefault(one_line(words).casefold(), (words, passage))
    return [_quotation(words, passage) for words, passage in list(kept.values())[:count]]


def _quotation(words: str, passage: Passage, longest: int = _LONGEST) -> str:
    return f"“{_safe(without_markers(unmarked(one_line(words, longest))))}” [{passage.number}]"


def _glimpse(passage: Passage) -> str:
    """How a passage begins; the title of a picture without words."""
    if words := words_at(passage, passage.start, passage.start if is_picture(passage) else passage.end).strip():
        return _quotation(words, passage, _GLIMPSE)
    return f"{_safe(without_markers(one_line(passage.hit.chunk.title, _GLIMPSE)))} [{passage.number}]"


def _safe(text: str) -> str:
    return clean(text, 0)[0]
