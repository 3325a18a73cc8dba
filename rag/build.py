"""Settings to a working Library: the only file that names concrete adapters. They are imported when needed."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from rag.answer.llama import LlamaGenerator
from rag.config import Settings
from rag.databases import Databases
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import find_clip
from rag.embed.clip_words import CLIP_TEXT, CLIP_TEXT_FILE, TunedWordsEmbedder
from rag.embed.hashing import HashingEmbedder
from rag.embed.text import TextEmbedder
from rag.environment import prepare_environment
from rag.errors import ModelNotFound, StoreError, TuneError
from rag.improving import Improver
from rag.library import Library
from rag.live import LiveIndex, Tuned
from rag.live_words import LiveWords
from rag.models import starter
from rag.models.installed import eyes_of, installed_model, installed_models, models_folder, resolve
from rag.moving.staging import finish_cut_off_import
from rag.protocols import Embedder, Generator, ImageEmbedder, Reranker, Store
from rag.retrieve.rerank import CrossEncoderReranker
from rag.servers.reference import names_server
from rag.store.catalogue import Catalogue
from rag.store.conversations import Conversations
from rag.store.index_versions import IndexVersions
from rag.store.manifest import Manifest, check_manifest, with_image_embedder
from rag.store.places import FIRST, LANCE, Collections, Folders, Place
from rag.switching import Switcher
from rag.tune.runs import runs_of
from rag.tune.serving import tuned_embedder

if TYPE_CHECKING:
    from rag.embed.device import Placement
    from rag.store.weaviate_options import ServerOptions

AUTO, STARTER, NONE = "auto", "starter", "none"


def open_library(settings: Settings) -> Library:
    """Open (or begin) the library in `settings.home`. Loads no model and no vector database yet.

    That another embedder wrote the index, or that its embedder is not on this machine, is told at first use.

    Raises:
        ModelNotFound: an image embedder, reranker or language model that the settings name is not on this machine.
        StoreError: the library's files cannot be opened.
    """
    prepare_environment()
    settings.home.mkdir(parents=True, exist_ok=True)
    finish_cut_off_import(settings.home)
    catalogue = Catalogue(settings.home / "catalogue.sqlite")
    stored = _Stored(settings, open_versions(settings, catalogue), catalogue, build_image_embedder(settings))
    databases = Databases(settings.home, catalogue, stored.versions.live, stored.open_store)
    tuned = partial(build_tuned, settings)
    index = LiveIndex(databases, stored.embedder, stored.check, stored.retriever, tuned)
    looks = stored.image_embedder
    words = LiveWords(
        looks,
        lambda: catalogue.retrievers.live(looks.fingerprint) if looks else "",
        partial(build_words, settings, looks),
    )
    build, reranker = partial(build_embedder, settings), build_reranker(settings)
    switcher = Switcher(databases, stored.versions, build, _reference_of, settings.embedder, index.prepare)
    return Library(
        settings=settings,
        databases=databases,
        index=index,
        switcher=switcher,
        improver=Improver(settings, databases, index, switcher, build, tuned, looks, reranker, words),
        conversations=Conversations(settings.home / "conversations.sqlite"),
        generator=build_generator(settings),
        image_embedder=looks,
        reranker=reranker,
        words=words,
    )


def build_embedder(settings: Settings, reference: str = "") -> Embedder:
    """The text embedder that `reference` means; left out, the one that the settings name, for "auto" the starter."""
    reference = reference or (STARTER if settings.embedder == AUTO else settings.embedder)
    if reference == "hashing":
        return HashingEmbedder()
    if names_server(reference):
        return _served_embedder(settings, reference)
    if reference == STARTER:
        folder, name, sha256 = starter.embedder_folder(), starter.EMBEDDER_NAME, starter.EMBEDDER_SHA256
    else:
        folder, sha256 = resolve(reference, settings.home), None
        name = folder.name
    return TextEmbedder(folder, name=name, sha256=sha256, device=settings.device, precision=settings.precision)


def build_tuned(settings: Settings, name: str, base: Embedder) -> Tuned:
    """The candidate of that name, searching with `base`, or with what it was made into.

    Raises:
        TuneError: there is no such candidate, it is broken, or it is for passages of another embedder.
    """

    def encoder(folder: Path) -> Embedder:
        return TextEmbedder(folder, name=f"{name} (queries)", device=settings.device, precision=settings.precision)

    runs = runs_of(settings.home)
    candidate = runs.candidate(name)
    embedder = tuned_embedder(candidate, runs.folder(name), base, encoder)
    return Tuned(embedder, name, candidate.fusion_weight)


def build_words(settings: Settings, base: ImageEmbedder | None, name: str) -> ImageEmbedder:
    """`base` with the words for pictures of the candidate of that name.

    Raises:
        TuneError: there is no such candidate, or it is for pictures of another image embedder.
    """
    runs = runs_of(settings.home)
    candidate = runs.candidate(name)
    if not isinstance(base, ClipEmbedder) or candidate.base != base.fingerprint or CLIP_TEXT not in candidate.parts:
        raise TuneError(f"{name!r} has no words for what the image embedder sees now; train again")
    return TunedWordsEmbedder(base, runs.folder(name) / CLIP_TEXT_FILE)


def build_image_embedder(settings: Settings) -> ImageEmbedder | None:
    """The image embedder that the settings name; None when there is none, and pictures are found by their words."""
    chosen = settings.image_embedder
    is_name = installed_model(chosen, settings.home) is not None
    files = find_clip(str(resolve(chosen, settings.home)) if is_name else chosen, models_folder(settings.home))
    if files is None:
        return None
    limit = settings.max_megapixels
    return ClipEmbedder(files, device=settings.device, precision=settings.precision, max_megapixels=limit)


def build_reranker(settings: Settings) -> Reranker | None:
    """The cross-encoder that the settings name, None where there is none: what is found keeps its order."""
    chosen, home = settings.reranker, settings.home
    if chosen == AUTO:
        chosen = next((model.name for model in installed_models(home) if model.kind == "reranker"), NONE)
    if chosen == NONE:
        return None

    def placed() -> "Placement":
        from rag.embed.device import place

        return place(settings.device, settings.precision)

    folder = resolve(chosen, home)
    return CrossEncoderReranker(folder, name=folder.name, place=placed, budget_ms=settings.rerank_ms)


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
        path = resolve(settings.generator, settings.home)
        name = settings.generator if installed_model(settings.generator, settings.home) else path.stem
    eyes = settings.mmproj.expanduser().absolute() if settings.mmproj else eyes_of(path)
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


def open_versions(settings: Settings, catalogue: Catalogue) -> IndexVersions:
    """The versions of the library's index where the settings say that it is, whatever models are on this machine."""
    return IndexVersions(settings.home, _place(settings), catalogue.ledger)


def open_folder(folder: Path, manifest: Manifest) -> Store:
    """The embedded store in `folder` with every space that `manifest` names: to move a library there."""
    return Folders(folder).open(FIRST, manifest)


def _place(settings: Settings) -> Place:
    if settings.store == LANCE:
        return Folders(settings.home / "index")
    key = settings.weaviate_api_key.get_secret_value() if settings.weaviate_api_key else None
    return Collections(settings.store, _name_on_server(settings.home), key, partial(server_options, settings))


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


@dataclass(frozen=True)
class _Stored:
    """What stands in the library's versions against what the settings say."""

    settings: Settings
    versions: IndexVersions
    catalogue: Catalogue
    image_embedder: ImageEmbedder | None
    fingerprints: dict[str, str] = field(default_factory=dict)  # of versions; a version keeps its own for ever

    def embedder(self, version: str) -> Embedder:
        """The embedder to use for a version: that which the settings insist on, else the one that wrote it."""
        return build_embedder(self.settings, self._reference(version))

    def retriever(self, version: str) -> str:
        """The name of the tuned retriever that searches a version now, "" where its embedder does as it came."""
        if version not in self.fingerprints:
            manifest = self.versions.manifest(version)
            if manifest is None:
                return ""
            self.fingerprints[version] = manifest.fingerprint
        return self.catalogue.retrievers.live(self.fingerprints[version])

    def check(self, version: str, embedder: Embedder) -> None:
        """Make sure that it is the one that wrote the version, which is begun with it where there is none yet."""
        path, reference = self.versions.manifest_path(version), self._reference(version)
        check_manifest(path, Manifest.of(embedder, self.image_embedder, reference=reference))

    def open_store(self, version: str) -> Store:
        """The store of a version with its text vectors, and those of pictures if they can be compared here.

        Raises:
            StoreError: it is a server's that holds nothing of what the catalogue lists.
        """
        manifest = self.versions.manifest(version)
        if manifest is None:
            manifest = Manifest.of(self.embedder(version), reference=self._reference(version))
        manifest = with_image_embedder(manifest, self.image_embedder)
        check_manifest(self.versions.manifest_path(version), manifest)
        store = self.versions.open(version, manifest)
        self.versions.follow()
        if self.settings.store != LANCE and self.catalogue.chunks() and not store.count():
            store.close()
            raise StoreError(
                f"the store {self.settings.store!r} holds nothing of this library, whose documents were indexed "
                "elsewhere; set `store` (RAG_STORE) to where they are, or set RAG_HOME to a new folder and add the "
                "files there"
            )
        return store

    def _reference(self, version: str) -> str:
        if self.settings.embedder != AUTO:
            return self.settings.embedder
        manifest = self.versions.manifest(version)
        return STARTER if manifest is None else _reference_of(manifest)


def _reference_of(manifest: Manifest) -> str:
    """What the settings call the embedder of an index; an older program did not write it down."""
    return manifest.reference or (STARTER if manifest.embedder == starter.EMBEDDER_NAME else manifest.embedder)


def _name_on_server(home: Path) -> str:
    """What the library in `home` is called on a server that it may share with others: chosen once, by chance."""
    path = home / "library.id"
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(uuid4().hex)
    except FileExistsError:
        pass
    return f"Commonplace_{path.read_text('ascii').strip()}"
