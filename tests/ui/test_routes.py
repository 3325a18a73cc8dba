"""Sources and originals are asked for by id only, and an original can run nothing in the browser."""

from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.patience import until
from tests.ui.fakes import FakeLibrary, make_document
from ui.desk import Desk
from ui.routes import make_routes


def client(library: FakeLibrary) -> TestClient:
    """The routes alone: the application around them is in test_guard."""
    app = FastAPI()
    app.include_router(make_routes(Desk(library, library.settings.home)))  # type: ignore[arg-type]
    return TestClient(app, base_url="http://127.0.0.1:7860")


def test_a_source_is_shown_with_its_passage(library: FakeLibrary) -> None:
    bees = library.documents("bees")[0]
    answer = client(library).get(f"/source/{bees.id}?start=2&end=8")
    assert answer.status_code == 200
    assert "Swarms" in answer.text
    assert '<mark id="passage">' in answer.text
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("name", ["0" * 32, "x", "..%2f..%2fetc%2fpasswd", "%2e%2e", "A" * 32, "0" * 31])
@pytest.mark.parametrize("kind", ["source", "original"])
def test_what_is_not_the_id_of_a_document_is_not_found(library: FakeLibrary, kind: str, name: str) -> None:
    assert client(library).get(f"/{kind}/{name}").status_code == 404


def test_offsets_that_are_no_numbers_are_refused(library: FakeLibrary) -> None:
    assert client(library).get(f"/source/{library.documents()[0].id}?start=x").status_code == 422


@pytest.mark.parametrize(
    ("name", "kind", "media", "shown"),
    [
        ("a.pdf", "pdf", "application/pdf", "inline"),
        ("a.md", "note", "text/plain; charset=utf-8", "inline"),
        ("a.html", "web", "application/octet-stream", "attachment"),
        ("a.eml", "mail", "application/octet-stream", "attachment"),
    ],
)
def test_originals_are_shown_only_where_that_is_safe(
    library: FakeLibrary, name: str, kind: str, media: str, shown: str
) -> None:
    document = make_document(f"/home/ada/{name}", "<script>alert(1)</script>", kind=kind)  # type: ignore[arg-type]
    library._documents[document.id] = document
    answer = client(library).get(f"/original/{document.id}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media
    assert answer.headers["content-disposition"].startswith(shown)
    assert ("sandbox" in answer.headers["content-security-policy"]) == (kind != "pdf")


def test_odd_names_cannot_break_the_header(library: FakeLibrary) -> None:
    document = make_document('/home/ada/"quo\r\nted" é\U0001f600\udcff.md', "x")
    library._documents[document.id] = document
    header = client(library).get(f"/original/{document.id}").headers["content-disposition"]
    assert "\r" not in header
    assert unquote(header.split("''")[1]) == '"quo\r\nted" é\U0001f600?.md'


def test_assets_are_a_closed_list(library: FakeLibrary) -> None:
    browser = client(library)
    assert browser.get("/ui/style.css").headers["content-type"].startswith("text/css")
    assert browser.get("/ui/page.js").status_code == 200
    assert browser.get("/ui/app.py").status_code == 404
    assert browser.get("/ui/..%2fapp.py").status_code == 404


def test_the_pulse_counts_changes_and_the_first_one_warms_the_models_once(library: FakeLibrary) -> None:
    warmed = []
    library.warm = lambda: warmed.append(1)  # type: ignore[method-assign]
    browser = client(library)
    beats = [browser.get("/pulse").json() for _ in range(5)]
    assert [set(beat) for beat in beats] == [{"version", "busy"}] * 5
    until(lambda: not browser.get("/pulse").json()["busy"])
    assert warmed == [1]
    assert browser.get("/pulse").json()["version"] > 0
