"""A store for one benchmark: empty when it begins, gone when it ends."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from rag.build import server_options
from rag.config import Settings, load_settings
from rag.protocols import Embedder, ImageEmbedder, Store

STORES = "lance, memory, or the address of a server, as RAG_STORE."


def spaces_of(embedder: Embedder, image_embedder: ImageEmbedder | None) -> dict[str, int]:
    """The vector spaces of models, each with its dimension."""
    return {model.space: model.dim for model in (embedder, image_embedder) if model is not None}


@contextmanager
def temporary_store(
    name: str, spaces: Mapping[str, int], settings: Settings | None = None
) -> Iterator[tuple[Store, Path | None]]:
    """The store called `name` (see STORES), empty, and the folder that it is in, where it is in one.

    `settings` say how it is kept if it is on a server.

    Raises:
        ConfigError: `name` is none of these.
        StoreError: the server is not there, or refuses.
    """
    if name == "memory":
        from rag.store.memory_store import MemoryStore

        yield MemoryStore(spaces), None
    elif name == "lance":
        from rag.store.lance_store import LanceStore

        with TemporaryDirectory(prefix="commonplace-eval-") as folder:
            store = LanceStore(Path(folder), spaces)
            try:
                yield store, Path(folder)
            finally:
                store.close()
    else:
        with _on_a_server(name, spaces, settings or load_settings()) as served:
            yield served, None


@contextmanager
def _on_a_server(url: str, spaces: Mapping[str, int], settings: Settings) -> Iterator[Store]:
    from rag.store.weaviate_connection import Address, Connection
    from rag.store.weaviate_store import WeaviateStore

    api_key = settings.weaviate_api_key.get_secret_value() if settings.weaviate_api_key else None
    options = replace(server_options(settings), tenant=None)
    store = WeaviateStore(url, spaces, name=f"Eval_{uuid4().hex}", api_key=api_key, options=options)
    versions = store.versions_of_index
    try:
        yield store
    finally:
        store.close()
        connection = Connection(Address.parse(url), api_key)
        connection.client.alias.delete(alias_name=versions.name)
        connection.client.collections.delete([versions.collection("v1")])
        connection.close()
