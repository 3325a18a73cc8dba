"""What goes into the prompt, and what is left out when there is no room."""

import pytest

from rag.answer.prompt import Asked, Prompt, Sight, build_prompt, build_small_prompt
from rag.answer.sources import numbered
from rag.embed.hashing import HashingEmbedder
from rag.errors import PromptTooLong
from rag.records import Chunk, Hit, Message
from tests.answer.passages import found_result, hit, passages, picture_bytes, picture_hit, result
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


# --- pictures ---

HARBOUR, RECEIPT, TEXT = (
    picture_hit(1, caption="The harbour at night"),
    picture_hit(2, "TOTAL 30.90"),
    hit(3, "The boat is blue."),
)


def picture_of(chunk: Chunk) -> bytes | None:
    return picture_bytes(int(chunk.id.removeprefix("chunk-")))


def show(
    *hits: Hit,
    question: str = "Which?",
    context_tokens: int = 4096,
    most: int = 2,
    tokens: int = 100,
    asked: Asked | None = None,
    blind: bool = False,
    picture_of=picture_of,  # type: ignore[no-untyped-def]
) -> Prompt:
    return build_prompt(
        question,
        numbered(found_result(question, *hits)),
        context_tokens=context_tokens,
        answer_tokens=100,
        count_tokens=count,
        asked=asked,
        sight=None if blind else Sight(tokens, most, picture_of),
    )


def shown(prompt: Prompt) -> tuple[bytes, ...]:
    assert not any(message.pictures for message in prompt.messages[:-1])
    return prompt.messages[-1].pictures


def test_pictures_of_sources_are_shown_and_named() -> None:
    prompt = show(TEXT, HARBOUR, RECEIPT)
    assert shown(prompt) == (picture_bytes(1), picture_bytes(2))
    assert prompt.messages[-1].text.startswith("Picture 1 is source [2].\nPicture 2 is source [3].\nSources:\n[1] ")
    assert "[2] Title 1, a picture, 2024-05-01\nCaption: The harbour at night\n" in prompt.messages[-1].text
    assert "Words in it: TOTAL 30.90" in prompt.messages[-1].text
    assert "quoted material too" in prompt.messages[0].text


def test_without_sight_pictures_are_words() -> None:
    prompt = show(TEXT, HARBOUR, RECEIPT, blind=True)
    assert shown(prompt) == ()
    assert "Picture 1" not in prompt.messages[-1].text
    assert "Caption: The harbour at night" in prompt.messages[-1].text
    assert "You also see" not in prompt.messages[0].text


def test_no_more_pictures_than_wanted_and_none_twice() -> None:
    third = picture_hit(3, "Again")
    assert shown(show(HARBOUR, RECEIPT, third, most=1)) == (picture_bytes(1),)
    assert shown(show(HARBOUR, RECEIPT, third, most=0)) == ()
    assert shown(show(HARBOUR, HARBOUR, third)) == (picture_bytes(1), picture_bytes(3))


def test_a_picture_that_cannot_be_had_leaves_its_place_to_the_next() -> None:
    prompt = show(HARBOUR, RECEIPT, most=1, picture_of=lambda chunk: None if chunk.id == "chunk-1" else b"two")
    assert shown(prompt) == (b"two",)
    assert prompt.messages[-1].text.startswith("Picture 1 is source [2].\n")


def test_the_picture_asked_with_comes_last() -> None:
    prompt = show(HARBOUR, asked=Asked(b"mine", "EXIT [1]\n12"), question="")
    assert shown(prompt) == (picture_bytes(1), b"mine")
    assert prompt.messages[-1].text.startswith(
        "Picture 1 is source [1].\nThe last picture is the one that the question is about.\n"
        "Words in it: EXIT (1) 12\n\nSources:\n"
    )
    assert prompt.messages[-1].text.endswith("Question: What is this, and what do the sources say about it?")


def test_the_picture_asked_with_is_told_to_be_a_source_and_not_shown_twice() -> None:
    prompt = show(HARBOUR, RECEIPT, asked=Asked(picture_bytes(2)))
    assert shown(prompt) == (picture_bytes(1), picture_bytes(2))
    assert (
        "The last picture is the one that the question is about.\nIt is also source [2].\n" in prompt.messages[-1].text
    )


def test_a_model_without_sight_is_told_the_words_of_the_picture_asked_with() -> None:
    prompt = show(TEXT, asked=Asked(b"mine", "EXIT 12"), blind=True)
    assert shown(prompt) == ()
    assert prompt.messages[-1].text.startswith(
        "The question is about a picture that you cannot see.\nWords in it: EXIT 12\n\nSources:\n"
    )


@pytest.mark.parametrize("context_tokens", range(240, 1200, 40))
@pytest.mark.parametrize("with_asked", [False, True])
def test_pictures_fit_too(context_tokens: int, with_asked: bool) -> None:
    asked = Asked(b"mine") if with_asked else None
    long = picture_hit(4, "Gamma is third. " * 20)
    try:
        prompt = show(long, HARBOUR, hit(5, TEXTS[0]), RECEIPT, context_tokens=context_tokens, most=4, asked=asked)
    except PromptTooLong:
        assert with_asked
        assert context_tokens < 400
        return
    size = sum(count(message.text) + 8 + 100 * len(message.pictures) for message in prompt.messages)
    assert size + 100 <= context_tokens
    numbers = [p.number for p in prompt.passages if p.in_prompt]
    named = [n for n in range(1, 5) if f"is source [{n}]." in prompt.messages[-1].text]
    assert set(named) <= set(numbers)
    assert len(shown(prompt)) == len(named) + with_asked


def test_pictures_of_sources_take_half_of_the_room_at_most() -> None:
    prompt = show(*(picture_hit(n) for n in range(1, 9)), context_tokens=1100, most=8)
    assert len(shown(prompt)) == 4


def test_a_turn_that_was_only_a_picture_is_told() -> None:
    history = (Message("user", "", (b"old",)), Message("assistant", "A harbour [1]."))
    prompt = build_prompt(
        "And this?",
        passages("Alpha."),
        history=history,
        context_tokens=4096,
        answer_tokens=100,
        count_tokens=count,
        sight=Sight(10, 2, picture_of),
    )
    assert prompt.messages[1] == Message("user", "(a picture)")


def test_a_small_model_is_told_what_stands_in_pictures_and_under_them() -> None:
    question = "Was 30.90 the total at the harbour?"
    given = numbered(found_result(question, HARBOUR, RECEIPT))
    prompt = build_small_prompt(question, highlight(question, given, HashingEmbedder()))
    assert "[1] The harbour at night" in prompt.messages[-2].text
    assert "[2] TOTAL 30.90" in prompt.messages[-2].text
