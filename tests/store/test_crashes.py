"""Writers that are killed, and several at once: each document stays wholly old or wholly new."""

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from rag.library import Library
from rag.pictures import digest
from rag.store.catalogue import Catalogue
from rag.store.lance_store import LanceStore
from rag.store.lock import write_lock
from rag.store.recover import recover, verify
from tests.colours import ColourEmbedder
from tests.store.made import SPACES, embedded
from tests.store.processes import (
    add_pictures_without_end,
    change,
    change_without_end,
    count_when_asked,
    open_catalogues,
    picture_library,
    process,
    write_when_asked,
)

# When each writer is killed: after so many seconds of work, or the moment that it reports a step.
KILLS = (0.0, "begun", 0.05, "stored", 0.12, "finished", 0.2, "stored", 0.3)


def texts_after(number: int, before: dict[str, str]) -> dict[str, str]:
    documents, removed = change(number)
    kept = {path: text for path, text in before.items() if path not in removed}
    return kept | {path: document.text for path, (document, _) in documents.items()}


@pytest.mark.slow
def test_after_kill_minus_nine_every_change_is_there_wholly_or_not_at_all(tmp_path: Path) -> None:
    catalogue, store = Catalogue(tmp_path / "catalogue.sqlite"), LanceStore(tmp_path / "index", SPACES)
    expected: dict[str, str] = {}
    number, mended = 1, 0
    for kill in KILLS:
        finished = killed_writer(tmp_path, number, kill)
        with write_lock(tmp_path):  # the dead writer's lock is free
            mended += bool(recover(catalogue, store))
        for done in range(number, finished + 1):
            expected = texts_after(done, expected)
        found = {info.path: catalogue.document(info.id).text for info in catalogue.infos()}
        also = texts_after(finished + 1, expected)
        assert found in (expected, also)
        number = finished + (2 if found == also else 1)
        expected = found
        assert verify(catalogue, store).problems == ()
        assert recover(catalogue, store) == []
    assert number > len(KILLS) / 2, "the writers did work"
    assert mended > 0, "some were killed in the middle"
    store.maintain()
    assert verify(catalogue, store).problems == ()


def killed_writer(home: Path, number: int, kill: float | str) -> int:
    """Let a writer work from change `number` on, kill it, and return the last change that it said was finished."""
    with process(change_without_end, home, number) as (child, connection):
        messages = [connection.recv()]
        if isinstance(kill, str):
            while messages[-1][1] != kill or messages[-1][0] < number + 1:
                messages.append(connection.recv())
        else:
            time.sleep(kill)
        child.kill()
        child.join()
        while True:  # what it said before it died
            try:
                messages.append(connection.recv())
            except EOFError:
                break
    return max((done for done, step in messages if step == "finished"), default=number - 1)


# A killed writer of pictures: the stage that it reports when it is killed, and how many reports later.
PICTURE_KILLS = (("read", 1), ("look", 1), ("look", 4), ("finished", 0))


@pytest.mark.slow
def test_killed_while_adding_or_looking_at_pictures_nothing_is_lost_or_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rag.build
    from rag import indexing, looking

    for module, names in ((rag.build, ["build_image_embedder"]), (indexing, ["parse_all"])):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))  # `picture_library` changes it: put it back
    for name in ("EMBED_PICTURES", "_WRITE_SECONDS"):
        monkeypatch.setattr(looking, name, getattr(looking, name))
    (tmp_path / "pictures").mkdir()
    half = 0
    for number, (stage, later) in enumerate(PICTURE_KILLS):
        with process(add_pictures_without_end, tmp_path, 10 * number) as (child, connection):
            while connection.recv()[1] != stage:
                pass
            for _ in range(later):
                connection.recv()
            child.kill()
            child.join()
        library = picture_library(tmp_path)
        assert library.verify().problems == ()
        half += 0 < library.status().unseen < library.status().pictures
        assert_vectors_are_those_of_the_pictures(library)
        report = library.add([tmp_path / "pictures"])
        assert report.failed == report.warnings == ()
        assert library.verify().problems == ()
        assert (library.status().pictures, library.status().unseen) == (12, 0)
        assert assert_vectors_are_those_of_the_pictures(library) == 12
        library.close()
    assert half > 0, "some were killed in the middle of looking"


def assert_vectors_are_those_of_the_pictures(library: Library) -> int:
    """Every image vector is that of the picture whose digest its chunk has; how many there are."""
    embedder, files = ColourEmbedder(), (library.settings.home / "pictures").glob("*.png")
    by_digest = {digest(data): embedder.embed_images([data])[0] for data in (file.read_bytes() for file in files)}
    chunks = library._databases.store.chunks([info.id for info in library.documents()])
    held = library._databases.store.vectors("image", [chunk.id for chunk in chunks])
    for chunk in chunks:
        if chunk.id in held and chunk.digest in by_digest:  # else the file was painted anew and not yet added
            np.testing.assert_array_equal(held[chunk.id], by_digest[chunk.digest])
    return len(held)


def test_a_reader_in_another_process_sees_a_write_at_once(tmp_path: Path) -> None:
    """Trap 5: with LanceDB's default consistency a reader stays at the version that it opened, for ever."""
    store = LanceStore(tmp_path / "index", SPACES)
    with process(count_when_asked, tmp_path / "index") as (_, connection):
        assert connection.recv() == (0, 0, {})
        for count in (1, 2, 3):
            store.replace_documents({f"d{count}": [embedded(f"d{count}", words="word")]})
            connection.send("count")
            assert connection.recv() == (count, count, store.versions())
        store.maintain()
        store.replace_documents({"d1": []})
        connection.send("count")
        assert connection.recv() == (2, 2, store.versions())


def test_a_new_catalogue_may_be_opened_by_several_processes_at_once(tmp_path: Path) -> None:
    with ExitStack() as stack:
        start = time.time() + 2
        connections = [stack.enter_context(process(open_catalogues, tmp_path, start, 60))[1] for _ in range(3)]
        for connection in connections:
            assert connection.poll(60), "it is stuck or dead"
            assert connection.recv() == "done"
    assert {len(Catalogue(tmp_path / f"{number}.sqlite").failures()) for number in range(60)} == {3}


def test_two_processes_writing_distinct_documents_lose_nothing(tmp_path: Path) -> None:
    """They open a new index at the same moment, too."""
    names = [[f"{writer}-{i}" for i in range(10)] for writer in "ab"]
    write_together(tmp_path / "index", names)
    store = LanceStore(tmp_path / "index", SPACES)
    assert store.versions() == {name: ("v1", 3) for part in names for name in part}
    assert len(store.search_words("word", 1000)) == store.count() == 60


def test_two_processes_writing_the_same_new_chunks_write_them_once(tmp_path: Path) -> None:
    """Trap 2: without a primary key, or with an index on the ids, each chunk would be there twice."""
    LanceStore(tmp_path / "index", SPACES)
    names = [f"same-{i}" for i in range(10)]
    write_together(tmp_path / "index", [names, names])
    store = LanceStore(tmp_path / "index", SPACES)
    assert store.versions() == dict.fromkeys(names, ("v1", 3))
    assert len(store.search_vector("text", np.ones(16, np.float32), 1000)) == 30


def write_together(folder: Path, parts: list[list[str]]) -> None:
    first, second = parts
    with process(write_when_asked, folder, first) as (_, a), process(write_when_asked, folder, second) as (_, b):
        for said in ("ready", "done"):
            for connection in (a, b):
                assert connection.poll(60), "the writer is stuck or dead"
                assert connection.recv() == said
            if said == "ready":
                a.send("go")
                b.send("go")
