"""The doctor on the real starter models."""

import re
from pathlib import Path

import pytest

from rag.build import build_embedder, build_generator, build_image_embedder
from rag.config import Settings, load_settings
from rag.embed.clip_files import WEIGHTS, clip_in
from rag.models.doctor import Check, examine
from rag.models.doctor import examined as each_examined
from rag.models.measure import generator_speed
from tests.fakes import ScriptedGenerator
from tests.models.test_findings import CPU_BUILD

pytestmark = pytest.mark.model


def examined(settings: Settings) -> dict[str, Check]:
    models = build_embedder(settings), build_generator(settings), build_image_embedder(settings)
    return {check.name: check for check in examine(settings, *models)}


def test_every_part_is_examined_and_measured(small_clip: Path) -> None:
    checks = examined(load_settings(image_embedder=str(small_clip), device="cpu", precision="fp32"))
    machine = ["processor", "memory", "disk", "graphics card", "torch", "llama.cpp"]
    assert list(checks) == [*machine, "embedder", "image embedder", "text in pictures", "language model"]
    assert "texts/s" in checks["embedder"].finding
    assert f"{small_clip.name} on cpu, fp32" in checks["image embedder"].finding
    assert "pictures/s (cpu set by you" in checks["image embedder"].finding
    assert "rapidocr 3" in checks["text in pictures"].finding
    assert all(check.ok != bool(check.remedy) for check in checks.values())
    parameters = 22_713_216 - (384 * 384 + 384)  # without the pooler, which a mean over tokens does not use
    assert checks["embedder"].details["weights"] == 4 * parameters  # in fp32
    told = checks["language model"]
    assert re.search(r"of weights, \d+ MiB of KV cache; reads \d+ tokens/s, writes \d+ tokens/s", told.finding)
    assert "threads, batches of" in told.finding
    assert (told.details["layers_on_gpu"], told.details["layers"]) == (0, 31) or told.details["on_gpu"]
    assert told.details["kv_cache"] == 30 * 3 * (64 + 64) * 2 * 4096  # layers, heads, numbers, bytes, tokens


def test_what_is_missing_is_a_finding_with_the_way_to_it(tmp_path: Path) -> None:
    checks = examined(load_settings(home=tmp_path, embedder="hashing", generator="none", ocr=False))
    assert not checks["language model"].ok
    assert "RAG_GENERATOR" in checks["language model"].remedy
    assert checks["image embedder"].ok  # the program works without, in a stated way
    assert checks["image embedder"].finding.startswith("off")
    assert "rag models pull" in checks["image embedder"].finding
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


def test_a_language_model_that_cannot_be_loaded_is_a_fault(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"<html>404</html>")
    found = examined(load_settings(embedder="hashing", generator=str(broken)))["language model"]
    assert not found.ok
    assert "not a GGUF file" in found.finding
    assert "rag models list" in found.remedy


def test_the_doctor_takes_the_machine_as_it_is_told(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, embedder="hashing", generator="none")
    models = build_embedder(settings), None, None
    found = {check.name: check for check in each_examined(settings, *models, look=lambda _: CPU_BUILD)}
    assert "-DGGML_CUDA=on" in found["llama.cpp"].remedy


def test_speed_is_measured_by_prompts_that_the_model_has_not_seen() -> None:
    """A fast model gets longer and longer ones, while they fit: 400 tokens less 128 for the reply and its template."""
    generator = ScriptedGenerator("One two three four.", context_tokens=400)
    speed = generator_speed(generator)
    assert speed.reads > 0
    assert speed.writes > 0
    *read, _ = [messages[0].text for messages in generator.asked]
    lengths = [generator.count_tokens(text) for text in read]
    assert lengths == sorted(set(lengths))
    assert 200 < lengths[-1] <= 272
    assert len({text.split()[0] for text in read}) == len(read) == 4  # about 64, 128, 256, 272
