"""A hub on loopback for each test, and small models to put on it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from rag.models import hub as hub_adapter
from rag.models import starter
from tests.hub_server import Hub, serving_hub

CONFIG = b'{"architectures": ["BertModel"], "model_type": "bert"}'
MODULES = b'[{"type": "sentence_transformers.models.Transformer"}]'
WEIGHTS = bytes(range(256)) * 100


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that `rag models pull` goes to; nobody waits long for it."""
    monkeypatch.setattr(hub_adapter, "_PAUSE", 0.0)
    with serving_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


@pytest.fixture
def embedder_files() -> dict[str, bytes]:
    """What looks like a sentence-transformers model: names and sizes, no weights that could be used."""
    return {
        "config.json": CONFIG,
        "modules.json": MODULES,
        "tokenizer.json": b"{}",
        "1_Pooling/config.json": b'{"word_embedding_dimension": 384}',
        "model.safetensors": WEIGHTS,
    }


@pytest.fixture(scope="session")
def small_embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter embedder with the first of its six layers only, in half precision: real, and a quarter the size."""
    folder = Path(shutil.copytree(starter.embedder_folder(), tmp_path_factory.mktemp("small") / "minilm-l1"))
    weights = load_file(folder / "model.safetensors")
    kept = {name: one.half() for name, one in weights.items() if ".layer." not in name or ".layer.0." in name}
    save_file({name: one.contiguous() for name, one in kept.items()}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}), "utf-8")
    return folder


def files_of(folder: Path) -> dict[str, Path]:
    """A folder as the files of a repository."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
