"""A library moves: to an archive and back, here or to another machine, and its index from one store to another."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import rag.build
from rag.build import open_folder, open_library, open_versions
from rag.cli import app
from rag.config import load_settings
from rag.embed.hashing import HashingEmbedder
from rag.errors import ArchiveError, IndexMismatch, LibraryBusy, StoreError, UnreadableFile
from rag.library import Library
from rag.moving import archive as archive_module
from rag.moving import copying, shards, staging
from rag.moving.archive import open_archive, write_archive
from rag.moving.copying import copy_index
from rag.moving.exporting import MoveReport, export_library
from rag.moving.importing import import_library
from rag.records import Done, Failure, Progress, Turn, document_id
from rag.store.catalogue import Catalogue
from rag.store.lance_store import LanceStore
from rag.store.lock import write_lock
from rag.store.manifest import Manifest, read_manifest
from rag.store.memory_store import MemoryStore
from rag.tune.feedback import FeedbackLog
from rag.tune.questions import FILE as QUESTIONS
from rag.tune.questions import Questions
from rag.tune.questions import question as question_of
from tests.colours import ColourEmbedder, paint, picture
from tests.store.made import SPACES, axis, embedded, random_documents
from tests.store.processes import parse_here, process
from tests.store.weaviate_server import drop, free_ports, server_url

DROPPED = "kept words of a dropped file"
ODD = "notes ünï 日本 's%_ 😀"


def opened(home: Path) -> Library:
    return open_library(load_settings(home=home, embedder="hashing", generator="none", ocr=False))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rag.build, "build_image_embedder", lambda settings: ColourEmbedder())
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Notes with odd names, one that shows a picture, and a mail with a mail with a note in it."""
    folder = tmp_path / ODD
    (folder / "deeper").mkdir(parents=True)
    for number in range(6):
        (folder / f"n {number}.md").write_text(f"# Note {number}\n\nBees and number{number} ünï 日本語 😀.", "utf-8")
    (folder / "n 3.md").write_text("# Three\n\nA picture: ![red and blue](deeper/both.png)")
    paint(folder / "deeper" / "both.png", "red", "blue")
    paint(folder / "green.png", "green")
    (folder / "empty.md").write_text("")
    (folder / "letter.eml").write_bytes(letter())
    return folder


def letter() -> bytes:
    inner = EmailMessage()
    inner["Subject"], inner["From"], inner["To"] = "Inner", "a@example.org", "b@example.org"
    inner.set_content("the inner letter")
    inner.add_attachment(b"# Plan\n\nThe plan of the shed.", maintype="text", subtype="markdown", filename="plan.md")
    outer = EmailMessage()
    outer["Subject"], outer["From"], outer["To"] = "Outer", "a@example.org", "b@example.org"
    outer.set_content("the outer letter")
    outer.add_attachment(inner)
    return outer.as_bytes()


@pytest.fixture
def home(tmp_path: Path, folder: Path) -> Path:
    """A library with documents of every sort, files that it keeps, a conversation and a picture asked with."""
    home = tmp_path / "home"
    library = opened(home)
    dropped = tmp_path / "dropped.md"
    dropped.write_text("# Dropped\n\nThe kept words of a dropped file.")
    library.add([folder])
    library._catalogue.record_failures([Failure(str(folder / "broken.pdf"), "damaged, ünï")])
    library.adopt([dropped])
    asked = picture("yellow")
    digest = library.keep_picture(asked)
    talk = library.conversations.create("Talk ünï 😀")
    for question in (DROPPED, "plan of the shed"):
        *_, done = library.ask(question, audience="person")
        assert isinstance(done, Done)
        library.conversations.append(talk.id, Turn(question, dataclasses.replace(done.answer, picture=digest)))
    found = library.search(DROPPED, audience="person")
    library.feedback.choose(found.shown, "this", found.hits[0].chunk.id)
    Questions(home / QUESTIONS).add([question_of(DROPPED, [found.hits[0].chunk.document_id])])
    library.close()
    return home


def export(home: Path, to: Path, **options: object) -> MoveReport:
    return export_library(home, partial(open_versions, load_settings(home=home)), to, **options)  # type: ignore[arg-type]


def everything(home: Path) -> dict[str, object]:
    """All that a library holds, as plain values."""
    library = opened(home)
    infos = library.documents()
    manifest = read_manifest(home / "index" / "manifest.json")
    store = open_folder(home / "index", manifest) if manifest else MemoryStore({})
    found = {
        "documents": [library.document(info.id) for info in infos],
        "infos": infos,
        "failures": library.failures(),
        "chunks": [
            (e.chunk, e.words, {v.space: v.values.tobytes() for v in e.vectors})
            for e in store.embedded([info.id for info in infos])
        ],
        "conversations": [library.conversations.get(each.id) for each in library.conversations.list()],
        "asked": {path.name: path.read_bytes() for path in (home / "asked").rglob("*.webp")},
        "files": {str(path.relative_to(home)): path.read_bytes() for path in staging.kept_files(home)},
        "manifest": manifest,
        "feedback": library.feedback.records(),
        "questions": Questions(home / QUESTIONS).all(),
    }
    assert library.verify().problems == ()
    library.close()
    return found


# --- to an archive and back --------------------------------------------------------------------------------------


def test_a_library_comes_back_exactly_where_it_was(home: Path, tmp_path: Path) -> None:
    before = everything(home)
    told: list[Progress] = []
    exported = export(home, tmp_path / "library.zip", on_progress=told.append)
    assert (told[-1].done, told[-1].total, told[-1].seconds_left) == (told[-1].total, exported.chunks + 1, 0)
    shutil.rmtree(home)
    told.clear()
    imported = import_library(tmp_path / "library.zip", home, open_folder, on_progress=told.append)
    assert (told[-1].done, told[-1].seconds_left) == (told[-1].total, 0)
    assert everything(home) == before
    assert exported.documents == imported.documents == len(before["documents"])  # type: ignore[arg-type]
    assert imported.vectors == exported.vectors
    assert exported.vectors["image"] == 3
    assert (imported.conversations, imported.pictures, imported.originals) == (1, 1, 1)
    assert imported.feedback == exported.feedback == len(before["feedback"]) >= 4  # type: ignore[arg-type]
    assert imported.questions == 1
    assert imported.problems == imported.left_out == ()
    assert sorted(path.name for path in home.iterdir() if path.suffix not in (".sqlite-wal", ".sqlite-shm")) == [
        "asked", "catalogue.sqlite", "conversations.sqlite", "feedback.jsonl", "feedback.lock", "files", "index",
        "questions.jsonl", "writer.lock",
    ]  # fmt: skip


def test_nothing_is_embedded_or_looked_at_again(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(home, tmp_path / "library.zip")
    monkeypatch.setattr(HashingEmbedder, "embed", None)
    monkeypatch.setattr(ColourEmbedder, "embed_images", None)
    import_library(tmp_path / "library.zip", tmp_path / "new", open_folder)
    library = opened(tmp_path / "new")
    assert library.status().unseen == 0
    assert library.verify().problems == ()
    library.close()


def test_elsewhere_kept_files_lie_in_the_new_home_and_all_that_was_read_from_them_follows(
    home: Path, tmp_path: Path
) -> None:
    export(home, tmp_path / "library.zip")
    shutil.rmtree(home)
    new = tmp_path / "other" / "place"
    import_library(tmp_path / "library.zip", new, open_folder)
    library = opened(new)
    found = library.search("kept words of a dropped file").hits[0].chunk
    assert found.path == str(new / "files" / "dropped.md")
    assert found.document_id == document_id(found.path)
    assert library.original(found.document_id).data == (tmp_path / "dropped.md").read_bytes()
    turn = library.conversations.get(library.conversations.list()[0].id).turns[0]
    assert turn.answer.citations[0].path == found.path
    assert turn.answer.citations[0].chunk_id == found.id
    assert turn.answer.passages[0].hit.chunk == found
    assert library.kept_picture(turn.answer.picture)
    assert library.feedback.marks(turn.answer.shown).chunks == {found.id: frozenset({"this"})}
    (chosen,) = (each for each in library.feedback.read().choices if each.act == "this")
    assert library.feedback.read().chosen(chosen).document == found.document_id  # type: ignore[union-attr]
    assert Questions(new / QUESTIONS).all()[0].right == {found.document_id: 1}
    report = library.add([new / "files"])
    assert (report.unchanged, report.added) == ((found.path,), ())
    assert library.verify().problems == ()
    library.close()


def test_originals_go_along_if_asked_for_and_notes_find_their_pictures(
    home: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / "n 1.md").write_text("changed since")
    (folder / "n 2.md").unlink()
    report = export(home, tmp_path / "library.zip", originals=True)
    assert report.left_out == (str(folder / "n 1.md"), str(folder / "n 2.md"))
    shutil.rmtree(folder)
    new = tmp_path / "new"
    import_library(tmp_path / "library.zip", new, open_folder)
    library = opened(new)
    paths = {info.title: info.path for info in library.documents()}
    assert paths["Note 1"] == str(folder / "n 1.md"), "a file that is not there keeps its path"
    assert Path(paths["Note 0"]).is_relative_to(new / "originals")
    plan = library.document(library.resolve(next(p for p in paths.values() if p.endswith("plan.md"))))
    assert library.original(plan.id).data == b"# Plan\n\nThe plan of the shed."
    assert library.document(library.document(plan.parent or "").parent or "").title == "Outer"
    note = library.document(library.resolve(paths["Three"]))
    assert Path(note.pictures[0].path).is_relative_to(new / "originals")
    shutil.rmtree(new / "thumbnails", ignore_errors=True)
    assert library.preview(note.id, 1)
    with pytest.raises(UnreadableFile):
        library.original(library.resolve(paths["Note 2"]))
    again = library.add([new / "originals"])
    assert again.added == again.updated == again.failed == ()
    assert library.verify().problems == ()
    library.close()


def test_a_home_behind_a_link_moves_with_its_files(home: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(home)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "new link").symlink_to(tmp_path / "elsewhere")
    assert export(tmp_path / "link", tmp_path / "library.zip").originals == 1
    shutil.rmtree(home)
    import_library(tmp_path / "library.zip", tmp_path / "new link", open_folder)
    library = opened(tmp_path / "new link")
    found = library.search("kept words of a dropped file").hits[0].chunk
    assert found.path == str(tmp_path / "elsewhere" / "files" / "dropped.md")
    assert library.original(found.document_id)
    library.close()


def test_originals_that_still_lie_where_they_lay_stay_there(home: Path, folder: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip", originals=True)
    import_library(tmp_path / "library.zip", tmp_path / "new", open_folder)
    assert not (tmp_path / "new" / "originals").exists()
    library = opened(tmp_path / "new")
    assert library.add([folder]).added == ()
    library.close()


def test_an_empty_library_moves_too(tmp_path: Path) -> None:
    opened(tmp_path / "home").close()
    report = export(tmp_path / "home", tmp_path / "library.zip")
    assert (report.documents, report.chunks, report.vectors) == (0, 0, {})
    import_library(tmp_path / "library.zip", tmp_path / "new", open_folder)
    assert everything(tmp_path / "new") == everything(tmp_path / "home")


def test_a_library_of_several_shards_comes_back(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_CHUNKS", 3)
    before = everything(home)
    export(home, tmp_path / "library.zip")
    with open_archive(tmp_path / "library.zip") as archive:
        assert len(archive.names("documents")) >= 3
    shutil.rmtree(home)
    import_library(tmp_path / "library.zip", home, open_folder)
    assert everything(home) == before


def test_an_archive_of_an_older_program_has_no_feedback(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(home, tmp_path / "library.zip")

    def older(values: dict[str, object]) -> None:
        counts = values["counts"]
        assert isinstance(counts, dict)
        del counts["feedback"], counts["questions"]

    monkeypatch.setattr(archive_module, "VERSION", 1)
    remade(tmp_path / "library.zip", tmp_path / "older.zip", manifest=older, without=("feedback.jsonl", QUESTIONS))
    monkeypatch.undo()
    report = import_library(tmp_path / "older.zip", tmp_path / "new", open_folder)
    assert (report.conversations, report.feedback, report.questions) == (1, 0, 0)
    assert not (tmp_path / "new" / "feedback.jsonl").exists()


def test_torn_feedback_stays_behind(home: Path, tmp_path: Path) -> None:
    whole = FeedbackLog(home / "feedback.jsonl").records()
    with (home / "feedback.jsonl").open("a") as file:
        file.write('{"kind":"sho')
    assert export(home, tmp_path / "library.zip").feedback == len(whole)
    shutil.rmtree(home)
    import_library(tmp_path / "library.zip", home, open_folder)
    assert FeedbackLog(home / "feedback.jsonl").records() == whole


def test_an_index_of_an_older_program_is_brought_up_to_date(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip")

    def older(values: dict[str, object]) -> None:
        index = values["index"]
        assert isinstance(index, dict)
        index["schema"] = 1

    remade(tmp_path / "library.zip", tmp_path / "older.zip", manifest=older)
    import_library(tmp_path / "older.zip", tmp_path / "new", open_folder)
    opened(tmp_path / "new").close()

    def newer(values: dict[str, object]) -> None:
        index = values["index"]
        assert isinstance(index, dict)
        index["schema"] = 99

    remade(tmp_path / "library.zip", tmp_path / "newer.zip", manifest=newer)
    with pytest.raises(StoreError, match="newer Commonplace"):
        import_library(tmp_path / "newer.zip", tmp_path / "newest", open_folder)


# --- what is refused ---------------------------------------------------------------------------------------------


def test_a_library_that_is_not_empty_is_not_replaced(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip")
    before = everything(home)
    with pytest.raises(ArchiveError, match=r"not empty: it has 1 files and .* documents and 1 conversations"):
        import_library(tmp_path / "library.zip", home, open_folder)
    assert everything(home) == before


def test_feedback_of_a_home_is_not_replaced(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip")
    opened(tmp_path / "new").close()
    shutil.copy(home / "feedback.jsonl", tmp_path / "new")
    with pytest.raises(ArchiveError, match=r"not empty: it has 'feedback\.jsonl'"):
        import_library(tmp_path / "library.zip", tmp_path / "new", open_folder)


def test_settings_and_models_of_an_empty_home_stay(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip")
    new = tmp_path / "new"
    opened(new).close()  # an empty catalogue, with what SQLite keeps beside it
    (new / "rag.toml").write_text("port = 1234\n")
    (new / "models").mkdir()
    import_library(tmp_path / "library.zip", new, open_folder)
    assert (new / "rag.toml").read_text() == "port = 1234\n"
    assert (new / "models").is_dir()
    assert everything(new)["chunks"]


def test_vectors_of_another_embedder_are_refused_by_name(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip")
    mine = Manifest.of(HashingEmbedder())
    import_library(tmp_path / "library.zip", tmp_path / "same", open_folder, mine)
    other = dataclasses.replace(mine, embedder="another", fingerprint="f" * 64)
    with pytest.raises(IndexMismatch, match=rf"{mine.embedder}.*'another'.*set embedder to 'auto'"):
        import_library(tmp_path / "library.zip", tmp_path / "new", open_folder, other)
    assert not (tmp_path / "new" / "catalogue.sqlite").exists()


def test_another_writer_is_waited_for_by_name(home: Path, tmp_path: Path) -> None:
    with write_lock(home), pytest.raises(LibraryBusy):
        export(home, tmp_path / "library.zip")
    assert not (tmp_path / "library.zip").exists()


def test_an_empty_library_that_another_program_has_open_is_not_replaced(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "library.zip")
    library = opened(tmp_path / "new")
    with pytest.raises(LibraryBusy, match="open; end it and import again"):
        import_library(tmp_path / "library.zip", tmp_path / "new", open_folder)
    library.close()
    import_library(tmp_path / "library.zip", tmp_path / "new", open_folder)
    assert everything(tmp_path / "new")["chunks"]


def remade(
    path: Path,
    to: Path,
    change: dict[str, bytes] | None = None,
    manifest: Callable[[dict[str, object]], None] = lambda values: None,
    without: tuple[str, ...] = (),
) -> None:
    """The archive at `path` with some members' bytes changed, all hashes right again, and another manifest."""
    with open_archive(path) as archive:
        contents = archive.contents
        kept = {name: archive.read(name) for name in contents.members if name not in without}
        members = kept | (change or {})
    values: dict[str, object] = {"index": contents.index, "counts": contents.counts}
    manifest(values)
    with write_archive(to) as writer:
        for name, data in members.items():
            writer.add(name, data)
        writer.finish(values["index"], values["counts"])  # type: ignore[arg-type]


def first_line(data: bytes, **change: object) -> bytes:
    """JSON lines whose first has other values; "a.b" names b in a."""
    line, _, rest = data.partition(b"\n")
    record = json.loads(line)
    for name, value in change.items():
        *way, last = name.split("__")
        place = record
        for step in way:
            place = place[step]
        place[last] = value
    return json.dumps(record).encode() + b"\n" + rest


HOSTILE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "not JSON": ("chunks/000000.jsonl", lambda data: b"{" + data),
    "not a chunk": ("chunks/000000.jsonl", lambda data: b"{}\n" + data),
    "of an unknown document": (
        "chunks/000000.jsonl",
        lambda data: first_line(data, chunk__document_id="unknown", chunk__id="x"),
    ),
    "of another version": ("chunks/000000.jsonl", lambda data: first_line(data, chunk__version="other")),
    "a chunk missing": ("chunks/000000.jsonl", lambda data: data.partition(b"\n")[2]),
    "a chunk twice": ("chunks/000000.jsonl", lambda data: data.partition(b"\n")[0] + b"\n" + data),
    "an unknown space": ("chunks/000000.jsonl", lambda data: first_line(data, spaces=["sound"])),
    "a space that leads elsewhere": ("chunks/000000.jsonl", lambda data: first_line(data, spaces=["../text"])),
    "a document with the id of another": (
        "documents/000000.jsonl",
        lambda data: first_line(data, document__id="a" * 32),
    ),
    "a document missing": ("documents/000000.jsonl", lambda data: data.partition(b"\n")[2]),
    "an array cut short": ("vectors/text/000000.npy", lambda data: data[:-4]),
    "an array that goes on": ("vectors/text/000000.npy", lambda data: data + b"1234"),
    "an array of objects": ("vectors/text/000000.npy", lambda data: pickled()),
    "an array that says it is enormous": (
        "vectors/text/000000.npy",
        lambda data: data.replace(b"'shape': (", b"'shape': (9", 1),
    ),
    "no array": ("vectors/text/000000.npy", lambda data: b"nothing"),
    "vectors that are not finite": ("vectors/text/000000.npy", lambda data: data[:128] + b"\xff" * (len(data) - 128)),
    "a file that the index of files does not name": ("originals.jsonl", lambda data: b""),
    "a file named twice": ("originals.jsonl", lambda data: data + data),
    "a wrong conversation": ("conversations/000000.jsonl", lambda data: b'{"id": 1}\n'),
    "a conversation too many": ("conversations/000000.jsonl", lambda data: data + first_line(data, id="other")),
    "a wrong failure": ("failures.jsonl", lambda data: b"[]\n"),
    "a wrong choice": ("feedback.jsonl", lambda data: data + b'{"kind": "choice", "act": "boil"}\n'),
    "a wrong question": ("questions.jsonl", lambda data: b'{"id": 3}\n'),
    "no member of a library": ("program.exe", lambda data: b"MZ"),
    "a file beside": ("originals/00000007", lambda data: b"x"),
    "an asked picture of no name": ("asked/picture.webp", lambda data: b"x"),
    "a deep record": ("failures.jsonl", lambda data: b"[" * 200_000 + b"\n"),
}


def pickled() -> bytes:
    import io

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([Path("x")], object), allow_pickle=True)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a small library, and beside it the members by name."""
    place = tmp_path_factory.mktemp("small")
    (place / "a.md").write_text("# A\n\nthe first note")
    (place / "b.md").write_text("# B\n\nthe second note")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rag.indexing.parse_all", parse_here)
        patch.setattr(rag.build, "build_image_embedder", lambda settings: ColourEmbedder())
        library = opened(place / "home")
        library.add([place / "a.md"])
        library.adopt([place / "b.md"])
        library.keep_picture(picture("red"))
        talk = library.conversations.create("talk")
        *_, done = library.ask("the first note")
        assert isinstance(done, Done)
        library.conversations.append(talk.id, Turn("the first note", done.answer))
        library.close()
    export(place / "home", place / "library.zip")
    return place / "library.zip"


def refused(archive: Path, new: Path, match: str = ".") -> None:
    with pytest.raises((ArchiveError, StoreError), match=match):
        import_library(archive, new, open_folder)
    left = [path.name for path in new.iterdir()] if new.exists() else []
    assert set(left) <= {"writer.lock"}, "nothing of it is kept"


@pytest.mark.parametrize("name", HOSTILE)
def test_what_somebody_made_up_is_refused_and_nothing_is_kept(small: Path, tmp_path: Path, name: str) -> None:
    member, change = HOSTILE[name]
    with open_archive(small) as archive:
        data = archive.read(member) if member in archive.contents.members else b""
    remade(small, tmp_path / "hostile.zip", {member: change(data)})
    refused(tmp_path / "hostile.zip", tmp_path / "new")


def test_counts_that_are_not_those_of_the_manifest_are_refused(small: Path, tmp_path: Path) -> None:
    with open_archive(small) as archive:
        names = list(archive.contents.counts)
    assert set(names) == {
        "documents", "chunks", "vectors of text", "vectors of image", "conversations", "pictures", "originals",
        "feedback", "questions",
    }  # fmt: skip
    for name in names:

        def miscounted(values: dict[str, object], name: str = name) -> None:
            counts = values["counts"]
            assert isinstance(counts, dict)
            counts[name] += 1

        remade(small, tmp_path / f"{name}.zip", manifest=miscounted)
        refused(tmp_path / f"{name}.zip", tmp_path / "new", match=name)


def test_a_manifest_that_counts_something_else_is_refused(small: Path, tmp_path: Path) -> None:
    def counting(values: dict[str, object]) -> None:
        counts = values["counts"]
        assert isinstance(counts, dict)
        counts["wishes"] = 3

    remade(small, tmp_path / "hostile.zip", manifest=counting)
    refused(tmp_path / "hostile.zip", tmp_path / "new", match="does not count")


@pytest.mark.parametrize("change", [{"dim": 10**9}, {"dim": -1}, {"dim": 3}, {"space": "a b"}, {"space": "../x"}])
def test_a_manifest_with_impossible_spaces_is_refused(small: Path, tmp_path: Path, change: dict[str, object]) -> None:
    def impossible(values: dict[str, object]) -> None:
        index = values["index"]
        assert isinstance(index, dict)
        index.update(change)

    remade(small, tmp_path / "hostile.zip", manifest=impossible)
    refused(tmp_path / "hostile.zip", tmp_path / "new")


def test_every_damaged_member_is_noticed_and_nothing_is_kept(small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    with zipfile.ZipFile(small) as file:
        entries = file.infolist()
    assert len(entries) >= 9
    for entry in entries:
        header = whole[entry.header_offset :][:30]
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        at = entry.header_offset + 30 + names + entry.compress_size // 2
        if entry.compress_size:
            (tmp_path / "damaged.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            refused(tmp_path / "damaged.zip", tmp_path / "new", match="damaged|no manifest")


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/../../../../etc/cron.d/evil",
        "../../../outside.md",
        "C:\\Users\\me\\..\\..\\Windows\\evil.exe",
        "\\\\server\\share\\a.md",
        "/",
        "",
        "..",
        "/home/me/" + "x" * 5000,
        "/home/me/" + "日" * 250 + ".md",
        "/" + "/".join(["deep"] * 500) + "/a.md",
        "/home/me/a\nb\u202e|*?<>:.md",
    ],
)
def test_files_stay_in_the_library_wherever_they_say_they_were(small: Path, tmp_path: Path, path: str) -> None:
    with open_archive(small) as archive:
        index = archive.read("originals.jsonl")
    for inside in ("", path, "files/" + path, "index/manifest.json", "catalogue.sqlite"):
        new = tmp_path / "new" / "home"
        hostile = tmp_path / "hostile.zip"
        remade(small, hostile, {"originals.jsonl": first_line(index, path=path, inside=inside)})
        import_library(hostile, new, open_folder)
        files = staging.kept_files(new)
        assert [file.read_text() for file in files] == ["# B\n\nthe second note"]
        assert all(file.resolve().is_relative_to(new.resolve()) for file in files)
        assert [each.name for each in (tmp_path / "new").iterdir()] == ["home"]
        assert read_manifest(new / "index" / "manifest.json") is not None
        shutil.rmtree(tmp_path / "new")
        hostile.unlink()


# --- cut off, or without room ------------------------------------------------------------------------------------


def test_an_import_killed_while_its_parts_are_put_into_place_is_finished_when_the_library_is_opened(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(home, tmp_path / "library.zip")
    before = everything(home)
    rename = Path.rename
    for number in range(1, 7):  # 1 is the commit itself; then asked, two databases, files, index
        shutil.rmtree(home)
        left = number

        def cut_off(path: Path, target: Path) -> Path:
            nonlocal left
            if path.is_relative_to(home) and path.suffix != ".new":
                left -= 1
                if left == 0:
                    raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", cut_off)
            with pytest.raises(KeyboardInterrupt):
                import_library(tmp_path / "library.zip", home, open_folder)
        if number == 1:
            assert [path.name for path in home.iterdir()] == ["writer.lock"]
            import_library(tmp_path / "library.zip", home, open_folder)
        assert everything(home) == before
        assert not (home / "imported").exists()


def kill_at_step(steps: int, child: BaseProcess, connection: Connection) -> None:
    """The process tells of each of its steps, and goes on when it is answered."""
    for _ in range(steps - 1):
        connection.recv()
        connection.send("go on")
    connection.recv()
    child.kill()


def import_step_by_step(connection: Connection, archive: Path, home: Path) -> None:
    shards.SHARD_CHUNKS = 3

    def tell(progress: Progress) -> None:
        connection.send(progress.done)
        connection.recv()

    import_library(archive, home, open_folder, on_progress=tell)


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_nothing_and_can_be_tried_again(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_CHUNKS", 3)
    export(home, tmp_path / "library.zip")
    before = everything(home)
    shutil.rmtree(home)
    for steps in (1, 3):
        with process(import_step_by_step, tmp_path / "library.zip", home) as (child, connection):
            kill_at_step(steps, child, connection)
            child.join()
        assert (home / "importing").is_dir()
        library = opened(home)
        assert library.status().documents == 0
        library.close()
    import_library(tmp_path / "library.zip", home, open_folder)
    assert not (home / "importing").exists()
    assert everything(home) == before


FILL_A_DISK = """
import sys
from functools import partial
from pathlib import Path
from rag.build import open_folder, open_versions
from rag.config import load_settings
from rag.errors import DiskFull
from rag.moving import importing
from rag.moving.archive import ArchiveError
from rag.moving.exporting import export_library
from rag.moving.importing import import_library

disk, home, archive = map(Path, sys.argv[1:])
for attempt in ("room is looked for first", "the disk fills up"):
    try:
        import_library(archive, disk / "home", open_folder)
    except DiskFull as exc:
        print("told:", exc)
    print("left:", sorted(path.name for path in (disk / "home").iterdir()))
    importing._check_room = lambda archive, home: None
try:
    export_library(home, partial(open_versions, load_settings(home=home)), disk / "library.zip")
except DiskFull as exc:
    print("told:", exc)
print("left:", sorted(path.name for path in disk.iterdir()))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of its own, which Linux lets a test make")
def test_a_full_disk_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    home, disk = tmp_path / "home", tmp_path / "disk"
    opened(home).close()
    (home / "files").mkdir()
    (home / "files" / "large.bin").write_bytes(os.urandom(6_000_000))
    disk.mkdir()
    export(home, tmp_path / "library.zip")
    mount = 'mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4" "$5"'
    own_space = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*own_space, "sh", "-c", 'mount -t tmpfs tmpfs "$1"', "sh", str(disk)]).returncode:
        pytest.skip("this machine does not let a test mount a file system")
    script = [sys.executable, FILL_A_DISK, str(home), str(tmp_path / "library.zip")]
    done = subprocess.run(
        [*own_space, "sh", "-c", mount, "sh", str(disk), *script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("told: ") == 3, done.stdout
    assert "the archive unpacks to 6 MiB" in done.stdout
    assert done.stdout.count("the disk is full; make room") == 2
    lefts = [line for line in done.stdout.splitlines() if line.startswith("left: ")]
    assert lefts == ["left: []", "left: ['writer.lock']", "left: ['home']"]


# --- from one store to another -----------------------------------------------------------------------------------

DOCUMENTS = random_documents(np.random.default_rng(9), range(60))
DOCUMENTS[ODD] = [embedded(ODD, 0, words="ünï 日本", vector=axis(16, 1), image=axis(8, 2)), embedded(ODD, 1)]


def filled() -> MemoryStore:
    store = MemoryStore(SPACES)
    store.replace_documents(DOCUMENTS)
    return store


def contents(store: MemoryStore | LanceStore) -> list[object]:
    return [
        (e.chunk, e.words, [(v.space, v.values.tobytes()) for v in e.vectors])
        for e in store.embedded(sorted(store.versions()))
    ]


def test_a_copy_holds_the_same_and_a_second_one_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH_CHUNKS", 50)
    source, target, back = filled(), LanceStore(tmp_path / "index", SPACES), MemoryStore(SPACES)
    told: list[Progress] = []
    report = copy_index(source, target, list(SPACES), on_progress=told.append)
    assert (report.documents, report.written, report.mended, report.removed) == (61, 61, 0, 0)
    assert (told[-1].done, told[-1].total, told[-1].seconds_left) == (2 * report.chunks, 2 * report.chunks, 0)
    assert contents(target) == contents(source)
    again = copy_index(source, target, list(SPACES))
    assert (again.written, again.mended) == (0, 0)
    assert copy_index(target, back, list(SPACES)).written == 61
    assert contents(back) == contents(source)
    target.close()


def test_an_empty_store_is_copied(tmp_path: Path) -> None:
    report = copy_index(MemoryStore(SPACES), LanceStore(tmp_path / "index", SPACES), list(SPACES))
    assert (report.documents, report.chunks) == (0, 0)


def test_other_documents_at_the_target_are_named_and_stay_unless_pruned() -> None:
    source, target = filled(), MemoryStore(SPACES)
    target.replace_documents({"foreign": [embedded("foreign")]})
    with pytest.raises(StoreError, match=r"1 documents .* such as /home/me/foreign\.md; .*--prune"):
        copy_index(source, target, list(SPACES))
    assert target.versions() == {"foreign": ("v1", 1)}
    assert copy_index(source, target, list(SPACES), prune=True).removed == 1
    assert contents(target) == contents(source)


def test_what_changed_without_a_new_version_is_mended() -> None:
    source, target = filled(), filled()
    late = {chunk.id: axis(8, 3, 1) for chunk in source.without_vector("image", 5)}
    source.add_vectors("image", late)
    report = copy_index(source, target, list(SPACES))
    assert report.written == 0
    assert report.mended == len({chunk.document_id for chunk in source.get(list(late))})
    assert contents(target) == contents(source)


class Forgetful(MemoryStore):
    """Keeps everything but words, as a server with a wrong schema might."""

    def replace_documents(self, documents):  # type: ignore[no-untyped-def]
        plain = {name: [dataclasses.replace(e, words="") for e in chunks] for name, chunks in documents.items()}
        super().replace_documents(plain)


def test_a_target_that_does_not_give_back_what_it_got_is_noticed() -> None:
    with pytest.raises(StoreError, match="does not give back"):
        copy_index(filled(), Forgetful(SPACES), list(SPACES))


def copy_step_by_step(connection: Connection, folder: Path) -> None:
    copying.BATCH_CHUNKS = 30

    def tell(progress: Progress) -> None:
        connection.send(progress.done)
        connection.recv()

    copy_index(filled(), LanceStore(folder, SPACES), list(SPACES), on_progress=tell)


@pytest.mark.slow
def test_a_copy_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    source, written = filled(), 0
    for steps in (1, 3):
        with process(copy_step_by_step, tmp_path / "index") as (child, connection):
            kill_at_step(steps, child, connection)
            child.join()
        held = len(LanceStore(tmp_path / "index", SPACES).versions())
        assert written < held < 61
        written = held
    target = LanceStore(tmp_path / "index", SPACES)
    assert copy_index(source, target, list(SPACES)).written == 61 - written
    assert contents(target) == contents(source)


@pytest.mark.weaviate
def test_a_library_moves_to_a_server_and_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server_url()
    before = everything(home)
    ran("store", "copy", "--to", url, home=home)
    shutil.rmtree(home / "index" / "chunks.lance")
    library = open_library(load_settings(home=home, store=url, embedder="hashing", generator="none", ocr=False))
    assert library.verify().problems == ()
    assert library.search("kept words of a dropped file").hits[0].chunk.path.endswith("dropped.md")
    library.close()
    ran("export", str(home / "library.zip"), home=home, RAG_STORE=url)
    ran("import", str(home / "library.zip"), home=home / "new", RAG_STORE=url)
    ran("store", "copy", "--from", url, "--to", "lance", home=home)
    assert everything(home) == before
    settings = load_settings(home=home, store=url)
    for place in (home, home / "new"):
        with closing(Catalogue(place / "catalogue.sqlite")) as catalogue:
            versions = open_versions(settings.model_copy(update={"home": place}), catalogue)
            drop(versions.open(versions.live()))  # type: ignore[arg-type]


# --- the command line --------------------------------------------------------------------------------------------


def ran(*arguments: str, home: Path, code: int = 0, **environment: str) -> str:
    chosen = {"RAG_HOME": str(home), "RAG_EMBEDDER": "hashing", "RAG_GENERATOR": "none", **environment}
    done = CliRunner().invoke(app, list(arguments), env=chosen, catch_exceptions=True)
    assert done.exit_code == code, (done.output, done.exception)
    return str(done.exception) if code else done.stdout


def test_the_command_line_exports_and_imports(home: Path, tmp_path: Path) -> None:
    said = ran("export", str(tmp_path / "library.zip"), home=home)
    assert said.startswith("Exported 13 documents, ")
    report = json.loads(ran("import", str(tmp_path / "library.zip"), "--json", home=tmp_path / "new"))
    assert report["documents"] == 13
    assert report["vectors"].keys() == {"text", "image"}
    assert "not empty" in ran("import", str(tmp_path / "library.zip"), home=tmp_path / "new", code=1)
    assert "there already" in ran("export", str(tmp_path / "library.zip"), home=home, code=1)
    wrong = ran("export", str(tmp_path / "nowhere" / "a.zip"), home=home, code=1)
    assert "nowhere" in wrong


def test_the_command_line_refuses_to_copy_a_store_onto_itself(home: Path, tmp_path: Path) -> None:
    assert "already" in ran("store", "copy", "--to", "lance", home=home, code=1)
    assert "no index yet" in ran("store", "copy", "--from", "lance", "--to", "x", home=tmp_path / "new", code=1)


def test_an_import_for_a_server_that_is_gone_is_kept_and_says_how_to_go_on(small: Path, tmp_path: Path) -> None:
    gone = f"weaviate://127.0.0.1:{free_ports(1)[0]}?grpc={free_ports(1)[0]}"
    said = ran("import", str(small), home=tmp_path / "new", code=1, RAG_STORE=gone)
    assert "the library is imported" in said
    assert f"rag store copy --from lance --to {gone}" in said
    library = opened(tmp_path / "new")
    assert library.status().documents == 2
    assert library.verify().problems == ()
    library.close()
