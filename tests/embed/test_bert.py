"""BERT in plain torch against sentence-transformers on the real starter model, and which models are left to that."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embed import bert
from rag.embed.bert import BertEncoder, is_bert
from rag.models import starter

pytestmark = pytest.mark.model

TEXTS = [
    "The bees left their hive in May.",
    "",
    "bee",
    "Ünïcode, 東京 and \n\n white space",
    "hive " * 400,  # cut at 256 tokens
    "The bees came back to it in June.",
    "train " * 400,
]


def encoder() -> BertEncoder:
    import torch

    return BertEncoder(starter.embedder_folder(), torch.float32, max_tokens=256)


def test_vectors_are_those_of_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(starter.embedder_folder()), device="cpu", local_files_only=True)
    rows = encoder().encode(TEXTS)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(unit, library.encode(TEXTS), atol=1e-5)


def test_batches_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encoder().encode(TEXTS)
    monkeypatch.setattr(bert, "BATCH_TOKENS", 20)
    np.testing.assert_allclose(encoder().encode(TEXTS), whole, atol=1e-5)
    assert encoder().encode([]).shape == (0, 384)


def test_a_batch_has_no_more_tokens_than_it_may() -> None:
    tokens = [[0] * count for count in (3, 5, 1000, 1200, 3000)]
    assert list(bert._batches(range(5), tokens)) == [[0, 1, 2], [3], [4]]  # 1008, 2200 would be too much, 3000 alone


def test_the_starter_is_read_in_plain_torch() -> None:
    assert is_bert(starter.embedder_folder())


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("config.json", {"model_type": "mpnet"}),
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"position_embedding_type": "relative_key"}),
        ("config.json", {"is_decoder": True}),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
        ("config_sentence_transformers.json", {"prompts": {"query": "ask: ", "document": ""}}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
    ],
)
def test_other_models_are_left_to_the_library(tmp_path: Path, file: str, changed: Mapping[str, Any]) -> None:
    settings = {path.relative_to(starter.embedder_folder()) for path in starter.embedder_folder().rglob("*.json")}
    for name in settings:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((starter.embedder_folder() / name).read_bytes())
    assert is_bert(tmp_path)
    before = json.loads((tmp_path / file).read_text("utf-8"))
    (tmp_path / file).write_text(json.dumps({**before, **changed}), "utf-8")
    assert not is_bert(tmp_path)


def test_a_model_with_a_further_module_is_left_to_the_library(tmp_path: Path) -> None:
    modules = json.loads((starter.embedder_folder() / "modules.json").read_text("utf-8"))
    dense = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (tmp_path / "modules.json").write_text(json.dumps([*modules[:2], dense]), "utf-8")
    assert not is_bert(tmp_path)
