"""What `rag tune train` and `rag tune gate` do to a run's folder, without a model: run as `python -m`.

A training goes on until the file `go` is beside the runs, or it is asked to stop.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from rag.tune.process import at_work
from rag.tune.records import Step
from rag.tune.runs import Runs
from tests.ui.fake_improver import candidate, verdict

RUNS = Path(os.environ["RAG_HOME"]) / "tuning" / "runs"


def train(name: str) -> None:
    with at_work(RUNS / name, "train") as (on_step, stop):
        for done in range(1, 6):
            on_step(Step("train", done, 10, time.time(), loss=2.0 / done, score=0.6 + done / 100))
        while not (RUNS.parent / "go").exists():
            if stop.wait(0.01):
                return
        Runs(RUNS).write(replace(candidate(name), created=time.time()))


def gate(name: str) -> None:
    with at_work(RUNS / name, "judge") as (on_step, _):
        on_step(Step("judge", 1, 1, time.time()))
        Runs(RUNS).write(verdict(name))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:2] == ["tune", "train"]:
        train(arguments[arguments.index("--run") + 1])
    elif arguments[:2] == ["tune", "gate"]:
        gate(arguments[2])
    else:
        raise SystemExit(f"no such command: {arguments}")
