"""The library as the screen uses it: real stores on disk, the model-free embedder, a scripted language model."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.adopting import adopted
from rag.build import open_library
from rag.config import load_settings
from rag.embed.hashing import HashingEmbedder
from rag.errors import DocumentNotFound, InvalidQuery, LibraryBusy, UnreadableFile
from rag.filters import parse
from rag.library import Library
from rag.records import Done, Progress, Retrieved
from rag.store.lock import write_lock


@pytest.fixture
def library() -> Iterator[Library]:
    library = open_library(load_settings(embedder="hashing", generator="none"))
    yield library
    library.close()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in {
        "bees.md": "# Bees\n\nThe second hive swarmed on 14 May.",
        "boiler.md": "# Boiler\n\nThe pressure is 1.3 bar.",
        "bread.txt": "The rye loaf is baked for 55 minutes.",
    }.items():
        (folder / name).write_text(text)
    return folder


def test_progress_goes_up_to_all_of_it(library: Library, notes: Path) -> None:
    seen: list[Progress] = []
    report = library.add([notes], on_progress=seen.append)
    assert report.chunks == 3
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert (seen[-1].done, seen[-1].total, seen[-1].chunks) == (3, 3, 3)
    assert seen[-1].seconds_left == 0


def test_stopping_keeps_what_was_written_and_goes_on_later(library: Library, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.md").write_text(f"note {number}\n\n" + "some words. " * 2000)
    stop = threading.Event()
    report = library.add([tmp_path], on_progress=lambda p: stop.set() if p.chunks else None, stop=stop)
    assert 0 < len(report.added) < 40
    assert not library.verify().problems
    again = library.add([tmp_path])
    assert len(again.added) + len(again.unchanged) == 40
    assert library.status().documents == 40


class Failing:
    """Fails at the second call, as a model does that runs out of memory."""

    def __init__(self) -> None:
        self.calls = 0
        self._embed = HashingEmbedder().embed

    def embed(self, texts, kind):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls == 2:
            raise MemoryError("no room")
        return self._embed(texts, kind)


def test_an_embedder_that_fails_leaves_nothing_half_written(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text(f"note {number}. " + "other words. " * 2000)
    failing = Failing()
    with monkeypatch.context() as patch:
        patch.setattr(HashingEmbedder, "embed", lambda self, texts, kind: failing.embed(texts, kind))
        with pytest.raises(MemoryError):
            library.add([tmp_path])
    assert not library.verify().problems
    library.add([tmp_path])
    assert library.verify() == replace(library.verify(), documents=20, problems=())


def test_searching_goes_on_while_another_thread_adds(library: Library, notes: Path, tmp_path: Path) -> None:
    library.add([notes])
    more = tmp_path / "more"
    more.mkdir()
    for number in range(300):
        (more / f"{number}.md").write_text(f"# Note {number}\n\nAbout topic {number % 7}.")
    adding = threading.Thread(target=library.add, args=([more],))
    adding.start()
    while adding.is_alive():
        assert library.search("pressure 1.3 bar").hits[0].chunk.title == "Boiler"
    adding.join()
    assert library.status().documents == 303


def test_what_a_killed_writer_left_is_mended_when_the_library_is_opened(library: Library, notes: Path) -> None:
    library.add([notes])
    bees = library.document(library.resolve(str(notes / "bees.md")))
    library._catalogue.begin([(replace(bees, sha256="0" * 64, text="cut off"), 1)])  # and killed before the store
    library.close()
    reopened = open_library(library.settings)
    assert reopened.search("hive swarmed").hits[0].chunk.document_id == bees.id
    assert reopened._catalogue.pending() == []
    assert reopened.document(bees.id).text == bees.text
    assert not reopened.verify().problems
    reopened.close()


def test_one_writer_at_a_time(library: Library, notes: Path) -> None:
    with write_lock(library.settings.home), pytest.raises(LibraryBusy):
        library.add([notes])


def test_filters_reach_both_retrievers(library: Library, notes: Path) -> None:
    library.add([notes])
    for where, names in {
        "kind:text": {"bread.txt"},
        "-kind:text": {"bees.md", "boiler.md"},
        f"folder:{notes}": {"bees.md", "boiler.md", "bread.txt"},
        f"folder:{notes}/no": set(),
        "before:1990-01-01": set(),
    }.items():
        hits = library.search("the pressure hive loaf", k=10, where=parse(where)).hits
        assert {Path(hit.chunk.path).name for hit in hits} == names, where


def test_an_answer_streams_and_ends(library: Library, notes: Path) -> None:
    library.add([notes])
    first, *_, last = library.ask("What is the pressure?")
    assert isinstance(first, Retrieved)
    assert isinstance(last, Done)
    assert last.answer.finish == "no_model"
    assert "1.3 bar" in last.answer.text
    with pytest.raises(InvalidQuery):
        list(library.ask("  "))


def test_removing_names_what_is_not_there_and_removes_nothing(library: Library, notes: Path) -> None:
    library.add([notes])
    bees = library.resolve(str(notes / "bees.md"))
    with pytest.raises(DocumentNotFound):
        library.remove([bees, "0" * 32])
    assert library.status().documents == 3
    assert library.remove([bees]) == 1
    assert library.search("hive swarmed").hits[0].chunk.document_id != bees


def test_the_original_is_what_was_indexed(library: Library, notes: Path) -> None:
    library.add([notes])
    bees = library.resolve(str(notes / "bees.md"))
    assert library.original(bees).data == (notes / "bees.md").read_bytes()
    (notes / "bees.md").write_text("changed")
    with pytest.raises(UnreadableFile, match="add it again"):
        library.original(bees)
    (notes / "bees.md").unlink()
    with pytest.raises(UnreadableFile):
        library.original(bees)


def test_failures_are_kept_until_the_file_is_mended(library: Library, notes: Path) -> None:
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    library.add([notes])
    assert [Path(failure.path).name for failure in library.failures()] == ["broken.pdf"]
    (notes / "broken.pdf").unlink()
    (notes / "broken.md").write_text("mended")
    library.add([notes])
    assert library.failures() == []


def test_dropped_files_are_copied_and_never_overwrite(library: Library, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "note.md", tmp_path / "b" / "note.md"
    for path, text in ((first, "about bees"), (second, "about trains")):
        path.parent.mkdir()
        path.write_text(text)
    folder = library.settings.home / "files"
    library.adopt([first, second, first])
    assert sorted(path.name for path in folder.iterdir()) == ["note (2).md", "note.md"]
    assert adopted(second, folder).name == "note (2).md"
    assert library.status().documents == 2
    first.unlink()
    assert library.search("bees").hits[0].chunk.text == "about bees"
