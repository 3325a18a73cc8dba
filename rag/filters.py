"""Which chunks may be found: a small closed tree, compiled by each store to its own language.

`parse` reads what a person types after `--where`, e.g. `kind:pdf tag:work after:2024-01-01 folder:~/notes`.
A field that a chunk does not have never matches.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from rag.errors import InvalidQuery
from rag.records import Kind

Field = Literal["id", "document_id", "path", "kind", "modality", "language", "digest"]


@dataclass(frozen=True, slots=True)
class In:
    """The field is one of `values`; no value, no match."""

    field: Field
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Under:
    """The path lies in `folder` (an absolute path) or is that file."""

    folder: str


@dataclass(frozen=True, slots=True)
class Tagged:
    """The chunk carries at least one of `tags`."""

    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dated:
    """`start` <= date < `end`; None leaves that side open."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Filter"


Filter = In | Under | Tagged | Dated | And | Or | Not


def both(*filters: Filter | None) -> Filter | None:
    """All of the filters that are there, or None when none is."""
    present = tuple(f for f in filters if f is not None)
    if len(present) <= 1:
        return present[0] if present else None
    return And(present)


def parse(text: str) -> Filter | None:
    """Read a filter as a person types it: words `key:value`, all of which must hold; `-key:value` excludes.

    Keys: `kind` (note, text, web, pdf, mail, image), `tag`, `folder`, `language`, `after` and `before` (YYYY-MM-DD).
    A comma in `kind`, `tag` and `language` means any of these.

    Raises:
        InvalidQuery: an unknown key or a value that the key cannot have.
    """
    try:
        words = shlex.split(text)
    except ValueError as exc:
        raise InvalidQuery(f"cannot read the filter {text!r}: {exc}; close the quotation marks") from exc
    return both(*(_negated(word) for word in words))


def _negated(word: str) -> Filter:
    return Not(_term(word[1:])) if word.startswith("-") else _term(word)


def _term(word: str) -> Filter:
    key, colon, value = word.partition(":")
    if not colon or not value:
        raise InvalidQuery(f"{word!r} is not a filter; write key:value, e.g. kind:pdf or after:2024-01-01")
    values = tuple(part for part in value.split(",") if part)
    match key:
        case "kind":
            return In("kind", _known(values, get_args(Kind)))
        case "language":
            return In("language", values)
        case "tag":
            return Tagged(tuple(tag.removeprefix("#") for tag in values))
        case "folder":
            return Under(_folder(value))
        case "after":
            return Dated(start=_day(value))
        case "before":
            return Dated(end=_day(value))
        case _:
            raise InvalidQuery(f"unknown filter {key!r}; use kind, tag, folder, language, after or before")


def _known(values: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if value not in known:
            raise InvalidQuery(f"unknown kind {value!r}; use one of {', '.join(known)}")
    return tuple(values)


def _folder(value: str) -> str:
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as exc:
        raise InvalidQuery(f"there is no home for the folder {value!r}; write its whole path") from exc


def _day(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    except ValueError as exc:
        raise InvalidQuery(f"{value!r} is not a date; write YYYY-MM-DD") from exc
