"""Work in another process: followed, stopped, killed, found again. The worker is a small program of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rag.errors import TuneError
from rag.tune.process import (
    OUTPUT,
    PROGRESS,
    STOP,
    Run,
    append_step,
    ask_to_stop,
    at_work,
    end,
    look,
    look_all,
    read_steps,
    start,
)
from rag.tune.records import Step

WORKER = """
import sys, time
from pathlib import Path
from rag.errors import TuneError
from rag.tune.process import at_work
from rag.tune.records import Step
how, folder = sys.argv[1], Path(sys.argv[2])
with at_work(folder, "train") as (on_step, stop):
    for done in range(3):
        on_step(Step("train", done, 3, time.time(), loss=3.0 - done))
    print("three steps", flush=True)
    if how == "fail":
        raise TuneError("3 pairs are too few")
    while how == "wait" and not stop.wait(0.01):
        pass
"""
PROGRAM = (sys.executable, "-c", WORKER)
LIMIT = 60.0  # seconds: only a machine that hangs takes so long


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "runs" / "0-20260101-120000"
    yield where
    end(where)


def begin(folder: Path, how: str) -> Run:
    return start([how, str(folder)], folder, "train", folder.parent, program=PROGRAM)


def until(folder: Path, wanted: Callable[[Run], bool]) -> Run:
    """What is found in the folder as soon as it is as wanted."""
    limit = time.monotonic() + LIMIT
    while time.monotonic() < limit:
        run = look(folder)
        assert run is not None
        if wanted(run):
            return run
        time.sleep(0.01)
    raise AssertionError(look(folder))


def working(folder: Path) -> Run:
    return until(folder, lambda run: len(run.steps) == 3)


def over(folder: Path) -> Run:
    return until(folder, lambda run: not run.live)


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "process.json").read_text())["pid"])


def test_work_is_followed_to_its_end(folder: Path) -> None:
    assert look(folder) is None
    assert begin(folder, "done").state == "running"
    run = over(folder)
    assert (run.state, run.work, run.name) == ("done", "train", "0-20260101-120000")
    assert [step.loss for step in run.steps] == [3.0, 2.0, 1.0, None]
    assert run.last is not None
    assert run.last.stage == "done"


def test_it_makes_way_and_is_stopped_by_a_file(folder: Path) -> None:
    begin(folder, "wait")
    run = working(folder)
    assert run.live
    process = psutil.Process(pid_of(folder))
    assert process.nice() > psutil.Process().nice()
    assert os.getsid(process.pid) != os.getsid(0)  # Ctrl-C in this terminal is not for it
    with pytest.raises(TuneError, match="is being worked on"):
        begin(folder, "done")
    ask_to_stop(folder)
    run = over(folder)
    assert run.state == "stopped"
    assert begin(folder, "done").steps == ()  # what was before is not of the new work
    assert over(folder).state == "done"
    assert len(read_steps(folder)) == 8  # three and "stopped", three and "done"


def test_one_that_was_killed_says_what_it_printed_last(folder: Path) -> None:
    begin(folder, "wait")
    working(folder)
    until(folder, lambda run: bool((folder / OUTPUT).read_text()))
    end(folder)
    run = over(folder)
    assert (run.state, run.trouble) == ("killed", "three steps")


def test_one_that_failed_says_why(folder: Path) -> None:
    begin(folder, "fail")
    run = over(folder)
    assert (run.state, run.trouble) == ("failed", "3 pairs are too few")


def test_one_that_never_began_tells_the_reason(folder: Path) -> None:
    start([], folder, "train", folder.parent, program=(sys.executable, "-c", "raise SystemExit('no such command')"))
    run = over(folder)
    assert (run.state, run.trouble) == ("killed", "no such command")


def test_it_is_found_by_one_who_did_not_begin_it(folder: Path) -> None:
    """A server that was started again knows nothing but the files."""
    begin(folder, "wait")
    working(folder)
    code = "import sys; from pathlib import Path; from rag.tune.process import look_all\n"
    code += "print([(run.name, run.state) for run in look_all(Path(sys.argv[1]))])"
    found = subprocess.run([sys.executable, "-c", code, folder.parent], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[('0-20260101-120000', 'running')]"


def test_a_number_that_belongs_to_another_process_now_is_no_sign_of_life(folder: Path) -> None:
    begin(folder, "wait")
    working(folder)
    record = json.loads((folder / "process.json").read_text())
    end(folder)
    over(folder)
    stale = {**record, "pid": os.getpid()}  # alive, but begun at another time
    (folder / "process.json").write_text(json.dumps({**stale, "start": record["start"] - 3600}))
    assert over(folder).state == "killed"
    end(folder)  # and is not ended
    assert psutil.pid_exists(os.getpid())


def test_what_works_in_this_process_registers_itself(folder: Path) -> None:
    with at_work(folder, "judge") as (on_step, stop):
        on_step(Step("judge", 1, 2, 0.0, loss=float("nan")))
        run = look(folder)
        assert run is not None
        assert (run.live, run.work, run.last) == (True, "judge", Step("judge", 1, 2, 0.0, loss=None))
        ask_to_stop(folder)
        assert stop.wait(LIMIT)
        found = look(folder)
        assert found is not None
        assert found.stopping
    assert over(folder).state == "stopped"
    assert not (folder / STOP).exists()  # it was for this work only


def test_defects_are_told_and_raised(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), at_work(folder, "train"):
        _ = 1 / 0
    run = over(folder)
    assert (run.state, run.trouble) == ("failed", "unexpected ZeroDivisionError: division by zero")


def test_two_cannot_work_in_one_folder(folder: Path) -> None:
    begin(folder, "wait")
    working(folder)
    with pytest.raises(TuneError, match="is being worked on by process"), at_work(folder, "judge"):
        pass


def test_half_a_line_is_read_when_it_is_whole(folder: Path) -> None:
    folder.mkdir(parents=True)
    append_step(folder, Step("train", 1, 2, 0.0))
    with (folder / PROGRESS).open("a") as file:
        file.write('{"stage": "train", "do')
    assert read_steps(folder) == (Step("train", 1, 2, 0.0),)


def test_runs_are_listed_newest_first_and_other_folders_passed_over(tmp_path: Path) -> None:
    assert look_all(tmp_path / "none") == []
    for name in ("a", "b"):
        with at_work(tmp_path / name, "train"):
            pass
    (tmp_path / "c").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "process.json").write_text("not JSON")
    assert [run.name for run in look_all(tmp_path)] == ["b", "a"]
