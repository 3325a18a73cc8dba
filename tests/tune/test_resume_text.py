"""A training that ended at any step goes on from its checkpoint, and ends bit by bit where it would have."""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, get_args

import numpy as np
import pytest

from rag.errors import DiskFull, TuneError
from rag.tune.records import Step
from rag.tune.train_text import TextEmbedderLike, TextLoss, TextTrained, TextTraining, train_text
from tests.tune.tiny_text import overlap, right_first, tiny_pairs, tiny_text_model

PAIRS = tiny_pairs(18)
REPLAY = ("old grey stone", "under the river", "winter market")
LIBRARY = np.eye(32, dtype=np.float32)
TRAINING = TextTraining(
    device="cpu", precision="fp32", batch=6, epochs=2, learning_rate=1e-3, dropout=True, save_every=2, threads=1
)  # six steps; checkpoints after 2, 3, 4 and 6


class Killed(Exception):
    """Stands for a process that ends between two steps."""


pytestmark = pytest.mark.usefixtures("quick_training")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("model") / "base")


def train(base: Path, folder: Path, training: TextTraining, **more: Any) -> TextTrained:
    needed = {"teacher": overlap} if training.loss in ("kl", "margin-mse") else {}
    to = folder / "to"
    return train_text(base, PAIRS, to, training, library=LIBRARY, replay=REPLAY, folder=folder, **needed, **more)


def kill_after(step: int) -> Callable[[Step], None]:
    def told(taken: Step) -> None:
        if taken.done == step:
            raise Killed

    return told


def weights(folder: Path) -> bytes:
    return (folder / "to" / "model.safetensors").read_bytes()


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.mark.parametrize("loss", get_args(TextLoss))
def test_it_goes_on_bit_by_bit_with_every_loss(base: Path, tmp_path: Path, loss: TextLoss) -> None:
    training = replace(TRAINING, loss=loss)
    train(base, tmp_path / "whole", training)
    with pytest.raises(Killed):
        train(base, tmp_path / "killed", training, on_step=kill_after(5))
    assert checkpoints(tmp_path / "killed") == ["step-0000003.safetensors", "step-0000004.safetensors"]
    steps: list[Step] = []
    train(base, tmp_path / "killed", training, on_step=steps.append)
    assert [step.done for step in steps] == [5, 6]
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


@pytest.mark.parametrize(
    "training",
    [
        replace(TRAINING, method="lora", rank=4, batch=9, save_every=1, hold=4),
        replace(TRAINING, side="query", batch=9, save_every=1, others=8),
    ],
    ids=["LoRA, in two passes", "queries alone"],
)
def test_it_goes_on_from_every_step(base: Path, tmp_path: Path, training: TextTraining) -> None:
    """One process after the other takes a single step and ends."""
    scored = train(base, tmp_path / "whole", training, dev=right_first)
    for step in (1, 2, 3):  # of four
        with pytest.raises(Killed):
            train(base, tmp_path / "killed", training, dev=right_first, on_step=kill_after(step))
    done = train(base, tmp_path / "killed", training, dev=right_first)
    assert (done.scores, done.losses, done.epoch) == (scored.scores, scored.losses, scored.epoch)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


IN_A_PROCESS = """
import sys
from pathlib import Path
from rag.environment import prepare_environment
prepare_environment()
from tests.tune.test_resume_text import TRAINING, train
train(Path(sys.argv[1]), Path(sys.argv[2]), TRAINING, on_step=lambda step: print(step.done, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_a_checkpoint_to_go_on_from(base: Path, tmp_path: Path) -> None:
    train(base, tmp_path / "whole", TRAINING)
    command = [sys.executable, "-c", IN_A_PROCESS, str(base), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() not in ("3", ""):
            pass
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    train(base, tmp_path / "killed", TRAINING)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_the_best_epoch_is_remembered(base: Path, tmp_path: Path) -> None:
    def scores(*wanted: float) -> Callable[[TextEmbedderLike], float]:
        left = iter(wanted)
        return lambda model: next(left)

    training = replace(TRAINING, epochs=3)
    train(base, tmp_path / "whole", training, dev=scores(0.1, 0.8, 0.3))
    with pytest.raises(Killed):
        train(base, tmp_path / "killed", training, dev=scores(0.1, 0.8), on_step=kill_after(7))
    assert checkpoints(tmp_path / "killed")[0] == "best-0002.safetensors"
    done = train(base, tmp_path / "killed", training, dev=scores(0.3))
    assert (done.epoch, done.scores) == (2, (0.1, 0.8, 0.3))
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_stop_ends_it_after_the_step_in_work(base: Path, tmp_path: Path) -> None:
    stop = Event()
    steps: list[Step] = []

    def told(step: Step) -> None:
        steps.append(step)
        if step.done == 1:
            stop.set()

    done = train(base, tmp_path / "run", TRAINING, on_step=told, stop=stop)
    assert (done.finished, [step.done for step in steps]) == (False, [1, 2])
    assert not (tmp_path / "run" / "to").exists()
    assert checkpoints(tmp_path / "run") == ["step-0000002.safetensors"]
    assert train(base, tmp_path / "run", TRAINING).finished


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_full_disk_leaves_the_earlier_checkpoint(base: Path, tmp_path: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def no_more_room(step: Step) -> None:
        if step.done == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))

    train(base, tmp_path / "whole", TRAINING)
    try:
        with pytest.raises(DiskFull, match=r"no room left to write .*step-0000003"):
            train(base, tmp_path / "run", TRAINING, on_step=no_more_room)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoints(tmp_path / "run") == ["step-0000002.safetensors"]
    assert not (tmp_path / "run" / "to").exists()
    train(base, tmp_path / "run", TRAINING)  # there is room again
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_checkpoints_of_another_training_are_refused(base: Path, tmp_path: Path) -> None:
    def refused(pairs: Sequence[Any], training: TextTraining) -> None:
        with pytest.raises(TuneError, match="is of a training with other pairs, options or another model"):
            train_text(base, pairs, tmp_path / "to", training, folder=tmp_path)

    train_text(base, PAIRS, tmp_path / "to", TRAINING, folder=tmp_path)
    refused(PAIRS, replace(TRAINING, seed=1))
    refused(PAIRS[1:], TRAINING)
    train_text(base, PAIRS, tmp_path / "to", replace(TRAINING, save_every=5), folder=tmp_path)  # that changes nothing


def test_a_damaged_checkpoint_is_named(base: Path, tmp_path: Path) -> None:
    train(base, tmp_path, TRAINING)
    last = tmp_path / "checkpoints" / "step-0000006.safetensors"
    whole, result = last.read_bytes(), weights(tmp_path)
    last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TuneError, match=r"step-0000006.* is damaged .* remove it to go on from the one before"):
        train(base, tmp_path, TRAINING)
    last.unlink()
    train(base, tmp_path, TRAINING)
    assert weights(tmp_path) == result
