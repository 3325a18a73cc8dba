"""Pulled models really embed, look and write: small real ones, from the hub on loopback."""

from pathlib import Path

import numpy as np
import pytest

from rag.answer.llama import LlamaGenerator
from rag.embed.clip_files import find_clip
from rag.embed.text import TextEmbedder
from rag.models import pull as pulling
from rag.models import starter
from rag.models.catalogue import Entry
from rag.models.installed import eyes_of, installed_model, resolve
from rag.models.pull import pull
from rag.records import Message
from tests.hub_server import Hub
from tests.small_clip import small_clip  # noqa: F401  a fixture

from .conftest import files_of

pytestmark = pytest.mark.model


def test_a_pulled_embedder_embeds_as_the_original_does(hub: Hub, own_home: Path, small_embedder: Path) -> None:
    hub.add("someone/minilm-l1", files_of(small_embedder))
    hub.cut["model.safetensors"] = [1 << 20, 1 << 20]
    pull("hf:someone/minilm-l1", own_home)
    original = TextEmbedder(small_embedder, name="original", device="cpu", precision="fp32")
    pulled = TextEmbedder(resolve("minilm-l1", own_home), name="minilm-l1", device="cpu", precision="fp32")
    texts = ["The queen leaves with half the hive.", "The night train to Vienna."]
    assert np.array_equal(pulled.embed(texts, "passage"), original.embed(texts, "passage"))
    assert pulled.fingerprint == original.fingerprint  # an index does not care how its model came here


def test_a_pulled_embedder_puts_its_prompts_before_a_question(
    hub: Hub, own_home: Path, small_embedder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Entry(
        name="with-prompts",
        kind="embedder",
        about="",
        repository="someone/minilm-l1",
        gigabytes=0.03,
        licence="apache-2.0",
        languages="English",
        prompts={"query": "query: ", "document": "passage: "},
    )
    monkeypatch.setattr(pulling, "find_entry", lambda name: entry if name == entry.name else None)
    hub.add("someone/minilm-l1", files_of(small_embedder))
    pull("with-prompts", own_home)
    plain = TextEmbedder(small_embedder, name="plain", device="cpu", precision="fp32")
    pulled = TextEmbedder(resolve("with-prompts", own_home), name="p", device="cpu", precision="fp32")
    assert np.allclose(pulled.embed(["bees"], "query"), plain.embed(["query: bees"], "query"), atol=1e-6)
    assert np.allclose(pulled.embed(["bees"], "passage"), plain.embed(["passage: bees"], "query"), atol=1e-6)
    assert pulled.fingerprint != plain.fingerprint  # other vectors


def test_a_pulled_clip_is_found_by_itself(hub: Hub, own_home: Path, small_clip: Path) -> None:  # noqa: F811
    hub.add("someone/small-clip", files_of(small_clip))
    pull("hf:someone/small-clip", own_home)
    found, original = find_clip("auto", own_home / "models"), find_clip(str(small_clip), own_home)
    assert found is not None
    assert original is not None
    assert found.name == "small-clip"
    assert found.fingerprint == original.fingerprint


def test_a_pulled_language_model_writes_and_has_its_eyes_beside_it(hub: Hub, own_home: Path) -> None:
    eyes = b"GGUF" + bytes(2000)
    hub.add("someone/small-GGUF", {"small-Q4_1.gguf": starter.generator_file(), "mmproj-small-f16.gguf": eyes})
    pull("hf:someone/small-GGUF", own_home, name="small")
    path = resolve("small", own_home)
    assert eyes_of(path) == path.parent / "mmproj-small-f16.gguf"
    found = installed_model("small", own_home)
    assert found is not None
    assert found.sees
    generator = LlamaGenerator(path, context_tokens=256, gpu_layers=0)
    assert "".join(generator.stream([Message("user", "Say hello.")], max_tokens=8)).strip()
