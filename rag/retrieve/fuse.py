"""Several ranked lists into one, by how far each chunk stands out in each of them.

A weighted sum of scores beats reciprocal ranks (Bruch, Gai & Ingber 2023, "An Analysis of Fusion Functions for Hybrid
Retrieval", ACM TOIS 42, https://arxiv.org/abs/2210.11934), but a list that knows nothing must not weigh as much as one
that does. So each list's scores become *evidence* first, whose size says how sure the list is for this query:

    words:    sqrt(contrast) * s / max(s),    contrast = 1 - mean(scores at ranks 2..10) / max(s)
    vectors:  WEIGHT * max(0, s - mean(s)) ** POWER,    mean over the candidates
    words to pictures:   max(0, 1 - chance / STANDS_OUT), or max(0, 1 - (chance / half of all) ** SURPRISE)
    picture to pictures: (max(0, s - usual) / (1 - usual)) ** NEARNESS

BM25 has no scale of its own, so its best is 1; but where ten chunks score nearly alike, the query's telling words
matched nothing, and all of them count less. Cosines have a scale: stretching a flat list to 0..1 would make noise of
it, so only the raw distance above the other candidates counts, and small distances count less still.

Words are compared with pictures across two kinds of things, and the nearest of a thousand is near by chance alone. So
a picture counts by how surprising its score is (`rag.retrieve.chance`). Where passages compete, one that does not
stand out does not enter the list; evidence begins at 0 where it does, so nothing jumps, and soon counts as much as
the best of the words. Where only pictures are wanted all of them enter, and the second formula keeps them apart.
Between pictures there is a scale: 1 is the same picture, and what pictures usually have in common (their median) is
nothing.

The constants were chosen on public questions and on variants made to break one of the lists; eval/LOG.md has the
tables, what was tried besides, and how far the choice can be trusted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.records import FoundBy
from rag.retrieve.chance import Background

Scale = Literal["bm25", "cosine", "chance", "likeness"]

WEIGHT = 1.75  # of vectors against words; any from 1.5 to 2 does
POWER = 1.3  # 1 lets a blind embedder's noise in, 2 is deaf to an embedder that is right by a little
CONTRAST_RANKS = 10
STANDS_OUT = 0.05  # of all pictures, how many would score as high by chance: below this it is taken for no chance
SURPRISE = 0.2  # among pictures alone, one 32 times less likely than half of them has half of the most evidence
NEARNESS = 2.0  # a picture half-way between the usual one and the very same has a quarter of the most evidence
BACKGROUND = 100  # of each list, the ranks whose chunks make up the background, however long the lists are

# From here down the contrast stays the same. Without it a chunk at ranks 2..10 of a flat list could lose by scoring
# better: its own share s/max grows by 1/s while sqrt(contrast) shrinks by 1/(18 max contrast); they meet at 1/18.
_LEAST_CONTRAST = 1 / (2 * (CONTRAST_RANKS - 1))


@dataclass(frozen=True, slots=True)
class Leg:
    """What one retriever says about one query.

    `listed` is its own list, (id, raw score) best first, ids unique. `looked_up` has its raw scores of chunks that
    only other retrievers listed, as far as they are known. `whole` tells that the list holds all that it could find:
    an unknown score is then worth nothing. Otherwise an unknown BM25 is taken to be the lowest that is listed, which
    bounds it; an unknown cosine (no vector in that space) is no evidence either way. All evidence is multiplied by
    `weight`. Scale "chance" needs a `background`; `gated` means that only what stands out from it counts and enters.
    Scale "likeness" needs to know the `usual` cosine, < 1.
    """

    retriever: str
    scale: Scale
    listed: Sequence[tuple[str, float]]
    looked_up: Mapping[str, float] = field(default_factory=dict)
    whole: bool = True
    weight: float = 1.0
    background: Background | None = None
    gated: bool = True
    usual: float = 0.0

    def entering(self) -> list[tuple[str, FoundBy]]:
        """What this leg puts into the one list, best first."""
        entries = [
            (name, FoundBy(self.retriever, rank, score, self._chance(score)))
            for rank, (name, score) in enumerate(self.listed, start=1)
        ]
        return [(name, by) for name, by in entries if by.chance is None or not self.gated or by.chance < STANDS_OUT]

    def _chance(self, score: float) -> float | None:
        return None if self.background is None else self.background.chance(score)


@dataclass(frozen=True, slots=True)
class Fused:
    """A chunk's place in the one list. `score` in [0, 1]: 1 for a chunk that is the best of every leg."""

    id: str
    score: float
    found_by: tuple[FoundBy, ...]


def fuse(legs: Sequence[Leg]) -> list[Fused]:
    """Every chunk that enters once, best first; ties by the best rank in any list, then by id.

    The order of `legs` and of `looked_up` does not matter. A better raw score in one list never lowers a chunk's
    place. A score is the sum of the chunk's evidence over the largest sum that any chunk could have had.
    """
    legs = sorted(legs, key=lambda leg: leg.retriever)  # sums of floats depend on their order
    found = _found_by(legs)
    ids, evidence = evidence_of(legs)
    total = np.sum(evidence, axis=0) if ids else np.zeros(0)
    most = float(sum(values.max() for values in evidence)) if ids else 0.0
    scores = np.minimum(total / most, 1.0) if most > 0 else np.ones(len(ids))
    fused = [Fused(name, float(score), found[name]) for name, score in zip(ids, scores, strict=True)]
    return sorted(fused, key=lambda hit: (-hit.score, min(by.rank for by in hit.found_by), hit.id))


def evidence_of(legs: Sequence[Leg]) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Every chunk that enters, by id, and for each leg what it says for them: float64[N] >= 0, times its weight."""
    ids = sorted({name for leg in legs for name, _ in leg.entering()})
    usual = _usual(legs)
    return ids, [leg.weight * _evidence(leg, ids, usual) for leg in legs]


def _found_by(legs: Iterable[Leg]) -> dict[str, tuple[FoundBy, ...]]:
    found: dict[str, tuple[FoundBy, ...]] = {}
    for leg in legs:
        for name, by in leg.entering():
            found[name] = (*found.get(name, ()), by)
    return found


def _usual(legs: Sequence[Leg]) -> set[str]:
    """The candidates whose mean cosine is the usual one of texts: those of the lists of texts."""
    return {name for leg in legs if leg.scale in ("bm25", "cosine") for name, _ in leg.listed[:BACKGROUND]}


def _evidence(leg: Leg, ids: Sequence[str], usual: set[str]) -> NDArray[np.float64]:
    """float64[N] >= 0: what the leg says for each of `ids`."""
    known = {**leg.looked_up, **dict(leg.listed)}
    scores = np.array([known.get(name, np.nan) for name in ids])
    if not leg.listed:
        return np.zeros(len(ids))
    if leg.scale == "chance" and leg.background is not None:
        return _surprise(scores, leg.background, gated=leg.gated)
    if leg.scale == "likeness":
        above = np.maximum(np.nan_to_num(scores, nan=leg.usual) - leg.usual, 0.0)
        return np.asarray((above / (1 - leg.usual)) ** NEARNESS)
    if leg.scale == "cosine":
        candidates = np.array([name in usual for name in ids])
        return _stands_out(scores, float(np.nanmean(scores[candidates & ~np.isnan(scores)])))
    unknown = 0.0 if leg.whole else leg.listed[-1][1]
    return _share_of_best(np.nan_to_num(scores, nan=unknown), [score for _, score in leg.listed])


def _surprise(cosines: NDArray[np.float64], background: Background, *, gated: bool) -> NDArray[np.float64]:
    """1 - chance / STANDS_OUT, or 1 - (chance / half of all) ** SURPRISE; never below 0, and 0 for unknown cosines."""
    bar, power = (STANDS_OUT, 1.0) if gated else (background.population / 2, SURPRISE)
    chances = np.array([bar if np.isnan(cosine) else background.chance(cosine) for cosine in cosines])
    return np.asarray(1 - np.minimum(chances / bar, 1.0) ** power)


def _stands_out(cosines: NDArray[np.float64], usual: float) -> NDArray[np.float64]:
    """WEIGHT * max(0, cosine - usual) ** POWER, 0 where the cosine is unknown."""
    above = np.maximum(np.nan_to_num(cosines, nan=usual) - usual, 0.0)
    return np.asarray(WEIGHT * above**POWER)


def _share_of_best(scores: NDArray[np.float64], listed: Sequence[float]) -> NDArray[np.float64]:
    """sqrt(contrast) * score / best; a list shorter than CONTRAST_RANKS goes on with zeros."""
    best = listed[0]
    if best <= 0:
        return np.zeros(len(scores))
    rivals = sum(listed[1:CONTRAST_RANKS]) / (CONTRAST_RANKS - 1)
    contrast = max(1 - rivals / best, _LEAST_CONTRAST)
    return np.asarray(np.sqrt(contrast) * np.maximum(scores, 0.0) / best)
