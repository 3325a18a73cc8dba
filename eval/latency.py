"""How fast a store answers, how much it misses, and what it takes: synthetic chunks, written and asked for one by one.

The store is the program's own, and the whole search is the program's own with the time to embed a question left out,
since vectors are made and not embedded. Recall is measured against looking at every vector.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval.index import OnProgress
from eval.stores import temporary_store
from eval.synthetic import CHUNKS, Made, Part, exact
from rag.config import Settings
from rag.protocols import TEXT_SPACE, Store
from rag.records import Chunk, EmbeddedChunk, Match, ModelState, Vector, chunk_id
from rag.retrieve.search import Searcher

K = 10
_MIB = 1 << 20
_WARM_UP = 10  # questions that are asked before the clock runs


def latency(
    store: str, made: Made, queries: int, settings: Settings | None = None, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Fill `store` ("lance", "memory" or a server's address) with `made`, ask it `queries` questions, and empty it.

    `settings` say how it is kept if it is on a server. Times are milliseconds at the percentiles 50, 95 and 99, of
    whole searches and of each stage of the hybrid one; `numpy` is the plain baseline of the same run, all vectors in
    memory and one product with the question; `load` is what the machine was busy with besides.
    """
    asked = made.questions(queries + _WARM_UP)
    truth = exact(made, asked.vectors[_WARM_UP:], K)
    plain = percentiles(_plain_numpy(made, asked.vectors))
    with temporary_store(store, {TEXT_SPACE: made.dim}, settings) as (opened, folder):
        started = time.perf_counter()
        _fill(opened, made, on_progress)
        written = time.perf_counter() - started
        opened.maintain()
        built = time.perf_counter() - started
        found: list[list[Match]] = []
        stages: list[Mapping[str, float]] = []
        searcher = Searcher(_Prepared(dict(zip(asked.words, asked.vectors, strict=True)), made.dim), opened, str)
        searches: dict[str, Callable[[int], object]] = {
            "vector": lambda i: found.append(opened.search_vector(TEXT_SPACE, asked.vectors[i], K)),
            "words": lambda i: opened.search_words(asked.words[i], K),
            "hybrid": lambda i: stages.append(searcher.search(asked.words[i], K).ms),
        }
        ms = {name: percentiles(_timed(search, queries + _WARM_UP)[_WARM_UP:]) for name, search in searches.items()}
        server = _server(store)
        data = folder or _data_of(server)
        return {
            "store": store,
            "chunks": opened.count(),
            "dim": made.dim,
            "queries": queries,
            "seconds": {"write": written, "build": built},
            "ms": {**ms, "numpy": plain},
            "stages": {
                stage: percentiles([one[stage] for one in stages[_WARM_UP:]])
                for stage in stages[-1]
                if stage not in ("load", "embed")  # vectors are made up here, and not embedded
            },
            "ratio": {name: times["p50"] / plain["p50"] for name, times in ms.items()},
            "recall@10": recall([[match.chunk.start for match in one] for one in found[_WARM_UP:]], truth),
            "mib": {
                "process": psutil.Process().memory_info().rss / _MIB,
                "server": server.memory_info().rss / _MIB if server else None,
                "disk": _size(data) / _MIB if data else None,
            },
            "load": list(os.getloadavg()),
            "cores": psutil.cpu_count(),
        }


def _plain_numpy(made: Made, questions: NDArray[np.float32]) -> list[float]:
    """Milliseconds of each question after the first ones: the product with all vectors, and the K best of it."""
    vectors = np.concatenate([part.vectors for part in made.parts()])

    def search(number: int) -> object:
        scores = vectors @ questions[number]
        best = np.argpartition(-scores, min(K, len(scores) - 1))[:K]
        return best[np.argsort(-scores[best])]

    return _timed(search, len(questions))[_WARM_UP:]


def percentiles(ms: Sequence[float]) -> dict[str, float]:
    """The 50th, 95th and 99th: the smallest time that so many per cent of all did not exceed (nearest rank)."""
    ordered = sorted(ms)
    return {f"p{share}": ordered[max(-(-share * len(ordered) // 100), 1) - 1] for share in (50, 95, 99)}


def recall(found: Sequence[Sequence[int]], truth: NDArray[np.int64]) -> float:
    """The share of the true nearest that were found, in [0, 1], over all questions."""
    return float(
        np.mean([len(set(one) & set(true)) / len(true) for one, true in zip(found, truth.tolist(), strict=True)])
    )


def print_latency(result: Mapping[str, Any], console: Console) -> None:
    """The times as a table, what it took below it."""
    title = f"{result['chunks']} chunks of {result['dim']} numbers in {result['store']}, {result['queries']} questions"
    table = Table("ms", "p50", "p95", "p99", title=title)
    stages = {f"  {stage}": times for stage, times in result["stages"].items()}
    for name, times in {**result["ms"], **stages}.items():
        table.add_row(name, *(f"{times[key]:.1f}" for key in ("p50", "p95", "p99")))
    console.print(table)
    ratios = ", ".join(f"{name} {ratio:.1f}" for name, ratio in result["ratio"].items())
    console.print(f"times the median of exact numpy search: {ratios}")
    seconds = result["seconds"]
    console.print(
        f"recall@10 {result['recall@10']:.3f}; written in {seconds['write']:.0f} s, ready in {seconds['build']:.0f} s"
    )
    mib = {name: f"{name} {value:.0f} MiB" for name, value in result["mib"].items() if value is not None}
    console.print(f"{', '.join(mib.values())}; load {result['load'][0]:.1f} on {result['cores']} cores")


class _Prepared:
    """An Embedder that knows the vectors of its texts."""

    space = TEXT_SPACE
    fingerprint = "prepared"
    max_tokens = 256
    tokenizer_file = None
    state = ModelState("embedder", "prepared", "none", "fp32", "made-up vectors", loaded=True)

    def __init__(self, known: Mapping[str, NDArray[np.float32]], dim: int) -> None:
        self._known = known
        self.dim = dim

    def load(self) -> None:
        """There is nothing to load."""

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        return np.stack([self._known[text] for text in texts])

    def count_tokens(self, text: str) -> int:
        return len(text.split())


def _fill(store: Store, made: Made, on_progress: OnProgress | None) -> None:
    for part in made.parts():
        store.replace_documents(_documents(part))
        if on_progress is not None:
            on_progress(part.start + len(part.words), made.count)


def _documents(part: Part) -> dict[str, list[EmbeddedChunk]]:
    documents: dict[str, list[EmbeddedChunk]] = {}
    for number, (words, vector) in enumerate(zip(part.words, part.vectors, strict=True), part.start):
        document = f"document {number // CHUNKS}"
        chunk = Chunk(
            id=chunk_id(document, "v1", number, number + 1),
            document_id=document,
            version="v1",
            ordinal=number % CHUNKS,
            modality="text",
            text=words,
            start=number,
            end=number + 1,
            page=None,
            title=document,
            headings=(),
            path=f"/made/up/{document}.md",
            kind="note",
        )
        documents.setdefault(document, []).append(EmbeddedChunk(chunk, words, (Vector(TEXT_SPACE, vector),)))
    return documents


def _timed(search: Callable[[int], object], count: int) -> list[float]:
    """Milliseconds of each of `count` searches, one after the other."""
    times = []
    for number in range(count):
        started = time.perf_counter()
        search(number)
        times.append((time.perf_counter() - started) * 1000)
    return times


def _server(store: str) -> psutil.Process | None:
    """The process that listens where a server's address says, if it is one of ours on this machine."""
    if "://" not in store:
        return None
    from rag.store.weaviate_connection import Address

    address = Address.parse(store)
    if address.host not in ("127.0.0.1", "localhost"):
        return None
    try:
        listening = [one for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
        found = {one.laddr[1]: one.pid for one in listening if one.laddr}.get(address.port)
        return psutil.Process(found) if found else None
    except psutil.Error:
        return None


def _data_of(server: psutil.Process | None) -> Path | None:
    """The folder that a server was told to keep its data in."""
    try:
        folder = server.environ().get("PERSISTENCE_DATA_PATH") if server else None
    except psutil.Error:
        return None
    return Path(folder) if folder else None


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
