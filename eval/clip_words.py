"""What a CLIP gains from its owner's words for pictures, with no picture looked at again; and what it forgets.

The small CLIP knows drawn scenes in the words of `eval.shapes`. Its owner tells them in OTHER_WORDS, which it can spell
and was never taught. Its text side learns from pairs of such words and a picture's vector; asked are other pictures, of
colours and shapes that were never drawn together in any training.
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval.shapes import Scene, draw, held_out_scenes, retold, training_scenes
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import clip_in
from rag.embed.clip_words import CLIP_TEXT_FILE, TunedWordsEmbedder
from rag.protocols import ImageEmbedder
from rag.tune.clip_fit import Training
from rag.tune.train_clip_words import Described, train_words

PAIRS = (30, 100, 300, 1000)
ASKED, HELD_OUT = 100, 60  # scenes that are asked for, and pairs that choose the blend
TRAINING = Training(epochs=20, batch=32, learning_rate=1e-3)  # the rate that the small CLIP was trained at, or less
_LEARNT, _WATCHED, _TESTED = (
    2_000_000,
    3_000_000,
    1_000_000,
)  # seeds of drawings, none of which the model was trained on

Say = Callable[[str], str]
"""A caption as somebody words it."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """R@1 in the owner's words and in those known before, before and after learning from so many pairs."""

    pairs: int
    seed: int
    alpha: float
    own: tuple[float, float]
    known: tuple[float, float]
    seconds: float


def measure(clip: Path, counts: Sequence[int], seeds: int, training: Training = TRAINING) -> list[Learnt]:
    """Every number of pairs with every seed, which draws the pairs and shuffles them."""
    base = ClipEmbedder(clip_in(clip), device="cpu", precision="fp32")
    asked = described(base, held_out_scenes(ASKED), _TESTED, retold)
    known = replace(asked, texts=tuple(scene.caption for scene in held_out_scenes(ASKED)))
    with TemporaryDirectory(prefix="commonplace-words-") as folder:
        return [
            _learnt(base, asked, known, count, replace(training, seed=seed), Path(folder))
            for count in counts
            for seed in range(seeds)
        ]


def described(embedder: ImageEmbedder, scenes: Sequence[Scene], seed: int, say: Say) -> Described:
    """Drawings of `scenes`, looked at once, and what somebody says of them."""
    pictures = embedder.embed_images([_png(scene, seed + n) for n, scene in enumerate(scenes)])
    texts = tuple(say(scene.caption) for scene in scenes)
    return Described(texts, tuple(f"{seed + n}" for n in range(len(scenes))), pictures)


def recall_at_1(embedder: ImageEmbedder, asked: Described) -> float:
    """How often the right picture is the nearest of all of them."""
    found: NDArray[np.int64] = (embedder.embed_texts(asked.texts) @ asked.pictures.T).argmax(axis=1)
    return float((found == np.arange(len(asked))).mean())


def _png(scene: Scene, seed: int) -> bytes:
    file = io.BytesIO()
    draw(scene, seed).save(file, "PNG")
    return file.getvalue()


def _learnt(
    base: ClipEmbedder, asked: Described, known: Described, count: int, training: Training, folder: Path
) -> Learnt:
    seed = training.seed
    pairs = described(base, training_scenes(count, 100 + seed), _LEARNT + seed * 10_000, retold)
    watched = training_scenes(HELD_OUT, 200 + seed)
    dev = described(base, watched, _WATCHED + seed * 10_000, retold)
    before = replace(dev, texts=tuple(scene.caption for scene in watched))
    started = time.process_time()
    trained = train_words(base.files, pairs, folder / CLIP_TEXT_FILE, training, dev=dev, known=before)
    seconds = time.process_time() - started
    assert trained is not None  # nobody stops it  # noqa: S101
    tuned = TunedWordsEmbedder(base, folder / CLIP_TEXT_FILE)
    scores = [tuple(recall_at_1(each, words) for each in (base, tuned)) for words in (asked, known)]
    return Learnt(count, seed, trained.alpha, (scores[0][0], scores[0][1]), (scores[1][0], scores[1][1]), seconds)


def print_learnt(result: dict[str, Any], out: Console) -> None:
    table = Table("pairs", "seed", "alpha", "R@1, own words", "R@1, words known before", "s of processor")
    for each in result["learnt"]:
        own, known = (f"{each[name][0]:.2f} → {each[name][1]:.2f}" for name in ("own", "known"))
        row = (str(each["pairs"]), str(each["seed"]), f"{each['alpha']:.1f}", own, known, f"{each['seconds']:.1f}")
        table.add_row(*row)
    out.print(table)
