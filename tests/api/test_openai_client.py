"""The OpenAI package as a client, the starter models behind it: what an editor or a script of somebody else's sees."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from rag.build import open_library
from rag.config import Settings
from tests.api.serving import BEES, TRAIN, served
from ui.app import build_app

pytestmark = [pytest.mark.model, pytest.mark.slow]
TOKEN = "a token of thirty-two characters"  # noqa: S105  it opens nothing
QUESTION = "When does the queen leave the hive?"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    folder: Path = tmp_path_factory.mktemp("documents")
    (folder / "bees.md").write_text(BEES)
    (folder / "train.txt").write_text(TRAIN)
    library = open_library(Settings(home=tmp_path_factory.mktemp("home"), api_token=TOKEN))
    library.add([folder])
    with served(build_app(library)) as address:
        yield openai.OpenAI(base_url=f"{address}/v1", api_key=TOKEN, max_retries=0)
    library.close()


def test_an_answer_and_a_stream_say_the_same_and_have_sources(client: openai.OpenAI) -> None:
    messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]
    whole = client.chat.completions.create(model="commonplace", messages=messages)
    said = whole.choices[0].message.content
    assert said is not None
    assert "May" in said
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    assert whole.usage.prompt_tokens > len(QUESTION.split())
    (first, *_) = whole.commonplace["citations"]  # type: ignore[attr-defined]
    assert first["path"].endswith("bees.md")
    assert BEES[first["start"] : first["end"]].split() == first["quote"].split()
    *chunks, last = client.chat.completions.create(model="commonplace", messages=messages, stream=True)
    assert last.commonplace["answer"] == said  # type: ignore[attr-defined]
    assert "May" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def test_errors_arrive_as_the_client_expects_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="commonplace"):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.chat.completions.create(model="commonplace", messages=[{"role": "user", "content": ""}])
    with pytest.raises(openai.AuthenticationError, match="show the token"):
        client.with_options(api_key="wrong").models.list()
    assert [model.id for model in client.models.list()] == ["commonplace"]
