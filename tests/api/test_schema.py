"""The OpenAPI document is true, and no call that it describes, or nearly describes, makes the server fail.

Requests are made by schemathesis from the document, the same ones every time, against a real library.
"""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import CHECKS
from starlette.testclient import TestClient

from rag.api.app import OPENAPI
from rag.build import open_library
from rag.config import Settings
from tests.api.serving import BEES, TRAIN, served
from ui.app import build_app

_EXAMPLES = 20  # for each address, of right calls and of wrong ones each
_CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
_RIGHT, _NEARLY = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
_CALLS = [
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model}"),
    ("GET", "/api/search"),
    ("POST", "/api/search"),
    ("POST", "/api/feedback"),
    ("GET", "/api/documents"),
    ("GET", "/api/documents/{document}"),
]
_WRONG = [(_NEARLY, *each) for each in _CALLS if not each[1].startswith("/v1/models")]  # which take any word, or none


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    folder: Path = tmp_path_factory.mktemp("documents")
    (folder / "bees.md").write_text(BEES)
    (folder / "train.txt").write_text(TRAIN)
    home = tmp_path_factory.mktemp("home")
    library = open_library(Settings(home=home, embedder="hashing", generator="none", image_embedder="none"))
    library.add([folder])
    with served(build_app(library)) as address:
        yield schemathesis.openapi.from_url(address + OPENAPI)
    library.close()


@pytest.mark.parametrize(("mode", "method", "path"), [*((_RIGHT, *each) for each in _CALLS), *_WRONG])
def test_no_call_makes_it_fail_and_answers_are_as_described(
    loaded: schemathesis.BaseSchema, mode: schemathesis.GenerationMode, method: str, path: str
) -> None:
    @hypothesis.settings(
        max_examples=_EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=loaded[path][method].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS.get_by_names(_CHECKED))

    check()


def test_the_document_loads_nothing_and_names_every_address(client: TestClient) -> None:
    paths = client.get(OPENAPI).json()["paths"]
    assert set(paths) == {
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/{model}",
        "/api/search",
        "/api/feedback",
        "/api/documents",
        "/api/documents/{document}",
    }
    page = client.get("/api")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script" not in page.text
    assert "http" not in page.text.replace("streamable HTTP", "")
    for path in paths:
        assert path in page.text
