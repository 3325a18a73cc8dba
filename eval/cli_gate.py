"""`python -m eval gate [DIR]`: how often the gate promotes what is no better."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval.cache import CachedEmbedder
from eval.gate import real, synthetic
from eval.learning import Ground, ground
from eval.printing import show
from eval.report import progress_bars
from rag.build import build_embedder
from rag.config import load_settings
from rag.embed.query_side import QuerySideEmbedder
from rag.environment import prepare_environment
from rag.ingest.analyse import analyse_query
from rag.judging import rank_by
from rag.protocols import Embedder
from rag.records import document_id
from rag.retrieve.search import Searcher
from rag.tune.records import Question
from rag.tune.trial import Asked, Rank, Ranked

ASKED = 100  # questions that each candidate of chance is judged by
SLIGHTLY, STRONGLY = 0.3, 1.0  # how far a query is turned, as a share of its length

Shown = Callable[[int, int], None]


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the command to `app`; it prints to `out`, and its progress to `err`."""

    @app.command()
    def gate(
        folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="A BEIR folder for real answers.")] = None,
        runs: Annotated[int, typer.Option(min=20, help="Gates of each kind.")] = 200,
        seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """A/A tests of the gate: false promotions and power, on made-up questions and on those of DIR."""
        prepare_environment()
        with progress_bars("gate", err) as progress:
            result: dict[str, Any] = {"synthetic": synthetic(runs, seed, progress("ask"))}
            if folder is not None:
                settings = load_settings(embedder="starter", image_embedder="none")
                embedder = CachedEmbedder(build_embedder(settings), settings.home / "cache" / "eval")
                indexed = ground(folder, embedder, settings, progress)
                result["real"] = real(*answers(indexed, runs, seed, progress("ask")), runs, seed)
                embedder.save()
        show(result, as_json, out, print_gate)


def answers(ground: Ground, candidates: int, seed: int, show: Shown) -> tuple[list[Asked], list[list[Asked]]]:
    """Every question of a data set asked of the program's ranker and of one whose queries are turned strongly; and
    ASKED questions for each candidate of chance, whose queries are turned slightly.
    """
    random = np.random.default_rng(seed)
    questions = _questions(ground)
    total = (2 + candidates) * len(questions)
    base: Embedder = ground.index.embedder
    before = _ask(_rank(ground, base), questions, lambda done: show(done, total))
    other = _ask(_rank(ground, _turned(base, STRONGLY, seed)), questions, lambda done: show(len(before) + done, total))
    turned = []
    for number in range(candidates):
        rank = _rank(ground, _turned(base, SLIGHTLY, seed + 1 + number))
        chosen = random.choice(len(questions), min(ASKED, len(questions)), replace=False)
        after = _ask(rank, [questions[at] for at in chosen], lambda done: None)
        turned.append([Asked(questions[at], before[at], one) for at, one in zip(chosen, after, strict=True)])
        show((3 + number) * len(questions), total)
    return [Asked(*row) for row in zip(questions, before, other, strict=True)], turned


def print_gate(result: Mapping[str, Any], console: Console) -> None:
    """What was promoted, of what, and how often."""
    made, found = result["synthetic"], result.get("real")
    rows = [(f"made up, true gain {100 * row['true_gain']:+.1f}", row) for row in made["gates"]]
    rows.append(("made up, canaries change by chance", made["with_canaries_that_change_by_chance"]))
    if found:
        rows += [("real, labels shuffled", row) for row in found["shuffled"]]
        chance = found["candidates_of_chance"]
        rows.append(("real, turned by chance", {"questions": ASKED, "runs": chance["candidates"], **chance}))
    table = Table("", "questions", "gates", "gain measured", "detectable", "PASS", "FAIL", "INCONCLUSIVE", box=None)
    for name, row in rows:
        shares = (f"{row[outcome]:.3f}" for outcome in ("PASS", "FAIL", "INCONCLUSIVE"))
        least = f"{100 * row['detectable']:.1f}" if "detectable" in row else ""
        table.add_row(name, str(row["questions"]), str(row["runs"]), f"{100 * row['gain']:+.2f}", least, *shares)
    console.print(table)
    families = ", ".join(f"{name} {rate:.3f}" for name, rate in made["families"].items())
    console.print(f"any of 5 candidates that are no better is promoted: {families}")
    console.print(f"300 questions, 300 canaries, 5 candidates: {made['seconds_300_questions_5_candidates']:.2f} s")


def _questions(ground: Ground) -> list[Question]:
    return [
        Question(name, text, {document_id(d): grade for d, grade in judged.items() if grade > 0}, "hand", 0.0)
        for name, text in ground.dataset.queries.items()
        if (judged := ground.dataset.judgements[name])
    ]


def _rank(ground: Ground, embedder: Embedder) -> Rank:
    languages = ground.index.languages
    return rank_by(Searcher(embedder, ground.store, lambda text: analyse_query(text, languages)))


def _ask(rank: Rank, questions: Sequence[Question], show: Callable[[int], None]) -> list[Ranked]:
    """What a ranker gives for each question. Times are left out: rankers are not asked in turns here."""
    found = []
    for number, question in enumerate(questions, start=1):
        found.append(Ranked(rank(question.text).documents, 0.0))
        show(number)
    return found


def _turned(base: Embedder, share: float, seed: int) -> Embedder:
    """`base` with each query turned by chance: a random matrix times the query, so long on average, is added to it."""
    noise = np.random.default_rng(seed).normal(0, share / np.sqrt(base.dim), (base.dim, base.dim)).astype(np.float32)

    def turn(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        moved = rows + rows @ noise
        return np.asarray(moved / np.linalg.norm(moved, axis=1, keepdims=True), np.float32)

    return QuerySideEmbedder(base, turn=turn)
