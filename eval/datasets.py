"""What is searched, what is asked, and which documents are right: folders in BEIR layout, or files with questions.

BEIR layout (Thakur et al. 2021, https://arxiv.org/abs/2104.08663): `corpus.jsonl` with `_id`, `title` and `text`,
`queries.jsonl` with `_id` and `text`, `qrels/<split>.tsv` with the columns query, document, grade and, as a rule, a
heading. Files are UTF-8, with or without a byte order mark, and lines end as on any system.
A row of either may have `"image": "relative/path.jpg"`, a picture inside the folder; `text` is then its caption, or
the words asked beside it, and may be left out.

A folder with `questions.jsonl` holds ordinary files and lines `{"question", "source"}`, `source` being the path of
the one right file inside the folder, or `<path of a mail>!/<number>/<name>` of a file attached to one. A line with
`"picture": "shown"` can only be answered by looking at a picture.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.ingest.attachments import MARK

QUESTIONS = "questions.jsonl"
_HEADINGS = frozenset({"score", "grade", "relevance", "rel", "label"})  # of the last column


class DatasetError(RagError):
    """A data set that cannot be read as its layout says; the message names the file, the line and the remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document of a data set before it is cut into chunks."""

    id: str
    title: str
    text: str
    image: Path | None = None  # a picture, of which `text` is the caption


@dataclass(frozen=True, slots=True)
class Dataset:
    """Documents, questions and judgements, made consistent.

    `queries` holds only questions with at least one right document, `pictures` those that some are asked with;
    `judgements[query][document]` is a grade > 0 for a right document and 0 for one judged wrong. `folder` is set where
    the documents are files to be read from there, and `entries` is then empty. `notes` says in plain words what was
    left out and why.
    """

    name: str
    entries: tuple[Entry, ...]
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...] = ()
    folder: Path | None = None
    pictures: Mapping[str, Path] = field(default_factory=dict)
    by_looks: frozenset[str] = frozenset()  # questions that only an image embedder can answer

    def without_looks(self) -> "Dataset":
        """The questions that words can answer: what is asked where nothing looks at pictures."""
        queries = {name: text for name, text in self.queries.items() if name not in self.by_looks}
        if len(queries) == len(self.queries):
            return self
        note = f"{len(self.by_looks)} questions are left out: no image embedder looks at the pictures they are about"
        judgements = {name: grades for name, grades in self.judgements.items() if name in queries}
        return replace(self, queries=queries, judgements=judgements, by_looks=frozenset(), notes=(*self.notes, note))


def load(folder: Path, split: str = "test") -> Dataset:
    """Read a data set of either layout.

    Raises:
        DatasetError: a file is missing or broken, an id stands twice, or no question can be judged.
    """
    if not folder.is_dir():
        raise DatasetError(f"{str(folder)!r} is not a folder; give one with corpus.jsonl, queries.jsonl and qrels/")
    if (folder / QUESTIONS).is_file():
        return _own_questions(folder)
    root = folder.resolve()
    entries = _unique((_entry(row, at, root), at) for row, at in rows_of(folder / "corpus.jsonl"))
    queries = _unique((_entry(row, at, root), at) for row, at in rows_of(folder / "queries.jsonl"))
    return _consistent(root.name, entries, queries, _judgements(folder / "qrels" / f"{split}.tsv"))


def _entry(row: Mapping[str, Any], at: str, root: Path) -> Entry:
    image = _file(root, _text(row, "image", at), at) if row.get("image") else None
    text = "" if image and row.get("text") is None else _text(row, "text", at)
    return Entry(_text(row, "_id", at), str(row.get("title") or ""), text, image)


def _file(root: Path, name: str, at: str) -> Path:
    """The file `name` inside `root`, wherever links and dots may lead."""
    path = (root / name).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise DatasetError(f"{at}: {name!r} is not a file inside {str(root)!r}")
    return path


def _own_questions(folder: Path) -> Dataset:
    """Every line is its own question; the right document is the file `source`, named as the library names it."""
    queries: dict[str, str] = {}
    judged: dict[str, dict[str, int]] = {}
    by_looks: set[str] = set()
    root = folder.resolve()
    for number, (row, at) in enumerate(rows_of(folder / QUESTIONS), start=1):
        file, *attached = _text(row, "source", at).split(MARK, maxsplit=1)
        queries[str(number)] = _text(row, "question", at)
        judged[str(number)] = {MARK.join([str(_file(root, file, at)), *attached]): 1}
        if row.get("picture") == "shown":
            by_looks.add(str(number))
    if not queries:
        raise DatasetError(f"{str(folder / QUESTIONS)!r} has no question")
    return Dataset(root.name, (), queries, judged, folder=root, by_looks=frozenset(by_looks))


def _consistent(
    name: str, entries: tuple[Entry, ...], asked: tuple[Entry, ...], judged: Mapping[str, Mapping[str, int]]
) -> Dataset:
    """Leave out what cannot be scored, and say so.

    A judgement that names an absent document stays: it lowers recall for every retriever alike, as in the published
    figures.
    """
    known = {entry.id for entry in entries}
    queries = {query.id: query for query in asked}
    judged_right = [query for query in asked if any(grade > 0 for grade in judged.get(query.id, {}).values())]
    kept = [query for query in judged_right if query.text.strip() or query.image]
    absent = {document for query in kept for document in judged[query.id] if document not in known}
    orphans = [query for query in judged if query not in queries]
    notes = [
        (len(queries) - len(judged_right), "questions without a right document are left out"),
        (len(judged_right) - len(kept), "questions without a word or a picture are left out"),
        (len(orphans), "judged questions are not in queries.jsonl"),
        (len(absent), "judged documents are not in corpus.jsonl and count as not found"),
    ]
    if not kept:
        raise DatasetError(f"{name!r}: no question of queries.jsonl has a right document in the judgements")
    said = tuple(f"{count} {what}" for count, what in notes if count)
    return Dataset(
        name,
        entries,
        queries={query.id: query.text for query in kept},
        judgements={query.id: judged[query.id] for query in kept},
        notes=said,
        pictures={query.id: query.image for query in kept if query.image},
    )


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    judged: dict[str, dict[str, int]] = {}
    for line, at in _lines(path):
        columns = line.split("\t")
        if not judged and columns[-1].strip().lower() in _HEADINGS:
            continue
        try:
            query, document, grade = columns
            known = judged.setdefault(query, {}).setdefault(document, int(grade))
        except ValueError as exc:
            raise DatasetError(f"{at}: expected query, document and a whole number, parted by tabs") from exc
        if known != int(grade):
            raise DatasetError(f"{at}: {document!r} is judged {known} and {int(grade)} for {query!r}; keep one of them")
    return judged


def _unique(entries: Iterator[tuple[Entry, str]]) -> tuple[Entry, ...]:
    found: dict[str, Entry] = {}
    for entry, at in entries:
        if entry.id in found:
            raise DatasetError(f"{at}: the id {entry.id!r} stands there twice; ids must be unique")
        found[entry.id] = entry
    return tuple(found.values())


def rows_of(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """The JSON objects of a file with the place of each, for messages."""
    for line, at in _lines(path):
        try:
            row = json.loads(line)
        except ValueError as exc:
            raise DatasetError(f"{at}: not JSON ({exc})") from exc
        if not isinstance(row, dict):
            raise DatasetError(f"{at}: expected a JSON object")
        yield row, at


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines of a file that are not blank, with the place of each."""
    try:
        with path.open(encoding="utf-8-sig") as file:  # some systems put a byte order mark first
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield line.rstrip("\r\n"), f"{str(path)!r}, line {number}"
    except OSError as exc:
        raise DatasetError(f"cannot read {str(path)!r} ({exc.strerror}); see eval/datasets.py for the layout") from exc
    except UnicodeDecodeError as exc:
        raise DatasetError(f"{str(path)!r} is not UTF-8 ({exc.reason} at byte {exc.start}); convert it first") from exc


def _text(row: Mapping[str, Any], key: str, at: str) -> str:
    value = row.get(key)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise DatasetError(f"{at}: expected a text in {key!r}")
    return str(value)
