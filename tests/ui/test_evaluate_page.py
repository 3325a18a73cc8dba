"""The Evaluate page: keeping questions from the chat, asking them all, and saying what became better or worse."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import TuneError
from rag.evaluating import Evaluation, evaluate
from rag.records import Answer, Citation, SearchResult
from rag.tune.questions import question, question_id
from tests.browser import Screen
from tests.ui.fakes import FakeLibrary, make_document, make_passage
from tests.ui.test_page import serving
from ui.evaluate_page import Evaluated, render_asking, render_evaluate
from ui.evaluation import Asking, OwnQuestions
from ui.keeping import render_keep, render_kept, right_for
from ui.pulse import Pulse

QUEEN = "When does the queen leave the hive?"


@pytest.fixture
def own(library: FakeLibrary) -> OwnQuestions:
    return OwnQuestions(library, Pulse())


def ids(library: FakeLibrary) -> dict[str, str]:
    return {info.title: info.id for info in library.documents()}


def page(library: FakeLibrary, own: OwnQuestions, *history: Evaluation) -> str:
    documents = {info.id: info for info in library.documents()}
    return render_evaluate(Evaluated(own.all(), documents, history), Asking())


def measured(library: FakeLibrary, scores: list[float], documents: int = 2) -> Evaluation:
    """An evaluation of as many questions as there are scores."""
    found = evaluate(library, [question(QUEEN, [ids(library)["Bees"]])])
    assert found is not None
    one = found.outcomes[0]
    outcomes = tuple(replace(one, id=f"{n:012x}", ndcg=score) for n, score in enumerate(scores))
    mean = sum(scores) / len(scores)
    setup = replace(found.setup, documents=documents)
    return replace(
        found, outcomes=outcomes, scores=replace(found.scores, ndcg=mean, questions=len(scores)), setup=setup
    )


# --- keeping -------------------------------------------------------------------------------------------------------


def answer(*cited: str, abstained: bool = False, standalone: str = "") -> Answer:
    passage = make_passage(make_document("/a.md", "words"))
    chunk = passage.hit.chunk
    citations = tuple(Citation(n, chunk.id, document, "", None, 0, 1, "") for n, document in enumerate(cited, 1))
    return Answer(QUEEN, "text", citations, (passage,), "stop", None, abstained=abstained, standalone=standalone)


def test_what_an_answer_cites_is_right_each_once() -> None:
    assert right_for(answer("b", "a", "b")) == ["b", "a"]


def test_the_button_is_there_where_an_answer_rests_on_something() -> None:
    assert f'data-question="{question_id(QUEEN)}"' in (render_keep(0, answer("a")) or "")
    assert question_id("and her?") in (render_keep(0, answer("a", standalone="and her?")) or "")
    assert render_keep(0, answer()) is None
    assert render_keep(0, answer("a", abstained=True)) is None


def test_kept_ones_are_told_by_id() -> None:
    assert f'data-kept="{question_id(QUEEN)}"' in render_kept([question(QUEEN, ["a"])])


def test_questions_are_changed_and_stay_what_they_are(library: FakeLibrary, own: OwnQuestions) -> None:
    bees, train = ids(library)["Bees"], ids(library)["Night train"]
    name = own.keep(QUEEN, [bees, train]).id
    own.pin(name, True)
    own.leave_out(name, train)
    own.leave_out(name, bees)  # the last one stays
    own.change(name, "Queen, when?")
    (kept,) = own.all()
    assert (kept.text, dict(kept.right), kept.pinned) == ("Queen, when?", {bees: 1}, True)
    with pytest.raises(TuneError, match="no words"):
        own.change(kept.id, "???")
    assert own.all() == [kept]
    own.remove(kept.id)
    assert own.all() == []


# --- what it says --------------------------------------------------------------------------------------------------


def test_before_anything_it_says_how_to_begin(library: FakeLibrary, own: OwnQuestions) -> None:
    assert "Keep as a test question" in page(library, own)
    assert 'data-do="evaluate-now"' not in page(library, own)


def test_a_question_shows_its_documents_and_its_place(library: FakeLibrary, own: OwnQuestions) -> None:
    own.keep(QUEEN, [ids(library)["Bees"]])
    assert "in place" not in page(library, own)
    found = evaluate(library, own.all())
    assert found is not None
    shown = page(library, own, found)
    assert "in first place" in shown
    assert ">Bees</a>" in shown
    assert "1 of 1 question finds a right document among the first five." in shown
    assert "19 more questions would let the page tell a difference from chance." in shown


def test_worse_beyond_chance_is_a_warning_with_what_changed(library: FakeLibrary, own: OwnQuestions) -> None:
    own.keep(QUEEN, [ids(library)["Bees"]])
    shown = page(library, own, measured(library, [0.9] * 8), measured(library, [0.4] * 8, documents=40))
    assert 'class="problem"' in shown
    assert "It got worse since the time before: nDCG@10 .900 → .400 on 8 questions" in shown
    assert "What changed: documents: 2 → 40." in shown
    assert "Results over time: nDCG@10 ends at 0.4" in shown


def test_a_difference_that_chance_explains_is_none(library: FakeLibrary, own: OwnQuestions) -> None:
    own.keep(QUEEN, [ids(library)["Bees"]])
    shown = page(library, own, measured(library, [0.9, 0.4] * 4), measured(library, [0.8, 0.5] * 4))
    assert "No evidence of a difference to the time before" in shown
    assert 'class="problem"' not in shown


def test_documents_that_left_and_odd_words_are_inert(library: FakeLibrary, own: OwnQuestions) -> None:
    own.keep("<img src=x onerror=alert(1)> what", ["0" * 32])
    shown = page(library, own)
    assert "a document that has left the library" in shown
    assert "<img" not in shown


# --- asking --------------------------------------------------------------------------------------------------------


def test_asking_tells_how_far_it_is_and_can_be_stopped(library: FakeLibrary, own: OwnQuestions, tmp_path: Path) -> None:
    for text in (QUEEN, "Where does the night train leave?"):
        own.keep(text, [ids(library)["Bees"]])
    asked, go_on = threading.Event(), threading.Event()
    search = library.search

    def slow(*args: object, **more: object) -> SearchResult:
        asked.set()
        assert go_on.wait(60)
        return search(*args, **more)  # type: ignore[arg-type]

    library.search = slow  # type: ignore[method-assign, assignment]
    own.ask()
    assert asked.wait(60)
    own.ask()  # is one and the same
    told = render_asking(own.now)
    assert "Asking 0 of 2 questions" in told
    own.stop()
    assert "Stopping" in render_asking(own.now)
    go_on.set()
    while own.now.running:
        asked.wait(0.01)
    assert own.history() == []


def test_what_is_wrong_is_said(library: FakeLibrary, own: OwnQuestions) -> None:
    own.keep(QUEEN, ["0" * 32])
    own.ask()
    while own.now.running:
        threading.Event().wait(0.01)
    assert "No document that is right for any kept question" in render_asking(own.now)


@pytest.mark.browser
def test_keep_from_a_turn_then_ask_them_all(library: FakeLibrary, window: Callable[..., Screen]) -> None:
    with serving(library) as address:
        screen = window(address).open()
        page = screen.page
        screen.ask(QUEEN)
        page.click("[data-do=keep-question]")
        page.wait_for_selector("[data-do=keep-question][aria-pressed=true]:has-text('Kept as a test question')")
        screen.reload()
        page.wait_for_selector("[data-do=keep-question][aria-pressed=true]")
        page.click("[data-do=keep-question]")  # leads to where it can be changed
        page.wait_for_selector(f".questions :text('{QUEEN}')")
        for _ in range(2):
            page.click("[data-do=evaluate-now]")
            page.wait_for_selector("h2:has-text('1 of 1 question finds')")
            page.wait_for_selector("[data-do=evaluate-now]")
        page.wait_for_selector("svg[aria-label^='Results over time']")
        page.click("[data-do=pin-question]")
        page.wait_for_selector("[data-do=pin-question][aria-pressed=true]")
        page.click("[data-do=edit-question]")
        page.fill("dialog input", "When does the queen bee leave?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".question-text:has-text('When does the queen bee leave?')")
        page.click("[data-do=remove-question]")
        page.click("dialog .primary")
        page.wait_for_selector("h2:has-text('No test question is kept yet')")
        assert screen.elsewhere == []
        assert screen.problems == []
