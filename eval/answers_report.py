"""The measures of answers as a table for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_ROWS = (
    ("gold string in the answer", "gold_in_answer"),
    ("gold string in highlighted evidence", "gold_in_evidence"),
    ("in either", "gold_in_either"),
    ("gold document among the sources", "gold_retrieved"),
    ("token F1", "token_f1"),
    ("exact match", "exact_match"),
    ("citations to the gold document", "citation_precision"),
    ("citations to a sentence with the gold string", "citation_precision_sentence"),
    ("answers that cite the gold document", "citation_recall"),
    ("sentences marked as unsupported", "unsupported"),
    ("sentences marked as partly supported", "partly_supported"),
    ("unsupported sentences shown unmarked, at most", "unsupported_unmarked"),
)
_TIMES = {"first": "first words", "first_token": "the model's first token, from its call", "total": "whole answer"}


def print_answers(result: Mapping[str, Any], console: Console) -> None:
    """What was said, cited and held back, and how long it took."""
    metrics = result["metrics"]
    generator = result["settings"]["generator"] or "no model"
    table = Table(title=f"{result['dataset']}: {metrics['questions']} questions, answered by {generator}")
    table.add_column("")
    table.add_column("share", justify="right")
    for label, name in _ROWS:
        table.add_row(label, f"{metrics[name]:.3f}")
    for name, value in metrics["abstention"].items():
        table.add_row(f"abstention, {name}", f"{value:.3f}")
    console.print(table)
    for note in result["notes"]:
        console.print(note)
    for name, found in result["ms"].items():
        console.print(f"{_TIMES[name]}: {found['median']:.0f} ms median, {found['p95']:.0f} ms for 95 %")
    console.print(f"{metrics['sentences']} sentences judged; {result['seconds']:.0f} s in all")
