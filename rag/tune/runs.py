"""What is in the folder of a run? Its candidate, written last, and the gate's verdict on it, as JSON files.

A folder without a candidate is of a run that has not ended, or never will.
"""

import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from rag.errors import TuneError
from rag.files import write_whole
from rag.tune.records import Candidate, Tier, Verdict

CANDIDATE, VERDICT, MANIFEST = "candidate.json", "verdict.json", "run.json"
VECTORS, MAPS = "vectors.npz", "maps"  # of queries, kept for the next training; drawn pages: both beside the runs
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")

_Record = TypeVar("_Record")


class Runs:
    """The folders of all runs, under `root` (RAG_HOME/tuning/runs)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, tier: Tier) -> Path:
        """The folder of a new run, made now, named for its tier and the time: `1a-20261121-154501`."""
        stem = f"{tier}-{time.strftime('%Y%m%d-%H%M%S')}"
        for number in range(1, 100):
            folder = self.root / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                continue
            except OSError as exc:
                raise TuneError(f"cannot make a folder for the run in {str(self.root)!r}: {exc}") from exc
        raise TuneError(f"too many runs began in this second under {str(self.root)!r}; try again")

    def folder(self, name: str) -> Path:
        """Where the run of that name is; TuneError where the name cannot be one."""
        if not _NAME.fullmatch(name):
            raise TuneError(f"{name!r} is not the name of a run; `rag tune status` lists them")
        return self.root / name

    def unfinished(self) -> Path:
        """The folder of the newest run that was begun and has no candidate; TuneError where there is none."""
        begun = [path.parent for path in self.root.glob(f"*/{MANIFEST}") if not (path.parent / CANDIDATE).exists()]
        if not begun:
            raise TuneError("there is no run to go on with; leave out --resume to begin one")
        return max(begun, key=lambda folder: ((folder / MANIFEST).stat().st_mtime, folder.name))

    def candidates(self) -> list[Candidate]:
        """Every candidate that is whole, newest first. One that cannot be read is passed over."""
        found = []
        for path in self.root.glob(f"*/{CANDIDATE}"):
            try:
                found.append(self.candidate(path.parent.name))
            except TuneError:
                continue
        return sorted(found, key=lambda candidate: (-candidate.created, candidate.name))

    def candidate(self, name: str) -> Candidate:
        """The candidate of that name.

        Raises:
            TuneError: there is none, or its file cannot be read.
        """
        path = self.folder(name) / CANDIDATE
        found = _read(path, Candidate)
        if found is None:
            raise TuneError(f"there is no candidate {name!r}; `rag tune status` lists those there are")
        if found.name != name:
            raise TuneError(f"{str(path)!r} is of a candidate called {found.name!r}; move the folder back")
        return found

    def verdict(self, name: str) -> Verdict | None:
        """What the gate said of it, None where it was not judged."""
        return _read(self.folder(name) / VERDICT, Verdict)

    def write(self, record: Candidate | Verdict) -> None:
        """Keep a candidate or a verdict in the folder of its run, whole or not at all."""
        name, file = (record.name, CANDIDATE) if isinstance(record, Candidate) else (record.candidate, VERDICT)
        write_json(self.folder(name) / file, asdict(record))


def tier_of(name: str) -> Tier:
    """The tier of the run of that name, as `Runs.begin` named it; TuneError where it is not such a name."""
    tier = name.partition("-")[0]
    if tier not in get_args(Tier):
        raise TuneError(f"{name!r} does not begin with a tier ({', '.join(get_args(Tier))}) as the name of a run does")
    return cast(Tier, tier)


def runs_of(home: Path) -> Runs:
    """Those of the library in `home`."""
    return Runs(home / "tuning" / "runs")


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file; DiskFull or TuneError where it cannot be."""
    write_whole(path, json.dumps(values, indent=2, ensure_ascii=False).encode(), TuneError)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file, None where there is no file; TuneError where it holds something else."""
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise TuneError(f"cannot read {str(path)!r}: {exc}; train anew") from exc
    if not isinstance(values, dict):
        raise TuneError(f"{str(path)!r} does not hold what it should; train anew")
    return values


def _read(path: Path, record: type[_Record]) -> _Record | None:
    try:
        return TypeAdapter(record).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        raise TuneError(f"cannot read {str(path)!r}: {exc}; delete the folder and train again") from exc
