"""Find the receipt: scans that are asked for by what somebody remembers of them, in the layout of SROIE (ICDAR 2019).

`img/` holds the scans and `key/` for each of them a JSON object of the same name with `company`, `date`, `total`. Three
questions are asked of each: by the company, by company and date, by company and total. Every scan that shares what is
asked for is right.
"""

import json
from pathlib import Path
from typing import Any

from eval.datasets import Dataset, DatasetError, Entry
from rag.ingest import media

_ASKED = {
    "company": ("company",),
    "company and date": ("company", "date"),
    "company and total": ("company", "total"),
}
_WORDS = {"company": "receipt from {}", "date": "of {}", "total": "total {}"}


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
    for name, key in keys.items():
        for kind, fields in _ASKED.items():
            if not all(key.get(field) for field in fields):
                continue
            query = f"{name}, {kind}"
            queries[query] = " ".join(_WORDS[field].format(key[field]) for field in fields)
            judgements[query] = {
                other: 1 for other, said in keys.items() if all(said.get(field) == key[field] for field in fields)
            }
    if not queries:
        raise DatasetError(f"{str(folder / 'key')!r} has no key with a company")
    entries = tuple(Entry(scan.stem, "", "", scan) for scan in scans)
    return Dataset(folder.resolve().name, entries, queries, judgements)


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
