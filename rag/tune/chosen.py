"""Which pairs follow from what people were shown, and what they chose?

Only what was said counts as wrong: a passage that was passed over may be as right as the one above it, and an answer
that nobody liked may have had the right sources.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rag.text import one_line
from rag.tune.feedback import Feedback
from rag.tune.pairs import Contradiction, has_words, new_pair
from rag.tune.questions import words_of
from rag.tune.records import Act, Choice, Excerpt, Pair

EXPLICIT = 1.0  # somebody said that this passage is right: pinned it, or "this was it"
CITED = 0.7  # it is cited in an answer that was kept
_LOOK = 0.3  # it was opened or copied, at the first place
_LARGEST_LOOK = 0.6
_RIGHT: frozenset[Act] = frozenset({"pin", "this"})

ExcerptsOf = Callable[[Sequence[str]], Mapping[str, Excerpt]]
"""Ids of chunks -> those that are in the library and have words, as the embedder reads them."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What feedback says.

    Args:
        pairs: one for each query and passage that is right, with the passages that were called wrong for the query.
        contradictions: passages that were called wrong for a query for which they were used as well.
        gone: chunks that are no longer in the library, or have no words: nothing can be learnt from them.
        only_wrong: queries for which something is wrong and nothing right, which gives no pair.
    """

    pairs: tuple[Pair, ...]
    contradictions: tuple[Contradiction, ...]
    gone: int
    only_wrong: int


@dataclass(frozen=True, slots=True)
class _Said:
    """A choice of a chunk, the words that were asked, and the chunk's place then, from 1."""

    query: str
    choice: Choice
    rank: int


def look_weight(rank: int) -> float:
    """How sure an open or a copy makes: .3 at the first place, more further down, .6 at most.

    People look at the first place more often whatever stands there: at place r one in r times as often, until that is
    measured. So a look counts r times as much (inverse propensity; Joachims et al. 2017,
    https://arxiv.org/abs/1608.04468), capped, since a look is never as sure as a word.
    """
    return min(_LOOK * rank, _LARGEST_LOOK)


def pairs_from_feedback(feedback: Feedback, excerpts_of: ExcerptsOf) -> Learnt:
    """What can be learnt from a library's feedback.

    A passage is right with weight 1 if somebody said so, .7 if an answer cites it that was kept, and as `look_weight`
    says if it was opened or copied. It is wrong for a query only if somebody said so, whatever else was done with it;
    what was taken back or contradicted in words since is no longer in `feedback.choices`.
    """
    said: dict[tuple[str, str], list[_Said]] = defaultdict(list)
    for choice in feedback.choices:
        place = feedback.chosen(choice)
        query = feedback.shown[choice.shown].query if place else ""
        if place and has_words(query):
            said[words_of(query), choice.chunk].append(_Said(query, choice, place.rank))
    excerpts = excerpts_of(sorted({chunk for _, chunk in said}))
    gone = {chunk for _, chunk in said} - excerpts.keys()
    return _learnt({at: acts for at, acts in said.items() if at[1] in excerpts}, excerpts, len(gone))


def _learnt(said: Mapping[tuple[str, str], Sequence[_Said]], excerpts: Mapping[str, Excerpt], gone: int) -> Learnt:
    """`said` is by query and chunk; every chunk has an excerpt."""
    wrong: dict[str, list[Excerpt]] = defaultdict(list)
    contradictions, right = [], []
    for (query, chunk), acts in said.items():
        if not any(each.choice.act == "wrong" for each in acts):
            right.append((query, chunk, acts))
            continue
        wrong[query].append(excerpts[chunk])
        if len({each.choice.act for each in acts}) > 1:
            contradictions.append(Contradiction(acts[-1].query, one_line(excerpts[chunk].text, 80), "wrong"))
    pairs = tuple(_pair(acts, excerpts[chunk], wrong.get(query, ())) for query, chunk, acts in right)
    return Learnt(pairs, tuple(contradictions), gone, len(wrong.keys() - {query for query, _, _ in right}))


def _pair(acts: Sequence[_Said], positive: Excerpt, negatives: Sequence[Excerpt]) -> Pair:
    last = max(acts, key=lambda each: each.choice.time)
    weight = max(map(_weight, acts))
    return new_pair(last.query, positive, "feedback", last.choice.time, negatives=negatives, weight=weight)


def _weight(said: _Said) -> float:
    if said.choice.act in _RIGHT:
        return EXPLICIT
    return CITED if said.choice.act == "cited" else look_weight(said.rank)
