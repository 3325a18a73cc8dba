"""The doctor on the real starter models."""

from pathlib import Path

import pytest

from rag.build import build_embedder, build_generator
from rag.config import load_settings
from rag.models.doctor import examine

pytestmark = pytest.mark.model


def test_every_part_is_examined_and_measured(tmp_path: Path) -> None:
    settings = load_settings()
    checks = {c.name: c for c in examine(tmp_path, build_embedder(settings), build_generator(settings))}
    assert list(checks) == ["memory", "disk", "torch", "llama.cpp", "embedder", "language model"]
    assert "texts/s" in checks["embedder"].finding
    assert "tokens/s" in checks["language model"].finding
    assert all(check.ok != bool(check.remedy) for check in checks.values())


def test_no_language_model_is_a_finding_with_a_remedy(tmp_path: Path) -> None:
    checks = examine(tmp_path, build_embedder(load_settings(embedder="hashing")), None)
    assert not checks[-1].ok
    assert "RAG_GENERATOR" in checks[-1].remedy
