"""A filter in Weaviate's own terms. Every value is sent as a value; no text from outside becomes a query."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import assert_never

from weaviate.classes.query import Filter as Where
from weaviate.collections.classes.filters import _Filters as Condition

from rag.filters import And, Dated, Filter, In, Not, Or, Tagged, Under
from rag.store.matching import folder_prefixes, instant
from rag.store.weaviate_rows import key, marked, moment

_EARLIEST = -(2**62)  # before any date that Python knows, in microseconds
_NEVER = Where.by_property("kind").equal("no chunk has this")  # since none is marked like this
A_CHUNK = Where.by_property("modality").contains_any([marked("text"), marked("image")])


def condition(where: Filter) -> Condition:
    """`where` as a condition on chunks. An object that is no chunk may meet it if it begins with a Not."""
    match where:
        case In("id", values):
            return is_one_of("chunk_id", map(key, values))
        case In(field, values):
            return is_one_of(field, map(marked, values))
        case Under(folder):
            itself, inside = folder_prefixes(folder)
            return is_one_of("path", [marked(itself)]) | is_one_of("folders", map(marked, inside))
        case Tagged(tags):
            return is_one_of("tags", map(marked, tags))
        case Dated(start, end):
            return _dated(start, end)
        case And(parts):
            return all_of(map(condition, parts)) or Where.not_(_NEVER)
        case Or(parts):
            return Where.any_of([condition(part) for part in parts]) if parts else _NEVER
        case Not(part):
            return Where.not_(condition(part))
        case _:
            assert_never(where)


def is_one_of(name: str, values: Iterable[str]) -> Condition:
    """The property `name` has one of `values`, as they are stored; no value, no match."""
    listed = list(values)
    return Where.by_property(name).contains_any(listed) if listed else _NEVER


def has(vectors: str) -> Condition:
    """The object has a vector of that name."""
    return is_one_of("spaces", [marked(vectors)])


def lacks(vectors: str) -> Condition:
    """The object has no vector of that name."""
    return Where.not_(has(vectors))


def all_of(conditions: Iterable[Condition | None]) -> Condition | None:
    """All of the conditions that are there, or None when none is."""
    present: Sequence[Condition] = [each for each in conditions if each is not None]
    return Where.all_of(list(present)) if present else None


def _dated(start: datetime | None, end: datetime | None) -> Condition:
    date = Where.by_property("date")
    after = date.greater_or_equal(moment(instant(start)) if start else _EARLIEST)
    return after & date.less_than(moment(instant(end))) if end else after
