"""Who may talk to the server, which addresses exist, and what the browser is told about the answers."""

import re

import pytest
from starlette.testclient import TestClient

from rag.errors import ConfigError
from tests.ui.fakes import FakeLibrary
from ui.app import build_app, serve
from ui.guard import check_host

HOME = "http://127.0.0.1:7860"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    library = FakeLibrary(tmp_path_factory.mktemp("home"))
    return TestClient(build_app(library), base_url=HOME)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_other_machines_are_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="refusing to listen"):
        check_host(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_this_machine_is_not(host: str) -> None:
    check_host(host)


def test_serve_refuses_before_it_listens(library: FakeLibrary) -> None:
    library.settings = library.settings.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(ConfigError, match="no token"):
        serve(library, open_browser=False)  # type: ignore[arg-type]


def test_a_taken_port_is_said(library: FakeLibrary) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        library.settings = library.settings.model_copy(update={"port": taken.getsockname()[1]})
        with pytest.raises(ConfigError, match="choose another with --port"):
            serve(library, open_browser=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["evil.example:7860", "127.0.0.1.evil.example", "", "192.168.0.7:7860"])
def test_a_name_that_was_made_to_point_here_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/pulse", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "[::1]:7860", "127.0.0.1"])
def test_names_of_this_machine_pass(client: TestClient, host: str) -> None:
    assert client.get("/pulse", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:3000", "http://localhost:7860"])
def test_requests_from_other_pages_are_refused(client: TestClient, origin: str) -> None:
    assert client.post("/gradio_api/queue/join", headers={"origin": origin}, json={}).status_code == 403


API = ["/v1/models", "/v1/chat/completions", "/api/documents", "/api/search?query=x", "/api/openapi.json", "/mcp"]


@pytest.mark.parametrize("path", API)
def test_the_api_is_behind_the_same_door(client: TestClient, path: str) -> None:
    for headers in (
        {"host": "evil.example:7860"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"},
    ):
        for answer in (client.get(path, headers=headers), client.post(path, headers=headers, json={})):
            assert answer.status_code == 403
            assert answer.json()["error"]["message"]
            assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", API)
def test_no_page_elsewhere_is_let_in_by_cors(client: TestClient, path: str) -> None:
    asked = {"origin": HOME, "access-control-request-method": "POST"}
    assert client.options(path, headers=asked).status_code == 405
    for answer in (client.get(path), client.options(path, headers={**asked, "origin": "https://evil.example"})):
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_other_sites_may_link_here_but_not_embed(client: TestClient) -> None:
    elsewhere = {"sec-fetch-site": "cross-site"}
    assert client.get("/pulse", headers={**elsewhere, "sec-fetch-mode": "no-cors"}).status_code == 403
    assert client.get("/", headers={**elsewhere, "sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/file=/etc/passwd",
        "/gradio_api/proxy=https://evil.example/",
        "/gradio_api/call/ask",
        "/gradio_api/info",
        "/gradio_api/vibe-code",
        "/gradio_api/run-history/records",
        "/monitoring/summary",
        "/docs",
        "/openapi.json",
        "/login",
    ],
)
def test_what_is_not_needed_is_not_there(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_the_page_signs_its_own_scripts_and_forbids_all_else(client: TestClient) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    scripts = re.findall(r"<script[^>]*>", page.text)
    assert scripts
    assert all(f'nonce="{nonce[1]}"' in script for script in scripts)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert client.get("/").headers["content-security-policy"] != policy


def test_every_answer_is_marked(client: TestClient) -> None:
    for path in ("/", "/pulse", "/ui/style.css", "/source/" + "0" * 32):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
