"""How well whole documents are read: the right page of a PDF, the body of a web page, the fields of a mail.

A folder holds any of these, in any folders below it:

    questions.jsonl      `question`, `source` and `page`: a PDF's path in the folder, and the page that answers
    NAME.html            with NAME.gold.txt, the words of its article
    NAME.eml             with NAME.gold.json: `from`, `to`, `subject`, `date` (UTC), `body`, `attachments` (names)

Questions go through the whole program: the folder is added to a new library, searched, and asked; what should not be
in it stands in `.ragignore`. Web pages and mails go through their readers.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.datasets import QUESTIONS, DatasetError, rows_of
from rag.build import open_library
from rag.config import Settings
from rag.ingest import media
from rag.ingest.options import ReadOptions
from rag.ingest.readers import read
from rag.library import Library
from rag.records import Document, Done, Source

DEPTHS = (1, 5, 10)
GRAM = 4  # tokens of a shingle, as benchmarks of article extraction count them
_WORD = re.compile(r"\w+")

OnAsked = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Paged:
    """A question and the page that answers it."""

    text: str
    path: Path
    page: int


def documents(folder: Path, settings: Settings, on_asked: OnAsked = lambda done, total: None) -> dict[str, Any]:
    """Measure all that `folder` has a truth for; a kind that it does not have is None.

    Raises:
        DatasetError: it has a truth for nothing, or a file is broken.
    """
    asked = list(_questions(folder))
    result = {
        "folder": folder.name,
        "pages": _pages(folder, asked, settings, on_asked) if asked else None,
        "web": web(folder),
        "mail": mail(folder),
    }
    if not (asked or result["web"] or result["mail"]):
        raise DatasetError(f"{str(folder)!r} has no question with a page, no .gold.txt and no .gold.json")
    return result


def _questions(folder: Path) -> Iterator[_Paged]:
    if not (folder / QUESTIONS).is_file():
        return
    for row, at in rows_of(folder / QUESTIONS):
        source, page = str(row.get("source", "")), row.get("page")
        if page is None or not source.lower().endswith(".pdf") or "!/" in source:
            continue
        path = (folder / source).resolve()
        if not path.is_file() or not path.is_relative_to(folder.resolve()) or not isinstance(page, int):
            raise DatasetError(f"{at}: expected a PDF inside the folder and a page, got {source!r} and {page!r}")
        yield _Paged(str(row.get("question", "")), path, page)


# --- pages: the whole program ------------------------------------------------------------------------------------


def _pages(folder: Path, asked: Sequence[_Paged], settings: Settings, on_asked: OnAsked) -> dict[str, Any]:
    """Page hit@k of the search, and where the citations of the answers point to.

    `citations` is the share of all citations that point to the right page, `answers` that of the answers with a
    citation of which one does, `cited` that of the questions whose answer has a citation at all.
    """
    library = open_library(settings)
    try:
        report = library.add([folder])
        hits: dict[int, list[bool]] = {k: [] for k in DEPTHS}
        right: list[list[bool]] = []
        for number, question in enumerate(asked, start=1):
            found = library.search(question.text, k=max(DEPTHS)).hits
            places = [_is_there(question, hit.chunk.path, hit.chunk.page) for hit in found]
            for k in DEPTHS:
                hits[k].append(any(places[:k]))
            right.append(_cited(library, question))
            on_asked(number, len(asked))
    finally:
        library.close()
    cited = [one for one in right if one]
    flat = [place for one in cited for place in one]
    return {
        "questions": len(asked),
        "failed_files": [failure.path for failure in report.failed],
        **{f"page_hit@{k}": fmean(found) for k, found in hits.items()},
        "citations": fmean(flat) if flat else 0.0,
        "answers": fmean(any(one) for one in cited) if cited else 0.0,
        "cited": len(cited) / len(asked),
    }


def _cited(library: Library, question: _Paged) -> list[bool]:
    """For each citation of the answer, whether it points to the right page."""
    for event in library.ask(question.text):
        if isinstance(event, Done):
            return [_is_there(question, one.path, one.page) for one in event.answer.citations]
    return []


def _is_there(question: _Paged, path: str, page: int | None) -> bool:
    return page == question.page and Path(path) == question.path


# --- web pages ---------------------------------------------------------------------------------------------------


def web(folder: Path) -> dict[str, Any] | None:
    """Precision, recall and F1 of token 4-grams, averaged over the web pages that have a truth; None without any."""
    scores = []
    for gold in sorted(folder.rglob("*.gold.txt")):
        page = gold.with_name(gold.name.removesuffix(".gold.txt") + ".html")
        scores.append(overlap(shingles(gold.read_text("utf-8")), shingles(_read(page, media.HTML).text)))
    if not scores:
        return None
    precision, recall = fmean(p for p, _ in scores), fmean(r for _, r in scores)
    return {
        "pages": len(scores),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "worst_f1": min(2 * p * r / (p + r) if p + r else 0.0 for p, r in scores),
    }


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Every run of GRAM tokens with how often it comes; a text of fewer tokens is one run."""
    tokens = _WORD.findall(text.casefold())
    if not tokens:
        return Counter()
    return Counter(tuple(tokens[start : start + GRAM]) for start in range(max(len(tokens) - GRAM + 1, 1)))


def overlap(gold: Counter[tuple[str, ...]], found: Counter[tuple[str, ...]]) -> tuple[float, float]:
    """Precision and recall of `found`, as multisets; nothing found of nothing to find is right."""
    both = (gold & found).total()
    precision = both / found.total() if found else float(not gold)
    return precision, both / gold.total() if gold else 1.0


# --- mails -------------------------------------------------------------------------------------------------------


def mail(folder: Path) -> dict[str, Any] | None:
    """The share of mails with a truth in which each field was read as it should be; None without any."""
    right: dict[str, list[bool]] = {}
    wrong = []
    for gold in sorted(folder.rglob("*.gold.json")):
        path = gold.with_name(gold.name.removesuffix(".gold.json") + ".eml")
        try:
            expected = json.loads(gold.read_text("utf-8"))
        except ValueError as exc:
            raise DatasetError(f"{str(gold)!r} is not JSON ({exc})") from exc
        found = mail_fields(_read(path, media.MAIL))
        for name, value in expected.items():
            same = found.get(name) == (" ".join(value.split()) if isinstance(value, str) else value)
            right.setdefault(name, []).append(same)
            if not same:
                wrong.append(f"{path.name}: {name}")
    if not right:
        return None
    fields = {name: fmean(values) for name, values in right.items()}
    return {"mails": max(map(len, right.values())), "fields": fields, "wrong": wrong}


def mail_fields(document: Document) -> dict[str, Any]:
    """What was read of a mail, by the names of the truth; runs of white space are one space."""
    headers = dict(document.fields)
    body = document.text.partition("\n\n")[2]
    return {
        **{name.lower(): " ".join(headers.get(name, "").split()) for name in ("From", "To", "Subject")},
        "date": document.date.isoformat() if document.date else "",
        "body": " ".join(body.split()),
        "attachments": [source.path.rpartition("/")[2] for source in document.attachments],
    }


def _read(path: Path, media_type: str) -> Document:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise DatasetError(f"there is a truth for {str(path)!r}, which cannot be read ({exc.strerror})") from exc
    return read(Source(str(path), media_type, data), ReadOptions(ocr=False))


def print_documents(result: Mapping[str, Any], console: Console) -> None:
    """A row for each figure."""
    table = Table("", "", title=f"documents of {result['folder']}")
    for kind in ("pages", "web"):
        for name, value in (result[kind] or {}).items():
            table.add_row(f"{kind}: {name}", f"{value:.3f}" if isinstance(value, float) else str(value))
    found = result["mail"]
    if found:
        table.add_row("mails", str(found["mails"]))
        for name, value in found["fields"].items():
            table.add_row(f"mail: {name}", f"{value:.3f}")
        if found["wrong"]:
            table.add_row("mail: wrong", ", ".join(found["wrong"][:10]))
    console.print(table)
