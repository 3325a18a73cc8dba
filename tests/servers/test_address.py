"""What names a server, and which servers may be asked."""

import pytest

from rag.errors import ConfigError
from rag.servers.address import ServerAddress, is_loopback
from rag.servers.reference import names_server


@pytest.mark.parametrize(
    ("reference", "url", "model"),
    [
        ("http://127.0.0.1:11434/v1#qwen3:8b", "http://127.0.0.1:11434", "qwen3:8b"),
        ("http://127.0.0.1:11434/v1/#a/b", "http://127.0.0.1:11434", "a/b"),
        ("http://localhost:8080", "http://localhost:8080", ""),
        ("http://[::1]:8080/v1", "http://[::1]:8080", ""),
        ("http://127.0.0.1:8080/llm/v1#x", "http://127.0.0.1:8080/llm", "x"),
        (r"http://127.0.0.1:8000/v1#C:\models\a b.gguf", "http://127.0.0.1:8000", r"C:\models\a b.gguf"),
    ],
)
def test_an_address_is_read(reference: str, url: str, model: str) -> None:
    assert names_server(reference)
    assert ServerAddress.parse(reference) == ServerAddress(url, model)


def test_an_address_is_written_as_it_is_read() -> None:
    address = ServerAddress("http://127.0.0.1:8000", "m")
    assert str(address) == "http://127.0.0.1:8000/v1#m"
    assert ServerAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    "reference",
    ["http://", "http:///v1", "http://127.0.0.1:99999/v1", "http://user:word@127.0.0.1/v1", "http://127.0.0.1/v1?a=b"],
)
def test_what_is_no_address_is_refused(reference: str) -> None:
    with pytest.raises(ConfigError, match="PORT/v1#model"):
        ServerAddress.parse(reference)


@pytest.mark.parametrize(
    "host",
    ["192.168.1.5", "example.com", "0.0.0.0", "127.0.0.1.example.com", "localhost.example.com", "[2001:db8::1]"],
)
def test_another_machine_is_refused_unless_that_is_wanted(host: str) -> None:
    with pytest.raises(ConfigError, match="passages of your documents") as refused:
        ServerAddress.parse(f"http://{host}:8000/v1#m")
    assert "RAG_ALLOW_REMOTE_SERVERS" in str(refused.value)
    assert ServerAddress.parse(f"http://{host}:8000/v1#m", allow_remote=True).url == f"http://{host}:8000"


def test_a_name_before_an_at_sign_hides_no_other_host() -> None:
    with pytest.raises(ConfigError):
        ServerAddress.parse("http://127.0.0.1:8000@example.com/v1")
    with pytest.raises(ConfigError):
        ServerAddress.parse(r"http://example.com\@127.0.0.1/v1")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "ollama.localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("reference", ["starter", "none", "/models/a.gguf", "http.gguf", "hf:a/b"])
def test_other_models_are_no_servers(reference: str) -> None:
    assert not names_server(reference)
