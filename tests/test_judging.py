"""Candidates judged on a library: the right questions are asked, of complete rankers, and verdicts grow old."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.embed.hashing import HashingEmbedder
from rag.embed.query_side import QuerySideEmbedder
from rag.errors import TuneError
from rag.ingest.analyse import analyse, analyse_query
from rag.judging import Contender, Contest, Court, check_verdict, why_not
from rag.live import Tuned
from rag.protocols import IMAGE_SPACE
from rag.records import Chunk, EmbeddedChunk, ModelState, Vector
from rag.store.memory_store import MemoryStore
from rag.tune.lesson import Lesson
from rag.tune.pairs import new_pair
from rag.tune.picture_canaries import picture_canaries
from rag.tune.records import Candidate, Excerpt, Grounds, Question, Step, Verdict
from rag.tune.runs import Runs

NAME, OTHER = "1a-20261121-154501", "1a-20261121-160000"
BASE = HashingEmbedder()
ANIMALS = ("otter", "badger", "heron", "weasel", "marten", "lynx", "beaver", "stoat", "ibex", "raven", "newt", "adder")
PASSAGES = {f"doc {animal}": f"The {animal} lives where nobody walks" for animal in ANIMALS}
NOW = Grounds(BASE.fingerprint, "v1", "")


def question(number: int, *, text: str = "", right: Sequence[str] = (), **fields: object) -> Question:
    """One whose words are in no passage: only who has learnt them finds `doc <animal>`."""
    answer = dict.fromkeys(right or [f"doc {ANIMALS[number]}"], 1)
    made = Question(f"q{number}", text or f"zq{number}", answer, "hand", 0.0)
    return replace(made, **fields)  # type: ignore[arg-type]


QUESTIONS = [question(number) for number in range(len(ANIMALS))]


class Learnt:
    """Embeds the queries that it has learnt as the passages that answer them, and all others as the base does."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> object:
        return getattr(BASE, name)

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        return BASE.embed([self._answers.get(text, text) for text in texts], "passage" if kind == "passage" else kind)


def contender(answers: Mapping[str, str] | None = None) -> Contender:
    tuned = Tuned(BASE) if answers is None else Tuned(QuerySideEmbedder(BASE, model=Learnt(answers)), NAME)  # type: ignore[arg-type]
    return Contender(tuned, library())


def library() -> MemoryStore:
    rows = BASE.embed(list(PASSAGES.values()), "passage")
    store = MemoryStore({BASE.space: BASE.dim, IMAGE_SPACE: Looks.dim})
    store.replace_documents(
        {
            name: [EmbeddedChunk(piece(name, text), analyse(text, "en"), (Vector(BASE.space, row),))]
            for (name, text), row in zip(PASSAGES.items(), rows, strict=True)
        }
    )
    return store


def piece(name: str, text: str) -> Chunk:
    return Chunk(f"c {name}", name, "0" * 64, 0, "text", text, 0, len(text), None, "", (), name, "text", language="en")


GOOD = {f"zq{number}": f"The {animal} lives where nobody walks" for number, animal in enumerate(ANIMALS)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tuning").mkdir()
    (tmp_path / "tuning" / "canaries.jsonl").write_text(
        '{"id": "a", "text": "Cheese ripens in caves.", "questions": ["What ripens?", "cheese"]}\n'
        '{"id": "b", "text": "Sailors tie knots.", "questions": ["Who ties knots?", "sailors"]}\n',
        encoding="utf-8",
    )
    runs = Runs(tmp_path / "tuning" / "runs")
    for name in (NAME, OTHER):
        runs.folder(name).mkdir(parents=True)
        runs.write(Candidate(name, "1a", BASE.fingerprint, 1.0, 30, parts=("linear",)))
    return tmp_path


def court(home: Path, kept: Sequence[Question] = QUESTIONS) -> Court:
    terms = partial(analyse_query, languages=("en",))
    return Court(home, Runs(home / "tuning" / "runs"), lambda: kept, lambda: PASSAGES, terms)


def judged(home: Path, tuned: Contender, name: str = NAME, **chosen: object) -> Verdict:
    verdict = court(home, **chosen).judge(contest(tuned, name), lambda step: None, Event())  # type: ignore[arg-type]
    assert verdict is not None
    return verdict


def contest(tuned: Contender, name: str = NAME) -> Contest:
    return Contest(name, BASE, contender(), tuned, NOW)


def test_a_candidate_that_has_learnt_passes_and_its_verdict_is_kept(home: Path) -> None:
    steps: list[Step] = []
    verdict = court(home).judge(contest(contender(GOOD)), steps.append, Event())
    assert verdict is not None
    assert verdict.outcome == "PASS", verdict.reasons
    assert verdict.after == 1.0
    assert verdict.canary == (0.0, 0.0)  # the four questions about cheese and sailors are as they were
    assert (verdict.grounds.base, verdict.grounds.index) == (BASE.fingerprint, "v1")
    assert [(step.stage, step.done, step.total) for step in steps][-1] == ("judge", 16, 16)
    assert Runs(home / "tuning" / "runs").verdict(NAME) == verdict
    check_verdict(NAME, verdict, NOW)


def test_one_that_has_learnt_nonsense_is_rejected(home: Path) -> None:
    shifted = {
        f"The {animal} lives": f"The {ANIMALS[at - 1]} lives where nobody walks" for at, animal in enumerate(ANIMALS)
    }
    asked = [question(at, text=f"The {animal} lives") for at, animal in enumerate(ANIMALS)]
    verdict = judged(home, contender(shifted), kept=asked)
    assert verdict.after <= verdict.before
    assert verdict.outcome != "PASS"
    with pytest.raises(TuneError, match=f"{NAME!r} is not swapped in: the gate says .*--force"):
        check_verdict(NAME, verdict, NOW)


def test_forgetting_other_subjects_is_seen(home: Path) -> None:
    forgetful = GOOD | {"What ripens?": "knots", "cheese": "sailors", "Who ties knots?": "caves", "sailors": "cheese"}
    made = contender(forgetful)
    verdict = judged(home, Contender(replace(made.tuned, fusion_weight=100.0), made.store))  # words hardly count
    assert verdict.outcome == "FAIL"
    assert verdict.reasons[0].startswith("Too much is forgotten, 4 questions about other subjects")


class Looks:
    """Knows every drawn picture by its words; one that is `forgetful` takes what was learnt for half of all of them."""

    space, dim, fingerprint = IMAGE_SPACE, 128, "looks"
    state = ModelState("image embedder", "looks", "cpu", "fp32", "", loaded=True)

    def __init__(self, *, forgetful: bool = False) -> None:
        self._place = {canary.text: at for at, (canary, _) in enumerate(picture_canaries())}
        self._drawn = {picture: self._place[canary.text] for canary, picture in picture_canaries()}
        self._forgotten = 64 if forgetful else 0

    def load(self) -> None: ...

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        return np.eye(128, dtype=np.float32)[[self._drawn[picture] for picture in pictures]]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        places = [self._place.get(text.removeprefix("a drawing of "), 0) for text in texts]
        return np.eye(128, dtype=np.float32)[[max(place, self._forgotten) for place in places]]


@pytest.mark.parametrize("forgetful", [False, True])
def test_words_for_pictures_are_judged_by_pictures_of_other_things(home: Path, forgetful: bool) -> None:
    tuned = replace(contender(), looks=Looks(forgetful=forgetful))
    made = replace(contest(tuned), plain_looks=Looks())
    verdict = court(home).judge(made, lambda step: None, Event())
    assert verdict is not None
    if forgetful:  # 32 of 64 pictures: they come in the order that they are drawn in, of which ten get a score
        assert verdict.outcome == "FAIL"
        left = sum(1 / np.log2(1 + place) for place in range(1, 11))
        assert verdict.canary is not None
        assert verdict.canary[0] == pytest.approx((left - 32) / 64)
        assert verdict.reasons[0].startswith("Too much is forgotten, 128 questions about other subjects")
    else:
        assert verdict.canary == (0.0, 0.0)
        assert verdict.outcome == "INCONCLUSIVE"  # nothing is better either


def test_drawn_pictures_are_many_and_each_is_one_file() -> None:
    canaries = picture_canaries()
    assert len({picture for _, picture in canaries}) == len({canary.id for canary, _ in canaries}) == 128
    assert canaries == picture_canaries()
    assert [canary.questions for canary, _ in canaries[:2]] == [
        ("a red circle", "a drawing of a red circle"),
        ("three red circles", "a drawing of three red circles"),
    ]


def test_stopping_leaves_no_verdict(home: Path) -> None:
    stop = Event()
    assert court(home).judge(contest(contender(GOOD)), lambda step: stop.set(), stop) is None
    assert Runs(home / "tuning" / "runs").verdict(NAME) is None


# --- which questions -------------------------------------------------------------------------------------------------


def asked(
    home: Path, kept: Sequence[Question], embedded: Callable[[Sequence[str]], None] = lambda texts: None
) -> list[str]:
    class Watched(HashingEmbedder):
        def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
            embedded(texts)
            return super().embed(texts, kind)

    return [each.id for each in court(home, kept).questions(NAME, Watched())]


def lesson(home: Path, learnt: Sequence[str] = (), watched: Sequence[str] = (), gate: Sequence[Question] = ()) -> None:
    """What the training of the candidate left in its folder."""
    passage = Excerpt("c", "some words", "doc otter")
    train, dev = ([new_pair(query, passage, "feedback", 1.0) for query in queries] for queries in (learnt, watched))
    Lesson(tuple(train), tuple(dev), tuple(gate)).write(home / "tuning" / "runs" / NAME)


def test_kept_questions_and_those_that_training_held_back_are_asked_once(home: Path) -> None:
    lesson(home, gate=[question(1), question(2)])
    assert asked(home, [question(0), question(1)]) == ["q1", "q2", "q0"]


def test_what_was_learnt_is_not_asked(home: Path) -> None:
    lesson(home, ["How do  OTTERS swim"], watched=["when does the heron come back to the river bank"])
    kept = [
        question(0, text="how do otters swim"),
        question(1, text="when does the heron come back to the river bank?"),  # the same but for a sign
        question(2, text="where do weasels sleep"),
    ]
    assert asked(home, kept) == ["q2"]


def test_documents_that_are_gone_are_not_right_for_anything(home: Path) -> None:
    kept = [question(0, right=["gone"]), question(1, right=["gone", "doc badger"])]
    found = court(home, kept).questions(NAME, BASE)
    assert [(each.id, dict(each.right)) for each in found] == [("q1", {"doc badger": 1})]


def test_nothing_is_embedded_where_nothing_is_to_be_compared(home: Path) -> None:
    texts: list[str] = []
    lesson(home, ["how do otters swim"], gate=[question(2)])
    assert asked(home, [], texts.extend) == ["q2"]
    assert texts == []


def test_a_second_candidate_on_the_same_questions_is_corrected_for_the_first(home: Path) -> None:
    first = judged(home, contender({}), OTHER)
    assert first.grounds.p == 1.0
    second = judged(home, contender(GOOD))
    assert second.p == pytest.approx(min(1.0, 2 * second.grounds.p))
    others = [question(number, id=f"new {number}") for number in range(len(ANIMALS))]
    assert court(home).earlier(NAME, [each.id for each in others]) == []


# --- how long it holds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (NOW, ""),
        (replace(NOW, base="other"), "another embedder"),
        (replace(NOW, index="v2"), "another version of the index"),
        (replace(NOW, live=OTHER), f"compared with the model as it came, and '?{OTHER}'? searches now"),
    ],
)
def test_a_verdict_holds_while_the_library_is_the_same(home: Path, now: Grounds, reason: str) -> None:
    verdict = judged(home, contender(GOOD))
    assert bool(why_not(verdict, now)) == bool(reason)
    if reason:
        with pytest.raises(TuneError, match=reason):
            check_verdict(NAME, verdict, now)


def test_what_was_not_judged_is_not_swapped_in() -> None:
    with pytest.raises(TuneError, match=f"it was not judged yet. To judge it: rag tune gate {NAME}"):
        check_verdict(NAME, None, NOW)
