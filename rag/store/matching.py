"""Does a chunk match a filter? The meaning of rag/filters.py in plain Python, which every store must agree with."""

import re
from datetime import datetime
from typing import assert_never

from rag.errors import InvalidQuery
from rag.filters import And, Dated, Filter, In, Not, Or, Tagged, Under
from rag.records import Chunk

_WINDOWS = re.compile(r"[A-Za-z]:([\\/]|$)|\\\\")


def matches(where: Filter, chunk: Chunk) -> bool:
    """Whether `chunk` may be found under `where`. A date that is not there is in no range."""
    match where:
        case In(field, values):
            return getattr(chunk, field) in values
        case Under(folder):
            itself, inside = folder_prefixes(folder)
            return chunk.path == itself or chunk.path.startswith(inside)
        case Tagged(tags):
            return not set(tags).isdisjoint(chunk.tags)
        case Dated(start, end):
            return _is_between(chunk.date, start, end)
        case And(parts):
            return all(matches(part, chunk) for part in parts)
        case Or(parts):
            return any(matches(part, chunk) for part in parts)
        case Not(part):
            return not matches(part, chunk)
        case _:
            assert_never(where)


def folder_prefixes(folder: str) -> tuple[str, tuple[str, ...]]:
    """How to tell what lies under `folder`: the path of the folder itself, and the beginnings of paths inside it.

    A backslash separates only where the path is a Windows one; elsewhere it is a letter like any other.
    """
    if _WINDOWS.match(folder):
        bare = folder.rstrip("\\/").replace("/", "\\")
        return bare, (bare + "\\",)
    bare = folder.rstrip("/")
    return bare or "/", (bare + "/",)


def instant(moment: datetime) -> datetime:
    """`moment`, which must say its time zone; InvalidQuery otherwise."""
    if moment.tzinfo is None:
        raise InvalidQuery(f"the date {moment} in a filter has no time zone; give it one, e.g. UTC")
    return moment


def _is_between(date: datetime | None, start: datetime | None, end: datetime | None) -> bool:
    after = start is None or (date is not None and instant(start) <= date)
    before = end is None or (date is not None and date < instant(end))
    return date is not None and after and before
