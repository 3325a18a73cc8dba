"""The text side of a CLIP learns and its picture side does not; what is written is served beside it, blended."""

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from eval.shapes import OTHER_WORDS, WORDS, retold, training_scenes
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import WEIGHTS, ClipFiles, clip_in
from rag.embed.clip_model import load_clip
from rag.embed.clip_words import BASE, CLIP_TEXT_FILE, TunedWordsEmbedder
from rag.errors import DiskFull, ModelCorrupt, TuneError
from rag.tune.clip_fit import Step, Training
from rag.tune.new_clip import new_clip
from rag.tune.train_clip_words import Described, WordsTrained, blended, reciprocal_rank, train_words

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "layers": 1, "width": 32, "head_width": 16},
    "text_cfg": {"context_length": 12, "layers": 1, "width": 32, "heads": 2},
}
SCENES = list(dict.fromkeys(training_scenes(40)))[:24]
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(len(SCENES), 16)).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
PAIRS = Described(tuple(retold(scene.caption) for scene in SCENES), tuple(f"p{n}" for n in range(len(SCENES))), ROWS)
SHORT = Training(epochs=30, batch=8, learning_rate=3e-3)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ClipFiles:
    """A CLIP of chance."""
    folder = tmp_path_factory.mktemp("clip")
    new_clip(folder, MODEL, {}, (*WORDS, *OTHER_WORDS.values()))
    torch.manual_seed(0)
    save_file(load_clip(clip_in(folder, trained=False)).network.state_dict(), folder / WEIGHTS)
    return clip_in(folder)


@pytest.fixture(scope="module")
def trained(files: ClipFiles, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step], WordsTrained | None]:
    steps: list[Step] = []
    path = tmp_path_factory.mktemp("words") / CLIP_TEXT_FILE
    return path, steps, train_words(files, PAIRS, path, SHORT, on_step=steps.append)


def test_the_words_learn_and_every_step_is_told(
    files: ClipFiles, trained: tuple[Path, list[Step], WordsTrained | None]
) -> None:
    path, steps, result = trained
    assert [(step.number, step.total) for step in steps] == [(n, 90) for n in range(1, 91)]  # 30 epochs of 24 / 8
    assert result == WordsTrained(1.0, (), 90, steps[-1].loss)
    assert steps[-1].loss < steps[0].loss / 2
    base = ClipEmbedder(files, device="cpu", precision="fp32")
    tuned = TunedWordsEmbedder(base, path)
    assert reciprocal_rank(tuned.embed_texts(PAIRS.texts), PAIRS) > 0.9
    assert reciprocal_rank(base.embed_texts(PAIRS.texts), PAIRS) < 0.5


def test_only_the_text_side_is_written_and_the_fingerprint_stays(
    files: ClipFiles, trained: tuple[Path, list[Step], WordsTrained | None]
) -> None:
    names = load_file(trained[0]).keys()
    assert not [name for name in names if name.startswith(("visual.", "logit_"))]
    assert "token_embedding.weight" in names
    base = ClipEmbedder(files, device="cpu", precision="fp32")
    tuned = TunedWordsEmbedder(base, trained[0])
    assert (tuned.fingerprint, tuned.dim, tuned.space) == (base.fingerprint, base.dim, base.space)
    before = base.embed_texts(["a red circle"])
    assert not tuned.state.loaded
    assert not np.allclose(tuned.embed_texts(["a red circle"]), before)
    assert tuned.state.loaded
    assert "words tuned" in tuned.state.name
    np.testing.assert_array_equal(base.embed_texts(["a red circle"]), before)  # the base is as it was
    assert tuned._loaded()[0].network.visual is base.model()[0].network.visual  # and there once in memory


def test_equal_seeds_give_equal_words(
    files: ClipFiles, tmp_path: Path, trained: tuple[Path, list[Step], WordsTrained | None]
) -> None:
    train_words(files, PAIRS, tmp_path / "same", SHORT)
    train_words(files, PAIRS, tmp_path / "other", replace(SHORT, seed=1))
    assert (tmp_path / "same").read_bytes() == trained[0].read_bytes() != (tmp_path / "other").read_bytes()


def test_a_blend_is_what_lies_between() -> None:
    before = {"weight": torch.tensor([1.0, 2.0]), "places": torch.tensor([3])}
    after = {"weight": torch.tensor([2.0, 6.0]), "places": torch.tensor([4])}
    assert blended(before, after, 0.25)["weight"].tolist() == [1.25, 3.0]
    assert blended(before, after, 0.25)["places"].tolist() == [3]
    assert blended(before, after, 1.0)["weight"].tolist() == [2.0, 6.0]


def test_the_blend_is_chosen_on_held_out_pairs(files: ClipFiles, tmp_path: Path) -> None:
    first, rest = (
        Described(PAIRS.texts[part], PAIRS.names[part], PAIRS.pictures[part]) for part in (slice(12), slice(12, None))
    )
    learnt = train_words(files, PAIRS, tmp_path / "best", SHORT, dev=first)
    assert learnt is not None
    assert [alpha for alpha, _, _ in learnt.scores] == pytest.approx([n / 10 for n in range(11)])
    best = max(score for _, score, _ in learnt.scores)
    assert best == next(score for alpha, score, _ in learnt.scores if alpha == learnt.alpha)
    assert learnt.alpha > 0
    model = load_clip(files)  # words that the base has right, whatever they are
    known = Described(rest.texts, rest.names, model.read(rest.texts))
    careful = train_words(files, PAIRS, tmp_path / "careful", SHORT, dev=first, known=known)
    assert careful is not None
    kept = {alpha: score for alpha, _, score in careful.scores}
    assert kept[0.0] == 1.0
    assert kept[careful.alpha] is not None
    assert kept[careful.alpha] >= 0.995  # type: ignore[operator]
    assert careful.alpha < learnt.alpha


def test_reciprocal_rank_by_hand() -> None:
    pictures = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    described = Described(("a", "b", "c", "d"), ("x", "y", "z", "y"), pictures)
    words = np.array([[1, 0, 0], [0.9, 0.5, 0], [0.9, 0.8, 0.1], [0, 1, 0]], np.float32)
    assert reciprocal_rank(words, described) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1) / 4)


Spoilt = Callable[[Described], Described]


def first(count: int) -> Spoilt:
    return lambda pairs: Described(pairs.texts[:count], pairs.names[:count], pairs.pictures[:count])


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (first(0), "0 different pairs .* 10 are the least"),
        (first(3), "3 different pairs .* 10 are the least"),
        (lambda p: Described(p.texts[:1] * 24, p.names[:1] * 24, p.pictures), "1 different pairs"),
        (lambda p: replace(p, names=("p0",) * 24), "all 24 pairs are of one picture"),
        (lambda p: replace(p, pictures=np.full_like(p.pictures, np.nan)), "not one of this model"),
        (lambda p: replace(p, pictures=p.pictures[:, :8]), r"16 finite numbers"),
    ],
)
def test_pairs_that_teach_nothing_are_refused(files: ClipFiles, tmp_path: Path, spoilt: Spoilt, words: str) -> None:
    with pytest.raises(TuneError, match=words):
        train_words(files, spoilt(PAIRS), tmp_path / "to", SHORT)
    assert not list(tmp_path.iterdir())


def test_a_set_smaller_than_a_batch_is_one(files: ClipFiles, tmp_path: Path) -> None:
    steps: list[Step] = []
    train_words(files, first(10)(PAIRS), tmp_path / "to", Training(epochs=3, batch=500), on_step=steps.append)
    assert len(steps) == 3


def test_a_loss_that_is_no_number_leaves_nothing(files: ClipFiles, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match="nothing was kept"):
        train_words(files, PAIRS, tmp_path / "to", replace(SHORT, learning_rate=1e30, largest_gradient=1e30))
    assert not list(tmp_path.iterdir())


def test_it_can_be_stopped(files: ClipFiles, tmp_path: Path) -> None:
    stop = Event()
    assert train_words(files, PAIRS, tmp_path / "to", SHORT, on_step=lambda step: stop.set(), stop=stop) is None
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_nothing(files: ClipFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rag.files.os.fsync", full)
    with pytest.raises(DiskFull, match="make room"):
        train_words(files, PAIRS, tmp_path / "to", replace(SHORT, epochs=1))
    assert not list(tmp_path.iterdir())


def test_words_of_another_model_damaged_or_absent_are_refused(
    files: ClipFiles, tmp_path: Path, trained: tuple[Path, list[Step], WordsTrained | None]
) -> None:
    base = ClipEmbedder(files, device="cpu", precision="fp32")
    weights = load_file(trained[0])
    save_file(weights, tmp_path / "other", {BASE: "another fingerprint"})
    with pytest.raises(ModelCorrupt, match="another image embedder"):
        TunedWordsEmbedder(base, tmp_path / "other").load()
    weights.pop("ln_final.bias")
    save_file(weights, tmp_path / "less", {BASE: files.fingerprint})
    with pytest.raises(ModelCorrupt, match="another architecture"):
        TunedWordsEmbedder(base, tmp_path / "less").load()
    (tmp_path / "cut").write_bytes(trained[0].read_bytes()[:1000])
    for name in ("cut", "absent"):
        with pytest.raises(ModelCorrupt, match=f"{name}.*tune them again"):
            TunedWordsEmbedder(base, tmp_path / name).load()
