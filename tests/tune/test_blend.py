"""A blend at 0 is the base and at 1 the tuned model, to the bit; the chosen one is the best that harms nobody."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from rag.embed.text import TextEmbedder
from rag.errors import TuneError
from rag.tune.blend import blend, choose_alpha
from rag.tune.train_text import TextEmbedderLike
from tests.tune.tiny_text import tiny_text_model


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("two")
    return tiny_text_model(folder / "base", seed=0), tiny_text_model(folder / "tuned", seed=1)


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("alpha", [0, 1])
def test_the_ends_are_the_two_models(two: tuple[Path, Path], tmp_path: Path, alpha: int) -> None:
    blend(*two, alpha, tmp_path / "to")
    blended, same = weights(tmp_path / "to"), weights(two[alpha])
    assert blended.keys() == same.keys()
    assert all(np.array_equal(blended[name], same[name]) for name in same)


def test_between_them_each_weight_is_a_mean(two: tuple[Path, Path], tmp_path: Path) -> None:
    blend(*two, 0.25, tmp_path / "to")
    base, tuned = weights(two[0]), weights(two[1])
    for name, blended in weights(tmp_path / "to").items():
        np.testing.assert_allclose(blended, 0.75 * base[name] + 0.25 * tuned[name], atol=1e-7)
    embedder = TextEmbedder(tmp_path / "to", name="blend", device="cpu", precision="fp32")
    assert embedder.embed(["when tide"], "query").shape == (1, 32)


def how_far(two: tuple[Path, Path]) -> Callable[[TextEmbedderLike], float]:
    """The alpha of a blend, read from its vector of a text: 11 vectors are known, the nearest one tells."""
    known: list[np.ndarray] = []

    def learn(model: TextEmbedderLike) -> float:
        known.append(model.embed(["when tide"], "query")[0])
        return 0.0

    choose_alpha(*two, learn, device="cpu")
    return lambda model: int(np.argmax(np.array(known) @ model.embed(["when tide"], "query")[0])) / 10


def test_the_best_is_chosen_of_those_that_cost_others_little(two: tuple[Path, Path]) -> None:
    alpha = how_far(two)
    seen: list[float] = []
    free = choose_alpha(*two, alpha, device="cpu", on_tried=lambda tried: seen.append(tried.alpha))
    assert free.alpha == 1.0  # nobody minds
    assert seen == [i / 10 for i in range(11)]
    # The canary loses a hundredth per tenth: .004 at .4, .005 at .5, .006 at .6.
    chosen = choose_alpha(*two, alpha, lambda model: 0.8 - alpha(model) / 100, device="cpu", allowed_drop=0.0051)
    assert chosen.alpha == 0.5
    assert chosen.tried[5].canary == pytest.approx(0.795)


def test_of_equal_ones_the_base_is_chosen(two: tuple[Path, Path]) -> None:
    assert choose_alpha(*two, lambda model: 0.7, alphas=(0.5, 1.0), device="cpu").alpha == 0.0


def test_models_of_other_shapes_and_alphas_out_of_range_are_refused(two: tuple[Path, Path], tmp_path: Path) -> None:
    larger = tiny_text_model(tmp_path / "larger", layers=3)
    with pytest.raises(TuneError, match="was not tuned from"):
        blend(two[0], larger, 0.5, tmp_path / "to")
    with pytest.raises(TuneError, match="alpha is from 0 to 1"):
        blend(*two, 1.5, tmp_path / "to")
    assert not (tmp_path / "to").exists()
