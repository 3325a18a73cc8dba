"""With a token set, whoever does not show it is told so; a browser shows it once, and gets a cookie that ends."""

from collections.abc import Callable
from http.cookies import SimpleCookie

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from tests.api.serving import served
from tests.browser import Screen
from tests.ui.fakes import FakeLibrary
from ui import login
from ui.app import build_app, serve
from ui.guard import check_host
from ui.login import _is_sealed, _sealed

HOME = "http://127.0.0.1:7860"
TOKEN = "correct horse battery staple é"  # noqa: S105  it opens nothing
BEARER = {"authorization": b"Bearer " + TOKEN.encode()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> object:
    library = FakeLibrary(tmp_path_factory.mktemp("home"))
    library.settings = library.settings.model_copy(update={"api_token": SecretStr(TOKEN)})
    return build_app(library)  # type: ignore[arg-type]


@pytest.fixture
def client(app: object) -> TestClient:
    """A browser that knows nothing yet and follows nowhere."""
    return TestClient(app, base_url=HOME, follow_redirects=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/v1/models", "/api/documents", "/mcp", "/pulse", "/config", "/original/" + "0" * 32])
def test_nothing_is_answered_without_the_token(client: TestClient, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer wrong"}, {"cookie": "commonplace=1.x"}):
        refused = client.get(path, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in refused.text


def test_openai_clients_are_told_in_their_own_way(client: TestClient) -> None:
    assert client.get("/v1/models").json()["error"]["type"] == "authentication_error"
    assert client.get("/api/documents").json()["error"]["type"] == "unauthorised"


def test_the_token_opens_every_door(client: TestClient) -> None:
    for path in ("/v1/models", "/api/documents", "/pulse", "/"):
        assert client.get(path, headers=BEARER).status_code == 200


def test_with_the_token_other_names_of_this_machine_are_answered(client: TestClient) -> None:
    elsewhere = {"host": "library.example:7860", **BEARER}
    assert client.get("/v1/models", headers=elsewhere).status_code == 200
    assert client.get("/v1/models", headers={"host": "library.example:7860"}).status_code == 401
    assert client.get("/v1/models", headers={**elsewhere, "origin": "https://evil.example"}).status_code == 403
    assert client.get("/v1/models", headers={**elsewhere, "origin": "https://library.example:7860"}).status_code == 200


def test_a_browser_logs_in_once(client: TestClient) -> None:
    sent_there = client.get("/", headers={"accept": "text/html"})
    assert (sent_there.status_code, sent_there.headers["location"]) == (303, "/login")
    page = client.get("/login")
    assert page.status_code == 200
    assert page.headers["referrer-policy"] == "same-origin"  # or the browser would send the form with Origin: null
    assert 'type="password"' in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert client.get("/ui/style.css").status_code == 200
    assert client.post("/login", data={"token": "wrong"}).status_code == 401
    assert client.get("/pulse").status_code == 401
    done = client.post("/login", data={"token": TOKEN}, headers={"origin": HOME})
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = SimpleCookie(done.headers["set-cookie"])["commonplace"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "strict"
    assert TOKEN not in cookie.value
    assert client.get("/pulse").status_code == 200  # the client kept the cookie, as a browser does
    assert client.get("/api/documents").status_code == 200


@pytest.mark.browser
def test_a_real_browser_logs_in_and_sees_the_library(app: object, window: Callable[..., Screen]) -> None:
    with served(app) as address:  # type: ignore[arg-type]
        screen = window(address, width=390, scheme="dark")
        screen.page.goto(address)
        assert screen.page.url == f"{address}/login"
        screen.page.fill("#token", "wrong")
        screen.page.keyboard.press("Enter")
        screen.matches(".problem", "not the token")
        screen.page.fill("#token", TOKEN)
        screen.page.keyboard.press("Enter")
        screen.page.wait_for_selector("body[data-ready]")
        assert screen.elsewhere == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:3000"])
def test_no_other_page_can_log_in_or_use_the_login(client: TestClient, origin: str) -> None:
    assert client.post("/login", data={"token": TOKEN}, headers={"origin": origin}).status_code == 403
    client.post("/login", data={"token": TOKEN})
    assert client.post("/v1/chat/completions", json={}, headers={"origin": origin}).status_code == 403


def test_what_is_sent_to_the_login_is_read_within_a_limit(client: TestClient) -> None:
    refused = client.post("/login", content=b"token=" + b"x" * 5000)
    assert refused.status_code == 401
    assert "too long" in refused.text


def test_a_cookie_ends_and_cannot_be_made_or_lengthened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login.time, "time", lambda: 1000.0)
    value = _sealed(1001, TOKEN)
    assert _is_sealed(value, TOKEN)
    assert not _is_sealed(value, "another token entirely")
    assert not _is_sealed(value.replace("1001", "9999"), TOKEN)
    assert not _is_sealed(_sealed(1000, TOKEN), TOKEN)
    for wrong in ("", ".", "1001", "x.y", "²." + "0" * 64, "9" * 5000 + ".x"):
        assert not _is_sealed(wrong, TOKEN)


def test_with_a_token_any_address_may_be_listened_on(library: FakeLibrary) -> None:
    check_host("0.0.0.0", TOKEN)
    with pytest.raises(Exception, match="RAG_API_TOKEN"):
        check_host("0.0.0.0", "")
    library.settings = library.settings.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(Exception, match="16 characters"):
        serve(library, open_browser=False)  # type: ignore[arg-type]


def test_the_login_is_not_there_without_a_token(library: FakeLibrary) -> None:
    client = TestClient(build_app(library), base_url=HOME)  # type: ignore[arg-type]
    assert client.get("/login").status_code == 404
    assert client.get("/api/documents").status_code == 200
