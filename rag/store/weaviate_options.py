"""What may be chosen about a library on a server: how far a search goes, in how many copies and whose tenant it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from weaviate.classes.config import Configure, ConsistencyLevel, Reconfigure, StopwordsPreset, VectorDistances

from rag.store.bm25 import K1, B
from rag.store.weaviate_rows import PROPERTIES

EXACT_BELOW = 40_000  # vectors that a filter leaves; fewer are compared one by one, more are found by the graph
_WIDEST = 500  # candidates of the server's own choice, however many hits are wanted

Quantizer = Literal["none", "rq8", "rq1"]
Consistency = Literal["one", "quorum", "all"]


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Settings of the collections that a library makes, and of the requests to them.

    Args:
        ef: candidates that a walk through the graph keeps at least; more of them miss less and take longer.
        quantizer: how vectors are kept in memory: as they are, or rotated and rounded to 8 bits or to 1 bit a number.
            What is found is always compared by the full vectors.
        replicas: nodes that hold a copy of each object; None leaves it to the server.
        consistency: how many copies must answer a request; None leaves it to the server, which takes a quorum.
        tenant: whose library this is, in a collection that libraries share; None gives it collections of its own.
    """

    ef: int = 400
    quantizer: Quantizer = "none"
    replicas: int | None = None
    consistency: Consistency | None = None
    tenant: str | None = None

    @property
    def level(self) -> ConsistencyLevel | None:
        """`consistency` as the client has it."""
        return None if self.consistency is None else ConsistencyLevel(self.consistency.upper())


DEFAULTS = ServerOptions()


def collection_config(vectors: Mapping[str, int], options: ServerOptions) -> dict[str, Any]:
    """What a new collection is made with, its vectors under the names in `vectors`: all that shapes a result."""
    copies = options.replicas
    return {
        "properties": list(PROPERTIES),
        "vector_config": [vector_config(name, options) for name in vectors],
        "inverted_index_config": _WORDS_INDEX,
        # Without `async_enabled` a node that was away answers with what it knew before until it is told of a change.
        "replication_config": copies and Configure.replication(factor=copies, async_enabled=copies > 1),
    }


def vector_config(name: str, options: ServerOptions) -> Any:
    """A vector that we bring ourselves, compared by cosine."""
    return Configure.Vectors.self_provided(
        name=name,
        quantizer=_quantizer(options.quantizer),
        vector_index_config=Configure.VectorIndex.hnsw(
            distance_metric=VectorDistances.COSINE,
            max_connections=32,
            ef_construction=128,
            ef=-1,  # 8 for each hit wanted, within these bounds
            dynamic_ef_min=options.ef,
            dynamic_ef_max=max(options.ef, _WIDEST),
            flat_search_cutoff=EXACT_BELOW,
        ),
    )


def walk_of(index: Any) -> int:
    """The `ef` that the definition of a vector index has."""
    return int(index.dynamic_ef_min)


def with_walk(name: str, ef: int) -> Any:
    """The change of a collection's definition that gives the vectors `name` this `ef`."""
    index = Reconfigure.VectorIndex.hnsw(dynamic_ef_min=ef, dynamic_ef_max=max(ef, _WIDEST))
    return Reconfigure.Vectors.update(name=name, vector_index_config=index)


def _quantizer(chosen: Quantizer) -> Any:
    if chosen == "none":
        return Configure.VectorIndex.Quantizer.none()
    return Configure.VectorIndex.Quantizer.rq(bits=8 if chosen == "rq8" else 1)


# Words arrive analysed: no word is too common to count, and none is changed.
_WORDS_INDEX = Configure.inverted_index(
    bm25_k1=K1,
    bm25_b=B,
    stopwords_preset=StopwordsPreset.NONE,
    index_null_state=False,
    index_property_length=False,
    index_timestamps=False,
)
