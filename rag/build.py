"""Settings to a working Library: the only file that names concrete adapters. They are imported when needed."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from rag.answer.llama import LlamaGenerator
from rag.config import Settings
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import find_clip
from rag.embed.hashing import HashingEmbedder
from rag.embed.text import TextEmbedder
from rag.environment import prepare_environment
from rag.errors import ModelNotFound, StoreError
from rag.library import Library
from rag.models import starter
from rag.moving.staging import finish_cut_off_import
from rag.protocols import Embedder, Generator, ImageEmbedder, Store
from rag.servers.reference import names_server
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.manifest import Manifest, check_manifest, index_spaces, models_of

if TYPE_CHECKING:
    from rag.store.weaviate_options import ServerOptions


def open_library(settings: Settings) -> Library:
    """Open (or begin) the library in `settings.home`. Loads no model and no vector database yet.

    Raises:
        IndexMismatch: another embedder wrote the index.
        ModelNotFound: an embedder that the settings name is not on this machine.
        StoreError: the library's files cannot be opened.
    """
    prepare_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    finish_cut_off_import(settings.home)
    embedder, image_embedder = build_embedder(settings), build_image_embedder(settings)
    catalogue = Catalogue(settings.home / "catalogue.sqlite")
    return Library(
        settings=settings,
        catalogue=catalogue,
        conversations=Conversations(settings.home / "conversations.sqlite"),
        open_store=lambda: _open_filled(settings, embedder, image_embedder, catalogue),
        embedder=embedder,
        generator=build_generator(settings),
        image_embedder=image_embedder,
    )


def build_embedder(settings: Settings) -> Embedder:
    """The text embedder that the settings name."""
    if settings.embedder == "hashing":
        return HashingEmbedder()
    if names_server(settings.embedder):
        return _served_embedder(settings, settings.embedder)
    if settings.embedder == "starter":
        folder, name, sha256 = starter.embedder_folder(), starter.EMBEDDER_NAME, starter.EMBEDDER_SHA256
    else:
        folder, sha256 = Path(settings.embedder).expanduser().absolute(), None
        name = folder.name
    return TextEmbedder(folder, name=name, sha256=sha256, device=settings.device, precision=settings.precision)


def build_image_embedder(settings: Settings) -> ImageEmbedder | None:
    """The image embedder that the settings name; None when there is none, and pictures are found by their words."""
    files = find_clip(settings.image_embedder, settings.home / "models")
    if files is None:
        return None
    limit = settings.max_megapixels
    return ClipEmbedder(files, device=settings.device, precision=settings.precision, max_megapixels=limit)


def build_generator(settings: Settings) -> Generator | None:
    """The language model that the settings name; None when there is none, and answers are passages then."""
    if settings.generator == "none":
        return None
    if names_server(settings.generator):
        return _served_generator(settings)
    if settings.generator == "starter":
        try:
            path = starter.generator_file()
        except ModelNotFound:
            return None
        name = starter.GENERATOR_NAME
    else:
        path = Path(settings.generator).expanduser().absolute()
        name = path.stem
    eyes = settings.mmproj.expanduser().absolute() if settings.mmproj else None
    context, layers = settings.context_tokens, settings.gpu_layers
    return LlamaGenerator(path, name=name, context_tokens=context, gpu_layers=layers, mmproj=eyes)


def _served_embedder(settings: Settings, reference: str) -> Embedder:
    from rag.embed.openai_server import ServerEmbedder
    from rag.servers.address import ServerAddress

    address = ServerAddress.parse(reference, allow_remote=settings.allow_remote_servers)
    return ServerEmbedder(address, api_key=_server_key(settings), seconds=settings.server_seconds)


def _served_generator(settings: Settings) -> Generator:
    from rag.answer.openai_server import ServerGenerator
    from rag.servers.address import ServerAddress

    return ServerGenerator(
        ServerAddress.parse(settings.generator, allow_remote=settings.allow_remote_servers),
        context_tokens=settings.context_tokens,
        api_key=_server_key(settings),
        seconds=settings.server_seconds,
        sees=settings.server_sees,
    )


def _server_key(settings: Settings) -> str | None:
    return settings.server_api_key.get_secret_value() if settings.server_api_key else None


def open_store(settings: Settings, embedder: Embedder, image_embedder: ImageEmbedder | None = None) -> Store:
    """The chunk store, after making sure that `embedder` is the one that wrote it."""
    folder = settings.home / "index"
    check_manifest(folder / "manifest.json", Manifest.of(embedder, image_embedder))
    spaces, made_by = {embedder.space: embedder.dim}, {}
    if image_embedder is not None:
        spaces[image_embedder.space] = image_embedder.dim
        made_by[image_embedder.space] = image_embedder.fingerprint
    return _connect(settings, spaces, made_by)


def open_index(settings: Settings, manifest: Manifest) -> Store:
    """The chunk store with every space that `manifest` names, whatever models are on this machine: to move it."""
    return _connect(settings, index_spaces(manifest), models_of(manifest))


def open_folder(folder: Path, manifest: Manifest) -> Store:
    """The embedded store in `folder` with every space that `manifest` names: to move a library there."""
    from rag.store.lance_store import LanceStore

    return LanceStore(folder, index_spaces(manifest), models_of(manifest))


def _connect(settings: Settings, spaces: Mapping[str, int], made_by: Mapping[str, str]) -> Store:
    if settings.store == "lance":
        from rag.store.lance_store import LanceStore

        return LanceStore(settings.home / "index", spaces, made_by)

    from rag.store.weaviate_store import WeaviateStore

    key = settings.weaviate_api_key.get_secret_value() if settings.weaviate_api_key else None
    name, options = _name_on_server(settings.home), server_options(settings)
    return WeaviateStore(settings.store, spaces, made_by, name=name, api_key=key, options=options)


def server_options(settings: Settings) -> "ServerOptions":
    """How the library is kept on a Weaviate server, as the settings say."""
    from rag.store.weaviate_options import ServerOptions

    return ServerOptions(
        ef=settings.weaviate_ef,
        quantizer=settings.weaviate_quantizer,
        replicas=settings.weaviate_replicas,
        consistency=settings.weaviate_consistency,
        tenant=settings.weaviate_tenant,
    )


def _open_filled(
    settings: Settings, embedder: Embedder, image_embedder: ImageEmbedder | None, catalogue: Catalogue
) -> Store:
    """The chunk store, unless it is a server's that holds nothing of what the catalogue lists."""
    store = open_store(settings, embedder, image_embedder)
    if settings.store != "lance" and catalogue.chunks() and not store.count():
        store.close()
        raise StoreError(
            f"the store {settings.store!r} holds nothing of this library, whose documents were indexed elsewhere; set "
            "`store` (RAG_STORE) to where they are, or set RAG_HOME to a new folder and add the files there"
        )
    return store


def _name_on_server(home: Path) -> str:
    """What the library in `home` is called on a server that it may share with others: chosen once, by chance."""
    path = home / "library.id"
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(uuid4().hex)
    except FileExistsError:
        pass
    return f"Commonplace_{path.read_text('ascii').strip()}"
