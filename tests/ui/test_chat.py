"""The conversation: titles, turns, small print, and the answer in the making."""

from dataclasses import replace

from rag.records import Answer, Citation, Conversation, GroundedSentence, ModelState, SearchResult, Status, Turn
from tests.ui.fakes import NOW, make_document, make_passage
from ui.chat import render_conversations, render_run, render_thread, small_print, title_from
from ui.copying import copied
from ui.runs import Run

PASSAGES = tuple(make_passage(make_document("/n/a.md", "Twelve jars."), n) for n in (1, 2))
ANSWER = Answer(
    question="How many jars?",
    text="Twelve [1].",
    citations=(),
    passages=PASSAGES,
    finish="stop",
    model="SmolLM2-135M-Instruct Q4_1",
    tokens=19,
    ms={
        "embed": 20.1,
        "text": 1.3,
        "bm25": 1.5,
        "fuse": 0.5,
        "evidence": 90.0,
        "first_token": 400.0,
        "generate": 500.0,
    },
)

MODEL = ModelState("generator", "SmolLM2-135M-Instruct Q4_1", "cpu", "Q4_1", "", True)
STATUS = Status("/home", 30, 1204, {}, (MODEL,))


def kept(answer: Answer, question: str = "How many jars?") -> Conversation:
    return Conversation("c" * 32, "Jars", NOW, NOW, (Turn(question, answer),))


def test_small_print_is_one_line_of_facts() -> None:
    # 20.1 + 1.3 + 1.5 + 0.5 = 23.4 ms; 19 tokens in half a second are 38 a second
    assert small_print(ANSWER, STATUS) == (
        "2 of 1,204 passages · found in 23 ms · first word 0.4 s · 38 tokens/s · SmolLM2-135M on CPU"
    )


def test_small_print_without_a_model_says_so() -> None:
    assert small_print(replace(ANSWER, model=None, tokens=0, ms={}), STATUS) == (
        "2 of 1,204 passages · found in 0 ms · no language model"
    )
    nothing = replace(ANSWER, model=None, tokens=0, ms={}, passages=(), abstained=True)
    assert small_print(nothing, STATUS) == "0 of 1,204 passages · found in 0 ms · the language model was not asked"


def test_an_answer_of_another_model_does_not_claim_a_device() -> None:
    assert small_print(replace(ANSWER, model="Other-7B-Instruct"), STATUS).endswith(" · Other-7B")


def test_a_title_is_the_beginning_of_the_question() -> None:
    assert title_from("  What\nis this? ") == "What is this?"
    assert title_from("") == "Untitled"
    long = title_from("where " * 40)
    assert len(long) <= 61
    assert long.endswith("where…")


def test_a_turn_shows_question_answer_and_actions() -> None:
    made = render_thread(kept(ANSWER, "a <b>?"), STATUS)
    assert '<h3 class="question" dir="auto">a &lt;b&gt;?</h3>' in made
    assert 'data-text="Twelve [1]."' in made
    assert "Understood as" not in made
    assert 'class="support"' not in made
    assert "2 sources" in made


def test_an_answer_that_was_stopped_says_so() -> None:
    assert "You stopped this answer here." in render_thread(kept(replace(ANSWER, finish="stopped")), STATUS)
    assert "You stopped" not in render_thread(kept(ANSWER), STATUS)


def test_nothing_found_is_a_calm_answer() -> None:
    made = render_thread(kept(replace(ANSWER, text="Nothing in your library answers this.", abstained=True)), STATUS)
    assert 'class="answer calm"' in made
    assert "problem" not in made


def test_a_run_says_what_it_waits_for() -> None:
    assert "Looking through your library" in render_run(Run("c", "q", state="searching"))
    assert "Reading 2 passages" in render_run(Run("c", "q", state="writing", passages=PASSAGES))
    assert "Twelve" in render_run(Run("c", "q", state="writing", text="Twelve", passages=PASSAGES))


def test_a_failed_run_keeps_its_words_and_offers_a_retry() -> None:
    made = render_run(Run("c", "q <", state="failed", text="Half an", error="the model < failed"))
    assert "Half an" in made
    assert "The model &lt; failed." in made
    assert 'data-do="again"' in made
    assert 'data-text="q &lt;"' in made


def test_the_list_marks_where_one_is() -> None:
    made = render_conversations([kept(ANSWER), replace(kept(ANSWER), id="d" * 32)], "d" * 32)
    assert made.count('aria-current="page"') == 1
    assert "No conversation has these words." in render_conversations([], "", searched=True)


# --- what it rests on, and how it was understood ---


def test_a_copied_answer_brings_its_notes_and_its_sources() -> None:
    page = make_passage(make_document("/n/b.pdf", "A saucer.", title="B", kind="pdf", pages=1), 2, page=1)
    text = "Twelve jars [1]. And a saucer [2]. And a spoon."
    judged = (GroundedSentence(0, 16, "supported"), GroundedSentence(35, 47, "unsupported", ("no spoon",)))
    citations = tuple(Citation(n, "c", "d", "/n", None, 0, 1, "q") for n in (1, 2))
    answer = replace(ANSWER, text=text, passages=(PASSAGES[0], page), citations=citations, sentences=judged)
    assert copied(answer) == (
        "Twelve jars [1]. And a saucer [2]. And a spoon. (not supported by the sources)\n\n"
        "Sources:\n[1] a (a.md)\n[2] B, p. 1 (b.pdf)"
    )
    assert copied(replace(ANSWER, text="Nothing.", passages=())) == "Nothing."


def test_how_a_question_was_understood_is_told_while_it_is_answered_and_after() -> None:
    run = Run("c", "And of plums?", state="writing", result=SearchResult("How many jars <b>? And of plums?", (), {}))
    kept_turn = kept(replace(ANSWER, standalone="How many jars <b>? And of plums?"), "And of plums?")
    for made in (render_run(run), render_thread(kept_turn, STATUS)):
        assert 'Understood as: <q dir="auto">How many jars &lt;b&gt;? And of plums?</q>' in made
    same = Run("c", " How many? ", state="writing", result=SearchResult("How many?", (), {}))
    assert "Understood" not in render_run(same)
    assert "Understood" not in render_run(Run("c", "How many?", state="searching"))


def test_where_nothing_stands_out_one_can_search_instead() -> None:
    given = replace(ANSWER, text="Nothing in your library clearly answers this.", abstained=True)
    made = render_thread(kept(given, "How many <b>?"), STATUS)
    assert 'data-do="search-for" data-text="How many jars?"' in made
    assert "the language model was not asked" in made
    quoted = replace(given, sentences=(GroundedSentence(0, 11, "supported", ()),))
    assert "supported by the sources" not in render_thread(kept(quoted), STATUS)  # what lies nearest is no answer
    assert 'data-text="All of it?"' in render_thread(kept(replace(given, standalone="All of it?")), STATUS)
    assert "search-for" not in render_thread(kept(ANSWER), STATUS)
    assert "search-for" not in render_thread(kept(replace(given, question="", picture="a" * 64)), STATUS)


def test_the_sentences_are_counted_below_the_answer() -> None:
    judged = (GroundedSentence(0, 11, "unsupported", ("no source says anything like it",)),)
    made = render_thread(kept(replace(ANSWER, sentences=judged)), STATUS)
    assert '<p class="support doubtful">1 sentence, 1 not supported by the sources</p>' in made
    assert 'id="why-0-0"' in made
    assert "No source says anything like it." in made
