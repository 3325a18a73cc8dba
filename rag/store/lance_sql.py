"""A filter as SQL for LanceDB. Every value is quoted here; no text from outside becomes SQL."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import assert_never

from rag.filters import And, Dated, Filter, In, Not, Or, Tagged, Under
from rag.store.matching import folder_prefixes, instant


def sql(where: Filter) -> str:
    """`where` as a condition that is true or false for every row, never null, so that it can be negated."""
    match where:
        case In(field, values):
            return is_one_of(field, values)
        case Under(folder):
            itself, inside = folder_prefixes(folder)
            return f"(path = {quoted(itself)} OR {_any(f'starts_with(path, {quoted(p)})' for p in inside)})"
        case Tagged(tags):
            return f"array_has_any(tags, [{_listed(tags)}])" if tags else "false"
        case Dated(start, end):
            after = f" AND date >= {_timestamp(start)}" if start else ""
            before = f" AND date < {_timestamp(end)}" if end else ""
            return f"(date IS NOT NULL{after}{before})"
        case And(parts):
            return f"({' AND '.join(map(sql, parts))})" if parts else "true"
        case Or(parts):
            return _any(map(sql, parts)) if parts else "false"
        case Not(part):
            return f"(NOT {sql(part)})"
        case _:
            assert_never(where)


def is_one_of(column: str, values: Iterable[str]) -> str:
    """`column IN (...)`, or false for no value, which SQL cannot write as an empty list."""
    listed = _listed(values)
    return f"({column} IN ({listed}))" if listed else "false"


def quoted(text: str) -> str:
    """`text` as a SQL literal: quotes doubled, every other character as it is."""
    return "'" + text.replace("'", "''") + "'"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(quoted, values))


def _any(conditions: Iterable[str]) -> str:
    return f"({' OR '.join(conditions)})"


def _timestamp(moment: datetime) -> str:
    return f"timestamp '{instant(moment).astimezone(UTC).isoformat()}'"
