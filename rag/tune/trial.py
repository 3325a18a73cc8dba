"""Two complete rankers answer the same questions: what each of them listed, and how long it took."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag.tune.measures import ndcg, place
from rag.tune.records import Example, Question

DEPTH = 20  # documents that a ranker lists: as many as recall looks at


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a ranker gave for a question: document ids, best first, each once, up to DEPTH; and how long it took."""

    documents: tuple[str, ...]
    ms: float


Rank = Callable[[str], Ranked]


@dataclass(frozen=True, slots=True)
class Trial:
    """Questions, and the two rankers that they are put to."""

    questions: Sequence[Question]
    before: Rank
    after: Rank


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what both rankers gave."""

    question: Question
    before: Ranked
    after: Ranked

    @property
    def scores(self) -> tuple[float, float]:
        """nDCG@10 before and after."""
        right = self.question.right
        return ndcg(self.before.documents, right), ndcg(self.after.documents, right)

    @property
    def gain(self) -> float:
        before, after = self.scores
        return after - before

    @property
    def example(self) -> Example:
        """The places of the first right document."""
        right = self.question.right
        return Example(self.question.text, place(self.before.documents, right), place(self.after.documents, right))


def ask(trial: Trial) -> Iterator[Asked]:
    """Every question of `trial`, put to both rankers right after each other, so that a slow minute slows both.

    They take turns at being first, and the first question is asked once more before all others, of both: models are
    loaded then, and nobody's time is counted.
    """
    for question in trial.questions[:1]:
        for rank in (trial.before, trial.after):
            rank(question.text)
    for number, question in enumerate(trial.questions):
        if number % 2:
            after, before = trial.after(question.text), trial.before(question.text)
        else:
            before, after = trial.before(question.text), trial.after(question.text)
        yield Asked(question, before, after)
