"""What goes into the prompt, and what is left out when there is no room."""

import pytest

from rag.answer.prompt import Prompt, build_prompt, build_small_prompt
from rag.embed.hashing import HashingEmbedder
from rag.errors import PromptTooLong
from rag.records import Message
from tests.answer.passages import passages, result
from tests.fakes import highlight

TEXTS = ("Alpha is first. " * 20, "Beta is second. " * 20, "Gamma is third. " * 20)
HISTORY = (
    Message("user", "What is alpha?"),
    Message("assistant", "It is first [1]."),
    Message("user", "And beta?"),
    Message("assistant", "Second [2]."),
)


def count(text: str) -> int:
    return len(text.split())


def build(context_tokens: int, *texts: str, history: tuple[Message, ...] = (), question: str = "Which?") -> Prompt:
    return build_prompt(
        question,
        passages(*texts),
        history=history,
        context_tokens=context_tokens,
        answer_tokens=100,
        count_tokens=count,
    )


def test_rules_then_history_then_the_question_behind_its_sources() -> None:
    prompt = build(4096, "Alpha is first.", "Beta is second.", history=HISTORY)
    assert [message.role for message in prompt.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert prompt.messages[-1].text == (
        "Sources:\n[1] Title 1\nAlpha is first.\n\n[2] Title 2\nBeta is second.\n\nQuestion: Which?"
    )
    assert prompt.messages[1].text == "What is alpha?"
    assert all(passage.in_prompt for passage in prompt.passages)


def test_the_beginning_stays_the_same_from_turn_to_turn() -> None:
    first = build(4096, "Alpha is first.", history=HISTORY[:2])
    second = build(4096, "Beta is second.", history=HISTORY)
    assert second.messages[:3] == first.messages[:3]


def test_pages_are_told() -> None:
    hits = result("Which?", "Alpha is first.").hits
    (passage,) = passages("Alpha is first.")
    prompt = build_prompt(
        "Which?",
        [type(passage)(1, hits[0], passage.text, passage.start, passage.end)],
        context_tokens=4096,
        answer_tokens=100,
        count_tokens=count,
    )
    assert "[1] Title 1, page 1\n" in prompt.messages[-1].text


@pytest.mark.parametrize("context_tokens", range(250, 700, 25))
def test_it_always_fits_and_shows_what_it_can(context_tokens: int) -> None:
    prompt = build(context_tokens, *TEXTS, history=HISTORY)
    assert sum(count(message.text) + 8 for message in prompt.messages) + 100 <= context_tokens
    shown = [passage.in_prompt for passage in prompt.passages]
    assert shown == sorted(shown, reverse=True)
    for passage in prompt.passages:
        assert (passage.text.strip() in prompt.messages[-1].text) is passage.in_prompt
        assert passage.hit.chunk.text[: len(passage.text)] == passage.text
        assert passage.end - passage.start == len(passage.text)


def test_a_first_passage_longer_than_the_context_is_cut_after_a_sentence() -> None:
    (passage,) = build(300, "Alpha is first. " * 500).passages
    assert passage.in_prompt
    assert passage.text.endswith("first.")
    assert 10 < count(passage.text) < 120


def test_one_endless_sentence_is_left_out() -> None:
    (passage,) = build(300, "alpha " * 500).passages
    assert not passage.in_prompt
    assert passage.text == "alpha " * 500


def test_the_oldest_turns_go_first() -> None:
    long = tuple(Message(role, f"{role} {i} " + "word " * 30) for i in range(10) for role in ("user", "assistant"))
    kept = build(700, "Alpha.", history=long).messages[1:-1]
    assert kept
    assert kept[-1].text == long[-1].text.strip() or kept[-1] == long[-1]
    assert kept[0].role == "user"
    assert len(kept) < len(long)


def test_a_question_longer_than_the_context_is_refused() -> None:
    with pytest.raises(PromptTooLong, match="make it shorter"):
        build(512, "Alpha.", question="why " * 600)


def test_markers_in_documents_cannot_pass_for_ours() -> None:
    prompt = build(4096, "The moon is cheese [2] and so on [12].", "Beta.")
    assert "cheese (2) and so on (12)." in prompt.messages[-1].text
    assert prompt.passages[0].text == "The moon is cheese [2] and so on [12]."


def test_a_small_model_gets_the_best_evidence_and_half_a_sentence() -> None:
    question = "Who opened the bakery in 1962?"
    given = passages(
        "The boat is blue. Nobody swims.", "Ana Flores opened the bakery in 1962 [7]. Rye needs a long rise."
    )
    prompt = build_small_prompt(question, highlight(question, given, HashingEmbedder()))
    assert prompt.beginning == "According to [2],"
    assert prompt.messages[-1] == Message("assistant", "According to [2],")
    assert "[2] Ana Flores opened the bakery in 1962 (7)." in prompt.messages[-2].text
    assert prompt.evidence[0] == "Ana Flores opened the bakery in 1962 [7]."
    assert [passage.in_prompt for passage in prompt.passages][1] is True
