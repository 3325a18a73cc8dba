"""A CLIP of 600,000 weights that knows the shapes of `eval.shapes`, trained here in about a minute."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

from eval.shapes import OTHER_WORDS, WORDS, draw, training_scenes
from rag.embed.clip_files import WEIGHTS
from rag.tune.clip_fit import Step, Training
from rag.tune.new_clip import new_clip
from rag.tune.train_clip import train_clip

MODEL = {
    "embed_dim": 96,
    "vision_cfg": {"image_size": 48, "patch_size": 8, "layers": 3, "width": 96, "head_width": 32},
    "text_cfg": {"context_length": 12, "layers": 2, "width": 96, "heads": 3},
}
PREPROCESS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
SCENES = 6000
TRAINING = Training(epochs=5, batch=64, learning_rate=1.5e-3)
_TOKENS, _SPREAD = "token_embedding.weight", 0.02  # of the text tower


def train_small_clip(to: Path, on_step: Callable[[Step], None] = lambda step: None) -> None:
    """Train on SCENES drawn scenes, none of which shows a pair of `eval.shapes.HELD_OUT`, and write the folder `to`."""
    with TemporaryDirectory(prefix="commonplace-clip-") as start:
        new_clip(Path(start), MODEL, PREPROCESS, WORDS)
        pairs = ((draw(scene, number), scene.caption) for number, scene in enumerate(training_scenes(SCENES)))
        train_clip(Path(start), pairs, to, TRAINING, on_step)


def with_other_words(model: Path, to: Path) -> None:
    """Write the folder `to`: the small CLIP in `model` with a tokenizer that can spell OTHER_WORDS too.

    To the model they are words without a meaning: their vectors are drawn as open_clip draws those of a new model.
    """
    new_clip(to, MODEL, PREPROCESS, (*WORDS, *OTHER_WORDS.values()))
    before, after = _vocabulary(model), _vocabulary(to)
    weights = load_file(model / WEIGHTS)
    rows = weights[_TOKENS]
    grown = _SPREAD * torch.randn(len(after), rows.shape[1], generator=torch.Generator().manual_seed(0))
    for word in before:
        grown[after[word]] = rows[before[word]]
    save_file({**weights, _TOKENS: grown}, to / WEIGHTS)


def _vocabulary(folder: Path) -> dict[str, int]:
    return dict(json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"])
