"""What was asked before and what was right then: a query that comes again is drawn towards it, without any training.

q' = norm(q + b/N * sum over the N lists shown for it, sum over what was chosen in each, of c/theta * d): Rocchio's
feedback on logged choices, with what people look at anyway made up for (CoRocchio, Zhuang, Li & Zuccon 2022,
https://doi.org/10.1145/3477495.3531969).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.tune.chosen import CITED, EXPLICIT, look_weight
from rag.tune.feedback import Feedback
from rag.tune.questions import words_of
from rag.tune.records import Act
from rag.tune.standing import JUDGEMENTS
from rag.tune.tensors import read_tensors, unit, write_tensors

PULL = 0.3  # b: how far what was chosen draws a query
LEAST_EVENTS = 2  # choices; one alone may be an accident, but for what somebody said in words
SAME = 0.95  # cosine of two queries that ask the same

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Memory:
    """What is remembered of Q queries.

    Args:
        queries: float32[Q, D], what the base model makes of them.
        sums: float32[Q, D], of the passages that were chosen, each as much as its choice is worth.
        counts: float32[Q, 2], the lists in which something was chosen, and the choices.
    """

    FILE: ClassVar[str] = "memory.safetensors"

    queries: Rows
    sums: Rows
    counts: Rows

    def apply(self, before: Rows, rows: Rows) -> Rows:
        """`rows` float32[N, D], those of queries that came before drawn to what was chosen then.

        A query is known again by its vector of the base model, `before` float32[N, D].
        """
        same = (before @ self.queries.T >= SAME).astype(np.float32)
        lists, events = (same @ self.counts).T
        pull = (same @ self.sums) / np.maximum(lists, 1)[:, None]
        drawn = unit(np.asarray(rows + PULL * pull, np.float32))
        return np.where((events >= LEAST_EVENTS)[:, None], drawn, rows)

    def write(self, folder: Path) -> None:
        write_tensors(folder / self.FILE, {"queries": self.queries, "sums": self.sums, "counts": self.counts})

    @classmethod
    def read(cls, folder: Path, dim: int) -> "Memory":
        """The memory in a run's folder; TuneError where it is not one for vectors of `dim` numbers."""
        arrays = read_tensors(folder / cls.FILE, {"queries": 2, "sums": 2, "counts": 2})
        count = len(arrays["queries"])
        if {name: array.shape for name, array in arrays.items()} != {
            "queries": (count, dim),
            "sums": (count, dim),
            "counts": (count, 2),
        }:
            raise TuneError(f"{str(folder / cls.FILE)!r} is for vectors of another size; train again")
        return cls(**arrays)


@dataclass(slots=True)
class _Said:
    """What was said of one query: its words as they came last, the lists, and what each chunk is worth."""

    query: str = ""
    lists: set[str] = field(default_factory=set)
    events: int = 0
    worth: dict[str, float] = field(default_factory=lambda: defaultdict(float))


def remembered(
    feedback: Feedback,
    vectors_of: Callable[[Sequence[str]], Mapping[str, Rows]],
    embed: Callable[[Sequence[str]], Rows],
) -> Memory | None:
    """What a library's feedback makes a retriever remember; None where no query had two choices.

    What somebody said in words stands until it is taken back, however often the query comes, and counts for two.
    "This was it" and a pin are worth 1, a citation in an answer that was kept .7, an open or a copy as `look_weight`
    says, and what was called wrong -1: said of the same passage they cancel out.

    Args:
        vectors_of: ids of chunks -> the float32[D] vectors of those that are still in the library.
        embed: queries -> float32[N, D] of the base model.
    """
    said: dict[str, _Said] = defaultdict(_Said)
    for choice in feedback.choices:
        place = feedback.chosen(choice)
        if place is None:
            continue
        query = feedback.shown[choice.shown].query
        each = said[words_of(query)]
        each.query = query
        each.lists.add(choice.shown)
        each.events += LEAST_EVENTS if choice.act in JUDGEMENTS else 1
        each.worth[place.chunk] += _worth(choice.act, place.rank)
    known = vectors_of(sorted({chunk for each in said.values() for chunk in each.worth}))
    kept = [each for each in said.values() if any(worth and chunk in known for chunk, worth in each.worth.items())]
    if sum(each.events for each in kept) < LEAST_EVENTS:
        return None
    sums = [
        np.sum([worth * known[chunk] for chunk, worth in sorted(each.worth.items()) if chunk in known], axis=0)
        for each in kept
    ]
    counts = np.array([(len(each.lists), each.events) for each in kept], np.float32)
    return Memory(embed([each.query for each in kept]), np.asarray(sums, np.float32), counts)


def _worth(act: Act, rank: int) -> float:
    if act == "wrong":
        return -EXPLICIT
    if act in ("open", "copy"):
        return look_weight(rank)
    return CITED if act == "cited" else EXPLICIT
