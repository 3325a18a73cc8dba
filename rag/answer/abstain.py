"""Does anything that was found stand out, or is it only what lies nearest?

Something is always nearest. The score of a hit says how it compares with the others for the same question, so it cannot
tell; two things can: how much the best sentence has to do with the question, and how much of what was asked stands in
the passage that has most of it. A logistic regression over the two is the decision.

The constants were fitted on the questions to half of the paragraphs of xquad-en (526, each asked with its paragraph in
the index and without it, by the starter embedder) and hold on the other half (659): eval/LOG.md has the figures, those
for the sample collection, and what else was tried. An embedder whose cosines are high for everything makes it abstain
less.
"""

import math
from collections.abc import Sequence

from rag.answer.evidence import grams
from rag.answer.sources import is_picture
from rag.records import Passage

_INTERCEPT = 13.785
_EVIDENCE = -21.16  # of the best sentence's score
_COVERED = -3.912  # of the share of the question that stands in one passage
_DOUBTED = 0.85  # not .5: an answer that is withheld costs more than one that is shown with its sources


def doubt(question: str, passages: Sequence[Passage]) -> float:
    """How likely it is that `passages`, with their evidence marked, do not answer `question`: in [0, 1]."""
    if not passages:
        return 1.0
    best = max((evidence.score for passage in passages for evidence in passage.evidence), default=0.0)
    asked = grams(question)
    covered = max(len(asked & grams(_words(passage))) for passage in passages) / len(asked) if asked else 1.0
    return 1 / (1 + math.exp(-(_INTERCEPT + _EVIDENCE * best + _COVERED * covered)))


def stands_out(question: str, passages: Sequence[Passage]) -> bool:
    """Whether `passages` may well answer `question`.

    It is taken for granted where words cannot tell: the question has none, or what was found first is a picture that
    was found by its looks or has no words.
    """
    if not grams(question) or any(map(_beyond_words, passages[:1])):
        return True
    return doubt(question, passages) <= _DOUBTED


def _beyond_words(passage: Passage) -> bool:
    by_looks = any(found.chance is not None or found.retriever == "likeness" for found in passage.hit.found_by)
    return is_picture(passage) and (by_looks or not (passage.text + passage.hit.chunk.caption).strip())


def _words(passage: Passage) -> str:
    """All that is written in a passage and about it."""
    chunk = passage.hit.chunk
    return "\n".join((chunk.context, chunk.caption, chunk.around, passage.text))
