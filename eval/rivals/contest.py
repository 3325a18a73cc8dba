"""What every contestant does in its own process: load the model, take in the documents, answer the questions.

Only the standard library is imported here, since this runs in environments that hold nothing of ours. The parent
sends one JSON document on standard input and reads one from the file that it names:

    {"model": folder, "result": file, "hits": n, "documents": [{"id", "title", "text"}], "questions": {id: text}}
"""

import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

_WARM_UP = 3  # questions that are asked before the clock runs
_KIB, _MIB = 1 << 10, 1 << 20


class Contestant(Protocol):
    """A program that indexes texts and searches them.

    `modules` are imported before the weights are loaded, so that no import counts as taking documents in or as asking.
    `packages` are the distributions whose versions are told, `settings` says in words how it is set up. `load` loads
    the weights, `ingest` makes everything ready to be searched, and `search` gives the ids of the documents of its
    `hits` best passages, best first; a document may come more than once.
    """

    @property
    def modules(self) -> Sequence[str]: ...

    @property
    def packages(self) -> Sequence[str]: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def load(self, model: str) -> None: ...

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None: ...

    def search(self, question: str, hits: int) -> Sequence[str]: ...


def compete(contestant: Contestant) -> None:
    """Run `contestant` on what stands on standard input, and write what it found and what it took."""
    job = json.loads(sys.stdin.buffer.read())
    with _Clock() as loading:
        for module in contestant.modules:
            import_module(module)
        contestant.load(job["model"])
    before = peak_mib()
    with _Clock() as ingesting:
        contestant.ingest(job["documents"])
    questions = job["questions"]
    for question in list(questions.values())[:_WARM_UP]:
        contestant.search(question, job["hits"])
    found, ms = {}, []
    with _Clock() as asking:
        for name, question in questions.items():
            asked = time.perf_counter()
            found[name] = list(dict.fromkeys(contestant.search(question, job["hits"])))
            ms.append((time.perf_counter() - asked) * 1000)
    result = {
        "versions": {package: version(package) for package in contestant.packages},
        "python": platform.python_version(),
        "settings": dict(contestant.settings),
        "seconds": {"load": loading.seconds, "ingest": ingesting.seconds, "ask": asking.seconds},
        "cpu_seconds": {"load": loading.cpu, "ingest": ingesting.cpu, "ask": asking.cpu},
        "ms": ms,
        "mib": {"loaded": before, "peak": peak_mib()},
        "found": found,
    }
    Path(job["result"]).write_text(json.dumps(result), "utf-8")


class _Clock:
    """Seconds by the clock and of the processor, all threads together: what others do moves the second much less."""

    def __enter__(self) -> "_Clock":
        self._started, self._worked = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu = time.perf_counter() - self._started, time.process_time() - self._worked


def peak_mib() -> float | None:
    """The most memory that this process has held so far, None on a system that does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MIB if sys.platform == "darwin" else _KIB)


def whole(document: Mapping[str, str]) -> str:
    """Title and text, as one would hand a document over that has both."""
    return f"{document['title']}\n{document['text']}" if document["title"] else document["text"]
