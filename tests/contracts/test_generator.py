"""What every Generator promises: the scripted one, llama.cpp with the real starter model, the same model on
llama-cpp-python's own server, and each of them with eyes."""

import threading
from collections.abc import Sequence

import pytest

from rag.answer.llama import LlamaGenerator
from rag.answer.openai_server import ServerGenerator
from rag.errors import PromptTooLong
from rag.models import starter
from rag.pictures import digest
from rag.protocols import Generator
from rag.records import Message
from rag.servers.address import ServerAddress
from tests.answer.tiny_eyes import colour_words, picture, write_eyes
from tests.fakes import ScriptedGenerator

COUNT = [Message("system", "You are brief."), Message("user", "Count from one to ten in words.")]
FRANCE = [Message("user", "Name a river in France and one in Germany.")]
CONTEXT = 512
RED, BLUE = picture(" red"), picture(" blue")


def echo(messages: Sequence[Message]) -> str:
    seen = " ".join(digest(shown)[:8] for shown in messages[-1].pictures)
    return f"You said: {messages[-1].text} And so it is. {seen}".strip()


@pytest.fixture(
    scope="module",
    params=[
        "scripted",
        "scripted with eyes",
        pytest.param("llama", marks=pytest.mark.model),
        pytest.param("llama with eyes", marks=pytest.mark.model),
        pytest.param("server", marks=pytest.mark.model),
        pytest.param("server with eyes", marks=pytest.mark.model),
    ],
)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    with_eyes = request.param.endswith("with eyes")
    if request.param.startswith("scripted"):
        return ScriptedGenerator(echo, context_tokens=CONTEXT, picture_tokens=10 if with_eyes else 0)
    if request.param.startswith("server"):
        url = request.getfixturevalue("model_server")
        address = ServerAddress(url, "smollm2-sees" if with_eyes else "smollm2")
        return ServerGenerator(address, context_tokens=CONTEXT, sees=with_eyes)
    path = starter.generator_file()
    mmproj = write_eyes(tmp_path_factory.mktemp("eyes") / "mmproj.gguf", colour_words(path)) if with_eyes else None
    return LlamaGenerator(path, context_tokens=CONTEXT, gpu_layers=0, mmproj=mmproj)


def reply(generator: Generator, messages: list[Message], max_tokens: int = 12, stop: tuple[str, ...] = ()) -> str:
    return "".join(generator.stream(messages, max_tokens=max_tokens, stop=stop))


def test_is_a_generator(generator: Generator) -> None:
    assert isinstance(generator, Generator)
    assert generator.context_tokens == CONTEXT
    assert generator.parameters >= 0


def test_loading_twice_is_loading_once(generator: Generator) -> None:
    generator.load()
    generator.load()
    assert generator.state.loaded
    assert generator.state.role == "generator"


def test_the_reply_has_at_most_max_tokens(generator: Generator) -> None:
    assert 0 < generator.count_tokens(reply(generator, COUNT, max_tokens=3)) <= 3
    assert reply(generator, COUNT, max_tokens=12).startswith(reply(generator, COUNT, max_tokens=3))


def test_pieces_come_one_by_one(generator: Generator) -> None:
    assert len(list(generator.stream(COUNT, max_tokens=8))) > 1


def test_the_same_messages_give_the_same_text_whatever_was_asked_between(generator: Generator) -> None:
    first = reply(generator, COUNT)
    other = reply(generator, FRANCE)
    assert other != first
    assert reply(generator, COUNT) == first
    assert reply(generator, COUNT) == first


def test_closing_early_leaves_it_ready(generator: Generator) -> None:
    whole = reply(generator, COUNT)
    pieces = generator.stream(COUNT, max_tokens=12)
    first = next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert whole.startswith(first)
    assert reply(generator, COUNT) == whole


def test_it_stops_before_a_stop_string(generator: Generator) -> None:
    whole = reply(generator, COUNT)
    middle = whole[len(whole) // 2 :][:3]
    assert reply(generator, COUNT, stop=(middle, "never written")) == whole[: whole.index(middle)]
    assert reply(generator, COUNT, stop=("", "never written")) == whole


def test_what_does_not_fit_is_refused_and_leaves_it_ready(generator: Generator) -> None:
    with pytest.raises(PromptTooLong):
        reply(generator, [Message("user", "word " * CONTEXT)])
    with pytest.raises(PromptTooLong):
        reply(generator, COUNT, max_tokens=CONTEXT)
    assert reply(generator, COUNT)


def test_a_picture_is_seen_or_passed_over(generator: Generator) -> None:
    assert (generator.picture_tokens > 0) is generator.sees
    words = reply(generator, [Message("user", "Say the name of the colour.")], max_tokens=24)
    red, blue = (reply(generator, [Message("user", "Say the name of the colour.", (p,))], 24) for p in (RED, BLUE))
    assert (red != blue) is generator.sees
    assert (red == words) is not generator.sees
    assert reply(generator, [Message("user", "Say the name of the colour.", (RED,))], 24) == red


def test_pictures_count_towards_the_context(generator: Generator) -> None:
    many = (RED, BLUE) * (CONTEXT // max(2 * generator.picture_tokens, 2) + 1)
    if not generator.sees:
        assert reply(generator, [Message("user", "What is it?", many)], max_tokens=2)
        return
    with pytest.raises(PromptTooLong):
        reply(generator, [Message("user", "What is it?", many)], max_tokens=2)
    assert reply(generator, [Message("user", "What is it?", (RED, BLUE))], max_tokens=2)


def test_counts_tokens(generator: Generator) -> None:
    assert generator.count_tokens("") == 0
    assert 0 < generator.count_tokens("one two") < generator.count_tokens("one two three four five six")


def test_requests_from_several_threads_queue(generator: Generator) -> None:
    alone = [reply(generator, COUNT), reply(generator, FRANCE)]
    found: dict[int, str] = {}

    def ask(i: int) -> None:
        found[i] = reply(generator, [COUNT, FRANCE][i % 2])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert [found[i] for i in range(4)] == alone * 2
