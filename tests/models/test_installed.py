"""What lies in the models folder, told by what is in it."""

from pathlib import Path

import pytest

from rag.errors import ModelError, ModelNotFound
from rag.models.installed import eyes_of, installed_model, installed_models, kind_of, resolve


def put(folder: Path, *names: str) -> Path:
    """A model put there by hand: empty files but for config.json."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text('{"architectures": ["XForSequenceClassification"]}' if name == "config.json" else "")
    return folder


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("modules.json", "model.safetensors"), "embedder"),
        (("config.json", "model.safetensors"), "reranker"),
        (("config.json", "modules.json"), "reranker"),  # cross-encoders may have modules too
        (("open_clip_config.json", "config.json"), "image embedder"),
        (("a.gguf",), "generator"),
        (("a.gguf", "mmproj-a.gguf"), "generator"),
        (("mmproj-a.gguf",), None),
        (("notes.txt",), None),
        ((), None),
    ],
)
def test_the_kind_of_a_model_is_told_by_its_files(tmp_path: Path, names: tuple[str, ...], kind: str | None) -> None:
    assert kind_of(put(tmp_path / "m", *names)) == kind


def test_only_whole_models_are_listed(tmp_path: Path) -> None:
    models = tmp_path / "models"
    put(models / "b", "a.gguf")
    put(models / "a", "modules.json")
    put(models / ".partial/c@1", "modules.json")
    put(models / ".hidden", "modules.json")
    put(models / "empty")
    (models / "file.gguf").touch()
    assert [(model.name, model.kind) for model in installed_models(tmp_path)] == [("a", "embedder"), ("b", "generator")]
    assert installed_models(tmp_path / "elsewhere") == []


def test_a_damaged_manifest_does_not_hide_a_model(tmp_path: Path) -> None:
    folder = put(tmp_path / "models/m", "modules.json", "manifest.json")
    for told in ("{", "[]", '{"source": 3, "files": []}', "\udcff"):
        (folder / "manifest.json").write_text(told, "utf-8", "surrogateescape")
        found = installed_model("m", tmp_path)
        assert found is not None
        assert (found.source, dict(found.files)) == ("", {})


def test_a_name_means_a_folder_and_for_a_language_model_its_file(tmp_path: Path) -> None:
    put(tmp_path / "models/minilm", "modules.json")
    put(tmp_path / "models/chat", "chat-Q4.gguf", "chat.mmproj-f16.gguf")
    assert resolve("minilm", tmp_path) == tmp_path / "models/minilm"
    assert resolve("chat", tmp_path) == tmp_path / "models/chat/chat-Q4.gguf"
    assert eyes_of(resolve("chat", tmp_path)) == tmp_path / "models/chat/chat.mmproj-f16.gguf"


def test_a_path_means_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(tmp_path / "elsewhere", "one.gguf")
    assert resolve(str(folder / "one.gguf"), tmp_path) == folder / "one.gguf"
    assert resolve(str(folder), tmp_path) == folder / "one.gguf"
    monkeypatch.chdir(folder)
    assert resolve("one.gguf", tmp_path) == folder / "one.gguf"
    assert eyes_of(folder / "one.gguf") is None


def test_an_installed_name_comes_before_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "models/m", "modules.json")
    put(tmp_path / "here/m", "modules.json")
    monkeypatch.chdir(tmp_path / "here")
    assert resolve("m", tmp_path) == tmp_path / "models/m"


@pytest.mark.parametrize("reference", ["gone", "../models/gone", "/no/such/thing", ""])
def test_what_is_not_there_is_named_with_what_to_do(tmp_path: Path, reference: str) -> None:
    with pytest.raises(ModelNotFound, match="rag models pull") if reference else pytest.raises(ModelError):
        resolve(reference or "nothing at all", tmp_path)


def test_several_language_models_in_a_folder_have_to_be_told_apart(tmp_path: Path) -> None:
    put(tmp_path / "models/m", "a.gguf", "b.gguf")
    with pytest.raises(ModelError, match=r"a.gguf, b.gguf"):
        resolve("m", tmp_path)


def test_a_model_in_parts_is_its_first(tmp_path: Path) -> None:
    folder = put(tmp_path / "models/m", "a-00002-of-00002.gguf", "a-00001-of-00002.gguf")
    assert resolve("m", tmp_path) == folder / "a-00001-of-00002.gguf"


def test_of_several_eyes_none_is_guessed(tmp_path: Path) -> None:
    folder = put(tmp_path / "models/m", "a.gguf", "mmproj-a-f16.gguf", "mmproj-a-f32.gguf")
    assert eyes_of(folder / "a.gguf") is None
