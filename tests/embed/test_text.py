"""The sentence-transformers adapter on the real starter model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rag.embed.text import TextEmbedder
from rag.errors import ModelCorrupt, ModelNotFound
from rag.models import starter

pytestmark = pytest.mark.model


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(starter.embedder_folder(), tmp_path / "model"))


def test_meaning_beats_spelling() -> None:
    embedder = TextEmbedder(starter.embedder_folder(), name="m", sha256=starter.EMBEDDER_SHA256)
    query, *rows = embedder.embed(
        ["How do I repair a flat tyre?", "Mending a punctured bicycle wheel", "The flat in Paris has a repaired roof"],
        "passage",
    )
    assert float(query @ rows[0]) > float(query @ rows[1])


def test_half_precision_keeps_the_cosines() -> None:
    texts = [f"sentence number {i} about {topic}" for i in range(20) for topic in ("bees", "boilers", "trains")]
    rows = {
        precision: TextEmbedder(starter.embedder_folder(), name="m", device="cpu", precision=precision).embed(
            texts, "passage"
        )
        for precision in ("fp32", "bf16")
    }
    assert np.sum(rows["fp32"] * rows["bf16"], axis=1).min() >= 0.998


def test_reads_as_many_tokens_as_it_says() -> None:
    embedder = TextEmbedder(starter.embedder_folder(), name="m", device="cpu", precision="fp32")
    full = " ".join(["bee"] * (embedder.max_tokens - 1) + ["train"])
    cut = full + " boiler"
    assert embedder.count_tokens(full) == embedder.max_tokens
    within, beyond, shorter = embedder.embed([full, cut, " ".join(["bee"] * (embedder.max_tokens - 1))], "passage")
    assert float(within @ beyond) > 0.99999  # the token beyond is not read
    assert float(within @ shorter) < 0.99999  # the last one within is


@pytest.mark.parametrize(
    ("said", "by_tokenizer", "read"),
    [(256, 512, 254), (None, 40, 38), (None, 512, 510), (None, 10**30, 510), (None, None, 510)],
)
def test_the_limit_is_read_wherever_a_version_of_the_library_writes_it(
    copied: Path, said: int | None, by_tokenizer: int | None, read: int
) -> None:
    """The network has 512 positions, and two tokens go around the text."""
    (copied / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": said} if said else {}), "utf-8")
    (copied / "tokenizer_config.json").write_text(json.dumps({"model_max_length": by_tokenizer}), "utf-8")
    assert TextEmbedder(copied, name="m").max_tokens == read


def test_altered_weights_are_refused(copied: Path) -> None:
    weights = copied / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelCorrupt, match="install the model again"):
        TextEmbedder(copied, name="m", sha256=starter.EMBEDDER_SHA256).embed(["x"], "query")


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        TextEmbedder(copied, name="m")


def test_the_fingerprint_follows_the_pooling(copied: Path) -> None:
    before = TextEmbedder(copied, name="m").fingerprint
    assert before == TextEmbedder(starter.embedder_folder(), name="m").fingerprint
    pooling = copied / "1_Pooling" / "config.json"
    settings = json.loads(pooling.read_text())
    settings.update(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)
    pooling.write_text(json.dumps(settings))
    assert TextEmbedder(copied, name="m").fingerprint != before


def test_nothing_heavy_is_loaded_before_the_first_text() -> None:
    embedder = TextEmbedder(starter.embedder_folder(), name="m")
    assert embedder.count_tokens("hello") == 1
    assert not embedder.state.loaded


def test_a_model_with_a_prompt_gets_it_from_the_library(copied: Path) -> None:
    settings = copied / "config_sentence_transformers.json"
    settings.write_text(json.dumps({"prompts": {"query": "ask: ", "document": ""}}))
    asking = TextEmbedder(copied, name="m", device="cpu", precision="fp32")
    plain = TextEmbedder(starter.embedder_folder(), name="m", device="cpu", precision="fp32")
    prompted, document = asking.embed(["bees"], "query"), asking.embed(["bees"], "passage")
    np.testing.assert_allclose(prompted, plain.embed(["ask: bees"], "query"), atol=1e-5)
    np.testing.assert_allclose(document, plain.embed(["bees"], "passage"), atol=1e-5)
    assert asking.state.reason.endswith("texts at a time")
    assert plain.state.reason.endswith("tokens at a time")
