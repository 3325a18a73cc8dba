"""Find the receipt: scans that are asked for by what somebody remembers of them, in the layout of SROIE (ICDAR 2019).

`img/` holds the scans and `key/` for each of them a JSON object of the same name with `company`, `date`, `total`. Three
questions are asked of each: by the company, by company and date, by company and total; those that several scans share
are asked once. Every scan that shares what is asked for is right, whatever its capitals, marks and currency.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eval import metrics
from eval.datasets import Dataset, DatasetError, Entry
from eval.printing import short
from eval.report import print_result
from rag.ingest import media

_ASKED = {
    "company": ("company",),
    "company and date": ("company", "date"),
    "company and total": ("company", "total"),
}
_WORDS = {"company": "receipt from {}", "date": "of {}", "total": "total {}"}
_LETTERS = re.compile(r"[\W_]+")
_AMOUNT = re.compile(r"\d[\d.,]*")


def receipts(folder: Path) -> Dataset:
    """The scans as documents, and questions that only the words in them answer.

    Raises:
        DatasetError: a folder or a key is missing or broken.
    """
    if not (folder / "img").is_dir() or not (folder / "key").is_dir():
        raise DatasetError(f"{str(folder)!r} has no folders 'img' and 'key'; give one in the layout of SROIE")
    scans = sorted(path for path in (folder / "img").iterdir() if media.media_type_of_name(path.name) in media.IMAGES)
    keys = {scan.stem: _key(folder / "key" / f"{scan.stem}.json") for scan in scans}
    queries, judgements = {}, {}
    for kind, fields in _ASKED.items():
        sharing: dict[tuple[str, ...], list[str]] = {}
        for name, key in keys.items():
            if all(key.get(field) for field in fields):
                sharing.setdefault(tuple(_same(field, str(key[field])) for field in fields), []).append(name)
        for first, *others in sharing.values():
            query = f"{first}, {kind}"
            queries[query] = " ".join(_WORDS[field].format(keys[first][field]) for field in fields)
            judgements[query] = dict.fromkeys([first, *others], 1)
    if not queries:
        raise DatasetError(f"{str(folder / 'key')!r} has no key with a company")
    entries = tuple(Entry(scan.stem, "", "", scan) for scan in scans)
    return Dataset(folder.resolve().name, entries, queries, judgements)


def by_kind(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """For each kind of question how many there are, and the measures of the one list."""
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for query, scores in result["per_query"].items():
        found.setdefault(query.partition(", ")[2], {})[query] = scores[result["fused"]]
    return {kind: {"questions": len(scores), **metrics.mean(scores)} for kind, scores in found.items()}


def print_receipts(result: Mapping[str, Any], console: Console) -> None:
    """The result as that of any run, and what each kind of question found."""
    print_result({**result, "by_direction": {}}, console)  # all is asked with words, and of pictures
    table = Table("asked by", "questions", "right one first", "among 5", "nDCG@10")
    for kind, found in result["by_kind"].items():
        cells = (short(found[name]) for name in ("r@1", "r@5", "ndcg@10"))
        table.add_row(kind, str(found["questions"]), *cells)
    console.print(table)


def _same(field: str, said: str) -> str:
    """What two ways to write the same have in common: an amount as a number, all else as its letters and digits."""
    amount = _AMOUNT.search(said)
    if field == "total" and amount:
        return amount[0].replace(",", "").rstrip(".")
    return _LETTERS.sub("", said.casefold())


def _key(path: Path) -> dict[str, Any]:
    try:
        key = json.loads(path.read_text("utf-8-sig"))
    except OSError as exc:
        raise DatasetError(f"cannot read {str(path)!r} ({exc.strerror}); every scan needs a key") from exc
    except ValueError as exc:
        raise DatasetError(f"{str(path)!r} is not JSON ({exc})") from exc
    if not isinstance(key, dict):
        raise DatasetError(f"{str(path)!r} is not a JSON object")
    return key
