"""What a model thinks aloud is no part of its answer, however the tags were cut."""

import pytest

from rag.answer.answer import answer
from rag.answer.thoughts import Thoughts, spoken
from rag.answer.wording import MODEL_FAILED
from rag.embed.hashing import HashingEmbedder
from rag.records import Answer, Delta, Done
from tests.answer.passages import result
from tests.fakes import ScriptedGenerator

QUESTION = "Who opened the bakery in 1962?"
FOUND = result(QUESTION, "The bakery smells of bread. It was opened by Ana Flores in 1962.")


def said(text: str, size: int) -> str:
    """The reply, given in pieces of `size` characters; what was said before it was retracted is dropped."""
    thoughts, whole = Thoughts(), ""
    for at in range(0, len(text), size):
        before, piece = thoughts.retracted, thoughts.feed(text[at : at + size])
        whole = piece if thoughts.retracted > before else whole + piece
    return whole + thoughts.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("<think>\nBob? No.\n</think>\n\nIt was Ana.", "It was Ana."),
        ("\n <thinking>a < b</thinking>It was Ana.", "It was Ana."),
        ("<think>one</think> <think>two</think> It was Ana.", "It was Ana."),
        ("<think></think>\n\nIt was Ana.", "It was Ana."),
        ("Bob? No.\n</think>\n\nIt was Ana.", "It was Ana."),
        ("<think>and thinks, and thi", ""),
        ("<think>done</think>", ""),
        ("It was Ana, says <think> in the log.", "It was Ana, says <think> in the log."),
        ("1 < 2 </ 3 <thin>", "1 < 2 </ 3 <thin>"),
        ("<thi", "<thi"),
        ("", ""),
    ],
)
def test_only_what_is_said_is_left(reply: str, expected: str, size: int) -> None:
    assert said(reply, size) == expected


def test_short_replies() -> None:
    assert "".join(spoken(["<th", "ink>x</thi", "nk>\n", "When", " was it?"])) == "When was it?"


def answered(reply: str) -> tuple[str, Answer]:
    """What came as Deltas, and the answer."""
    generator = ScriptedGenerator(reply, parameters=8_000_000_000)
    events = list(answer(QUESTION, FOUND, embedder=HashingEmbedder(), generator=generator))
    last = events[-1]
    assert isinstance(last, Done)
    return "".join(event.text for event in events if isinstance(event, Delta)), last.answer


def test_thoughts_are_neither_shown_nor_judged() -> None:
    shown, told = answered("<think>Perhaps Bob Miller in 1875 [1]?</think> It was Ana Flores [1].")
    assert shown == told.text == "It was Ana Flores [1]."
    assert [told.text[s.start : s.end] for s in told.sentences] == ["It was Ana Flores [1]."]
    assert told.tokens == 11  # thoughts are written too: 8 words of thoughts, the last of them with the tag, and 5 - 2


def test_an_answer_whose_thoughts_were_told_at_their_end() -> None:
    shown, told = answered("Perhaps Bob Miller? </think> It was Ana Flores [1].")
    assert shown.endswith("It was Ana Flores [1].")
    assert told.text == "It was Ana Flores [1]."
    assert len(told.sentences) == 1


def test_a_model_that_only_thinks_has_failed_and_the_passages_speak() -> None:
    _, told = answered("<think>Let me see. It was opened in")
    assert told.text.startswith(MODEL_FAILED.partition("{}")[0])
    assert "came to no answer while thinking" in told.text
    assert "“It was opened by Ana Flores in 1962.” [1]" in told.text
    assert told.finish == "failed"
