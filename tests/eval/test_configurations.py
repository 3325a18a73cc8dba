"""Named sets of options: from a file, from the command line, and wrong ones."""

from pathlib import Path

import pytest

from eval.configurations import Configuration, configurations
from rag.errors import ConfigError

BASE = Configuration("", {"chunk_tokens": 150}, store="memory")


def test_without_any_the_options_alone() -> None:
    assert configurations(BASE, None, ()) == [BASE]


def test_tables_of_a_file_and_then_options(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('[plain]\n\n["rank fusion"]\r\nfusion = "rrf"\nstore = "lance"\n', "utf-8")
    found = configurations(BASE, file, ["short: chunk_tokens=64, precision=fp32"])
    assert found == [
        Configuration("plain", {"chunk_tokens": 150}, "memory"),
        Configuration("rank fusion", {"chunk_tokens": 150}, "lance", "rrf"),
        Configuration("short", {"chunk_tokens": "64", "precision": "fp32"}, "memory"),
    ]
    assert (found[2].loaded().chunk_tokens, found[2].loaded().precision) == (64, "fp32")


def test_an_address_may_stand_in_a_value() -> None:
    (found,) = configurations(BASE, None, ["served:embedder=http://127.0.0.1:8080/v1#bge"])
    assert found.settings["embedder"] == "http://127.0.0.1:8080/v1#bge"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["short"], "NAME:KEY=VALUE"),
        ([":chunk_tokens=64"], "NAME:KEY=VALUE"),
        (["a:chunk_tokens"], "NAME:KEY=VALUE"),
        (["a:generator=none"], "unknown key 'generator'"),
        (["a:fusion=magic"], "no fusion is called 'magic'"),
        (["a:chunk_tokens=none"], "chunk_tokens"),
        (["a:", "a:"], "two configurations are called 'a'"),
        (["a:fusion=rrf,reranker=auto"], "leave out one of the two"),
    ],
)
def test_wrong_options_are_refused(said: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configurations(BASE, None, said)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[a", "cannot read"),
        (b"\xff", "cannot read"),
        (b"", "no configuration"),
        (b"chunk_tokens = 64", "outside a table"),
        (b"[a]\nfuse = 1", "unknown key 'fuse'"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "some.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        configurations(BASE, file, ())
    with pytest.raises(ConfigError, match="cannot read"):
        configurations(BASE, tmp_path / "none.toml", ())
