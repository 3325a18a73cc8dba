"""Settings: defaults < rag.toml < environment < flags, and nothing unknown passes."""

from pathlib import Path

import pytest

from rag.config import load_settings
from rag.errors import ConfigError
from rag.indexing import ReadLimits
from rag.ingest.options import ReadOptions


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    return tmp_path


def test_each_source_beats_the_one_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 7860
    (home / "rag.toml").write_text("port = 7001\nsources = 9\n")
    assert load_settings().port == 7001
    monkeypatch.setenv("RAG_PORT", "7002")
    assert load_settings().port == 7002
    settings = load_settings(port=7003, host=None)
    assert (settings.port, settings.host, settings.sources, settings.home) == (7003, "127.0.0.1", 9, home)


def test_a_home_that_is_passed_has_its_own_file(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "rag.toml").write_text("sources = 3\n")
    assert load_settings(home=other).sources == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour = 1", "colour"),
        ("port = 'many'", "port"),
        ("port = 70000", "port"),
        ("device = 'abacus'", "device"),
        ("port = ", r"rag\.toml"),
        ("sources = 0", "sources"),
        ("max_megapixels = 0", "max_megapixels"),
        ("prompt_pictures = -1", "prompt_pictures"),
        ("ocr = 'perhaps'", "ocr"),
    ],
)
def test_a_wrong_file_is_named(home: Path, text: str, says: str) -> None:
    (home / "rag.toml").write_text(text)
    with pytest.raises(ConfigError, match=says):
        load_settings()


def test_an_unknown_variable_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_PROT", "7860")
    with pytest.raises(ConfigError, match=r"RAG_PROT.*port"):
        load_settings()


def test_pictures_have_settings_of_their_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.image_embedder, settings.mmproj, settings.prompt_pictures) == ("auto", None, 2)
    assert (settings.ocr, settings.picture_location, settings.max_megapixels) == (True, True, 120)
    (home / "rag.toml").write_text("ocr = false\npicture_location = false\nimage_embedder = 'none'\n")
    monkeypatch.setenv("RAG_MMPROJ", "/models/eyes.gguf")
    settings = load_settings(max_megapixels=40)
    assert (settings.image_embedder, settings.mmproj) == ("none", Path("/models/eyes.gguf"))
    assert (settings.ocr, settings.picture_location, settings.max_megapixels) == (False, False, 40)
    limits = ReadLimits.of(settings)
    assert limits.options == ReadOptions(ocr=False, location=False, max_megapixels=40)


def test_settings_cannot_be_changed(home: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1
