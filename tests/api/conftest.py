"""The real application around a small library in memory."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.api.serving import HOME, make_library
from tests.ui.fakes import FakeLibrary
from ui.app import build_app


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FakeLibrary:
    return make_library(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def client(library: FakeLibrary) -> Iterator[TestClient]:
    with TestClient(build_app(library), base_url=HOME) as client:  # type: ignore[arg-type]
        yield client
