"""Whether a change made the search worse: a small frozen collection, asked again, against the scores that were kept.

`eval/frozen/` holds texts, small pictures and questions, all ours, with `scores.json`: nDCG@10 of every question with
each retriever on the day it was frozen. Nothing that a change could break is kept: the texts are cut, analysed and
embedded, the pictures are read, and the questions are asked, by the program as it is now.

A drop fails where it is larger than the tolerance *and* is no chance by a paired test. The same program gives the same
scores; what moves them without anybody's fault is another version of torch or of the OCR, another processor, or half
precision, and `eval/frozen/README.md` has how much. The tolerance is above that and below what real defects cost.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from eval.cache import CachedEmbedder
from eval.datasets import load
from eval.run import run
from rag.config import load_settings
from rag.protocols import Embedder
from rag.tune.statistics import ALPHA, holm, sign_flip

FROZEN = Path(__file__).with_name("frozen")
SCORES = "scores.json"
CHUNK_TOKENS = 80  # short, so that few texts make many chunks; what is shipped is longer
TOLERANCE = 0.005  # mean nDCG@10: a question and a half of 300 that are found no more
MEASURE = "ndcg@10"

Scores = Mapping[str, Mapping[str, float]]  # retriever -> question -> nDCG@10


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one retriever. `p`, after Holm's correction, is of a drop as large as this by chance."""

    retriever: str
    before: float
    after: float
    p: float
    worst: tuple[str, ...]  # the questions that lost most

    @property
    def failed(self) -> bool:
        return self.before - self.after > TOLERANCE and self.p < ALPHA


def measure(embedder: Embedder, home: Path) -> Scores:
    """nDCG@10 of every question of the frozen collection, by retriever.

    `home` is an empty folder, so that nothing of earlier runs is used; vectors are kept there, which makes batches of
    the questions.
    """
    settings = load_settings(home=home, chunk_tokens=CHUNK_TOKENS)
    found = run(load(FROZEN), CachedEmbedder(embedder, home / "vectors"), settings, store="memory")
    retrievers = found["by_retriever"]
    return {
        name: {query: round(scores[name][MEASURE], 6) for query, scores in found["per_query"].items()}
        for name in retrievers
    }


def kept_scores(folder: Path = FROZEN) -> Scores:
    """The scores on the day the collection was frozen."""
    scores: Scores = json.loads((folder / SCORES).read_text("utf-8"))
    return scores


def freeze(scores: Scores, folder: Path = FROZEN) -> None:
    """Keep `scores` as those that later changes are held against."""
    (folder / SCORES).write_text(json.dumps(scores, indent=0, sort_keys=True) + "\n", "utf-8")


def changes(before: Scores, after: Scores) -> list[Change]:
    """Every retriever of `before` against itself now; one that is gone has lost everything."""
    drops = {}
    for name, scores in before.items():
        now = after.get(name, {})
        drops[name] = {query: score - now.get(query, 0.0) for query, score in scores.items()}
    ps = holm([sign_flip(list(drop.values()), "greater") for drop in drops.values()])
    found = []
    for (name, drop), p in zip(drops.items(), ps, strict=True):
        mean = float(np.mean(list(before[name].values())))
        worst = sorted((query for query in drop if drop[query] > 0), key=lambda query: (-drop[query], query))
        found.append(Change(name, mean, mean - float(np.mean(list(drop.values()))), p, tuple(worst[:5])))
    return found


def print_changes(result: Mapping[str, Any], console: Console) -> None:
    """A row for each retriever, and the questions that lost most."""
    table = Table("", "before", "now", "p of a drop", "", title="the frozen collection, nDCG@10")
    for name, row in result["retrievers"].items():
        verdict = "worse" if row["failed"] else "as it was"
        table.add_row(name, f"{row['before']:.4f}", f"{row['after']:.4f}", f"{row['p']:.3f}", verdict)
    console.print(table)
    for name, row in result["retrievers"].items():
        if row["failed"]:
            console.print(f"{name} lost most: {', '.join(row['worst'])}")
