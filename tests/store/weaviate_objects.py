"""What a stub of a Weaviate server holds, and how it searches: collections of objects, by the rules of server 1.39.

Vectors are compared exactly. BM25 is the server's: Lucene's idf, and no factor k1 + 1. Only what a store of chunks
asks for is here; anything else raises NotImplementedError, which the stub turns into UNIMPLEMENTED.
"""

import fnmatch
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from weaviate.proto.v1 import base_pb2

Operator = base_pb2.Filters
K1, B = 1.2, 0.75


@dataclass
class Thing:
    """One object: its properties as Python values, its vectors by name."""

    uuid: UUID
    properties: dict[str, Any]
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass
class Collection:
    """A class of the schema with its objects, by tenant ("" where there are none)."""

    config: dict[str, Any]
    held: dict[str, dict[UUID, Thing]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.has_tenants:
            self.held.setdefault("", {})

    @property
    def name(self) -> str:
        return str(self.config["class"])

    @property
    def has_tenants(self) -> bool:
        return bool(self.config["multiTenancyConfig"]["enabled"])

    @property
    def makes_tenants(self) -> bool:
        return bool(self.config["multiTenancyConfig"]["autoTenantCreation"])

    def kind(self, name: str) -> str:
        """The data type of property `name`, such as "text[]".

        Raises:
            KeyError: it has none of that name.
        """
        return str(self._property(name)["dataType"][0])

    def put(self, tenant: str, thing: Thing) -> None:
        """Hold `thing` in place of the one with its UUID.

        Raises:
            ValueError: a vector has an unknown name or another dimension than those held, as the server puts it.
        """
        others = self.held[tenant].values()
        for name, values in thing.vectors.items():
            if name not in self.config["vectorConfig"]:
                raise ValueError(f"collection {self.name} does not have configuration for vector {name}")
            known = next((len(other.vectors[name]) for other in others if name in other.vectors), len(values))
            if known != len(values):
                raise ValueError(
                    f"Validate vector index {name} for target vector {thing.uuid}: new node has a vector with length "
                    f"{len(values)}. Existing nodes have vectors with length {known}"
                )
        self.held[tenant][thing.uuid] = thing

    def matching(self, tenant: str, where: base_pb2.Filters | None) -> list[Thing]:
        """The objects that pass `where`, by UUID."""
        things = sorted(self.held[tenant].values(), key=lambda thing: thing.uuid.bytes)
        return things if where is None else [thing for thing in things if self._passes(where, thing)]

    def nearest(self, things: list[Thing], name: str, query: NDArray[np.float32]) -> list[tuple[Thing, float]]:
        """Those of `things` that have a vector `name`, with their cosine distance to `query`, nearest first."""
        if name not in self.config["vectorConfig"]:
            named = " ".join(self.config["vectorConfig"])
            raise ValueError(
                f"extract target vectors: class {self.name} does not have named vector {name} configured. "
                f"Available named vectors [{named}]."
            )
        near = [(thing, _distance(thing.vectors[name], query)) for thing in things if name in thing.vectors]
        return sorted(near, key=lambda pair: pair[1])

    def wordiest(self, things: list[Thing], names: list[str], query: str, tenant: str) -> list[tuple[Thing, float]]:
        """Those of `things` that hold a term of `query` in a property of `names`, with their BM25, highest first."""
        scores: Counter[UUID] = Counter()
        for name in names:
            terms = {uuid: self._terms(name, thing.properties.get(name)) for uuid, thing in self.held[tenant].items()}
            scores.update(_bm25({uuid: found for uuid, found in terms.items() if found}, self._terms(name, query)))
        best = [(thing, scores[thing.uuid]) for thing in things if scores[thing.uuid] > 0]
        return sorted(best, key=lambda pair: -pair[1])

    def _property(self, name: str) -> dict[str, Any]:
        for one in self.config["properties"]:
            if one["name"] == name:
                return dict(one)
        raise KeyError(name)

    def _terms(self, name: str, value: Any) -> list[str]:
        """`value` as the tokenization of property `name` cuts it up."""
        if value is None:
            return []
        if isinstance(value, list):
            return [term for part in value for term in self._terms(name, part)]
        cut = self._property(name).get("tokenization", "word")
        if cut == "field":
            return [value.strip()]
        if cut == "whitespace":
            return list(value.split())
        return [term for term in re.split(r"[\W_]+" if cut == "word" else r"\s+", value.lower()) if term]

    def _passes(self, where: base_pb2.Filters, thing: Thing) -> bool:
        parts = (partial(self._passes, one, thing) for one in where.filters)
        if where.operator == Operator.OPERATOR_AND:
            return all(passes() for passes in parts)
        if where.operator == Operator.OPERATOR_OR:
            return any(passes() for passes in parts)
        if where.operator == Operator.OPERATOR_NOT:
            return not next(parts)()
        return self._holds(where, where.target.property, thing)

    def _holds(self, where: base_pb2.Filters, name: str, thing: Thing) -> bool:
        have = str(thing.uuid) if name == "_id" else thing.properties.get(name)
        kind = "uuid" if name == "_id" else self.kind(name)
        wanted = _value(where)
        if where.operator == Operator.OPERATOR_IS_NULL:
            return (have is None or have == []) == wanted
        if where.operator == Operator.OPERATOR_NOT_EQUAL:
            return not self._has(name, kind, have, wanted)
        if where.operator == Operator.OPERATOR_EQUAL:
            return self._has(name, kind, have, wanted)
        if where.operator == Operator.OPERATOR_LIKE:
            return any(fnmatch.fnmatchcase(part, wanted) for part in _listed(have))
        if where.operator in _CONTAINS:
            return _CONTAINS[where.operator](self._has(name, kind, have, one) for one in wanted)
        if where.operator in _COMPARED:
            return have is not None and _COMPARED[where.operator](_ordered(kind, have), _ordered(kind, wanted))
        raise NotImplementedError(f"a filter with operator {where.operator}")

    def _has(self, name: str, kind: str, have: Any, wanted: Any) -> bool:
        if have is None:
            return False
        if kind in ("text", "text[]"):
            terms = self._terms(name, wanted)
            return bool(terms) and set(terms) <= set(self._terms(name, have))
        return any(_ordered(kind, one) == _ordered(kind, wanted) for one in _listed(have))


_CONTAINS = {
    Operator.OPERATOR_CONTAINS_ANY: any,
    Operator.OPERATOR_CONTAINS_ALL: all,
    Operator.OPERATOR_CONTAINS_NONE: lambda found: not any(found),
}
_COMPARED = {
    Operator.OPERATOR_GREATER_THAN: lambda a, b: a > b,
    Operator.OPERATOR_GREATER_THAN_EQUAL: lambda a, b: a >= b,
    Operator.OPERATOR_LESS_THAN: lambda a, b: a < b,
    Operator.OPERATOR_LESS_THAN_EQUAL: lambda a, b: a <= b,
}


def _value(where: base_pb2.Filters) -> Any:
    which = where.WhichOneof("test_value")
    value = getattr(where, which)
    return list(value.values) if which.endswith("_array") else value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _ordered(kind: str, value: Any) -> Any:
    """`value` as something that compares: a date by the instant that it is, to the microsecond."""
    if kind.startswith("date"):
        return datetime.fromisoformat(value).astimezone(UTC)
    return value.lower() if kind == "uuid" else value


def _distance(vector: NDArray[np.float32], query: NDArray[np.float32]) -> float:
    if vector.shape != query.shape:
        raise ValueError(f"vector lengths don't match: {len(vector)} vs {len(query)}")
    return float(1 - np.dot(vector, query) / (np.linalg.norm(vector) * np.linalg.norm(query)))


def _bm25(terms: dict[UUID, list[str]], query: list[str]) -> dict[UUID, float]:
    """The BM25 of each list of `terms` for `query`."""
    if not terms:
        return {}
    mean = sum(map(len, terms.values())) / len(terms)
    counts = {uuid: Counter(found) for uuid, found in terms.items()}
    scores: Counter[UUID] = Counter()
    for term, times in Counter(query).items():
        having = {uuid: count[term] for uuid, count in counts.items() if count[term]}
        idf = math.log(1 + (len(terms) - len(having) + 0.5) / (len(having) + 0.5))
        for uuid, tf in having.items():
            scores[uuid] += times * idf * tf / (tf + K1 * (1 - B + B * len(terms[uuid]) / mean))
    return dict(scores)
