"""Feedback through the API: only what a person saw is logged, and what they did with it is kept or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.serving import HOME, make_library
from tests.ui.fakes import FakeLibrary
from ui.app import build_app

QUEEN = "When does the queen leave the hive?"
ASKED = {"model": "commonplace", "messages": [{"role": "user", "content": QUEEN}]}


@pytest.fixture
def library(tmp_path: Path) -> FakeLibrary:
    return make_library(tmp_path)


@pytest.fixture
def client(library: FakeLibrary) -> TestClient:
    return TestClient(build_app(library), base_url=HOME)  # type: ignore[arg-type]


def send(client: TestClient, **body: Any) -> Any:
    return client.post("/api/feedback", content=json.dumps(body), headers={"content-type": "application/json"})


def test_what_programs_ask_is_not_logged(client: TestClient, library: FakeLibrary) -> None:
    answers = [
        client.get("/api/search", params={"query": "queen"}).json(),
        client.post("/api/search", json={"query": "queen"}).json(),
        client.post("/v1/chat/completions", json=ASKED).json()["commonplace"],
    ]
    assert not any("shown" in answer for answer in answers)
    assert not library.feedback.path.exists()


def test_what_a_person_sees_can_be_judged(client: TestClient, library: FakeLibrary) -> None:
    answer = client.post("/v1/chat/completions", json={**ASKED, "person": True}).json()["commonplace"]
    shown, chunk = answer["shown"], answer["passages"][0]["chunk"]
    assert send(client, shown=shown, act="up").json() == {"thumb": "up", "chunks": {}}
    assert send(client, shown=shown, act="pin", chunk=chunk).json() == {"thumb": "up", "chunks": {chunk: ["pin"]}}
    found = client.get("/api/search", params={"query": QUEEN, "person": True}).json()
    assert send(client, shown=found["shown"], act="pin", chunk=chunk, taken_back=True).json()["chunks"] == {}
    assert [each.act for each in library.feedback.read().choices] == ["up"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"shown": "0" * 32, "act": "up"}, "search again"),
        ({"shown": "\ud800", "act": "up"}, "shown: Input should be a valid string"),
        ({"act": "up"}, "shown: Field required"),
        ({"shown": "0" * 32, "act": "cited", "chunk": "c"}, "act: Input should be"),
        ({"shown": "0" * 32, "act": "this"}, "one of its sources"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(client: TestClient, body: dict[str, str], words: str) -> None:
    answer = send(client, **body)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


def test_switched_off_it_says_so(tmp_path: Path) -> None:
    library = make_library(tmp_path)
    library.feedback.enabled = False
    answer = send(TestClient(build_app(library), base_url=HOME), shown="0" * 32, act="up")  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert "RAG_FEEDBACK" in answer.json()["error"]["message"]
