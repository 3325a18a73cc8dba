"""Training by every loss learns something, and goes on after a cut exactly where it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rag.errors import LabError
from rag.lab.images import Images, load_images
from rag.lab.network import DIM, DigitNetwork, embed, new_network
from rag.lab.objectives import OBJECTIVES, draw_pairs
from rag.lab.train import Recipe, train


@pytest.fixture(scope="module")
def few() -> Images:
    known, _ = load_images(None, 0)
    return known[np.arange(300)]


@pytest.fixture(autouse=True)
def one_thread() -> object:
    """Equal threads make equal weights, and so small a network gains nothing by more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(network: DigitNetwork) -> bytes:
    return b"".join(each.detach().numpy().tobytes() for each in network.parameters())


def test_the_network_gives_unit_vectors_and_is_drawn_by_its_seed(few: Images) -> None:
    vectors = embed(new_network(8, 8, 0), torch.from_numpy(few.pixels))
    assert vectors.shape == (300, DIM)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(300), atol=1e-5)
    assert weights(new_network(8, 8, 0)) == weights(new_network(8, 8, 0)) != weights(new_network(8, 8, 1))
    assert embed(new_network(28, 28, 0), torch.zeros(1, 1, 28, 28)).shape == (1, DIM)


def test_pairs_are_of_the_kind_that_they_say() -> None:
    labels = torch.tensor([3, 1, 3, 1, 3, 7])
    drawn = draw_pairs(labels, torch.Generator().manual_seed(0))
    assert drawn.anchor.tolist() == [0, 1, 2, 3, 4]  # the 7 has nobody like it
    assert (labels[drawn.same] == labels[drawn.anchor]).all()
    assert (drawn.same != drawn.anchor).all()
    assert (labels[drawn.other] != labels[drawn.anchor]).all()
    assert len(draw_pairs(torch.tensor([5, 5, 5]), torch.Generator()).anchor) == 0
    assert len(draw_pairs(torch.tensor([5]), torch.Generator()).anchor) == 0


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_lowers_the_loss_and_goes_on_bit_by_bit(objective: str, few: Images, tmp_path: Path) -> None:
    recipe = Recipe(objective)
    whole, epochs = train(few, recipe, 10, tmp_path / "whole")
    assert epochs[-1].loss < epochs[0].loss
    assert [epoch.number for epoch in epochs] == list(range(1, 11))
    train(few, recipe, 4, tmp_path / "cut")
    seen: list[int] = []
    resumed, again = train(few, recipe, 10, tmp_path / "cut", on_epoch=lambda epoch: seen.append(epoch.number))
    assert seen == [5, 6, 7, 8, 9, 10]
    assert weights(resumed) == weights(whole)
    assert [epoch.loss for epoch in again] == [epoch.loss for epoch in epochs]


_PROGRAM = """
import sys, torch
from pathlib import Path
import numpy as np
from rag.lab.images import load_images
from rag.lab.train import Recipe, train
torch.set_num_threads(1)
train(load_images(None, 0)[0][np.arange(300)], Recipe(), 400, Path(sys.argv[1]))
"""


def test_a_killed_training_goes_on_bit_by_bit(few: Images, tmp_path: Path) -> None:
    running = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(tmp_path / "killed")], start_new_session=True)
    while running.poll() is None and not list((tmp_path / "killed").glob("epoch-0003.safetensors")):
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = len(list((tmp_path / "killed").glob("epoch-*.safetensors")))
    assert 3 <= done < 400
    resumed, _ = train(few, Recipe(), done + 2, tmp_path / "killed")
    whole, _ = train(few, Recipe(), done + 2, tmp_path / "whole")
    assert weights(resumed) == weights(whole)


def test_the_rate_falls_as_in_the_classic_demonstration() -> None:
    rates = [Recipe().rate(epoch) for epoch in (1, 7, 8, 14, 15)]
    assert rates == pytest.approx([0.005, 0.005, 0.0015, 0.0015, 0.00045])


def test_checkpoints_of_something_else_or_damaged_are_refused(few: Images, tmp_path: Path) -> None:
    train(few, Recipe(), 2, tmp_path)
    with pytest.raises(LabError, match="another recipe"):
        train(few, Recipe(seed=1), 3, tmp_path)
    with pytest.raises(LabError, match="other images"):
        train(few[np.arange(200)], Recipe(), 3, tmp_path)
    last = tmp_path / "epoch-0002.safetensors"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(LabError, match="damaged"):
        train(few, Recipe(), 3, tmp_path)
    last.unlink()
    assert len(train(few, Recipe(), 3, tmp_path)[1]) == 3


def test_a_loss_that_is_no_number_ends_it_in_words(few: Images, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="smaller rate"):
        train(few, Recipe("cosine-mse", learning_rate=1e30), 3, tmp_path)
