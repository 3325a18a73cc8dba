"""How much of what is wrong in an answer does the check of its sentences find, and how often does it cry wolf?

True sentences are those of the gold documents that hold the answer, word for word, and the question put together with
its answer, which says the same in other words. Each is made wrong in several ways, by rules and a fixed seed, and held
against the passages that the question finds.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from eval.answers import Asking, drawn, known_answers
from eval.datasets import load
from eval.index import OnProgress, build_index
from eval.stores import spaces_of, temporary_store
from rag.answer.evidence import SentencePool
from rag.answer.facts import facts
from rag.answer.ground import Judge
from rag.answer.sources import numbered
from rag.retrieve.context import HITS_PER_SOURCE, choose
from rag.text import sentences

TRUE = ("word for word", "question and answer")
_INTEGER = re.compile(r"(?<![\w.,])\d{1,4}(?![\w.,]*\d)")
_IS = re.compile(r"\b(is|was|were|are|has|had|can|will|would|could)\b(?! not)")
_ADDED_WORDS = 8


def variants(
    sentence: str, elsewhere: str, names: Sequence[str], rng: np.random.Generator
) -> Iterator[tuple[str, str]]:
    """Ways in which `sentence` is made wrong, each with its name; those that it gives no hold for are left out.

    Args:
        elsewhere: a sentence about something else.
        names: of people and places that `sentence` has nothing to do with, at least one.
    """
    numbers = list(_INTEGER.finditer(sentence))
    if numbers:
        first = numbers[0]
        other = str(int(first[0]) + int(rng.integers(1, 9)))
        yield "another number", sentence[: first.start()] + other + sentence[first.end() :]
    if len(numbers) > 1 and numbers[0][0] != numbers[1][0]:
        (a, b), (c, d) = numbers[0].span(), numbers[1].span()
        yield "numbers swapped", sentence[:a] + numbers[1][0] + sentence[b:c] + numbers[0][0] + sentence[d:]
    own = [name for name in facts(sentence).names if name.isalpha()]
    if own:
        yield "another name", re.sub(rf"\b{own[0]}\b", str(rng.choice(names)), sentence)
    if _IS.search(sentence):
        yield "denied", _IS.sub(r"\1 not", sentence, count=1)
    added = " ".join(elsewhere.split()[:_ADDED_WORDS]).rstrip(".,;")
    yield "something added", f"{sentence.rstrip('.')}, and {added[:1].lower()}{added[1:]}."
    yield "about something else", elsewhere


def grounding(
    folder: Path,
    asking: Asking,
    *,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[str], OnProgress] = lambda stage: lambda done, total: None,
) -> dict[str, Any]:
    """Judge the true and the wrong sentences for `limit` questions of `folder`, a data set in BEIR layout.

    Raises:
        DatasetError: there are no answers.
    """
    started = time.monotonic()
    dataset = load(folder)
    known = known_answers(folder, dataset)
    chosen = drawn(sorted(known), limit, seed)
    rng = np.random.default_rng(seed)
    texts = {entry.id: entry.text for entry in dataset.entries}
    found: dict[str, list[str]] = {}
    ms: list[float] = []
    with (
        TemporaryDirectory(prefix="commonplace-eval-") as temporary,
        temporary_store("memory", spaces_of(asking.embedder, None)) as (store, _),
    ):
        index = build_index(dataset, asking.embedder, asking.settings, store, Path(temporary), progress("index"))
        show = progress("ask")
        for number, query in enumerate(chosen, start=1):
            right = [name for name, grade in dataset.judgements[query].items() if grade > 0]
            others = [text for name, text in texts.items() if name not in right]
            said = _said(dataset.queries[query], known[query][0], texts[right[0]], others, rng)
            sources = asking.settings.sources
            result = choose(index.searcher.search(dataset.queries[query], HITS_PER_SOURCE * sources), sources)
            pool = SentencePool(numbered(result), asking.embedder)
            scores = pool.scores([text for _, text in said])
            begun, judge = time.perf_counter(), Judge(pool)
            for (kind, text), row in zip(said, scores, strict=True):
                found.setdefault(kind, []).append(judge.verdict(text, row).support)
            ms.append((time.perf_counter() - begun) * 1000 / max(len(said), 1))
            show(number, len(chosen))
        asking.embedder.save()
    return {
        "dataset": dataset.name,
        "questions": len(chosen),
        "kinds": {kind: _shares(supports) for kind, supports in found.items()},
        "ms_per_sentence": float(np.median(ms)),
        "seconds": time.monotonic() - started,
    }


def print_grounding(result: Mapping[str, Any], console: Console) -> None:
    """How many of each kind are marked: of the true ones none should be, of the others all."""
    table = Table(title=f"{result['dataset']}: sentences for {result['questions']} questions")
    for name in ("", "sentences", "supported", "partly", "unsupported", "marked"):
        table.add_column(name, justify="right" if name else "left")
    for kind, shares in result["kinds"].items():
        cells = [f"{shares[name]:.3f}" for name in ("supported", "partly", "unsupported", "marked")]
        table.add_row(kind, str(shares["sentences"]), *cells, style="bold" if kind in TRUE else "")
    console.print(table)
    console.print(
        f"{result['ms_per_sentence']:.1f} ms a sentence, without its vector; {result['seconds']:.0f} s in all"
    )


def _said(
    question: str, answer: str, text: str, others: Sequence[str], rng: np.random.Generator
) -> list[tuple[str, str]]:
    """The true sentences and the wrong ones; none where the answer does not stand in `text`."""
    at = text.find(answer)
    true = next((text[start:end] for start, end in sentences(text) if start <= at < end), None)
    if true is None:
        return []
    elsewhere = others[int(rng.integers(len(others)))]
    start, end = sentences(elsewhere)[0]
    names = facts(elsewhere).names or ("Gorbachev",)
    statement = f"{question.rstrip('?')}: {answer}."
    return [(TRUE[0], true), (TRUE[1], statement), *variants(true, elsewhere[start:end], names, rng)]


def _shares(supports: Sequence[str]) -> dict[str, float]:
    shares = {name: supports.count(name) / len(supports) for name in ("supported", "partly", "unsupported")}
    return {"sentences": len(supports), **shares, "marked": 1 - shares["supported"]}
