"""Fitting a CLIP: parts of a batch come to the whole, each model goes on with its own loss, batches keep apart."""

import copy
import json
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from torch import Tensor

from eval.shapes import WORDS
from rag.embed.clip_files import CONFIG, clip_in
from rag.embed.clip_model import load_clip
from rag.errors import TuneError
from rag.tune.checkpoints import Checkpoints
from rag.tune.clip_fit import Saved, Step, Towers, Training, apart, backward, fit, shuffled, steps_of
from rag.tune.loss import clip_symmetric, siglip
from rag.tune.new_clip import new_clip

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "patch_size": 8, "layers": 1, "width": 32, "head_width": 16},
    "text_cfg": {"context_length": 6, "layers": 1, "width": 32, "heads": 2},
}
PIXELS = torch.rand(12, 3, 16, 16, generator=torch.Generator().manual_seed(1))
TOKENS = torch.randint(4, 20, (12, 6), generator=torch.Generator().manual_seed(2))
ALL = torch.arange(12)


@pytest.fixture(scope="module", params=["clip", "siglip"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """From chance; a SigLIP is one that has a bias."""
    folder = tmp_path_factory.mktemp(request.param)
    new_clip(folder, MODEL, {}, WORDS)
    if request.param == "siglip":
        config = json.loads((folder / CONFIG).read_text())
        config["model_cfg"] |= {"init_logit_bias": -10, "init_logit_scale": 2.3}
        (folder / CONFIG).write_text(json.dumps(config))
    torch.manual_seed(0)
    return load_clip(clip_in(folder, trained=False)).network


def towers_of(network: Any) -> Towers:
    def towers(rows: Tensor) -> tuple[Tensor, Tensor]:
        pictures = network.encode_image(PIXELS[rows], normalize=True)
        return pictures, network.encode_text(TOKENS[rows], normalize=True)

    return towers


def gradients(network: Any, rows: Tensor, parts: int) -> tuple[float, dict[str, Tensor]]:
    network.zero_grad()
    loss = backward(network, towers_of(network), rows, parts)
    return loss, {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("parts", [2, 5, 12, 30])
def test_parts_come_to_the_loss_and_the_gradients_of_the_whole_batch(network: Any, parts: int) -> None:
    (whole, at_once), (summed, in_parts) = gradients(network, ALL, 1), gradients(network, ALL, parts)
    assert summed == pytest.approx(whole, rel=1e-6)
    assert at_once.keys() == in_parts.keys() == {name for name, _ in network.named_parameters()}
    for name, gradient in at_once.items():
        torch.testing.assert_close(in_parts[name], gradient, rtol=1e-4, atol=5e-6, msg=name)


def test_parts_leave_a_locked_tower_alone(network: Any) -> None:
    locked = copy.deepcopy(network)
    locked.lock_image_tower()
    _, in_parts = gradients(locked, ALL, 3)
    assert in_parts.keys() == {name for name, _ in network.named_parameters() if not name.startswith("visual.")}


def test_a_model_goes_on_with_the_loss_that_it_was_trained_by(network: Any) -> None:
    pictures, captions = towers_of(network)(ALL)
    scale = network.logit_scale.exp()
    if network.logit_bias is None:
        expected = clip_symmetric(pictures, captions, scale)
    else:
        expected = siglip(pictures, captions, scale, network.logit_bias)
    assert gradients(network, ALL, 1)[0] == pytest.approx(expected.item(), rel=1e-6)


def test_a_loss_that_is_no_number_ends_it(network: Any) -> None:
    broken = copy.deepcopy(network)
    with torch.no_grad():
        broken.token_embedding.weight[5] = torch.nan
    with pytest.raises(TuneError, match=r"nan at step 1: nothing was kept; .* smaller learning rate than 0\.001"):
        fit(broken, towers_of(broken), shuffled(12, 4), 3, Training())


def test_it_can_be_stopped_between_steps(network: Any) -> None:
    steps: list[Step] = []
    stop = Event()

    def on_step(step: Step) -> None:
        steps.append(step)
        if step.number == 2:
            stop.set()

    trained = copy.deepcopy(network)
    assert not fit(trained, towers_of(trained), shuffled(12, 4), 9, Training(), on_step, stop)
    assert [(step.number, step.total) for step in steps] == [(1, 9), (2, 9)]
    assert not trained.training


@pytest.mark.parametrize("parts", [1, 3])
def test_a_training_that_was_cut_off_comes_to_the_same_bits(network: Any, tmp_path: Path, parts: int) -> None:
    training = Training(save_every=2, parts=parts)

    def trained(until: int, folder: str, of: str = "these pairs") -> tuple[Any, list[int]]:
        """Whoever starts again begins with the network as it came, and finds the rest in the folder."""
        again, steps = copy.deepcopy(network), list[int]()

        def on_step(step: Step) -> None:
            steps.append(step.number)
            if step.number == until:
                raise KeyboardInterrupt

        saved = Saved(Checkpoints(tmp_path / folder), of)
        with suppress(KeyboardInterrupt):
            fit(again, towers_of(again), shuffled(12, 4), 9, training, on_step, saved=saved)
        return again.state_dict(), steps

    whole, steps = trained(99, "whole")
    assert steps == list(range(1, 10))
    assert [trained(until, "cut")[1] for until in (4, 4, 6, 7)] == [[1, 2, 3, 4], [3, 4], [3, 4, 5, 6], [5, 6, 7]]
    again, steps = trained(99, "cut")
    assert steps == [7, 8, 9]
    assert all(torch.equal(again[name], each) for name, each in whole.items())
    after, steps = trained(99, "cut")  # it ended, and was killed before anybody took what came of it
    assert steps == []
    assert all(torch.equal(after[name], each) for name, each in whole.items())
    with pytest.raises(TuneError, match="other pairs, options or another model"):
        trained(99, "cut", of="other pairs")


def test_steps() -> None:
    assert steps_of(10, Training(epochs=3, batch=4)) == 6
    assert steps_of(3, Training(epochs=2, batch=4)) == 2


def test_rows_that_share_a_key_are_never_together_and_all_have_their_turn() -> None:
    keys = [{"heron"}, {"heron"}, {"heron", "reed"}, {"reed"}, {"owl"}, {"fox"}, {"elk"}, {"bee"}]
    drawn = [batch.tolist() for batch in islice(apart(keys, 4)(torch.Generator().manual_seed(0)), 40)]
    for batch in drawn:
        assert len(batch) == 4
        assert len(set().union(*(keys[row] for row in batch))) == sum(len(keys[row]) for row in batch)
    counts = [sum(row in batch for batch in drawn) for row in range(len(keys))]
    assert min(counts) >= 10  # of 40 batches of 4; evenly it would be 20 each, were there not three herons


def test_batches_of_what_is_all_the_same_are_of_one() -> None:
    drawn = list(islice(apart([{"same"}] * 3, 4)(torch.Generator().manual_seed(0)), 6))
    assert sorted(batch.tolist()[0] for batch in drawn[:3]) == [0, 1, 2]
    assert [len(batch) for batch in drawn] == [1] * 6
