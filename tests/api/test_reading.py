"""`/api` through the real application: the same JSON as the command line's, in parts of limited size."""

import base64
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rag import json_forms
from rag.filters import Filter, In, both, parse
from rag.records import Audience, SearchResult, document_id
from tests.api.serving import BEES, HOME, make_library
from tests.ui.fakes import FakeLibrary, encoded
from ui.app import build_app

BEES_ID = document_id("/home/ada/notes/bees.md")


def test_a_search_is_what_the_command_line_prints(client: TestClient, library: FakeLibrary) -> None:
    expected = json_forms.search_json(library.search("queen hive", k=3))
    assert client.get("/api/search", params={"query": "queen hive", "k": 3}).json() == expected
    assert client.post("/api/search", json={"query": "queen hive", "k": 3}).json() == expected


def test_names_that_are_no_utf8_go_through(client: TestClient) -> None:
    (hit,) = client.get("/api/search", params={"query": "words in a file"}).json()["hits"]
    assert hit["path"] == "/home/ada/odd\udcff.md"
    assert hit["text"].endswith("\U0001f41d.")


class Listening(FakeLibrary):
    def search(
        self,
        text: str = "",
        *,
        picture: bytes | None = None,
        like: str = "",
        k: int | None = None,
        where: Any = None,
        audience: Audience = "program",
    ) -> SearchResult:
        self.searched: tuple[str, bytes | None, str, int | None, Filter | None] = (text, picture, like, k, where)
        return SearchResult(text, (), {})


def test_everything_that_the_command_line_can_search_with_arrives(tmp_path: Path) -> None:
    library = make_library(tmp_path, Listening)
    client = TestClient(build_app(library), base_url=HOME)  # type: ignore[arg-type]
    picture = base64.b64encode(encoded("#336699")).decode()
    body = {"query": "sea", "k": 7, "where": "-tag:old", "kind": "image", "like": "0" * 32, "picture": picture}
    assert client.post("/api/search", json=body).status_code == 200
    where = both(parse("-tag:old"), In("modality", ("image",)))
    assert library.searched == ("sea", encoded("#336699"), "0" * 32, 7, where)
    client.get("/api/search", params={"query": "sea", "where": "kind:pdf", "kind": "text"})
    where = both(parse("kind:pdf"), In("modality", ("text",)))
    assert library.searched == ("sea", None, "", 10, where)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({}, "query: Field required"),
        ({"query": ""}, "empty"),
        ({"query": "x", "k": 0}, "greater than or equal to 1"),
        ({"query": "x", "k": 1001}, "less than or equal to 1000"),
        ({"query": "x", "k": "many"}, "k: "),
        ({"query": "x", "kind": "sound"}, "kind: "),
        ({"query": "x", "where": "x"}, "is not a filter"),
        ({"query": "x", "where": "'"}, "quotation"),
        ({"query": "x", "where": "folder:~nobody-of-that-name/x"}, "folder"),
        ({"query": "x" * 10_001}, "at most 10000"),
    ],
)
def test_wrong_searches_are_told(client: TestClient, query: dict[str, Any], words: str) -> None:
    answer = client.get("/api/search", params=query)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"type", "message"}
    assert words in answer.json()["error"]["message"]


def test_documents_come_in_pages(client: TestClient) -> None:
    every = client.get("/api/documents").json()
    assert every["total"] == 3
    assert [document["title"] for document in every["documents"]] == ["Bees", "Night train", "Odd \udcff"]
    part = client.get("/api/documents", params={"offset": 1, "limit": 1}).json()
    assert part == {"total": 3, "documents": every["documents"][1:2]}
    assert client.get("/api/documents", params={"offset": 9}).json() == {"total": 3, "documents": []}
    (pdf,) = client.get("/api/documents", params={"kind": "pdf"}).json()["documents"]
    assert pdf["title"] == "Night train"
    assert client.get("/api/documents", params={"text": "bees"}).json()["total"] == 1
    assert client.get("/api/documents", params={"kind": "x"}).status_code == 400


def test_a_document_has_its_facts_and_a_part_of_its_text(client: TestClient) -> None:
    whole = client.get(f"/api/documents/{BEES_ID}").json()
    assert whole["text"] == BEES
    assert (whole["start"], whole["end"], whole["size"]) == (0, len(BEES), len(BEES))
    assert whole["headings"][0] == {"level": 1, "text": "Swarms", "start": 0}
    part = client.get(f"/api/documents/{BEES_ID}", params={"start": 2, "length": 6}).json()
    assert (part["text"], part["start"], part["end"]) == ("Swarms", 2, 8)
    beyond = client.get(f"/api/documents/{BEES_ID}", params={"start": 10**9}).json()
    assert (beyond["text"], beyond["start"], beyond["end"]) == ("", len(BEES), len(BEES))


@pytest.mark.parametrize("name", ["nope", "0" * 32, "..%2f..%2fetc%2fpasswd", "%00", "%ff"])
def test_what_is_no_document_is_not_found(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/documents/{name}")
    assert answer.status_code == 404
    assert "error" in answer.json()


def test_other_addresses_and_methods_are_told_as_json(client: TestClient) -> None:
    for answer, status in (
        (client.get("/api/nope"), 404),
        (client.post("/api/documents", json={}), 405),
        (client.delete(f"/api/documents/{BEES_ID}"), 405),
        (client.get("/v1/nope"), 404),
        (client.get("/v1/chat/completions"), 405),
    ):
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


def test_a_body_that_is_too_long_is_refused_while_it_is_read(client: TestClient) -> None:
    most = (1 << 20) + (64 << 20) * 4 // 3  # a megabyte of words, and a picture of 64 MiB as base64

    def endless() -> Any:
        for _ in range(most // (1 << 20) + 2):
            yield b" " * (1 << 20)

    answer = client.post("/api/search", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "too_large"
    answer = client.post("/mcp", content=b" " * ((1 << 20) + 1), headers={"content-type": "application/json"})
    assert answer.status_code == 413
