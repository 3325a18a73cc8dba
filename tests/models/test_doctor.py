"""The doctor on the real starter models."""

from pathlib import Path

import pytest

from rag.build import build_embedder, build_generator, build_image_embedder
from rag.config import Settings, load_settings
from rag.embed.clip_files import WEIGHTS, clip_in
from rag.models.doctor import Check, examine

pytestmark = pytest.mark.model


def examined(settings: Settings) -> dict[str, Check]:
    models = build_embedder(settings), build_generator(settings), build_image_embedder(settings)
    return {check.name: check for check in examine(settings, *models)}


def test_every_part_is_examined_and_measured(small_clip: Path) -> None:
    checks = examined(load_settings(image_embedder=str(small_clip), device="cpu", precision="fp32"))
    names = ["memory", "disk", "torch", "llama.cpp", "embedder", "image embedder", "text in pictures", "language model"]
    assert list(checks) == names
    assert "texts/s" in checks["embedder"].finding
    assert f"{small_clip.name} on cpu, fp32" in checks["image embedder"].finding
    assert "pictures/s (cpu set by you" in checks["image embedder"].finding
    assert "rapidocr 3" in checks["text in pictures"].finding
    assert "tokens/s" in checks["language model"].finding
    assert all(check.ok != bool(check.remedy) for check in checks.values())


def test_what_is_missing_is_a_finding_with_the_way_to_it(tmp_path: Path) -> None:
    checks = examined(load_settings(home=tmp_path, embedder="hashing", generator="none", ocr=False))
    assert not checks["language model"].ok
    assert "RAG_GENERATOR" in checks["language model"].remedy
    assert checks["image embedder"].ok  # the program works without, in a stated way
    assert checks["image embedder"].finding.startswith("off")
    assert str(tmp_path / "models") in checks["image embedder"].finding
    assert "RAG_OCR" in checks["text in pictures"].finding


def test_an_image_embedder_that_cannot_be_loaded_is_a_fault(tmp_path: Path, small_clip: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in small_clip.iterdir():
        (broken / path.name).write_bytes(path.read_bytes()[: 1000 if path.name == WEIGHTS else None])
    assert clip_in(broken).dim == clip_in(small_clip).dim
    checks = examined(load_settings(image_embedder=str(broken), embedder="hashing", generator="none"))
    assert not checks["image embedder"].ok
    assert "install the model again" in checks["image embedder"].finding
