"""The library asked its own questions: figures worked by hand, groups, history, and what counts as worse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log2
from pathlib import Path
from threading import Event
from typing import cast

import pytest

from rag.config import Settings, load_settings
from rag.errors import TuneError
from rag.evaluating import (
    FILE,
    Evaluation,
    Outcome,
    Setup,
    changes,
    compare,
    evaluate,
    evaluate_own,
    history,
    summary,
)
from rag.records import Chunk, DocumentInfo, Hit, Kind, ModelState, SearchResult, Status
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.questions import Questions, question
from rag.tune.records import Candidate, Question

SETUP = Setup("small", "", "", "", 200, 3, 9)


@dataclass
class Row:
    """As much of a document's information, or of a chunk, as is looked at here."""

    id: str
    kind: Kind = "note"

    @property
    def document_id(self) -> str:
        return self.id


@dataclass
class Shelf:
    """A library that gives prepared lists of documents, one passage each."""

    settings: Settings
    lists: Mapping[str, Sequence[str]]
    kinds: Mapping[str, Kind]
    also: Mapping[str, str] = field(default_factory=dict)
    tuned: Candidate | None = None

    @property
    def improver(self) -> "Shelf":
        return self

    def live(self) -> Candidate | None:
        return self.tuned

    def status(self) -> Status:
        model = ModelState("embedder", "small", "cpu", "fp32", "", True)
        return Status("", len(self.kinds), 9, {}, (model,))

    def documents(self) -> list[DocumentInfo]:
        return [cast(DocumentInfo, Row(name, kind)) for name, kind in self.kinds.items()]

    def search(self, text: str, *, k: int) -> SearchResult:
        found = self.lists[text][:k]
        also = {name: (cast(Chunk, Row(self.also[name])),) for name in found if name in self.also}
        hits = [Hit(cast(Chunk, Row(name)), n, 1 / n, (), also.get(name, ())) for n, name in enumerate(found, 1)]
        return SearchResult(text, tuple(hits), {})


KINDS: dict[str, Kind] = {"a": "note", "b": "pdf", "c": "image"}
LISTS = {"first": ["a", "a", "b"], "second": ["a", "b", "c"], "third": ["b"]}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(load_settings(home=tmp_path), LISTS, KINDS)


def asked(*pairs: tuple[str, str]) -> list[Question]:
    return [question(text, [right]) for text, right in pairs]


def test_figures_worked_by_hand(shelf: Shelf) -> None:
    found = evaluate(shelf, asked(("first", "b"), ("second", "c"), ("third", "a")))
    assert found is not None
    assert [one.place for one in found.outcomes] == [2, 3, None]  # "a" of the first list counts once
    assert found.scores.mrr == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    assert found.scores.ndcg == pytest.approx((1 / log2(3) + 1 / log2(4) + 0) / 3)
    assert found.scores.recall == {1: 0, 5: pytest.approx(2 / 3), 10: pytest.approx(2 / 3), 20: pytest.approx(2 / 3)}
    assert found.setup == replace(SETUP, documents=3)


def test_groups_follow_what_is_right_not_what_is_found(shelf: Shelf) -> None:
    several = question("second", ["b", "c"], source="structure")
    found = evaluate(shelf, [*asked(("first", "b")), several])
    assert found is not None
    assert {name: scores.questions for name, scores in found.modalities.items()} == {"image": 1, "text": 2}
    assert {name: scores.questions for name, scores in found.kinds.items()} == {"image": 1, "pdf": 2}
    assert {name: scores.questions for name, scores in found.sources.items()} == {"hand": 1, "structure": 1}
    assert found.outcomes[1].recall == {1: 0.0, 5: 1.0, 10: 1.0, 20: 1.0}


def test_the_same_picture_elsewhere_counts(shelf: Shelf) -> None:
    shelf.also = {"b": "c"}
    found = evaluate(shelf, asked(("third", "c")))
    assert found is not None
    assert found.outcomes[0].place == 2


def test_questions_whose_documents_have_left_are_told_not_asked(shelf: Shelf) -> None:
    found = evaluate(shelf, asked(("first", "b"), ("never asked", "gone")))
    assert found is not None
    assert (found.scores.questions, found.lost) == (1, ("never asked",))
    with pytest.raises(TuneError, match="no document that is right"):
        evaluate(shelf, asked(("never asked", "gone")))
    with pytest.raises(TuneError, match="no question is kept"):
        evaluate_own(shelf)


def test_own_questions_make_a_history(shelf: Shelf, tmp_path: Path) -> None:
    Questions(tmp_path / QUESTIONS).add(asked(("first", "b")))
    told: list[tuple[int, int]] = []
    first = evaluate_own(shelf, lambda done, total: told.append((done, total)))
    shelf.tuned = Candidate("1a-20260101-120000", "1a", "small", 0.0, 40)
    second = evaluate_own(shelf)
    assert told == [(0, 1)]
    assert second is not None
    assert second.setup.retriever == "1a-20260101-120000"
    with (tmp_path / FILE).open("a") as file:
        file.write("half a li")
    assert history(tmp_path) == [first, second]
    assert history(tmp_path / "none") == []


def test_one_that_is_stopped_leaves_nothing(shelf: Shelf, tmp_path: Path) -> None:
    Questions(tmp_path / QUESTIONS).add(asked(("first", "b"), ("second", "c")))
    stop = Event()
    assert evaluate_own(shelf, lambda done, total: stop.set(), stop) is None
    assert history(tmp_path) == []


# --- better and worse ----------------------------------------------------------------------------------------------


def measured(scores: Sequence[float], setup: Setup = SETUP, right: str = "a") -> Evaluation:
    """An evaluation whose questions have these scores."""
    recall = dict.fromkeys((1, 5, 10, 20), 1.0)
    found = [Outcome(f"{n:012x}", f"q{n}", "hand", (right,), ("note",), 1, s, recall) for n, s in enumerate(scores)]
    return summary(found, setup, 0.0, 5.0)


def test_worse_beyond_chance() -> None:
    """Six questions that all lose: of 2 ** 6 patterns of signs one is as bad, p = 1/64."""
    found = compare(measured([0.9] * 6), measured([0.5] * 6))
    assert (found.judged, found.questions) == ("worse", 6)
    assert found.p == pytest.approx(1 / 64)
    assert found.gain == pytest.approx(-0.4)
    assert compare(measured([0.5] * 6), measured([0.9] * 6)).judged == "better"


def test_what_chance_explains_is_neither() -> None:
    found = compare(measured([0.9, 0.5, 0.7, 0.6, 1.0, 0.2]), measured([0.8, 0.6, 0.6, 0.7, 0.9, 0.3]))
    assert found.judged == "none"
    assert found.gain == pytest.approx(0.0)
    assert found.detectable > 0


def test_few_questions_prove_nothing() -> None:
    assert compare(measured([1.0] * 4), measured([0.0] * 4)).judged == "none"
    assert compare(measured([1.0]), measured([1.0], right="b")).questions == 0


def test_what_changed_is_named() -> None:
    after = replace(SETUP, embedder="large", retriever="1a-1", documents=1204)
    assert changes(SETUP, after) == ("embedder: small → large", "tuned retriever: none → 1a-1", "documents: 3 → 1,204")
    assert compare(measured([1.0]), measured([1.0], after)).changed == changes(SETUP, after)
