"""Files of others are turned into pairs: JSON lines, CSV and TSV, and folders in BEIR layout.

A line that cannot be used is passed over and named. Paths of pictures count from the folder of their file.
"""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from rag.errors import TuneError
from rag.records import document_id
from rag.text import encodable, one_line
from rag.tune.lines import BadLine, Lines, changing, read_lines, write_lines
from rag.tune.pairs import imported, new_pair, read_pairs, write_pairs
from rag.tune.records import Caption, Excerpt, Pair
from rag.tune.rows import BadRow, CaptionRow, Row, read_row

MOST = 200_000  # rows of one import
_SCALES = (1, 5, 10, 100)  # the highest score that people give
_LISTS, _TABLES = (".jsonl", ".ndjson"), {".csv": ",", ".tsv": "\t"}
_FORMATS = "a .jsonl, .csv or .tsv file, or a folder in BEIR layout (corpus.jsonl, queries.jsonl, qrels/)"
_CAPTION = TypeAdapter(Caption)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was found: pairs, captions of pictures, and the lines that were passed over.

    `scale` is the highest score that can be given, where there are scores: labels are shares of it.
    """

    pairs: tuple[Pair, ...] = ()
    captions: tuple[Caption, ...] = ()
    bad: tuple[BadLine, ...] = ()
    scale: int | None = None


def read_import(path: Path, time: float, split: str = "train") -> Imported:
    """Read a file of pairs, triplets, graded pairs or captions, or a folder in BEIR layout.

    Args:
        time: Unix seconds that the pairs get.
        split: which judgements of a folder.

    Raises:
        TuneError: it is none of these, cannot be read, or has more than 200,000 rows.
    """
    try:
        if path.is_dir():
            return _beir(path, time, split)
        if path.suffix.lower() in _LISTS:
            return _rows(_json_lines(path), path, time)
        if path.suffix.lower() in _TABLES:
            return _rows(_table(path, _TABLES[path.suffix.lower()]), path, time)
    except OSError as exc:
        raise TuneError(f"cannot read {exc.filename or str(path)!r}: {exc.strerror or exc}") from exc
    raise TuneError(f"{str(path)!r} is no file that pairs can be read from; give {_FORMATS}")


def keep(found: Imported, pairs: Path, captions: Path) -> tuple[int, int]:
    """Add what was found to the files of pairs and captions; how many of each are new.

    Raises:
        TuneError, DiskFull: a file cannot be written, and is as it was.
    """
    with changing(pairs):
        known = {each.id: each for each in read_pairs(pairs).records}
        before = len(known)
        known |= {each.id: each for each in found.pairs}
        if found.pairs:
            write_pairs(pairs, known.values())
    with changing(captions):
        described = {(each.digest, each.text): each for each in read_captions(captions).records}
        there = len(described)
        described |= {(each.digest, each.text): each for each in found.captions}
        if found.captions:
            write_lines(captions, described.values(), _CAPTION)
    return len(known) - before, len(described) - there


def read_captions(path: Path) -> Lines[Caption]:
    """The captions in a file that `keep` wrote."""
    return read_lines(path, _CAPTION)


def forget_captions(path: Path, documents: Collection[str], pictures: Collection[str]) -> int:
    """Remove the captions of these documents (by id) and pictures (by digest) from a file; how many they were."""
    if not path.exists():
        return 0
    with changing(path):
        captions = read_captions(path).records
        left = [each for each in captions if each.digest not in pictures and document_id(each.picture) not in documents]
        if len(left) < len(captions):
            write_lines(path, left, _CAPTION)
    return len(captions) - len(left)


# --- one row after the other --------------------------------------------------------------------------------------

Numbered = Iterator[tuple[int, object]]
"""Numbers of lines, from 1, and what stands in them; BadRow where that cannot be read."""


@dataclass
class _Taken:
    """What was read so far."""

    path: Path
    time: float
    rows: list[Row] = field(default_factory=list)
    captions: list[Caption] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)

    def take(self, number: int, content: object) -> None:
        try:
            if isinstance(content, BadRow):
                raise content
            row = read_row(content)
            if isinstance(row, CaptionRow):
                self.captions.append(_caption(row, self.path.parent, self.time))
            else:
                self.rows.append(row)
        except BadRow as exc:
            self.bad.append(BadLine(str(self.path), number, str(exc)))


def _rows(lines: Numbered, path: Path, time: float) -> Imported:
    taken = _Taken(path, time)
    for count, (number, content) in enumerate(lines, start=1):
        if count > MOST:
            raise TuneError(f"{str(path)!r} has more than {MOST} rows; give a part of it")
        taken.take(number, content)
    highest = max((row.score for row in taken.rows if row.score is not None), default=None)
    scale = None if highest is None else next((each for each in _SCALES if highest <= each), None)
    if highest is not None and scale is None:
        raise TuneError(f"{str(path)!r} has a score of {highest:g}; scores are from 0 to 1, 5, 10 or 100")
    pairs = tuple(pair for row in taken.rows for pair in _pairs(row, time, scale))
    return Imported(pairs, tuple(taken.captions), tuple(taken.bad), scale)


def _json_lines(path: Path) -> Numbered:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            if text:
                try:
                    yield number, json.loads(text)
                except (ValueError, RecursionError) as exc:  # broken JSON, bytes that are no UTF-8, endless nesting
                    yield number, BadRow(f"it is no JSON: {exc}")


def _table(path: Path, delimiter: str) -> Numbered:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as exc:
                yield rows.line_num + 1, BadRow(f"it is no row of a table: {exc}")  # the last one read is before it
            else:
                yield rows.line_num, {name: value for name, value in row.items() if name}


def _pairs(row: Row, time: float, scale: int | None) -> Iterator[Pair]:
    label = None if row.score is None or scale is None else row.score / scale
    wrong = [imported(text) for text in row.wrong]
    for text in row.right:
        yield new_pair(row.query, imported(text), "import", time, negatives=wrong, label=label)


def _caption(row: CaptionRow, folder: Path, time: float) -> Caption:
    """The picture must be a file inside the folder: a list from elsewhere does not say which of our files are read."""
    try:
        path = (folder / row.picture).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise BadRow(f"the picture {row.picture!r} lies outside the folder of its list")
        with path.open("rb") as file:
            return Caption(str(path), hashlib.file_digest(file, "sha256").hexdigest(), one_line(row.text), time)
    except (OSError, ValueError) as exc:  # a name may hold what no path can
        raise BadRow(f"the picture {row.picture!r} cannot be read: {exc}") from exc


# --- a folder in BEIR layout ----------------------------------------------------------------------------------------


def _beir(folder: Path, time: float, split: str) -> Imported:
    """Its judgements as pairs; passages that were judged wrong for a query are negatives of it."""
    judged = folder / "qrels" / f"{split}.tsv"
    if not judged.is_file():
        others = sorted(each.stem for each in (folder / "qrels").glob("*.tsv"))
        there = f"there is {', '.join(others)}: --split {others[0]}" if others else f"give {_FORMATS}"
        raise TuneError(f"{str(folder)!r} has no judgements {split!r}; {there}")
    bad: list[BadLine] = []
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for query, document, grade in _judgements(judged, bad):
        grades[query][document] = grade
    wanted = {document for each in grades.values() for document in each}
    queries = dict(_texts(folder / "queries.jsonl", grades.keys(), bad))
    passages = {name: imported(text) for name, text in _texts(folder / "corpus.jsonl", wanted, bad)}
    missing = [name for name in grades if name not in queries] + [name for name in wanted if name not in passages]
    if missing:
        bad.append(BadLine(str(judged), 0, f"{len(missing)} ids stand in no file, such as {sorted(missing)[0]!r}"))
    pairs = [pair for name, text in queries.items() for pair in _judged(text, grades[name], passages, time)]
    return Imported(tuple(pairs), (), tuple(bad))


def _judgements(path: Path, bad: list[BadLine]) -> Iterator[tuple[str, str, int]]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) == 3 and fields[2].strip().lstrip("-").isdecimal():
                yield fields[0], fields[1], int(fields[2])
            elif number > 1 and line.strip():  # the first one may be a heading
                bad.append(BadLine(str(path), number, "it is not a query, a document and a grade, by tabs"))
            if number > MOST:
                raise TuneError(f"{str(path)!r} has more than {MOST} rows; give a part of it")


def _texts(path: Path, wanted: Iterable[str], bad: list[BadLine]) -> Iterator[tuple[str, str]]:
    names = frozenset(wanted)
    for number, row in _json_lines(path):
        if not isinstance(row, Mapping) or not isinstance(row.get("_id"), str):
            reason = str(row) if isinstance(row, BadRow) else "there is no '_id'"
            bad.append(BadLine(str(path), number, reason))
        elif row["_id"] in names:
            text = encodable("\n".join(str(row[name]) for name in ("title", "text") if row.get(name)))
            if any(map(str.isalnum, text)):
                yield row["_id"], text
            else:
                bad.append(BadLine(str(path), number, "there is no text in it"))


def _judged(query: str, grades: Mapping[str, int], passages: Mapping[str, Excerpt], time: float) -> Iterator[Pair]:
    wrong = [passages[name] for name, grade in grades.items() if grade <= 0 and name in passages]
    for name, grade in grades.items():
        if grade > 0 and name in passages:
            yield new_pair(query, passages[name], "import", time, negatives=wrong)
