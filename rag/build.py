"""Settings to a working Library: the only file that names concrete adapters. They are imported when needed."""

from pathlib import Path

from rag.answer.llama import LlamaGenerator
from rag.config import Settings
from rag.embed.hashing import HashingEmbedder
from rag.embed.text import TextEmbedder
from rag.environment import prepare_environment
from rag.errors import ModelNotFound
from rag.library import Library
from rag.models import starter
from rag.protocols import Embedder, Generator, Store
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.manifest import Manifest, check_manifest


def open_library(settings: Settings) -> Library:
    """Open (or begin) the library in `settings.home`. Loads no model and no vector database yet.

    Raises:
        IndexMismatch: another embedder wrote the index.
        ModelNotFound: the embedder is not on this machine.
        StoreError: the library's files cannot be opened.
    """
    prepare_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    embedder = build_embedder(settings)
    return Library(
        settings=settings,
        catalogue=Catalogue(settings.home / "catalogue.sqlite"),
        conversations=Conversations(settings.home / "conversations.sqlite"),
        open_store=lambda: open_store(settings, embedder),
        embedder=embedder,
        generator=build_generator(settings),
    )


def build_embedder(settings: Settings) -> Embedder:
    """The text embedder that the settings name."""
    if settings.embedder == "hashing":
        return HashingEmbedder()
    if settings.embedder == "starter":
        folder, name, sha256 = starter.embedder_folder(), starter.EMBEDDER_NAME, starter.EMBEDDER_SHA256
    else:
        folder, sha256 = Path(settings.embedder).expanduser().absolute(), None
        name = folder.name
    return TextEmbedder(folder, name=name, sha256=sha256, device=settings.device, precision=settings.precision)


def build_generator(settings: Settings) -> Generator | None:
    """The language model that the settings name; None when there is none, and answers are passages then."""
    if settings.generator == "none":
        return None
    if settings.generator == "starter":
        try:
            path = starter.generator_file()
        except ModelNotFound:
            return None
        name = starter.GENERATOR_NAME
    else:
        path = Path(settings.generator).expanduser().absolute()
        name = path.stem
    return LlamaGenerator(path, name=name, context_tokens=settings.context_tokens, gpu_layers=settings.gpu_layers)


def open_store(settings: Settings, embedder: Embedder) -> Store:
    """The chunk store, after making sure that `embedder` is the one that wrote it."""
    from rag.store.lance_store import LanceStore

    folder = settings.home / "index"
    check_manifest(folder / "manifest.json", Manifest.of(embedder))
    return LanceStore(folder, {embedder.space: embedder.dim})
