"""Questions through the program's own search and answer, with their document in the index and without it."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from eval.answer_metrics import Gold, answer_row, summary, times
from eval.cache import CachedEmbedder
from eval.datasets import QUESTIONS, Dataset, DatasetError, load, rows_of
from eval.index import OnProgress, build_index
from eval.stores import spaces_of, temporary_store
from rag.answer.answer import answer
from rag.config import Settings
from rag.filters import Filter, In, Not
from rag.protocols import Generator, Reranker
from rag.records import Answer, Delta, Done
from rag.retrieve.context import HITS_PER_SOURCE, choose
from rag.retrieve.search import Searcher

ANSWERS = "answers.jsonl"
_CODE = ("rag/answer", "rag/retrieve", "rag/text.py", "eval/answer_metrics.py")  # what an answer and its row depend on
_ROOT = Path(__file__).resolve().parent.parent

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asking:
    """What answers, and how: the settings count where they change an answer."""

    settings: Settings
    embedder: CachedEmbedder
    generator: Generator | None
    reranker: Reranker | None = None


def answers(
    folder: Path,
    asking: Asking,
    *,
    limit: int | None = None,
    seed: int = 0,
    kept: Path | None = None,
    progress: Callable[[str], OnProgress] = lambda stage: lambda done, total: None,
) -> dict[str, Any]:
    """Ask each question of `folder` twice, once with its document left out, and measure the answers.

    Args:
        folder: a data set with `answers.jsonl`, or with an `answer` in each line of `questions.jsonl`.
        limit: ask so many of them, drawn with `seed`; None: all.
        kept: a folder in which answers are kept, so that a run that was cut off goes on. They are asked again where
            the program or the settings have changed since.

    Raises:
        DatasetError: there are no answers to compare with.
    """
    started = time.monotonic()
    dataset = load(folder).without_looks()
    known = known_answers(folder, dataset)
    chosen = drawn(sorted(known), limit, seed)
    path = None if kept is None else kept / f"answers-{_fingerprint(folder, asking)}.jsonl"
    with (
        TemporaryDirectory(prefix="commonplace-eval-") as temporary,
        temporary_store("memory", spaces_of(asking.embedder, None)) as (store, _),
    ):
        index = build_index(dataset, asking.embedder, asking.settings, store, Path(temporary), progress("index"))
        index = replace(index, reranker=asking.reranker)
        asking.embedder.save()
        documents = {name: document for document, name in index.names.items()}
        golds = {q: _gold(known[q], dataset.judgements[q], documents) for q in chosen}
        asks = [(q, answerable) for q in chosen for answerable in (True, False)]
        done = _Kept(path)
        show = progress("ask")
        for number, (query, answerable) in enumerate(asks, start=1):
            if done.get(query, answerable) is None:
                row = _ask(dataset.queries[query], golds[query], answerable, index.searcher, asking)
                done.put(query, answerable, row)
            show(number, len(asks))
    rows = {ask: done.rows[ask] for ask in asks}
    return {
        "dataset": dataset.name,
        "metrics": summary(list(rows.values())),
        "ms": times(list(rows.values())),
        "per_query": [{"query": query, **row} for (query, _), row in rows.items()],
        "notes": list(dataset.notes),
        "settings": _described(asking, limit, seed),
        "seconds": time.monotonic() - started,
    }


def _ask(question: str, gold: Gold, answerable: bool, searcher: Searcher, asking: Asking) -> Row:
    """One question as the chat asks it, and how long it took."""
    where: Filter | None = None if answerable else Not(In("document_id", tuple(sorted(gold.documents))))
    started, first = time.perf_counter(), None
    sources = asking.settings.sources
    found = choose(searcher.search(question, HITS_PER_SOURCE * sources, where), sources)
    given: Answer | None = None
    for event in answer(
        question,
        found,
        embedder=asking.embedder,
        generator=asking.generator,
        answer_tokens=asking.settings.answer_tokens,
    ):
        if isinstance(event, Delta) and first is None:
            first = _milliseconds(started)
        if isinstance(event, Done):
            given = event.answer
    if given is None:
        raise RuntimeError("an answer came to no end")
    total = _milliseconds(started)
    return answer_row(given, gold, answerable, total if first is None else first, total)


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def known_answers(folder: Path, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The strings that answer each question, for those that are asked and have any.

    Raises:
        DatasetError: there are none, or they are broken.
    """
    found: dict[str, tuple[str, ...]] = {}
    if (folder / ANSWERS).is_file():
        for row, at in rows_of(folder / ANSWERS):
            given = row.get("answers")
            if not isinstance(given, list) or not all(isinstance(each, dict) and each.get("text") for each in given):
                raise DatasetError(f"{at}: expected a list of answers, each with its text")
            found[str(row.get("query-id"))] = tuple(str(each["text"]) for each in given)
    elif (folder / QUESTIONS).is_file():
        for number, (row, _) in enumerate(rows_of(folder / QUESTIONS), start=1):
            found[str(number)] = (str(row["answer"]),) if row.get("answer") else ()
    found = {query: strings for query, strings in found.items() if strings and query in dataset.queries}
    if not found:
        raise DatasetError(f"{str(folder)!r} has no answers to its questions; see eval/answers.py for where they stand")
    return found


def _gold(strings: tuple[str, ...], grades: Mapping[str, int], documents: Mapping[str, str]) -> Gold:
    right = frozenset(documents[name] for name, grade in grades.items() if grade > 0 and name in documents)
    return Gold(strings, right)


def drawn(queries: Sequence[str], limit: int | None, seed: int) -> Sequence[str]:
    """`limit` of `queries`, always the same ones for a seed; None: all of them."""
    if limit is None or limit >= len(queries):
        return queries
    return sorted(np.random.default_rng(seed).choice(queries, limit, replace=False).tolist())


class _Kept:
    """Rows by question, in a file of one JSON object a line where there is a path. A line cut off is passed over."""

    def __init__(self, path: Path | None) -> None:
        self.rows: dict[tuple[str, bool], Row] = {}
        self._path = path
        if path is not None and path.is_file():
            self.rows.update(_lines(path))
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")  # behind a line that was cut off

    def get(self, query: str, answerable: bool) -> Row | None:
        return self.rows.get((query, answerable))

    def put(self, query: str, answerable: bool, row: Row) -> None:
        self.rows[query, answerable] = row
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"query": query, **row}, ensure_ascii=False) + "\n")


def _lines(path: Path) -> Iterator[tuple[tuple[str, bool], Row]]:
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # empty, or the run was cut off while it was written
            continue
        yield (row.pop("query"), row["answerable"]), row


def _fingerprint(folder: Path, asking: Asking) -> str:
    """Of all that an answer depends on: the data, the models, the settings, the program."""
    digest = hashlib.sha256(json.dumps(_described(asking, None, 0), sort_keys=True).encode())
    data = [folder / name for name in (ANSWERS, QUESTIONS, "corpus.jsonl", "queries.jsonl")]
    code = [path for part in _CODE for path in sorted((_ROOT / part).rglob("*.py")) or [_ROOT / part]]
    for path in (*data, *code):
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _described(asking: Asking, limit: int | None, seed: int) -> dict[str, Any]:
    settings, generator = asking.settings, asking.generator
    return {
        "embedder": asking.embedder.fingerprint,
        "generator": generator.name if generator else None,
        "device": generator.state.device if generator else None,
        "reranker": asking.reranker.state.name if asking.reranker else None,
        "sources": settings.sources,
        "chunk_tokens": min(settings.chunk_tokens, asking.embedder.max_tokens),
        "answer_tokens": settings.answer_tokens,
        "context_tokens": settings.context_tokens,
        "limit": limit,
        "seed": seed,
    }
