"""Training a CLIP: the loss is the paper's, equal seeds give equal weights, and what is written loads anywhere."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image
from safetensors.numpy import load_file

from eval.shapes import WORDS, draw, training_scenes
from rag.embed.clip_files import CONFIG, WEIGHTS, clip_in
from rag.embed.clip_model import load_clip
from rag.errors import ModelNotFound, TuneError
from rag.tune.clip_fit import Step, Training
from rag.tune.new_clip import new_clip
from rag.tune.train_clip import train_clip

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "layers": 1, "width": 32, "head_width": 16},
    "text_cfg": {"context_length": 12, "layers": 1, "width": 32, "heads": 2},
}
PAIRS = [(draw(scene, number, 32), scene.caption) for number, scene in enumerate(training_scenes(24))]
SHORT = Training(epochs=2, batch=8)


@pytest.fixture
def start(tmp_path: Path) -> Path:
    new_clip(tmp_path / "start", MODEL, {"resize_mode": "squash"}, WORDS)
    return tmp_path / "start"


def trained(start: Path, to: Path, training: Training = SHORT) -> list[Step]:
    steps: list[Step] = []
    train_clip(start, PAIRS, to, training, steps.append)
    return steps


def test_equal_seeds_give_equal_weights_and_others_do_not(start: Path, tmp_path: Path) -> None:
    trained(start, tmp_path / "one")
    trained(start, tmp_path / "same")
    trained(start, tmp_path / "other", Training(epochs=2, batch=8, seed=1))
    one, same, other = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


def test_every_step_is_told(start: Path, tmp_path: Path) -> None:
    steps = trained(start, tmp_path / "to")
    assert [(step.number, step.total) for step in steps] == [(n, 6) for n in range(1, 7)]  # 2 epochs of 24 / 8


def test_the_loss_is_that_of_the_paper(start: Path, tmp_path: Path) -> None:
    (step,) = trained(start, tmp_path / "to", Training(epochs=1, batch=len(PAIRS), seed=3))
    trained(start, tmp_path / "unchanged", Training(epochs=1, batch=len(PAIRS), seed=3, learning_rate=0))
    model = load_clip(clip_in(tmp_path / "unchanged"))
    pictures = model.look([model.preprocess(image) for image, _ in PAIRS])
    logits = np.exp(model.network.logit_scale.item()) * pictures @ model.read([caption for _, caption in PAIRS]).T

    def cross_entropy(rows: np.ndarray) -> float:
        return float(np.mean(np.log(np.exp(rows).sum(axis=1)) - np.diag(rows)))

    assert step.loss == pytest.approx((cross_entropy(logits) + cross_entropy(logits.T)) / 2, abs=1e-4)


def test_the_loss_falls(start: Path, tmp_path: Path) -> None:
    steps = trained(start, tmp_path / "to", Training(epochs=30, batch=24, learning_rate=3e-3))
    assert steps[0].loss > np.log(24) * 0.9  # of chance among 24
    assert steps[-1].loss < steps[0].loss / 2


def test_training_goes_on_from_weights(start: Path, tmp_path: Path) -> None:
    steps = trained(start, tmp_path / "first", Training(epochs=30, batch=24, learning_rate=3e-3))
    further = trained(tmp_path / "first", tmp_path / "second", Training(epochs=1, batch=24))
    assert further[0].loss < steps[-1].loss + 0.1
    trained(tmp_path / "second", tmp_path / "second", Training(epochs=1, batch=24))  # in its own place
    assert clip_in(tmp_path / "second").fingerprint != clip_in(tmp_path / "first").fingerprint


def test_open_clip_loads_what_was_written(start: Path, tmp_path: Path) -> None:
    trained(start, tmp_path / "to")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        CONFIG,
        WEIGHTS,
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    model = open_clip.create_model(f"local-dir:{tmp_path / 'to'}", require_pretrained=True)
    weights = load_file(tmp_path / "to" / WEIGHTS)
    np.testing.assert_array_equal(model.visual.proj.detach().numpy(), weights["visual.proj"])


def test_the_scale_stays_within_the_paper_s_bound(start: Path, tmp_path: Path) -> None:
    trained(start, tmp_path / "to", Training(epochs=20, batch=24, learning_rate=1.0))
    assert 0 <= load_file(tmp_path / "to" / WEIGHTS)["logit_scale"] <= np.log(100) + 1e-6


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pairs_are_refused(start: Path, tmp_path: Path, count: int) -> None:
    with pytest.raises(TuneError, match="two pairs"):
        train_clip(start, PAIRS[:count], tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_small_last_batch_is_left_out_and_a_set_smaller_than_a_batch_is_one(start: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    train_clip(start, PAIRS[:10], tmp_path / "to", Training(epochs=1, batch=4), steps.append)
    assert len(steps) == 2
    train_clip(start, PAIRS[:3], tmp_path / "few", Training(epochs=1, batch=4), steps.append)
    assert len(steps) == 3


def test_nothing_to_start_from_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=CONFIG):
        train_clip(tmp_path, PAIRS, tmp_path / "to")


def test_the_vocabulary_of_a_new_clip(tmp_path: Path) -> None:
    new_clip(tmp_path, MODEL, {}, ["reed", "heron", "reed", "Übersee"])
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["model_cfg"]["text_cfg"]["vocab_size"] == 7  # <pad> <unknown> <start> heron reed übersee <end>
    model = load_clip(clip_in(tmp_path, trained=False))
    assert model.tokenize(["REED, übersee & swan"]).tolist()[0][:6] == [2, 4, 5, 1, 6, 0]
    assert model.tokenize(["reed " * 50]).shape == (1, 12)
    assert model.look([model.preprocess(Image.new("RGB", (9, 9)))]).shape == (1, 16)
