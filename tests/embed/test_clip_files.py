"""Which model a setting names, and what is refused before anything is loaded."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest

from rag.embed.clip_files import CONFIG, WEIGHTS, ClipFiles, clip_in, find_clip
from rag.errors import ModelCorrupt, ModelNotFound

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def copied(small_clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_clip, tmp_path / "models" / "copied"))


def found(setting: str, models: Path) -> ClipFiles:
    files = find_clip(setting, models)
    assert files is not None
    return files


def in_hub(monkeypatch: pytest.MonkeyPatch, cache: Path, name: str, folder: Path) -> None:
    """Lay `folder` down as the hub's own code keeps a downloaded repository."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123")
    shutil.copytree(folder, repository / "snapshots" / "abc123")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert find_clip("auto", tmp_path / "no models yet") is None
    assert find_clip("none", tmp_path) is None


def test_auto_takes_the_first_in_the_models_folder(copied: Path, small_clip: Path) -> None:
    shutil.copytree(small_clip, copied.parent / "another")
    assert found("auto", copied.parent).name == "another"
    assert find_clip("none", copied.parent) is None


def test_auto_passes_over_what_is_not_whole_and_complains_if_nothing_is(copied: Path, small_clip: Path) -> None:
    (copied / WEIGHTS).unlink()
    with pytest.raises(ModelNotFound, match="copied"):
        find_clip("auto", copied.parent)
    shutil.copytree(small_clip, copied.parent / "whole")
    assert found("auto", copied.parent).name == "whole"


@pytest.mark.parametrize("prefix", ["", "local-dir:"])
def test_a_folder_may_be_named(copied: Path, tmp_path: Path, prefix: str) -> None:
    files = found(f"{prefix}{copied}", tmp_path)
    assert (files.name, files.weights, files.tokenizer) == ("copied", copied / WEIGHTS, copied)


def test_a_folder_with_an_at_sign_is_a_folder(copied: Path, tmp_path: Path) -> None:
    folder = copied.rename(tmp_path / "mine@home")
    assert found(str(folder), tmp_path).folder == folder


def test_the_hub_s_cache_is_looked_into(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_hub(monkeypatch, tmp_path / "hub", "someone/small", copied)
    files = found("hf-hub:someone/small", tmp_path)
    assert files.name == "someone/small"
    assert files.fingerprint == clip_in(copied).fingerprint


@pytest.mark.parametrize("name", ["someone/absent", "no such name!", "", "../up"])
def test_the_hub_itself_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFound):
        find_clip(f"hf-hub:{name}", tmp_path)


def test_an_architecture_with_weights(copied: Path, tmp_path: Path) -> None:
    files = found(f"ViT-B-32@{copied / WEIGHTS}", tmp_path)
    assert (files.name, files.architecture, files.dim, files.tokenizer) == ("ViT-B-32", "ViT-B-32", 512, None)
    with pytest.raises(ModelNotFound, match="are not there"):
        find_clip(f"ViT-B-32@{tmp_path / 'gone.safetensors'}", tmp_path)


def test_what_is_not_there_is_named_with_the_ways_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no open_clip model in '.*gone'.*hf-hub:.*<architecture>@"):
        find_clip(str(tmp_path / "gone"), tmp_path)
    with pytest.raises(ModelNotFound, match="no architecture 'ViT-B-33'"):
        find_clip("ViT-B-33@x.safetensors", tmp_path)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "model.pt", "epoch_latest.pth"])
def test_pickled_weights_are_refused_with_the_remedy(copied: Path, tmp_path: Path, name: str) -> None:
    (copied / WEIGHTS).unlink()
    (copied / name).write_bytes(pickle.dumps({}))
    for setting in (str(copied), f"ViT-B-32@{copied / name}"):
        with pytest.raises(ModelNotFound, match="safetensors"):
            find_clip(setting, tmp_path)


def test_a_pickle_beside_safetensors_is_passed_over(copied: Path, tmp_path: Path) -> None:
    (copied / "open_clip_pytorch_model.bin").write_bytes(b"not even a pickle")
    (copied / WEIGHTS).rename(copied / "model.safetensors")  # open_clip itself would prefer the pickle then
    assert found(str(copied), tmp_path).weights == copied / "model.safetensors"


def test_a_folder_without_weights_says_so(copied: Path, tmp_path: Path) -> None:
    (copied / WEIGHTS).unlink()
    with pytest.raises(ModelNotFound, match=WEIGHTS):
        find_clip(str(copied), tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"model_cfg": {"embed_dim": 3}}', '{"model_cfg": 7}', "null"])
def test_a_broken_configuration_is_named(copied: Path, tmp_path: Path, text: str) -> None:
    (copied / CONFIG).write_text(text)
    with pytest.raises(ModelCorrupt, match=CONFIG):
        find_clip(str(copied), tmp_path)


def test_a_missing_tokenizer_is_named(copied: Path, tmp_path: Path) -> None:
    (copied / "tokenizer.json").unlink()
    (copied / "tokenizer_config.json").unlink()
    with pytest.raises(ModelNotFound, match=r"tokenizer\.json"):
        find_clip(str(copied), tmp_path)


def test_a_tokenizer_may_lie_in_the_hub_s_cache(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_hub(monkeypatch, tmp_path / "hub", "someone/words", copied)
    config = json.loads((copied / CONFIG).read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "someone/words"
    (copied / CONFIG).write_text(json.dumps(config))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (copied / file).unlink()
    assert found(str(copied), tmp_path).tokenizer == tmp_path / "hub/models--someone--words/snapshots/abc123"


def test_the_fingerprint_follows_all_that_shapes_a_vector_and_nothing_else(copied: Path, small_clip: Path) -> None:
    before = clip_in(copied).fingerprint
    assert before == clip_in(small_clip).fingerprint
    (copied / "README.md").write_text("about this model")
    (copied / WEIGHTS).rename(copied / "model.safetensors")
    assert clip_in(copied).fingerprint == before
    seen = {before}
    for name in ("model.safetensors", "tokenizer.json"):
        path = copied / name
        path.write_bytes(path.read_bytes() + b" ")
        seen.add(clip_in(copied).fingerprint)
    config = json.loads((copied / CONFIG).read_text())
    config["preprocess_cfg"]["mean"] = [0.1, 0.2, 0.3]
    (copied / CONFIG).write_text(json.dumps(config))
    seen.add(clip_in(copied).fingerprint)
    assert len(seen) == 4


def test_what_the_store_needs_is_known_without_torch(small_clip: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import find_clip
for setting in ({str(small_clip)!r}, "ViT-B-32@{small_clip / WEIGHTS}"):
    embedder = ClipEmbedder(find_clip(setting, Path("/")))
    print(embedder.dim, len(embedder.fingerprint))
print([name for name in ("torch", "open_clip", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    dim = clip_in(small_clip).dim
    assert done.stdout.split("\n") == [f"{dim} 64", "512 64", "[]", ""]
