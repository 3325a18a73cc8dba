"""A result as a table for people, and progress while it is made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from eval.ask import HYBRID
from eval.index import OnProgress
from eval.metrics import MEASURES
from eval.printing import short
from eval.run import Progresses

_RANKS = ("r@1", "r@5", "r@10", "mrr@10")  # what is said of pictures and words
_SHOWN = tuple(name for name in MEASURES if not name.startswith("r@"))
_VERBS = {"index": "indexing", "ask": "asking"}


def print_result(result: Mapping[str, Any], console: Console) -> None:
    """The measures by retriever, the bootstrap interval of nDCG@10, and how fast it went."""
    table = Table(title=f"{result['dataset']}: {result['queries']} questions, {result['documents']} documents")
    table.add_column("")
    for name in (*_SHOWN, "95 % of ndcg@10"):
        table.add_column(name, justify="right")
    for retriever, means in result["by_retriever"].items():
        low, high = result["intervals"][retriever]["ndcg@10"]
        cells = [short(means[measure]) for measure in _SHOWN] + [f"{short(low)} to {short(high)}"]
        table.add_row(retriever, *cells, style="bold" if retriever == HYBRID else "")
    console.print(table)
    for direction, found in result.get("by_direction", {}).items():
        console.print(_direction_table(direction, found))
    for note in result["notes"]:
        console.print(note)
    index = result["index"]
    console.print(
        f"{result['chunks']} chunks indexed at {index['documents_per_second']:.1f} documents/s "
        f"({index['vectors_from_cache']} vectors from the cache); "
        f"a question takes {result['ms']['total']:.0f} ms; {result['seconds']:.0f} s in all"
    )


def _direction_table(direction: str, found: Mapping[str, Any]) -> Table:
    table = Table(title=f"{direction}: {found['queries']} questions")
    table.add_column("")
    for name in _RANKS:
        table.add_column(name, justify="right")
    for retriever, means in found["by_retriever"].items():
        cells = [short(means[measure]) for measure in _RANKS]
        table.add_row(retriever, *cells, style="bold" if retriever == HYBRID else "")
    return table


@contextmanager
def progress_bars(name: str, console: Console) -> Iterator[Progresses]:
    """Bars with rate and time left, one per stage of the data set `name`."""
    columns = (
        TextColumn(name),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bars:

        def stage(name: str) -> OnProgress:
            task = bars.add_task(_VERBS.get(name, name), total=None, rate="")

            def show(done: float, total: int) -> None:
                speed = bars.tasks[task].speed or 0.0
                bars.update(task, completed=done, total=total, rate=f"{speed:.0f}/s" if speed >= 1 else "")

            return show

        yield stage
