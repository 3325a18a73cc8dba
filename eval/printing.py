"""What commands print: one JSON document, or tables for a person."""

import json
from collections.abc import Callable
from typing import Any

from rich.console import Console


def print_json(result: Any) -> None:
    """One document on standard output, and nothing else there."""
    print(json.dumps(result, ensure_ascii=False))  # noqa: T201


def show(
    result: dict[str, Any], as_json: bool, out: Console, print_table: Callable[[dict[str, Any], Console], None]
) -> None:
    """A result as one JSON document, or as tables for a person."""
    if as_json:
        print_json(result)
    else:
        print_table(result, out)


def short(value: float) -> str:
    """Three places, as tables of such figures have them: .735, 1.000."""
    return f"{value:.3f}".removeprefix("0")
