"""What it costs to take documents in: time, memory, disk, and to start; against sentence-transformers alone.

The documents of a data set are written as files, and `rag add` takes them in, as a person would run it. The same
passages then go through sentence-transformers in a process of its own, in the same precision. What is above 1 is what
reading, cutting, analysing, checking and writing cost. Others on the machine move times by the clock; ratios of
processor seconds they move much less.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from eval.datasets import Dataset, DatasetError
from eval.latency import percentiles
from rag.embed.text import TextEmbedder
from rag.ingest.chunk import chunk, embedding_text, says_something
from rag.ingest.options import ReadOptions
from rag.ingest.parse import load_tokenizer
from rag.ingest.readers import read
from rag.models import starter
from rag.records import Source

_ROOT = Path(__file__).resolve().parent.parent
_MIB = 1 << 20
_SAMPLE_SECONDS = 0.05  # between two looks at the memory
_STARTS = 3
_QUESTIONS = 50


@dataclass(frozen=True, slots=True)
class Ran:
    """A process that ended well: seconds by the clock and of the processor, most memory with its children, output."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    output: bytes


def throughput(dataset: Dataset, limit: int | None = None, chunk_tokens: int = 200) -> dict[str, Any]:
    """Take in the first `limit` documents of `dataset` (all where None) with the starter embedder.

    Raises:
        DatasetError: the data set is not of texts, or a process failed.
    """
    if dataset.folder is not None or any(entry.image for entry in dataset.entries):
        raise DatasetError(f"{dataset.name!r} holds files or pictures; give a data set of texts in BEIR layout")
    with TemporaryDirectory(prefix="commonplace-throughput-") as temporary:
        files, home = Path(temporary) / "files", Path(temporary) / "home"
        sizes = _written(dataset, files, limit)
        rag = partial(_ran, home=home)
        added = rag(["-m", "rag.cli", "add", str(files), "--json"])
        report = json.loads(added.output)
        question = next(iter(dataset.queries.values()))
        starts = [rag(["-m", "rag.cli", "search", question, "--json"]) for _ in range(_STARTS)]
        disk = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        passages = _passages(files, chunk_tokens)
    embedder = TextEmbedder(starter.embedder_folder(), name=starter.EMBEDDER_NAME, device="cpu")
    questions = list(dataset.queries.values())[:_QUESTIONS]
    ours_ms = _question_ms(embedder, questions)
    plain = _plain(embedder.state.precision, passages, questions)
    chunks = report["chunks"]
    alone = plain["load"], plain["embed"]
    return {
        "dataset": dataset.name,
        "documents": len(sizes),
        "bytes": sum(sizes),
        "chunks": chunks,
        "precision": embedder.state.precision,
        "add": {
            "seconds": added.seconds,
            "cpu_seconds": added.cpu_seconds,
            "documents_per_second": len(sizes) / added.seconds,
            "chunks_per_second": chunks / added.seconds,
            "peak_mib": added.peak_mib,
        },
        "disk": {"bytes_per_chunk": disk / max(chunks, 1), "vector_bytes": 4 * embedder.dim},
        "start": {"seconds": median(ran.seconds for ran in starts), "peak_mib": max(ran.peak_mib for ran in starts)},
        "question_ms": {"ours": percentiles(ours_ms), "plain": percentiles(plain["question_ms"])},
        "plain": plain,
        "ratios": {
            "add, clock": added.seconds / sum(part["seconds"] for part in alone),
            "add, processor": added.cpu_seconds / sum(part["cpu_seconds"] for part in alone),
            "first search, clock": median(ran.seconds for ran in starts) / plain["load"]["seconds"],
            "embedding a question": median(ours_ms) / median(plain["question_ms"]),
            "disk of vectors": disk / max(chunks, 1) / (4 * embedder.dim),
        },
    }


def print_throughput(result: Mapping[str, Any], console: Console) -> None:
    """What was measured, and what it is of the plain library's."""
    add, start = result["add"], result["start"]
    console.print(
        f"{result['documents']} documents of {result['dataset']} ({result['bytes'] / 1e6:.1f} MB) became "
        f"{result['chunks']} chunks in {add['seconds']:.1f} s ({add['cpu_seconds']:.1f} s of processor): "
        f"{add['documents_per_second']:.1f} documents/s, {add['chunks_per_second']:.0f} chunks/s, "
        f"{add['peak_mib']:.0f} MiB at most; {result['disk']['bytes_per_chunk']:.0f} bytes of disk a chunk. "
        f"A search in a new process takes {start['seconds']:.1f} s."
    )
    table = Table("against sentence-transformers alone", "times", title=f"starter embedder in {result['precision']}")
    for name, ratio in result["ratios"].items():
        table.add_row(name, f"{ratio:.2f}")
    console.print(table)


def _written(dataset: Dataset, files: Path, limit: int | None) -> list[int]:
    """A text file for each document; their sizes in bytes."""
    files.mkdir()
    sizes = []
    for number, entry in enumerate(dataset.entries[:limit]):
        text = f"{entry.title}\n\n{entry.text}" if entry.title else entry.text
        sizes.append((files / f"{number:06}.txt").write_bytes(text.encode("utf-8", "replace")))
    return sizes


def _passages(files: Path, chunk_tokens: int) -> list[str]:
    """What the program embeds of `files`, cut by its own reader and chunker."""
    tokenize = load_tokenizer(str(starter.embedder_folder() / "tokenizer.json"))
    passages = []
    for path in sorted(files.iterdir()):
        document = read(Source(str(path), "text/plain", path.read_bytes()), ReadOptions())
        passages += [embedding_text(one) for one in chunk(document, tokenize, chunk_tokens) if says_something(one)]
    return passages


def _question_ms(embedder: TextEmbedder, questions: Sequence[str]) -> list[float]:
    embedder.load()
    embedder.embed(["warm"], "query")
    ms = []
    for question in questions:
        asked = time.perf_counter()
        embedder.embed([question], "query")
        ms.append((time.perf_counter() - asked) * 1000)
    return ms


def _plain(precision: str, passages: Sequence[str], questions: Sequence[str]) -> dict[str, Any]:
    folder = str(starter.embedder_folder())
    job = {"model": folder, "precision": precision, "passages": passages, "questions": questions}
    result: dict[str, Any] = json.loads(_ran(["-m", "eval.plain_embedding"], said=json.dumps(job).encode()).output)
    return result


def _ran(arguments: Sequence[str], *, home: Path | None = None, said: bytes = b"") -> Ran:
    """Run Python with `arguments`, for a library in `home`."""
    environment = {**os.environ, **({"RAG_HOME": str(home), "RAG_EMBEDDER": "starter"} if home else {})}
    before, started = _processor(), time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        peak = _Peak(process.pid)
        peak.start()
        output, errors = process.communicate(said)
    seconds = time.perf_counter() - started
    peak.join()
    if process.returncode != 0:
        last = errors.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise DatasetError(f"{' '.join(arguments[:3])!r} failed: {''.join(last) or process.returncode}")
    return Ran(seconds, _processor() - before, peak.mib, output)


class _Peak(threading.Thread):
    """The most memory that a process and its children held together; pages that they share count for each."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.mib = 0.0

    def run(self) -> None:
        try:
            process = psutil.Process(self._pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                family = [process, *process.children(recursive=True)]
                self.mib = max(self.mib, sum(_resident(one) for one in family) / _MIB)
                time.sleep(_SAMPLE_SECONDS)
        except psutil.Error:  # it has ended
            return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _processor() -> float:
    """Seconds of processor of the children that have ended; 0 on a system that does not tell."""
    return sum(os.times()[2:4])
