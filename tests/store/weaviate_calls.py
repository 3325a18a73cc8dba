"""The part of a Weaviate server that a stub answers over gRPC: searches, batches, deletes, counts, tenants."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import grpc
import numpy as np
from weaviate.proto.v1 import (
    aggregate_pb2,
    base_pb2,
    batch_delete_pb2,
    batch_pb2,
    properties_pb2,
    search_get_pb2,
    tenants_pb2,
    weaviate_pb2_grpc,
)

from tests.store.weaviate_objects import Collection, Thing

if TYPE_CHECKING:
    from tests.store.weaviate_stub import WeaviateStub

MAX_DELETES = 10_000  # of one call (QUERY_MAXIMUM_RESULTS)
_Hit = tuple[Thing, float | None]


class Calls(weaviate_pb2_grpc.WeaviateServicer):  # type: ignore[misc]
    """Answers from what `stub` holds, after whatever fault is due."""

    def __init__(self, stub: WeaviateStub) -> None:
        self._stub = stub

    def Search(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._admitted("Search", context):
            collection = self._collection(request, context, "")
            hits = _hits(collection, request)
            start = request.offset
            hits = hits[start : start + (request.limit or 10)]
            return search_get_pb2.SearchReply(results=[_result(collection, request, *hit) for hit in hits])

    def BatchObjects(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._admitted("BatchObjects", context):
            faults, errors = self._stub.faults, {}
            if not self._stub.may_write(_key(context)):
                forbidden = "authorization, forbidden action: user 'reader' has insufficient permissions to U"
                errors = dict.fromkeys(range(len(request.objects)), forbidden)
            elif self._stub.schema.read_only or faults.read_only_batches:
                faults.read_only_batches = max(faults.read_only_batches - 1, 0)
                errors = {0: f"store is read-only due to: {self._stub.schema.read_only or 'manually set by user'}"}
            else:
                for index, item in enumerate(request.objects):
                    if faults.cut_after == 0:
                        faults.cut_after = None
                        self._stub.cut()
                        context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
                    if faults.cut_after is not None:
                        faults.cut_after -= 1
                    error = self._put(item)
                    if error:
                        errors[index] = error
            found = [batch_pb2.BatchObjectsReply.BatchError(index=i, error=error) for i, error in errors.items()]
            return batch_pb2.BatchObjectsReply(errors=found)

    def BatchDelete(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._admitted("BatchDelete", context):
            if not self._stub.may_write(_key(context)):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, "authorization, forbidden action: D")
            collection = self._collection(request, context, "batch delete params: ")
            found = collection.matching(request.tenant, request.filters)
            if self._stub.schema.read_only:
                return batch_delete_pb2.BatchDeleteReply(failed=1, matches=len(found))
            going = found[:MAX_DELETES]
            for thing in [] if request.dry_run else going:
                del collection.held[request.tenant][thing.uuid]
            each = [batch_delete_pb2.BatchDeleteObject(uuid=t.uuid.bytes, successful=True) for t in going]
            objects = each if request.verbose else []
            return batch_delete_pb2.BatchDeleteReply(matches=len(found), successful=len(going), objects=objects)

    def Aggregate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._admitted("Aggregate", context):
            collection = self._collection(request, context, "parse params: ")
            where = request.filters if request.HasField("filters") else None
            found = collection.matching(request.tenant, where)
            if not request.HasField("group_by"):
                single = aggregate_pb2.AggregateReply.Single(objects_count=len(found))
                return aggregate_pb2.AggregateReply(single_result=single)
            groups = [*_groups(request, found)][: request.limit or 100]
            return aggregate_pb2.AggregateReply(grouped_results=aggregate_pb2.AggregateReply.Grouped(groups=groups))

    def TenantsGet(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        with self._admitted("TenantsGet", context):
            held = self._collection(request, context, "").held
            asked = list(request.names.values) if request.HasField("names") else held
            tenants = [tenants_pb2.Tenant(name=name, activity_status=1) for name in asked if name in held]
            return tenants_pb2.TenantsGetReply(tenants=tenants)

    @contextmanager
    def _admitted(self, call: str, context: grpc.ServicerContext) -> Iterator[None]:
        fault = self._stub.admit(call, _key(context))
        if fault is not None:
            context.abort(fault.code, fault.message)
        try:
            with self._stub.lock:
                yield
        except NotImplementedError as exc:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stub has no {exc}")
        except KeyError as exc:
            context.abort(grpc.StatusCode.UNKNOWN, f"no such prop with name {exc} found in the schema")
        except ValueError as exc:
            context.abort(grpc.StatusCode.UNKNOWN, str(exc))

    def _collection(self, request: Any, context: grpc.ServicerContext, where: str) -> Collection:
        collection = self._stub.schema.find(request.collection)
        if collection is None:
            context.abort(grpc.StatusCode.UNKNOWN, f"{where}could not find class {request.collection} in schema")
        elif collection.has_tenants and hasattr(request, "tenant") and request.tenant not in collection.held:
            context.abort(grpc.StatusCode.UNKNOWN, f'tenant not found: "{request.tenant}"')
        return collection

    def _put(self, item: Any) -> str:
        """Hold one object of a batch; why it was not, else ""."""
        faults, refused = self._stub.faults, self._stub.faults.refused
        if faults.refuse_next and item.uuid not in refused:
            faults.refuse_next -= 1
            refused[item.uuid] = faults.refuse_times
        if refused[item.uuid] > 0:
            refused[item.uuid] -= 1
            return "put object: disk I/O error"
        collection = self._stub.schema.find(item.collection)
        if collection is None:
            return f"class '{item.collection}' not present in schema"
        if collection.makes_tenants:
            collection.held.setdefault(item.tenant, {})
        if item.tenant not in collection.held:
            return f'tenant not found: "{item.tenant}"'
        vectors = {one.name: np.frombuffer(one.vector_bytes, "<f4").copy() for one in item.vectors}
        try:
            collection.put(item.tenant, Thing(UUID(item.uuid), _given(item.properties), vectors))
        except ValueError as exc:
            return str(exc)
        return ""


def _key(context: grpc.ServicerContext) -> str:
    return str(dict(context.invocation_metadata()).get("authorization", ""))


def _hits(collection: Collection, request: Any) -> list[_Hit]:
    """What a search finds, best first, with distances or scores; without a query the objects by UUID."""
    if request.HasField("hybrid_search") or request.HasField("near_object") or request.HasField("near_text"):
        raise NotImplementedError("search of this kind")
    where = request.filters if request.HasField("filters") else None
    things = collection.matching(request.tenant, where)
    if request.HasField("near_vector"):
        near = request.near_vector
        return [*collection.nearest(things, next(iter(near.targets.target_vectors)), _query(near))]
    if request.HasField("bm25_search"):
        names = [name.partition("^")[0] for name in request.bm25_search.properties] or _searchable(collection)
        return [*collection.wordiest(things, names, request.bm25_search.query, request.tenant)]
    if request.after:
        things = [thing for thing in things if thing.uuid.bytes > UUID(request.after).bytes]
    for order in reversed(request.sort_by):
        things.sort(key=_sort_key(order.path[0]), reverse=not order.ascending)
    return [(thing, None) for thing in things]


def _query(near: Any) -> Any:
    packed = [one.vector_bytes for one in near.vectors]
    packed += [one.vector_bytes for target in near.vector_for_targets for one in target.vectors]
    packed += [target.vector_bytes for target in near.vector_for_targets] + [near.vector_bytes]
    return np.frombuffer(next(data for data in packed if data), "<f4")


def _searchable(collection: Collection) -> list[str]:
    return [one["name"] for one in collection.config["properties"] if one["indexSearchable"]]


def _sort_key(name: str) -> Callable[[Thing], Any]:
    if name in ("_id", "id"):
        return lambda thing: thing.uuid.bytes
    return lambda thing: (thing.properties.get(name) is not None, thing.properties.get(name))


def _groups(request: Any, found: list[Thing]) -> Iterator[Any]:
    """The groups of an aggregation by one property, the largest first, each with the texts most frequent in it."""
    reply, name = aggregate_pb2.AggregateReply, request.group_by.property
    values = Counter(value for thing in found for value in _each(thing.properties.get(name)))
    for value, count in values.most_common():
        inside = [thing for thing in found if value in _each(thing.properties.get(name))]
        grouped = reply.Group.GroupedBy(path=[name], text=value)
        parts = [_aggregation(one, inside) for one in request.aggregations]
        yield reply.Group(objects_count=count, grouped_by=grouped, aggregations=reply.Aggregations(aggregations=parts))


def _aggregation(asked: Any, things: list[Thing]) -> Any:
    if not asked.HasField("text"):
        raise NotImplementedError(f"aggregation of {asked.property!r}")
    kind = aggregate_pb2.AggregateReply.Aggregations.Aggregation
    counts = Counter(value for thing in things for value in _each(thing.properties.get(asked.property)))
    top = counts.most_common(asked.text.top_occurences_limit or 5)
    occurrences = [kind.Text.TopOccurrences.TopOccurrence(value=value, occurs=n) for value, n in top]
    text = kind.Text(count=sum(counts.values()), top_occurences=kind.Text.TopOccurrences(items=occurrences))
    return kind(property=asked.property, text=text)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _given(properties: Any) -> dict[str, Any]:
    """The properties of an object in a batch; numbers come as doubles, and lists each in their own place."""
    given: dict[str, Any] = {name: _plain(value) for name, value in properties.non_ref_properties.items()}
    for lists in (
        properties.text_array_properties,
        properties.int_array_properties,
        properties.boolean_array_properties,
    ):
        given.update((one.prop_name, list(one.values)) for one in lists)
    for one in properties.number_array_properties:
        given[one.prop_name] = [*struct.unpack(f"<{len(one.values_bytes) // 8}d", one.values_bytes)]
    return {**given, **{name: [] for name in properties.empty_list_props}}


def _plain(value: Any) -> Any:
    if isinstance(value, (str, bool, float, type(None))):
        return value
    return [_plain(one) for one in value]


def _result(collection: Collection, request: Any, thing: Thing, score: float | None) -> Any:
    asked = request.metadata
    metadata = search_get_pb2.MetadataResult(id=str(thing.uuid), id_as_bytes=thing.uuid.bytes)
    if asked.distance and request.HasField("near_vector"):
        metadata.distance, metadata.distance_present = score or 0.0, True
    if asked.score and request.HasField("bm25_search"):
        metadata.score, metadata.score_present = score or 0.0, True
    now = int(time.time() * 1000)
    if asked.creation_time_unix:
        metadata.creation_time_unix, metadata.creation_time_unix_present = now, True
    if asked.last_update_time_unix:
        metadata.last_update_time_unix, metadata.last_update_time_unix_present = now, True
    for name, values in thing.vectors.items():
        if asked.vector or name in asked.vectors:
            data = np.asarray(values, "<f4").tobytes()
            metadata.vectors.append(base_pb2.Vectors(name=name, vector_bytes=data, type="VECTOR_TYPE_SINGLE_FP32"))
    names = [one["name"] for one in collection.config["properties"]]
    if request.HasField("properties") and not request.properties.return_all_nonref_properties:
        names = list(request.properties.non_ref_properties)
    fields = {name: _typed(collection.kind(name), thing.properties.get(name)) for name in names}
    properties = search_get_pb2.PropertiesResult(
        target_collection=collection.name, non_ref_props=properties_pb2.Properties(fields=fields)
    )
    return search_get_pb2.SearchResult(properties=properties, metadata=metadata)


def _typed(kind: str, value: Any) -> Any:
    """A property as the server sends it, by its data type."""
    if value is None:
        return properties_pb2.Value(null_value="NULL_VALUE")
    if kind == "date":
        when = datetime.fromisoformat(value).astimezone(UTC)
        text = when.isoformat().replace("+00:00", "Z")
        return properties_pb2.Value(date_value=text.rstrip("0Z").rstrip(".") + "Z" if "." in text else text)
    if kind == "int":
        return properties_pb2.Value(int_value=int(value))
    if kind == "text[]":
        return properties_pb2.Value(
            list_value=properties_pb2.ListValue(text_values=properties_pb2.TextValues(values=value))
        )
    if kind == "number[]":
        data = struct.pack(f"<{len(value)}d", *value)
        return properties_pb2.Value(
            list_value=properties_pb2.ListValue(number_values=properties_pb2.NumberValues(values=data))
        )
    names = {"text": "text_value", "number": "number_value", "boolean": "bool_value", "blob": "blob_value"}
    if kind not in names:
        raise NotImplementedError(f"data type {kind!r}")
    return properties_pb2.Value(**{names[kind]: value})
