"""Runs that are kept: so that one that was interrupted goes on, and so that a report can be made again.

A run is named by all that shapes its result: the data, the configuration, and the program's own code. A change of any
of them measures anew.
"""

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from eval.datasets import Dataset, DatasetError

_PROGRAM = Path(__file__).resolve().parent.parent
_KEY = 32  # hex digits of a sha256


class SavedRuns:
    """Results of earlier runs in `folder`, by name; with no folder none is kept. One file each, written in one step."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str) -> dict[str, Any] | None:
        """The result of that name, None where there is none that can be read."""
        if self._folder is None:
            return None
        try:
            found = json.loads((self._folder / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        if self._folder is not None:
            write_json(self._folder / f"{key}.json", result)


def write_json(path: Path, result: Any) -> None:
    """Write `result` wholly or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part", delete=False) as file:
        json.dump(result, file, ensure_ascii=False)
    Path(file.name).replace(path)


def read_results(path: Path) -> list[dict[str, Any]]:
    """The results in a file of `eval run`: one, or a list of them.

    Raises:
        DatasetError: it is not such a file.
    """
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except OSError as exc:
        raise DatasetError(f"cannot read {str(path)!r} ({exc.strerror}); give a file that `eval run` wrote") from exc
    except ValueError as exc:
        raise DatasetError(f"{str(path)!r} is not JSON ({exc}); give a file that `eval run --json` wrote") from exc
    results = found if isinstance(found, list) else [found]
    for result in results:
        if not (isinstance(result, dict) and {"dataset", "by_retriever", "per_query"} <= set(result)):
            raise DatasetError(f"{str(path)!r} is no result of `eval run`: it lacks 'by_retriever' or 'per_query'")
    if not results:
        raise DatasetError(f"{str(path)!r} holds no result")
    return results


def key_of(dataset: Dataset, described: Mapping[str, Any]) -> str:
    """The name of a run of `dataset`, as `described` (anything that JSON takes) by this program."""
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    digest.update(_program().encode())
    for part in _content(dataset):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:_KEY]


def circumstances() -> dict[str, Any]:
    """Where and when something was measured, for a report: never the name of the machine or of its owner."""
    return {
        "date": date.today().isoformat(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@cache
def _program() -> str:
    """A digest of the code that indexes and searches, and of the benchmark's own."""
    digest = hashlib.sha256()
    for folder in ("rag", "eval"):
        for path in sorted((_PROGRAM / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _content(dataset: Dataset) -> Iterator[bytes]:
    """All that a result can depend on: texts, questions, judgements and the bytes of files."""
    for entry in dataset.entries:
        yield json.dumps(asdict(entry), default=str).encode()
    yield json.dumps([dataset.name, dict(dataset.queries), dataset.judgements], sort_keys=True).encode()
    images = {entry.image for entry in dataset.entries if entry.image} | set(dataset.pictures.values())
    files = set(dataset.folder.rglob("*")) if dataset.folder else set()
    for path in sorted(path for path in images | files if path.is_file()):
        yield str(path).encode()
        yield path.read_bytes()
