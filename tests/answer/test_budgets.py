"""What does not fit: each either works with less, or says what to do."""

import pytest

from rag.answer.answer import answer
from rag.answer.llama import LlamaGenerator
from rag.embed.hashing import HashingEmbedder
from rag.models import starter
from rag.protocols import Generator
from rag.records import Answer, Done, Message, SearchResult
from tests.answer.passages import found_result, hit, picture_bytes, picture_hit
from tests.fakes import ScriptedGenerator

QUESTION = "Who opened the bakery in 1962?"
SENTENCE = "The bakery was opened by Ana Flores in 1962."
SHORT = found_result(QUESTION, hit(1, SENTENCE), hit(2, "The boat is blue."))
LONG = found_result(QUESTION, hit(1, f"{SENTENCE} " + "Bread is baked there every day of the year. " * 400))
ENDLESS = found_result(QUESTION, hit(1, SENTENCE[:-1] + " and so on" * 4000))
LONG_QUESTION = " ".join([QUESTION] * 400)
HISTORY = tuple(
    Message(role, f"The {role} said this about bread. " * 80) for _ in range(40) for role in ("user", "assistant")
)
SMALL, LARGE = 135_000_000, 8_000_000_000


def told(generator: Generator, found: SearchResult = SHORT, question: str = QUESTION, **options: object) -> Answer:
    events = list(answer(question, found, embedder=HashingEmbedder(), generator=generator, **options))  # type: ignore[arg-type]
    assert isinstance(events[-1], Done)
    return events[-1].answer


def scripted(parameters: int, context_tokens: int = 512, **more: int) -> ScriptedGenerator:
    """A model that raises where what it is given does not fit, as real ones do."""
    reply = "It was Ana Flores in 1962 [1]." if parameters == LARGE else " the bakery was opened by Ana Flores."
    return ScriptedGenerator(reply, context_tokens=context_tokens, parameters=parameters, **more)


@pytest.mark.parametrize("found", [SHORT, LONG])
@pytest.mark.parametrize("history", [(), HISTORY])
@pytest.mark.parametrize("parameters", [SMALL, LARGE])
@pytest.mark.parametrize("answer_tokens", [64, 256, 100_000])
def test_a_context_of_512_tokens_is_enough(
    parameters: int, found: SearchResult, history: tuple[Message, ...], answer_tokens: int
) -> None:
    given = told(scripted(parameters), found, history=history, answer_tokens=answer_tokens)
    assert (given.finish, given.model) == ("stop", "scripted")
    assert "Ana Flores" in given.text
    assert given.passages[0].in_prompt


def test_a_sentence_longer_than_the_context_is_quoted_by_its_beginning() -> None:
    given = told(scripted(SMALL), ENDLESS)
    assert given.text.startswith("“The bakery was opened by Ana Flores in 1962 and so on")
    assert len(given.text) < 500
    assert given.finish == "stop"


@pytest.mark.parametrize("parameters", [SMALL, LARGE])
def test_a_question_longer_than_the_context_is_told_or_answered_without_the_model(parameters: int) -> None:
    given = told(scripted(parameters), question=LONG_QUESTION)
    assert "Ana Flores" in given.text
    if parameters == LARGE:
        assert "make it shorter, or raise `context_tokens`" in given.text
        assert given.finish == "failed"


def test_the_history_gives_way_to_the_sources() -> None:
    generator = scripted(LARGE, context_tokens=2000)
    told(generator, LONG, history=HISTORY)
    (messages,) = generator.asked
    assert [message.role for message in messages[:2]] == ["system", "user"]
    words = [len(message.text.split()) for message in messages]
    assert 0 < sum(words[1:-1]) < words[-1]


def test_a_picture_that_does_not_fit_is_left_out_with_its_words_told() -> None:
    generator = scripted(LARGE, picture_tokens=400)
    given = told(generator, found_result(QUESTION, picture_hit(1, SENTENCE)), picture_of=lambda _: picture_bytes(1))
    assert generator.asked[0][-1].pictures == ()
    assert SENTENCE in generator.asked[0][-1].text
    assert given.finish == "stop"


def test_a_picture_asked_with_that_does_not_fit_says_what_to_do() -> None:
    given = told(scripted(LARGE, picture_tokens=5000), asked=b"mine")
    assert "question and its picture do not fit a context of 512 tokens" in given.text
    assert "raise `context_tokens`" in given.text
    assert SENTENCE in given.text


@pytest.mark.model
def test_the_starter_model_in_a_context_of_512_tokens() -> None:
    generator = LlamaGenerator(starter.generator_file(), context_tokens=512, gpu_layers=0)
    for found, question in ((LONG, QUESTION), (ENDLESS, QUESTION), (SHORT, LONG_QUESTION)):
        given = told(generator, found, question, history=HISTORY)
        assert "The bakery was opened by Ana Flores" in given.text
        assert given.finish == "stop"
