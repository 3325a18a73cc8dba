"""`python -m eval own`: the library asked its own kept questions, as the Evaluate tab does it."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from eval.printing import print_json
from eval.report import progress_bars
from rag.build import open_library
from rag.config import load_settings
from rag.evaluating import Difference, Evaluation, Scores, compare, evaluate_own, history

_GROUPS = {"modalities": "modality", "kinds": "kind of source", "sources": "origin of the question"}


def register(app: typer.Typer, out: Console, err: Console) -> None:
    """Add the command to `app`; it prints to `out`, and shows progress on `err`."""

    @app.command()
    def own(
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
        past: Annotated[bool, typer.Option("--history", help="Ask nothing; show the earlier evaluations.")] = False,
    ) -> None:
        """Ask the library in RAG_HOME its kept questions, keep the scores, and say what became better or worse."""
        settings = load_settings(generator="none")
        earlier = history(settings.home)
        if past:
            if as_json:
                print_json([_as_json(one) for one in earlier])
            else:
                print_history(earlier, out)
            return
        library = open_library(settings)
        try:
            with progress_bars("own", err) as progress:
                found = evaluate_own(library, progress("ask"))
        finally:
            library.close()
        if found is None:  # only where something asks it to stop
            raise typer.Exit(1)
        difference = compare(earlier[-1], found) if earlier else None
        if as_json:
            print_json({**_as_json(found), "difference": asdict(difference) if difference else None})
        else:
            print_evaluation(found, difference, out)


def print_evaluation(found: Evaluation, difference: Difference | None, console: Console) -> None:
    """All questions and each group, then what is different from last time."""
    depths = list(found.scores.recall)
    title = f"{found.scores.questions} kept questions, {found.setup.documents} documents, {found.ms:.0f} ms a search"
    table = Table("", "questions", *(f"recall@{k}" for k in depths), "MRR@20", "nDCG@10", title=title)
    table.add_row("all", *_cells(found.scores), style="bold")
    for name, what in _GROUPS.items():
        groups: Mapping[str, Scores] = getattr(found, name)
        for group, scores in groups.items() if len(groups) > 1 else ():
            table.add_row(f"{what}: {group}", *_cells(scores))
    console.print(table)
    if found.lost:
        console.print(f"{len(found.lost)} questions could not be asked: their documents have left the library")
    if difference is not None:
        console.print(told(difference), markup=False)


def told(difference: Difference) -> str:
    """What became of the questions that were asked last time too, in a sentence."""
    if not difference.questions:
        return "No question was asked last time too."
    low, high = difference.interval
    verdict = {
        "better": "Better than last time",
        "worse": "WORSE than last time",
        "none": "No evidence of a difference from last time",
    }[difference.judged]
    changed = f" Changed meanwhile: {'; '.join(difference.changed)}." if difference.changed else ""
    return (
        f"{verdict}: nDCG@10 {difference.before:.3f} to {difference.after:.3f} on {difference.questions} questions "
        f"(95 % of the difference {low:+.3f} to {high:+.3f}, p {difference.p:.3f}).{changed}"
    )


def print_history(earlier: list[Evaluation], console: Console) -> None:
    """A row for each evaluation, oldest first."""
    table = Table("when", "questions", "recall@10", "MRR@20", "nDCG@10", "embedder", "tuned")
    for one in earlier:
        when = datetime.fromtimestamp(one.time).astimezone().strftime("%Y-%m-%d %H:%M")
        scores = [f"{one.scores.recall[10]:.3f}", f"{one.scores.mrr:.3f}", f"{one.scores.ndcg:.3f}"]
        table.add_row(when, str(one.scores.questions), *scores, one.setup.embedder, one.setup.retriever)
    console.print(table if earlier else "Nothing was evaluated in this library yet.")


def _cells(scores: Scores) -> list[str]:
    means = (*scores.recall.values(), scores.mrr, scores.ndcg)
    return [str(scores.questions), *(f"{value:.3f}" for value in means)]


def _as_json(found: Evaluation) -> dict[str, Any]:
    return asdict(found)
