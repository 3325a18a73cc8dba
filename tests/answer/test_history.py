"""Earlier turns: in pairs, whole, the newest first to be kept, and nothing in them that would mislead."""

from collections.abc import Sequence

import pytest

from rag.answer.history import Exchange, exchanges, latest, shortened
from rag.answer.wording import MODEL_FAILED, NO_MODEL, NOTHING_FOUND, NOTHING_STANDS_OUT
from rag.records import Message


def said(*texts: str) -> tuple[Message, ...]:
    """Questions and answers by turns."""
    return tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))


def words(messages: Sequence[Message]) -> int:
    return sum(len(message.text.split()) for message in messages)


def test_messages_in_pairs() -> None:
    history = (
        Message("system", "Be kind."),
        Message("assistant", "Hello, how can I help?"),
        Message("user", " One? "),
        Message("assistant", "Yes. "),
        Message("assistant", "Truly."),
        Message("user", ""),
        Message("user", "Two?"),
    )
    assert exchanges(history) == [Exchange("One?", "Yes."), Exchange("(a picture)", ""), Exchange("Two?", "")]
    assert exchanges(()) == []


def test_whole_turns_are_kept_newest_first() -> None:
    history = said("a one", "b two", "c three", "d four", "e five", "f six")
    assert latest(history, 12, words) == list(history)
    assert latest(history, 11, words) == list(history[2:])  # 4 words a turn: two turns fit 11
    assert latest(history, 4, words) == list(history[4:])
    assert latest(history, 3, words) == []


def test_a_turn_that_does_not_fit_ends_it_although_an_older_one_would() -> None:
    assert latest(said("a", "b", "c", "long " * 20), 10, words) == []


def test_markers_of_then_are_left_out() -> None:
    kept = latest(said("How many?", "Twelve [1][2], and a saucer [3]."), 99, words)
    assert kept[1].text == "Twelve, and a saucer."


@pytest.mark.parametrize(
    "notice",
    [
        NOTHING_FOUND,
        f"{NOTHING_STANDS_OUT}\n\n“The boat is blue.” [1]",
        f"{NO_MODEL}\n\n“The boat is blue.” [1]",
        f"It was\n\n{MODEL_FAILED.format('no memory')}\n\n“The boat is blue.” [1]",
        "",
    ],
)
def test_what_no_model_said_is_no_example(notice: str) -> None:
    assert latest(said("Who?", notice, "Where?", "Here."), 99, words) == list(said("Where?", "Here."))


def test_a_question_without_an_answer_is_not_told() -> None:
    assert latest(said("Who?", "Ana.", "Where?"), 99, words) == list(said("Who?", "Ana."))


def test_long_answers_are_told_by_their_first_sentences() -> None:
    told = latest(said("Why?", "It is so. " * 500), 10_000, words)[1].text
    assert told.endswith("It is so. …")
    assert 500 < len(told) <= 602
    assert shortened("word " * 500).endswith(" …")
    assert len(shortened("x" * 5000)) <= 602
    assert shortened("Short.") == "Short."


def test_what_is_told_of_a_turn_does_not_change_when_others_follow() -> None:
    """The model need not read it again then."""
    history = said("Why?", "It is so. " * 500, "And how?", "Like this. " * 500)
    assert latest(history, 10_000, words)[:2] == latest(history[:2], 10_000, words)
