"""Questions that lean on earlier ones, through the program's search and answer: as asked, made to stand alone, whole.

A folder with `followups.jsonl` holds ordinary files and lines with `before` (the questions asked before, oldest first),
`question`, `whole` (as it would be asked by itself; the same where it leans on nothing), `source`, `page` and `answer`.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.datasets import DatasetError
from eval.index import OnProgress
from rag.answer.leaning import leans
from rag.answer.quotations import best
from rag.build import open_library
from rag.config import Settings
from rag.records import Answer, AnswerEvent, Done, Message, Passage

FOLLOWUPS = "followups.jsonl"
_QUOTED = 2  # quotations that a small model's answer has at most
_FIELDS = ("before", "question", "whole", "source", "page", "answer")

Row = Mapping[str, Any]
Ask = Callable[..., Iterator[AnswerEvent]]  # the library's
Way = Callable[[Row], tuple[str, Sequence[Message]]]
WAYS: Mapping[str, Way] = {
    "as asked": lambda row: (row["question"], ()),
    "made to stand alone": lambda row: (row["question"], _history(row["before"])),
    "whole": lambda row: (row["whole"], ()),
}


class Steps:
    """How many questions of all were asked."""

    def __init__(self, show: OnProgress, total: int) -> None:
        self._show, self._total, self._done = show, total, 0

    def take(self) -> None:
        self._done += 1
        self._show(self._done, self._total)


def followups(folder: Path, settings: Settings, progress: Callable[[str], OnProgress]) -> dict[str, Any]:
    """How often the source comes first, is found and quoted, and the answer withheld, by the way of asking.

    Args:
        folder: the files, and `followups.jsonl` beside them.
        settings: of a library that is made for this and thrown away; earlier questions have no answers in it.
        progress: gives a function of done and total for a stage.
    """
    rows = _rows(folder / FOLLOWUPS)
    groups = {"leaning": [r for r in rows if r["whole"] != r["question"]]}
    groups["new"] = [r for r in rows if r["whole"] == r["question"]]
    told = [leans(row["question"]) for row in groups["leaning"]]
    called = [leans(row["question"]) for row in groups["new"]]
    result: dict[str, Any] = {"leaning_told": [sum(told), len(told)], "new_told_to_lean": [sum(called), len(called)]}
    with tempfile.TemporaryDirectory() as home:
        chosen = settings.model_copy(update={"home": Path(home), "ocr": False})
        with closing(open_library(chosen)) as library:
            show = progress("index")
            library.add([folder], on_progress=lambda at: show(at.done, at.total))
            steps = Steps(progress("ask"), len(rows) * len(WAYS))
            for name, of_group in groups.items():
                result[name] = {way: _measured(library.ask, folder, of_group, way, steps) for way in WAYS}
    return result


def print_followups(result: Mapping[str, Any], console: Console) -> None:
    told, new = result["leaning_told"], result["new_told_to_lean"]
    console.print(f"told to lean: {told[0]} of {told[1]} that do, {new[0]} of {new[1]} that do not")
    for group in ("leaning", "new"):
        table = Table(title=group)
        for column in ("", "questions", "mrr", "first", "found", "quoted", "withheld"):
            table.add_column(column, justify="right" if column else "left")
        for way, row in result[group].items():
            cells = [str(row[key]) for key in ("first", "found", "quoted", "withheld")]
            table.add_row(way, str(row["questions"]), f"{row['mrr']:.3f}", *cells)
        console.print(table)


def _measured(ask: Ask, folder: Path, rows: Sequence[Row], way: str, steps: Steps) -> dict[str, Any]:
    ranks, quoted, withheld = [], 0, 0
    for row in rows:
        question, history = WAYS[way](row)
        answer = _asked(ask, question, history)
        ranks.append(next(_ranks(answer.passages, folder / row["source"], row["page"]), 0))
        quotations = " ".join(" ".join(best(answer.passages, _QUOTED)).split())
        quoted += row["answer"] in quotations
        withheld += answer.abstained
        steps.take()
    return {
        "questions": len(rows),
        "mrr": sum(1 / rank for rank in ranks if rank) / max(len(rows), 1),
        "first": ranks.count(1),
        "found": sum(rank > 0 for rank in ranks),
        "quoted": quoted,
        "withheld": withheld,
    }


def _asked(ask: Ask, question: str, history: Sequence[Message]) -> Answer:
    *_, last = ask(question, history=history)
    if not isinstance(last, Done):
        raise DatasetError(f"{question!r} was not answered")
    return last.answer


def _ranks(passages: Sequence[Passage], source: Path, page: int | None) -> Iterator[int]:
    """The places of the passages that are from `source` and its page."""
    path = str(source.absolute())
    return (p.number for p in passages if p.hit.chunk.path == path and page in (None, p.hit.chunk.page))


def _history(before: Sequence[str]) -> tuple[Message, ...]:
    return tuple(Message("user", question) for question in before)


def _rows(path: Path) -> list[Row]:
    try:
        rows: list[Row] = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as exc:
        raise DatasetError(f"cannot read {str(path)!r}: {exc}") from exc
    for number, row in enumerate(rows, start=1):
        if missing := [field for field in _FIELDS if field not in row]:
            raise DatasetError(f"line {number} of {str(path)!r} has no {missing[0]!r}")
    return rows
