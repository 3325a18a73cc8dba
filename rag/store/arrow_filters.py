"""Which rows of an Arrow table may be found? A filter compiled to Arrow's own comparisons of whole columns."""

from functools import reduce
from typing import assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rag.filters import And, Dated, Filter, In, Not, Or, Tagged, Under
from rag.store.matching import folder_prefixes, instant

Mask = NDArray[np.bool_]


def mask(where: Filter | None, rows: pa.Table) -> Mask:
    """bool[N]: which of the rows match, as `rag.store.matching.matches` says of their chunks."""
    match where:
        case None:
            return np.ones(len(rows), bool)
        case In(field, values):
            return _is_true(_is_one_of(rows[field], values))
        case Under(folder):
            itself, inside = folder_prefixes(folder)
            under = (pc.starts_with(rows["path"], prefix) for prefix in inside)
            return _is_true(reduce(pc.or_, under, pc.equal(rows["path"], itself)))
        case Tagged(tags):
            return _tagged(rows["tags"].combine_chunks(), tags)
        case Dated():
            return _dated(rows["date"], where)
        case And(parts):
            return reduce(np.logical_and, (mask(part, rows) for part in parts), np.ones(len(rows), bool))
        case Or(parts):
            return reduce(np.logical_or, (mask(part, rows) for part in parts), np.zeros(len(rows), bool))
        case Not(part):
            return ~mask(part, rows)
        case _:
            assert_never(where)


def _tagged(column: pa.ListArray, tags: tuple[str, ...]) -> Mask:
    one_of = _is_true(_is_one_of(column.flatten(), tags))
    found = np.zeros(len(column), bool)
    found[np.asarray(pc.list_parent_indices(column))[one_of]] = True
    return found


def _dated(column: pa.ChunkedArray, dated: Dated) -> Mask:
    kept = _is_true(column.is_valid())
    if dated.start is not None:
        kept &= _is_true(pc.greater_equal(column, pa.scalar(instant(dated.start), column.type)))
    if dated.end is not None:
        kept &= _is_true(pc.less(column, pa.scalar(instant(dated.end), column.type)))
    return kept


def _is_one_of(column: pa.Array | pa.ChunkedArray, values: tuple[str, ...]) -> pa.Array | pa.ChunkedArray:
    return pc.is_in(column, pa.array(values, pa.string()))


def _is_true(values: pa.Array | pa.ChunkedArray) -> Mask:
    """Null, of a field that a chunk does not have, is no match."""
    return np.asarray(pc.fill_null(values, False), bool)
