"""What one run learns from, as it is kept in the run's folder: pairs with their negatives, and what is held out.

Whoever goes on with a run later, in another process, finds it here as it was.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from rag.errors import TuneError
from rag.tune.lines import read_lines, write_lines
from rag.tune.pairs import pair_without, read_pairs, write_pairs
from rag.tune.questions import question_without
from rag.tune.records import Pair, Question

TRAIN, DEV, GATE = "pairs.jsonl", "dev.jsonl", "gate.jsonl"
_QUESTION = TypeAdapter(Question)

KnownChunks = Callable[[Sequence[str]], set[str]]
"""Ids of chunks -> those that are in the library."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """Pairs to learn from, pairs to choose by, questions to be judged by."""

    train: tuple[Pair, ...]
    dev: tuple[Pair, ...]
    gate: tuple[Question, ...]

    @property
    def documents(self) -> set[str]:
        """Those that are learnt about, as far as they are in the library."""
        return {pair.positive.document for pair in (*self.train, *self.dev)} - {""}

    def write(self, folder: Path) -> None:
        write_pairs(folder / DEV, self.dev)
        write_lines(folder / GATE, self.gate, _QUESTION)
        write_pairs(folder / TRAIN, self.train)  # last: who finds it finds the others

    @classmethod
    def read(cls, folder: Path) -> "Lesson | None":
        """The one in a run's folder, None where it was not written yet."""
        if not (folder / TRAIN).exists():
            return None
        gate = read_lines(folder / GATE, _QUESTION)
        train, dev = read_pairs(folder / TRAIN), read_pairs(folder / DEV)
        if bad := (*train.bad, *dev.bad, *gate.bad):
            raise TuneError(f"{bad[0]}; train anew instead of going on")
        return cls(train.records, dev.records, gate.records)

    @classmethod
    def readable(cls, folder: Path) -> "Lesson":
        """What can be read of the one in a run's folder; files that are not there hold nothing."""
        gate = read_lines(folder / GATE, _QUESTION)
        return cls(read_pairs(folder / TRAIN).records, read_pairs(folder / DEV).records, gate.records)

    def without(self, documents: Collection[str]) -> "Lesson":
        """What is left of it where these documents (by id) are forgotten: no pair and no question names them."""
        train, dev = (
            tuple(left for pair in pairs if (left := pair_without(pair, documents))) for pairs in (self.train, self.dev)
        )
        gate = (question_without(question, documents) for question in self.gate)
        return Lesson(train, dev, tuple(question for question in gate if question.right))


def with_negatives_of(pairs: Sequence[Pair], earlier: Sequence[Pair], known: KnownChunks) -> list[Pair]:
    """Pairs with the negatives that an earlier run found for them; without them where these are not all there still.

    What people called wrong since is among the negatives of `pairs` and must be among the earlier ones, else they are
    to be looked for anew.
    """
    found: Mapping[str, Pair] = {pair.id: pair for pair in earlier if pair.negatives}
    matching = [found[pair.id] for pair in pairs if pair.id in found]
    here = known(sorted({each.id for pair in matching for each in pair.negatives if each.document}))

    def mined(pair: Pair) -> Pair:
        old = found.get(pair.id)
        if old is None or old.positive != pair.positive or not set(pair.negatives) <= set(old.negatives):
            return pair
        whole = all(each.id in here or not each.document for each in old.negatives)
        return replace(pair, negatives=old.negatives) if whole else pair

    return [mined(pair) for pair in pairs]
