"""Looking at pictures: all of them, each once, whatever goes wrong with one, and safe beside other writers."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from rag import looking
from rag.errors import LibraryBusy
from rag.looking import PICTURES, Looked, Looker
from rag.pictures import digest
from rag.protocols import ImageEmbedder
from rag.records import Document, Picture, Progress, document_id
from rag.store.catalogue import Catalogue
from rag.store.memory_store import MemoryStore
from tests.colours import ColourEmbedder, paint, picture
from tests.store.made import axis, embedded


class Shelf:
    """Documents of pictures on disk, with their chunks in a store, as reading them would give."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalogue = Catalogue(folder / "catalogue.sqlite")
        self.store = MemoryStore({"text": 16, "image": ColourEmbedder.dim})
        self.embedder = ColourEmbedder()

    def photo(self, name: str, *colours: str) -> str:
        """A picture file as a document of its own; its id."""
        path = paint(self.folder / name, *colours)
        data = path.read_bytes()
        shown = Picture(1, digest(data), 48, 48, 0, 0, 0)
        return self._put(
            Document(document_id(str(path)), str(path), digest(data), "image", "image/png", name, "", pictures=(shown,))
        )

    def note(self, name: str, *shown: Path) -> str:
        """A note that shows picture files; its id."""
        path = self.folder / name
        path.write_text(name)
        pictures = tuple(
            Picture(number, digest(each.read_bytes()), 48, 48, 0, 0, 0, path=str(each))
            for number, each in enumerate(shown, start=1)
        )
        return self._put(
            Document(document_id(str(path)), str(path), name, "note", "text/markdown", name, name, pictures=pictures)
        )

    def _put(self, document: Document) -> str:
        chunks = [
            embedded(
                document.id, each.number, modality="image", path=document.path, version=document.sha256, text="",
                picture=each.number, digest=each.digest, vector=axis(16, 1),
            )
            for each in document.pictures
        ]  # fmt: skip
        self.catalogue.begin([(document, len(chunks))])
        self.store.replace_documents({document.id: chunks})
        self.catalogue.finish()
        return document.id

    def look(
        self,
        *,
        embedder: ImageEmbedder | None = None,
        writing: Callable[[], AbstractContextManager[None]] = nullcontext,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Looked:
        return Looker(self.catalogue, lambda: self.store, embedder or self.embedder, writing, on_progress, stop).run()

    def unseen(self) -> int:
        return self.store.count(PICTURES, without="image")


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.catalogue.close()


def test_nothing_to_look_at(shelf: Shelf) -> None:
    assert shelf.look() == Looked()


def test_every_picture_gets_the_vector_of_what_it_shows_and_is_looked_at_once(shelf: Shelf) -> None:
    red, blue = shelf.photo("red.png", "red"), shelf.photo("blue.png", "blue")
    again = shelf.photo("again.png", "red")
    note = shelf.note("note.md", shelf.folder / "red.png", shelf.folder / "blue.png", shelf.folder / "red.png")
    assert shelf.look() == Looked(pictures=6)
    assert sorted(map(digest, shelf.embedder.looked_at)) == sorted(map(digest, [picture("red"), picture("blue")]))
    of = {(chunk.document_id, chunk.picture): chunk.id for chunk in shelf.store.chunks([red, blue, again, note])}
    vectors = shelf.store.vectors("image", list(of.values()))
    reds = {(red, 1), (again, 1), (note, 1), (note, 3)}
    for place, name in of.items():
        expected = shelf.embedder.embed_images([picture("red" if place in reds else "blue")])[0]
        np.testing.assert_array_equal(vectors[name], expected)
    assert shelf.look() == Looked()


def test_more_pictures_than_a_round_and_a_batch(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_ROUND", 5)
    monkeypatch.setattr(looking, "EMBED_PICTURES", 2)
    names = ("red", "green", "blue", "yellow")
    for number, (one, two) in enumerate((a, b) for a in names for b in names):
        shelf.photo(f"{number}.png", one, two)
    seen: list[Progress] = []
    assert shelf.look(on_progress=seen.append) == Looked(pictures=16)
    assert {each.stage for each in seen} == {"look"}
    assert [each.done for each in seen] == sorted(each.done for each in seen)
    assert {each.total for each in seen} == {16}
    assert (seen[0].done, seen[0].seconds_left) == (0, None)
    assert (seen[-1].done, seen[-1].seconds_left) == (16, 0.0)


def test_what_cannot_be_opened_is_passed_over_told_and_tried_again_next_time(shelf: Shelf) -> None:
    gone, changed = shelf.photo("gone.png", "red"), shelf.photo("changed.png", "green")
    shelf.photo("fine.png", "blue")
    (shelf.folder / "gone.png").unlink()
    paint(shelf.folder / "changed.png", "yellow")
    looked = shelf.look()
    assert looked.pictures == 1
    assert {Path(failure.path).name for failure in looked.failed} == {"gone.png", "changed.png"}
    assert all("picture 1 could not be looked at" in failure.error for failure in looked.failed)
    paint(shelf.folder / "gone.png", "red")
    assert shelf.look().pictures == 1
    assert {chunk.document_id for chunk in shelf.store.without_vector("image", 9)} == {changed}
    assert gone != changed


def test_many_that_cannot_be_opened_do_not_hide_one_that_can(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_ROUND", 2)
    for number in range(9):
        shelf.photo(f"{number}.png", *["red"] * (number + 1))
        (shelf.folder / f"{number}.png").write_bytes(b"something else")
    shelf.photo("fine.png", "blue")
    looked = shelf.look()
    assert (looked.pictures, len(looked.failed)) == (1, 9)


def test_a_picture_that_cannot_be_decoded_costs_only_itself(shelf: Shelf) -> None:
    for name in ("red", "green", "blue"):
        shelf.photo(f"{name}.png", name)
    damaged = shelf.folder / "damaged.png"
    damaged.write_bytes(picture("yellow")[:60])
    shelf.note("note.md", damaged)
    looked = shelf.look()
    assert looked.pictures == 3
    assert [Path(failure.path).name for failure in looked.failed] == ["note.md"]


def test_a_document_that_went_meanwhile_is_passed_over(shelf: Shelf) -> None:
    name = shelf.photo("red.png", "red")
    shelf.catalogue.begin([], remove=[name])
    shelf.catalogue.finish()
    looked = shelf.look()
    assert (looked.pictures, len(looked.failed)) == (0, 1)


def test_stopping_keeps_what_was_looked_at_and_goes_on_later(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "EMBED_PICTURES", 2)
    for number in range(8):
        shelf.photo(f"{number}.png", *["red", "blue"][: 1 + number % 2], *["green"] * (number + 1))
    stop = threading.Event()
    first = shelf.look(stop=stop, on_progress=lambda progress: stop.set() if progress.done >= 2 else None)
    assert 2 <= first.pictures < 8
    assert shelf.unseen() == 8 - first.pictures
    assert shelf.look().pictures == 8 - first.pictures
    assert len(shelf.embedder.looked_at) == 8, "none of them twice"
    assert shelf.look(stop=stop) == Looked()


class Dying(ColourEmbedder):
    """Fails at the third picture, as a program does that is ended."""

    def embed_images(self, pictures):  # type: ignore[no-untyped-def]
        if len(self.looked_at) >= 2:
            raise KeyboardInterrupt
        return super().embed_images(pictures)


def test_what_was_written_before_the_end_stays(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "EMBED_PICTURES", 1)
    monkeypatch.setattr(looking, "_WRITE_SECONDS", 0.0)
    for name in ("red", "green", "blue", "yellow"):
        shelf.photo(f"{name}.png", name)
    with pytest.raises(KeyboardInterrupt):
        shelf.look(embedder=Dying())
    assert shelf.unseen() == 2
    assert shelf.look().pictures == 2


def test_another_writer_is_waited_for_until_it_is_stopped(shelf: Shelf) -> None:
    shelf.photo("red.png", "red")
    tries = 0

    @contextmanager
    def busy_twice() -> Iterator[None]:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise LibraryBusy("another process is writing")
        yield

    @contextmanager
    def busy() -> Iterator[None]:
        stop.set()
        raise LibraryBusy("another process is writing")
        yield

    stop = threading.Event()
    assert shelf.look(writing=busy, stop=stop) == Looked()
    assert shelf.unseen() == 1
    assert shelf.look(writing=busy_twice) == Looked(pictures=1)


def test_a_picture_that_changes_while_it_is_looked_at_keeps_no_old_vector(shelf: Shelf) -> None:
    shown = paint(shelf.folder / "shown.png", "red")
    shelf.note("note.md", shown)
    changed = threading.Event()

    @contextmanager
    def read_again_first() -> Iterator[None]:
        if not changed.is_set():
            changed.set()
            paint(shown, "blue")
            shelf.note("note.md", shown)  # the same note, so that its chunk has the same id
        yield

    assert shelf.look(writing=read_again_first) == Looked(pictures=1)
    assert [digest(data) for data in shelf.embedder.looked_at] == [digest(picture("red")), digest(picture("blue"))]
    (chunk,) = shelf.store.chunks([document_id(str(shelf.folder / "note.md"))])
    expected = shelf.embedder.embed_images([picture("blue")])[0]
    np.testing.assert_array_equal(shelf.store.vectors("image", [chunk.id])[chunk.id], expected)


def test_vectors_are_written_while_it_goes_on(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "EMBED_PICTURES", 1)
    monkeypatch.setattr(looking, "_WRITE_SECONDS", 0.05)
    for name in ("red", "green", "blue", "yellow"):
        shelf.photo(f"{name}.png", name)
    unseen: list[int] = []

    def slow(_: Progress) -> None:
        unseen.append(shelf.unseen())
        time.sleep(0.06)

    shelf.look(on_progress=slow)
    assert len(set(unseen)) > 2
