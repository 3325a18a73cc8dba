"""What the tests of several processes run in them: real processes, really killed."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rag.ingest.options import ParseOptions
from rag.ingest.parse import Parsed, ReadTask, parse
from rag.records import Document, EmbeddedChunk, Failure, Progress
from rag.store.catalogue import Catalogue
from rag.store.lock import write_lock
from tests.colours import COLOURS, ColourEmbedder, paint
from tests.store.made import SPACES, embedded, written

if TYPE_CHECKING:
    from rag.library import Library

PATHS = tuple(f"/home/me/{number}.md" for number in range(40))


@contextmanager
def process(target: Callable[..., None], *args: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """`target(connection, *args)` in a fresh process, killed at the end if it has not ended by then."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":  # LanceDB itself does not survive a fork; what it imports does
        context.set_forkserver_preload(["numpy", "pandas", "pyarrow.dataset", "pydantic", "lance_namespace"])
    ours, theirs = context.Pipe()
    child = context.Process(target=target, args=(theirs, *args), daemon=True)
    child.start()
    theirs.close()
    try:
        yield child, ours
    finally:
        child.kill()
        child.join()
        ours.close()


def count_when_asked(connection: Connection, folder: Path) -> None:
    """Open the store, then answer each message with what it holds at that moment."""
    from rag.store.lance_store import LanceStore

    store = LanceStore(folder, SPACES)
    while True:
        connection.send((store.count(), len(store.search_words("word", 10**6)), store.versions()))
        connection.recv()


def write_when_asked(connection: Connection, folder: Path, names: list[str]) -> None:
    """Say when ready; when told to, open the store and write one document after the other, three chunks each."""
    from rag.store.lance_store import LanceStore

    connection.send("ready")
    connection.recv()
    store = LanceStore(folder, SPACES)
    rng = np.random.default_rng(len(names))
    for name in names:
        vectors = rng.standard_normal((3, 16))
        rows = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        store.replace_documents({name: [embedded(name, i, words="word", vector=row) for i, row in enumerate(rows)]})
    connection.send("done")


def hold_lock(connection: Connection, home: Path) -> None:
    with write_lock(home):
        connection.send("held")
        connection.recv()


def open_catalogues(connection: Connection, folder: Path, start: float, count: int) -> None:
    """Open (or begin) and write to one catalogue after the other, each at the moment that others do the same."""
    for number in range(count):
        time.sleep(max(0.0, start + 0.02 * number - time.time()))
        catalogue = Catalogue(folder / f"{number}.sqlite")
        catalogue.record_failures([Failure(f"/{multiprocessing.current_process().pid}", "no reason")])
        catalogue.close()
    connection.send("done")


def change(number: int) -> tuple[dict[str, tuple[Document, list[EmbeddedChunk]]], set[str]]:
    """The `number`-th change of the library that is killed again and again: what is written and what is removed."""
    rng = np.random.default_rng(number)
    chosen = [PATHS[i] for i in rng.permutation(len(PATHS))[:11]]
    texts = {path: f"{path} as of change {number}. " * int(rng.integers(1, 30)) for path in chosen[:8]}
    return {path: written(path, text, rng) for path, text in texts.items()}, set(chosen[8:])


def change_without_end(connection: Connection, home: Path, number: int) -> None:
    """Make change `number`, `number` + 1 and so on, telling after each step how far it is."""
    from rag.store.lance_store import LanceStore

    catalogue, store = Catalogue(home / "catalogue.sqlite"), LanceStore(home / "index", SPACES)
    while True:
        documents, removed = change(number)
        known = {path: name for path, (name, _) in catalogue.states().items()}
        gone = [known[path] for path in removed if path in known]
        chunks = {document.id: chunks for document, chunks in documents.values()}
        with write_lock(home):
            catalogue.begin([(document, len(chunks[document.id])) for document, _ in documents.values()], gone)
            connection.send((number, "begun"))
            store.replace_documents({**chunks, **dict.fromkeys(gone, ())})
            connection.send((number, "stored"))
            catalogue.finish()
            connection.send((number, "finished"))
            if number % 3 == 0:
                store.maintain()
        number += 1


def repaint(folder: Path, number: int) -> None:
    """The `number`-th state of a folder of pictures, some the same as others, and of a note that shows one."""
    rng = np.random.default_rng(number)
    for each in range(10):
        if rng.random() < 0.6 or not (folder / f"{each}.png").exists():
            paint(folder / f"{each}.png", *rng.choice(sorted(COLOURS), 3))
    (folder / "note.new").write_text(f"Seen in year {int(rng.integers(3))}: ![](0.png) and ![](1.png).")
    (folder / "note.new").replace(folder / "note.md")  # whoever kills the painter finds no half note


def parse_here(tasks: Sequence[ReadTask], options: ParseOptions, *limits: float) -> Iterator[tuple[ReadTask, Parsed]]:
    """What `parse_all` does, without its processes."""
    for task in tasks:
        yield task, parse(task, options)


def picture_library(home: Path) -> "Library":
    """A library that knows pictures by their colours and reads files in this process: quick to start, quick to kill."""
    import rag.build
    from rag import indexing, looking
    from rag.config import load_settings

    rag.build.build_image_embedder = lambda settings: ColourEmbedder()
    indexing.parse_all = parse_here
    looking.EMBED_PICTURES, looking._WRITE_SECONDS = 2, 0.0
    return rag.build.open_library(load_settings(home=home, embedder="hashing", generator="none", ocr=False))


def add_pictures_without_end(connection: Connection, home: Path, number: int) -> None:
    """Repaint the folder and add it, again and again, telling how far it is."""
    library = picture_library(home)

    def tell(progress: Progress) -> None:
        connection.send((number, progress.stage))
        time.sleep(0.05)  # the looking itself is too quick to be killed in the middle

    while True:
        repaint(home / "pictures", number)
        library.add([home / "pictures"], on_progress=tell)
        connection.send((number, "finished"))
        number += 1
