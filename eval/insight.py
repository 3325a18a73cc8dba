"""What a result says of single questions: which are hard, and where fusion helped and hurt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eval.ask import HYBRID
from eval.fusions import FUSIONS

MEASURE = "ndcg@10"


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: nDCG@10 of the one list and of the best single retriever, and the places of the first right one."""

    id: str
    text: str
    fused: float
    single: float
    ranks: Mapping[str, int | None]
    right: tuple[str, ...]
    found: tuple[str, ...]

    @property
    def gain(self) -> float:
        return self.fused - self.single


@dataclass(frozen=True)
class Insight:
    """All questions of a result. `fused` names the one list, `single` the retriever it has to beat."""

    fused: str
    single: str
    questions: tuple[Judged, ...]

    def hardest(self, count: int) -> list[Judged]:
        """The questions with the lowest nDCG@10 below 1, those found latest or never first."""
        missed = [q for q in self.questions if q.fused < 1]
        return sorted(missed, key=lambda q: (q.fused, -(q.ranks.get(self.fused) or 10**9), q.id))[:count]

    def helped(self, count: int) -> list[Judged]:
        """Where the one list is better than the single retriever, most first."""
        return [q for q in sorted(self.questions, key=lambda q: (-q.gain, q.id)) if q.gain > 0][:count]

    def hurt(self, count: int) -> list[Judged]:
        """Where it is worse, most first."""
        return [q for q in sorted(self.questions, key=lambda q: (q.gain, q.id)) if q.gain < 0][:count]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Questions that fusion helped, left as they were, and hurt."""
        helped = sum(q.gain > 0 for q in self.questions)
        hurt = sum(q.gain < 0 for q in self.questions)
        return helped, len(self.questions) - helped - hurt, hurt


def insight(result: Mapping[str, Any]) -> Insight:
    """The questions of a result of `eval run`.

    What fusion is worth is told against the single retriever that is best over the whole data set: that is what one
    would have used without fusion. Which one is best for a question nobody knows beforehand.
    """
    fused = str(result.get("fused", HYBRID))
    means: Mapping[str, Mapping[str, float]] = result["by_retriever"]
    singles = [name for name in means if name not in (HYBRID, fused, *FUSIONS)]
    single = max(singles or [fused], key=lambda name: means[name][MEASURE])
    told: Mapping[str, Mapping[str, Any]] = result.get("questions", {})
    judged = []
    for query, scores in result["per_query"].items():
        row = told.get(query, {})
        judged.append(
            Judged(
                id=query,
                text=str(row.get("text", "")) or query,
                fused=scores[fused][MEASURE],
                single=scores[single][MEASURE],
                ranks=row.get("rank", {}),
                right=tuple(row.get("right", ())),
                found=tuple(row.get("found", ())),
            )
        )
    return Insight(fused, single, tuple(judged))
