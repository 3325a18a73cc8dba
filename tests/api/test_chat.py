"""`/v1` through the real application: what the OpenAI format says, and our sources beside it."""

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag.errors import GenerationError, ModelNotFound, StoreError
from rag.filters import Filter, In
from rag.records import AnswerEvent, Audience, Delta, Message, Retrieved
from tests.api.serving import HOME, make_library
from tests.ui.fakes import FakeLibrary, encoded
from ui.app import build_app

QUESTION = "When does the queen leave the hive?"
ANSWER = "The queen leaves with half the hive in May. [1]"
PICTURE = "data:image/png;base64," + base64.b64encode(encoded("#336699")).decode()


def ask(client: TestClient, *messages: dict[str, Any], **more: Any) -> Any:
    said = messages or ({"role": "user", "content": QUESTION},)
    return client.post("/v1/chat/completions", json={"messages": list(said), **more})


def events(text: str) -> list[Any]:
    """The objects of a stream, which must end as OpenAI's do."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


class Listening(FakeLibrary):
    """Remembers what it was asked with."""

    def ask(self, question: str, **how: Any) -> Iterator[AnswerEvent]:  # type: ignore[override]
        self.asked = {"question": question, **how}
        return super().ask(question, **how)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Listening:
    return make_library(tmp_path_factory.mktemp("home"), Listening)


@pytest.fixture(scope="module")
def to_listening(listening: Listening) -> TestClient:
    return TestClient(build_app(listening), base_url=HOME)  # type: ignore[arg-type]


def test_a_whole_answer_has_its_sources_in_our_field(client: TestClient) -> None:
    answer = ask(client)
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "commonplace"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert body["usage"] == {"prompt_tokens": 0, "completion_tokens": 10, "total_tokens": 10}  # the fake has no model
    assert body["commonplace"]["answer"] == ANSWER
    assert body["commonplace"]["citations"][0]["path"] == "/home/ada/notes/bees.md"
    assert body["commonplace"]["passages"][0]["text"].startswith("# Swarms")


def test_a_stream_gives_words_as_they_come_then_why_it_ended_then_what_it_cost(client: TestClient) -> None:
    answer = ask(client, stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, *pieces, end, usage = events(answer.text)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == ANSWER
    assert all(piece["choices"][0]["finish_reason"] is None for piece in pieces)
    assert (end["choices"][0]["delta"], end["choices"][0]["finish_reason"]) == ({}, "stop")
    assert end["commonplace"]["citations"][0]["number"] == 1
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 10)
    assert {piece["id"] for piece in (first, *pieces, end, usage)} == {first["id"]}


def test_the_usage_comes_only_where_it_is_asked_for(client: TestClient) -> None:
    assert all(event["choices"] for event in events(ask(client, stream=True).text))


def test_the_last_message_is_the_question_and_the_others_the_history(
    to_listening: TestClient, listening: Listening
) -> None:
    said = (
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": [{"type": "text", "text": "Do bees"}, {"type": "text", "text": "swarm?"}]},
        {"role": "assistant", "content": "They do. [1]"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "assistant", "content": None},
        {"role": "user", "content": QUESTION},
    )
    assert ask(to_listening, *said, where="kind:note", max_tokens=3, temperature=1.5, tools=[]).status_code == 200
    assert listening.asked["question"] == QUESTION
    assert listening.asked["history"] == (
        Message("user", "Do bees\nswarm?"),
        Message("assistant", "They do. [1]"),
        Message("user", "(a picture)"),
    )
    assert listening.asked["where"] == In("kind", ("note",))
    assert listening.asked["answer_tokens"] == 3
    assert listening.asked["picture"] is None


def test_a_picture_is_asked_with(to_listening: TestClient, listening: Listening) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    assert ask(to_listening, {"role": "user", "content": parts}).status_code == 200
    assert listening.asked["picture"] == encoded("#336699")
    assert listening.asked["question"] == "What is this?"


def test_the_newer_name_of_the_longest_answer_wins(to_listening: TestClient, listening: Listening) -> None:
    ask(to_listening, max_tokens=9, max_completion_tokens=7)
    assert listening.asked["answer_tokens"] == 7


def test_half_a_character_is_asked_as_a_question_mark(to_listening: TestClient, listening: Listening) -> None:
    sent = json.dumps({"messages": [{"role": "user", "content": "queen \ud800"}]})  # in ASCII, so that it arrives
    answer = to_listening.post("/v1/chat/completions", content=sent, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert listening.asked["question"] == "queen ?"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/cat.png", "is not fetched"),
        ("file:///etc/passwd", "is not fetched"),
        ("HTTP://127.0.0.1/x", "is not fetched"),
        ("data:image/png,abc", "not one of base64"),
        ("data:image/png;base64,????", "is not base64"),
        ("data:image/png;base64,", "is empty"),
        ("//example.org/cat.png", "is not base64"),
    ],
)
def test_pictures_come_along_or_not_at_all(client: TestClient, url: str, words: str) -> None:
    answer = ask(client, {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]})
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "messages: Field required"),
        ({"messages": []}, "at least 1 item"),
        ({"messages": [{"role": "user", "content": "   "}]}, "empty"),
        ({"messages": [{"role": "user", "content": None}]}, "empty"),
        ({"messages": [{"role": "user", "content": "x" * 10_001}]}, "10000 are the most"),
        ({"messages": [{"role": "parrot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "of role 'user'"),
        ({"messages": [{"role": "user", "content": "x"}] * 501}, "at most 500 items"),
        ({"messages": [{"role": "user", "content": "x"}], "where": "colour:red"}, "unknown filter"),
        ({"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "x"}], "n": 2}, "n: this is not done here"),
        ({"messages": [{"role": "user", "content": "x"}], "stop": ["."], "logprobs": True}, "stop, logprobs: this"),
        ({"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}}, "not done"),
        ({"messages": [{"role": "user", "content": "x"}], "tool_choice": "required"}, "not done"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_wrong_calls_are_told_in_openai_style_before_any_stream(
    client: TestClient, body: dict[str, Any], words: str, stream: bool
) -> None:
    answer = client.post("/v1/chat/completions", json={"stream": stream, **body})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"


def test_what_is_no_json_is_said(client: TestClient) -> None:
    for sent, kind in (
        (b"{", "application/json"),
        (b"{}", "text/plain"),
        (b"", ""),
        (b"[" * 50_000, "application/json"),
    ):
        answer = client.post("/v1/chat/completions", content=sent, headers={"content-type": kind})
        assert answer.status_code == 400, sent[:9]
        assert answer.json()["error"]["type"] == "invalid_request_error"


def test_the_one_model_is_listed_and_others_are_refused(client: TestClient) -> None:
    (model,) = client.get("/v1/models").json()["data"]
    assert model["id"] == "commonplace"
    assert client.get("/v1/models/commonplace").json() == model
    for answer in (client.get("/v1/models/gpt-4o"), ask(client, model="gpt-4o")):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"
    assert ask(client, model="commonplace").status_code == 200


@pytest.mark.parametrize("error", [GenerationError("it ran dry"), ModelNotFound("pull it"), StoreError("it is away")])
def test_trouble_behind_it_is_told_and_may_be_tried_again(
    listening: Listening, to_listening: TestClient, error: GenerationError | ModelNotFound | StoreError
) -> None:
    listening.trouble = error
    try:
        answer = ask(to_listening, stream=True)
    finally:
        listening.trouble = None
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == str(error)
    assert int(answer.headers["retry-after"]) > 0


class Failing(FakeLibrary):
    """Fails after the first word: with an error of ours, or with one that nobody expected."""

    error: Exception = GenerationError("the model fell over")

    def ask(
        self,
        question: str,
        *,
        picture: bytes | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: threading.Event | None = None,
        answer_tokens: int | None = None,
        audience: Audience = "program",
    ) -> Iterator[AnswerEvent]:
        yield Retrieved(self.search(question), ())
        yield Delta("The")
        raise self.error


def test_an_error_on_the_way_ends_the_stream_with_an_event(tmp_path: Path) -> None:
    library = make_library(tmp_path, Failing)
    client = TestClient(build_app(library), base_url=HOME)  # type: ignore[arg-type]
    *_, last = [line.removeprefix("data: ") for line in ask(client, stream=True).text.split("\n\n") if line]
    assert json.loads(last)["error"] == {
        "message": "the model fell over",
        "type": "server_error",
        "param": None,
        "code": None,
    }


def test_what_nobody_expected_is_a_500_without_its_text(tmp_path: Path) -> None:
    library = make_library(tmp_path, Failing)
    library.error = RuntimeError("secret path /home/ada")
    client = TestClient(build_app(library), base_url=HOME)  # type: ignore[arg-type]
    answer = ask(client)
    assert answer.status_code == 500
    assert answer.json()["error"]["type"] == "server_error"
    assert "secret" not in answer.text
