"""`rag models` as a person, and as a program, calls it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rag import cli_models
from rag.build import build_generator, build_image_embedder
from rag.cli import app
from rag.config import load_settings
from rag.errors import ConfigError, ModelNotFound
from rag.models.machine import Machine
from tests.hub_server import Hub

from .conftest import files_of

GB = 10**9
LAPTOP = Machine(memory=16 * GB, card=0, card_name="")
GAMER = Machine(memory=32 * GB, card=12 * GB, card_name="RTX 4070")


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_models, "this_machine", lambda: LAPTOP)


def run(*words: str) -> Result:
    """A call; our own errors come through, as `main` is what turns them into a line."""
    done = CliRunner().invoke(app, ["models", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def listed() -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(run("list", "--json").stdout)["models"]}


def write_gguf(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"GGUF")


def test_the_list_says_what_fits_and_what_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = listed()
    assert (rows["gemma-4-e2b"]["fit"], rows["gemma-4-e2b"]["suggested"]) == ("cpu", True)
    assert rows["gemma-4-26b-a4b"]["fit"] == "no"  # 15.64 * 1.1 + .5 = 17.7 > 16 * .7
    assert not any(row["installed"] or row["used"] for row in rows.values())
    monkeypatch.setattr(cli_models, "this_machine", lambda: GAMER)
    rows = listed()
    assert (rows["gemma-4-12b"]["fit"], rows["gemma-4-12b"]["suggested"]) == ("gpu", True)
    assert not rows["gemma-4-e2b"]["suggested"]


def test_the_table_leaves_out_what_is_too_large() -> None:
    shown = run("list").stdout
    assert "gemma-4-e2b" in shown
    assert "gemma-4-26b-a4b" not in shown
    assert "2 more are too large" in shown  # 12.1 and 17.7 GB > 16 * .7
    assert "gemma-4-26b-a4b" in run("list", "--all").stdout


def test_pull_use_and_remove(hub: Hub, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("someone/chat-GGUF", {"chat-Q4_K_M.gguf": b"GGUF" * 500, "mmproj-chat-f16.gguf": b"GGUF" * 400})
    found = json.loads(run("pull", "hf:someone/chat-GGUF", "--name", "chat", "--json").stdout)
    assert (found["name"], found["kind"]) == ("chat", "generator")
    row = listed()["chat"]
    assert (row["installed"], row["used"], row["sees"]) == (True, False, True)
    assert row["bytes"] == 4 * 900 + (own_home / "models/chat/manifest.json").stat().st_size
    monkeypatch.setenv("RAG_GENERATOR", "chat")
    assert listed()["chat"]["used"]
    with pytest.raises(ConfigError, match="'chat' is in use"):
        run("remove", "chat")
    generator = build_generator(load_settings())
    assert generator is not None
    assert generator.state.name == "chat"
    assert generator.sees  # its eyes are found by themselves
    monkeypatch.setenv("RAG_GENERATOR", "starter")
    assert json.loads(run("remove", "chat", "--json").stdout)["removed"] == "chat"
    assert "chat" not in listed()
    monkeypatch.setenv("RAG_GENERATOR", "chat")
    with pytest.raises(ModelNotFound, match="rag models pull chat"):
        build_generator(load_settings())


def test_pull_says_how_to_use_it(hub: Hub, embedder_files: dict[str, bytes]) -> None:
    hub.add("someone/e", embedder_files)
    assert "Use it: rag models use e" in run("pull", "hf:someone/e").stdout


def test_an_image_embedder_is_in_use_where_it_is_found_by_itself(
    own_home: Path, small_clip: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("someone/small-clip", files_of(small_clip))
    run("pull", "hf:someone/small-clip", "--name", "looks")
    assert listed()["looks"]["used"]
    monkeypatch.setenv("RAG_IMAGE_EMBEDDER", "none")
    assert not listed()["looks"]["used"]
    monkeypatch.setenv("RAG_IMAGE_EMBEDDER", "looks")
    assert listed()["looks"]["used"]
    found = build_image_embedder(load_settings())
    assert found is not None
    assert found.state.name == "looks"


def test_a_folder_filled_by_hand_is_used_by_name_and_by_path(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(own_home / "models/mine", "some-Q8_0.gguf")
    for reference in ("mine", str(own_home / "models/mine"), str(own_home / "models/mine/some-Q8_0.gguf")):
        monkeypatch.setenv("RAG_GENERATOR", reference)
        assert listed()["mine"]["used"], reference
        assert build_generator(load_settings()) is not None


def test_ctrl_c_says_that_it_can_be_gone_on_with(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_models, "pull", interrupted)
    done = run("pull", "clip-vit-b-32")
    assert done.exit_code == 1
    assert "the same command goes on" in done.stderr
