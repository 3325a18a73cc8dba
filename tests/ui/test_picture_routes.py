"""Pictures are served as WebP by id, number and digest; what is not there is a calm drawing, not an error page."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.ui.fakes import FakeLibrary, encoded, make_document, make_image, make_picture
from ui.app import build_app
from ui.desk import Desk
from ui.routes import make_routes

SCAN = make_image("/home/ada/scan.png", "Total 41.70")
LETTER = make_document("/home/ada/letter.pdf", "Dear Anna", kind="pdf", pages=1)


@pytest.fixture
def library(tmp_path: Path) -> FakeLibrary:
    return FakeLibrary(tmp_path / "home", [SCAN, LETTER])


def client(library: FakeLibrary) -> TestClient:
    app = FastAPI()
    app.include_router(make_routes(Desk(library, library.settings.home)))  # type: ignore[arg-type]
    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize("path", [f"/preview/{SCAN.id}/1", f"/view/{SCAN.id}/1", f"/page/{LETTER.id}/1"])
def test_a_picture_is_webp_and_is_asked_for_again_only_if_it_may_have_changed(library: FakeLibrary, path: str) -> None:
    browser = client(library)
    answer = browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert answer.content[:4] == b"RIFF"
    assert answer.headers["cache-control"] == "private, no-cache"
    again = browser.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    named = browser.get(f"{path}?v=0123456789abcdef")
    assert named.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_a_picture_that_was_asked_with(library: FakeLibrary) -> None:
    digest = library.keep_picture(encoded("red"))
    answer = client(library).get(f"/asked/{digest}")
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        f"/preview/{SCAN.id}/2",
        f"/preview/{'0' * 32}/1",
        "/preview/../1",
        "/view/..%2f..%2fetc%2fpasswd/1",
        f"/page/{LETTER.id}/99999999999999999999999",
        f"/asked/{'0' * 64}",
        "/asked/x",
    ],
)
def test_what_is_not_there_is_a_calm_drawing_of_ours(library: FakeLibrary, path: str) -> None:
    answer = client(library).get(path)
    assert answer.status_code == 404
    if not path.startswith("/preview/../") and "%2f" not in path:
        assert answer.headers["content-type"] == "image/svg+xml"
        assert answer.headers["cache-control"] == "no-store"
        assert b"<script" not in answer.content


def test_a_drawing_is_never_served_as_it_came(library: FakeLibrary) -> None:
    drawing = replace(make_image("/home/ada/plan.svg", ""), media_type="image/svg+xml")
    library._documents[drawing.id] = drawing
    browser = client(library)
    assert browser.get(f"/view/{drawing.id}/1").headers["content-type"] == "image/webp"
    original = browser.get(f"/original/{drawing.id}")
    assert original.headers["content-type"] == "application/octet-stream"
    assert original.headers["content-disposition"].startswith("attachment")


def test_a_photo_opens_in_the_browser_and_can_run_nothing(library: FakeLibrary) -> None:
    answer = client(library).get(f"/original/{SCAN.id}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("inline")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_slow_pictures_hold_up_nothing_else(library: FakeLibrary) -> None:
    """Of sixty pictures that take their time two are made at once, and the pulse goes on beating meanwhile."""
    making: list[int] = []
    most: list[int] = []
    go_on = threading.Event()

    def slow(document: str, number: int) -> bytes:
        making.append(number)
        most.append(len(making))
        go_on.wait(30)
        making.pop()
        return encoded("red", kind="WEBP")

    library.preview = slow  # type: ignore[method-assign]
    app = FastAPI()
    app.include_router(make_routes(Desk(library, library.settings.home)))  # type: ignore[arg-type]

    async def all_at_once() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
            pictures = [asyncio.create_task(browser.get(f"/preview/{SCAN.id}/1")) for _ in range(60)]
            while len(making) < 2:
                await asyncio.sleep(0.01)
            assert (await browser.get("/pulse")).status_code == 200
            assert not any(picture.done() for picture in pictures)
            go_on.set()
            assert all(answer.status_code == 200 for answer in await asyncio.gather(*pictures))

    with ThreadPoolExecutor(1) as thread:  # the browser of earlier tests has an event loop in this one
        thread.submit(asyncio.run, all_at_once()).result(60)
    assert max(most) == 2


def test_pictures_stand_behind_the_same_door(library: FakeLibrary) -> None:
    app = TestClient(build_app(library), base_url="http://127.0.0.1:7860")  # type: ignore[arg-type]
    for path in (f"/preview/{SCAN.id}/1", f"/view/{SCAN.id}/1", f"/page/{LETTER.id}/1", f"/asked/{'0' * 64}"):
        assert app.get(path, headers={"host": "evil.example"}).status_code == 403
        assert app.get(path, headers={"origin": "https://evil.example"}).status_code == 403
        elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        assert app.get(path, headers=elsewhere).status_code == 403
        headers = app.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_the_source_page_may_show_pictures_of_this_program_only(library: FakeLibrary) -> None:
    answer = client(library).get(f"/source/{SCAN.id}?picture=1&start=0&end=5")
    assert "img-src 'self';" in answer.headers["content-security-policy"]
    assert "style-src 'self';" in answer.headers["content-security-policy"]
    assert '<mark id="passage">Total</mark>' in answer.text
    assert client(library).get(f"/source/{SCAN.id}?picture=x").status_code == 422


def test_figures_of_documents_have_numbers_of_their_own(library: FakeLibrary) -> None:
    figure = replace(LETTER, pictures=(make_picture(3, LETTER.text, 0, 4, page=1),))
    library._documents[figure.id] = figure
    assert client(library).get(f"/preview/{figure.id}/3").status_code == 200
    assert client(library).get(f"/preview/{figure.id}/1").status_code == 404
