"""The part of a Weaviate server that a stub answers over HTTP: its version, collections, aliases, tenants, objects."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np

from tests.store.weaviate_objects import Collection, Thing

Reply = tuple[int, Any]  # a status, and what goes into the body as JSON; None: an empty body

_INDEX = {
    "skip": False, "cleanupIntervalSeconds": 300, "maxConnections": 32, "efConstruction": 128, "ef": -1,
    "dynamicEfMin": 100, "dynamicEfMax": 500, "dynamicEfFactor": 8, "vectorCacheMaxObjects": 10**12,
    "flatSearchCutoff": 40_000, "distance": "cosine", "filterStrategy": "acorn",
    "bq": {"enabled": False},
    "sq": {"enabled": False, "trainingLimit": 100_000, "rescoreLimit": 20},
    "rq": {"enabled": False, "bits": 8, "rescoreLimit": 20},
    "pq": {
        "enabled": False, "bitCompression": False, "segments": 0, "centroids": 256, "trainingLimit": 100_000,
        "encoder": {"type": "kmeans", "distribution": "log-normal"},
    },
    "multivector": {"enabled": False, "aggregation": "maxSim"},
}  # fmt: skip
_CONFIG = {
    "invertedIndexConfig": {
        "bm25": {"b": 0.75, "k1": 1.2},
        "cleanupIntervalSeconds": 60,
        "stopwords": {"additions": None, "preset": "en", "removals": None},
        "usingBlockMaxWAND": True,
    },
    "multiTenancyConfig": {"enabled": False, "autoTenantCreation": False, "autoTenantActivation": False},
    "replicationConfig": {"factor": 1, "asyncEnabled": False, "deletionStrategy": "TimeBasedResolution"},
    "shardingConfig": {
        "virtualPerPhysical": 128, "desiredCount": 1, "actualCount": 1, "desiredVirtualCount": 128,
        "actualVirtualCount": 128, "key": "_id", "strategy": "hash", "function": "murmur3",
    },
    "properties": [],
    "vectorConfig": {},
}  # fmt: skip


@dataclass
class Schema:
    """Collections by name and aliases to them. `read_only` is why nothing may be written, "" where it may.

    `indexing` is how many looks at a shard will still find that it takes in vectors.
    """

    version: str = "1.39.0"
    read_only: str = ""
    indexing: int = 0
    collections: dict[str, Collection] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Collection | None:
        """The collection of that name, or the one that an alias of that name points to."""
        return self.collections.get(self.aliases.get(name, name))

    def answer(self, method: str, path: list[str], body: Any, tenant: str = "") -> Reply:
        """What the server replies to `method` at /v1/<path>?tenant=<tenant>."""
        routes: dict[str, Callable[[str, list[str], Any], Reply]] = {
            "schema": self._schema,
            "aliases": self._aliases,
            "objects": partial(self._objects, tenant),
            "nodes": self._nodes,
        }
        if path == ["meta"]:
            return 200, {"grpcMaxMessageSize": 104858000, "hostname": "stub", "modules": {}, "version": self.version}
        if path[0] == ".well-known":
            return (200, None) if path[1] in ("ready", "live") else (404, None)
        return routes[path[0]](method, path[1:], body) if path[0] in routes else (404, None)

    def _schema(self, method: str, path: list[str], body: Any) -> Reply:
        if not path:
            return self._create(body) if method == "POST" else (200, {"classes": [*self._configs()]})
        collection = self.find(path[0])
        if method == "DELETE" and len(path) == 1:
            self.collections.pop(path[0], None)
            return 200, None
        if collection is None:
            return 404, None
        if path[1:2] == ["tenants"]:
            return _tenants(collection, method, path[2:], body)
        if path[1:2] == ["properties"]:
            collection.config["properties"].append(body)
            return 200, body
        if path[1:2] == ["shards"]:
            if method == "PUT":
                self.read_only = "manually set by user" if body["status"] == "READONLY" else ""
                return 200, {"status": self._status}
            self.indexing, status = max(self.indexing - 1, 0), "INDEXING" if self.indexing else self._status
            names = [name or "shard" for name in collection.held]
            return 200, [{"name": name, "status": status, "vectorQueueSize": 0} for name in names]
        if method == "PUT":
            collection.config = _filled(body)
        return 200, collection.config

    def _create(self, body: Any) -> Reply:
        if self.find(body["class"]) is not None:
            return 422, _error(f"class name {body['class']} already exists")
        self.collections[body["class"]] = Collection(_filled(body))
        return 200, self.collections[body["class"]].config

    def _aliases(self, method: str, path: list[str], body: Any) -> Reply:
        if not path and method == "GET":
            return 200, {"aliases": [{"alias": alias, "class": name} for alias, name in self.aliases.items()]}
        alias = path[0] if path else body["alias"]
        if method == "POST" and self.find(alias) is not None:
            return 422, _error(f"create alias: {alias}, alias or class already exists")
        if method in ("POST", "PUT"):
            if body["class"] not in self.collections:
                return 422, _error(f"set alias: class {body['class']} does not exist")
            self.aliases[alias] = body["class"]
        if alias not in self.aliases:
            return 404, None
        if method == "DELETE":
            del self.aliases[alias]
            return 204, None
        return 200, {"alias": alias, "class": self.aliases[alias]}

    def _objects(self, asked: str, method: str, path: list[str], body: Any) -> Reply:
        collection, uuid = self.find(path[0] if path else body["class"]), UUID(path[1] if path else body["id"])
        if collection is None:
            return 404, None
        if method not in ("GET", "HEAD") and self.read_only:
            return 500, _error(f"put object: store is read-only due to: {self.read_only}")
        tenant = (body or {}).get("tenant", asked)
        if tenant not in collection.held:
            return 422, _error(f'search index {collection.name.lower()}: tenant not found: "{tenant}"')
        held = collection.held[tenant]
        if method == "POST" and uuid in held:
            return 422, _error(f"id '{uuid}' already exists")
        if method == "POST" or (method == "PUT" and uuid in held):
            collection.put(tenant, Thing(uuid, dict(body.get("properties", {})), _vectors(body)))
            return 200, body
        if uuid not in held:
            return 404, None
        if method == "PATCH":
            held[uuid].properties.update(body.get("properties", {}))
            held[uuid].vectors.update(_vectors(body))
        if method == "DELETE":
            del held[uuid]
        return (200, {"id": str(uuid), "class": path[0]}) if method == "GET" else (204, None)

    def _nodes(self, method: str, path: list[str], body: Any) -> Reply:
        shards = [
            {"class": name, "name": "shard", "objectCount": sum(map(len, one.held.values())), "loaded": True,
             "compressed": False, "vectorIndexingStatus": self._status, "vectorQueueLength": 0}
            for name, one in self.collections.items() if not path or name == path[0]
        ]  # fmt: skip
        stats = {"objectCount": sum(shard["objectCount"] for shard in shards), "shardCount": len(shards)}
        node = {"name": "node1", "status": "HEALTHY", "version": self.version, "shards": shards, "stats": stats}
        return 200, {"nodes": [{**node, "batchStats": {"queueLength": 0, "ratePerSecond": 0}}]}

    @property
    def _status(self) -> str:
        return "READONLY" if self.read_only else "READY"

    def _configs(self) -> list[dict[str, Any]]:
        return [collection.config for collection in self.collections.values()]


def _tenants(collection: Collection, method: str, path: list[str], body: Any) -> Reply:
    if path:
        return (200, {"name": path[0], "activityStatus": "HOT"}) if path[0] in collection.held else (404, None)
    names = [one["name"] if isinstance(one, dict) else one for one in body or []]
    for name in names:
        if method == "DELETE":
            collection.held.pop(name, None)
        else:
            collection.held.setdefault(name, {})
    return 200, [{"name": name, "activityStatus": "HOT"} for name in names or collection.held]


def _filled(body: dict[str, Any]) -> dict[str, Any]:
    """The definition of a collection with the server's defaults in what was left out."""
    config = _merged(_CONFIG, body)
    for vector in config["vectorConfig"].values():
        vector.setdefault("vectorIndexType", "hnsw")
        vector["vectorIndexConfig"] = _merged(_INDEX, vector.get("vectorIndexConfig") or {})
    for one in config["properties"]:
        searched = one["dataType"][0] in ("text", "text[]")
        one.update({"indexFilterable": True, "indexRangeFilters": False, "indexSearchable": searched, **one})
        if searched:
            one.setdefault("tokenization", "word")
    return config


def _merged(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy({**defaults, **given})
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(defaults.get(key), dict):
            merged[key] = _merged(defaults[key], value)
    return merged


def _vectors(body: dict[str, Any]) -> dict[str, Any]:
    return {name: np.asarray(values, np.float32) for name, values in (body.get("vectors") or {}).items()}


def _error(message: str) -> dict[str, Any]:
    return {"error": [{"message": message}]}


def to_json(body: Any) -> bytes:
    """A reply's body."""
    return b"" if body is None else json.dumps(body).encode()
