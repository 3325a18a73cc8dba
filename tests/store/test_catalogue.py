"""The catalogue: documents come back whole, listings are quick, a change is pending until it is finished."""

import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from rag.errors import DocumentNotFound, StoreError
from rag.records import Box, Document, Failure, Heading, Link, OcrLine, Page, Picture, Source, document_id
from rag.store.catalogue import Catalogue, Pending

ODD = 'it\'s "odd" % _ \\ \n\t\x00😀 ünï日本'


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "catalogue.sqlite")


def document(path: str, text: str = "some text", **fields: object) -> Document:
    values: dict[str, object] = {
        "id": document_id(path),
        "path": path,
        "sha256": f"{len(text):064x}",
        "kind": "note",
        "media_type": "text/markdown",
        "title": path.rsplit("/", 1)[-1],
        "text": text,
    }
    return Document(**{**values, **fields})  # type: ignore[arg-type]


def put(catalogue: Catalogue, *documents: Document, chunks: int = 1) -> None:
    catalogue.begin([(each, chunks) for each in documents])
    catalogue.finish()


def test_a_document_comes_back_exactly_but_for_its_attachments(catalogue: Catalogue) -> None:
    line = OcrLine(3, 5, Box(0.1, 0.2, 0.3, 1 / 3), 0.987654321)
    full = document(
        "/home/me/" + ODD,
        ODD * 100,
        title=ODD,
        language="de",
        pages=(Page(1, 0, 5, (line, line)), Page(2, 5, 2**40)),
        headings=(Heading(1, ODD, 0), Heading(6, "", 3)),
        links=(Link(ODD, "https://example.org/?a=b"),),
        tags=(ODD, "b"),
        date=datetime(1, 1, 1, 1, 1, 1, 999999, tzinfo=timezone(timedelta(hours=-5))),
        fields=(("From", ODD), ("From", "twice"), ("", "")),
        parent="0" * 32,
        warnings=("page 3 could not be read",),
        pictures=(
            Picture(1, "d" * 64, 640, 480, 3, 5, 4, 2, Box(0, 1 / 3, 0.1 + 0.2, 1), ODD, ODD, "/" + ODD, (line,)),
            Picture(7, "e" * 64, 1, 1, 0, 0, 0),
        ),
    )
    put(catalogue, full, document("/plain"))
    assert catalogue.document(full.id) == full
    with_attachment = document("/mail.eml", attachments=(Source("/mail.eml!/1/a", "text/plain", b"\x00\xff"),))
    put(catalogue, with_attachment)
    assert catalogue.document(with_attachment.id) == document("/mail.eml")


def test_an_info_is_the_document_without_its_text(catalogue: Catalogue) -> None:
    date = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    put(
        catalogue,
        document("/a.pdf", "12345", kind="pdf", pages=(Page(1, 0, 5),), tags=("x",), date=date, warnings=("w",)),
        chunks=7,
    )
    info = catalogue.info(document_id("/a.pdf"))
    assert (info.size, info.pages, info.chunks, info.tags, info.date, info.warnings) == (5, 1, 7, ("x",), date, ("w",))
    assert abs(datetime.now(UTC) - info.indexed) < timedelta(minutes=1)
    assert catalogue.infos() == [info]


def test_what_is_not_there_is_an_error_that_names_it(catalogue: Catalogue) -> None:
    for ask in (catalogue.document, catalogue.info, catalogue.resolve):
        with pytest.raises(DocumentNotFound, match="0123456789"):
            ask("0123456789")


def test_infos_are_found_by_every_word_of_title_path_and_tags_and_by_kind(catalogue: Catalogue) -> None:
    put(
        catalogue,
        document("/Reisen/Straßen.md", title="Über Land", tags=("Urlaub",)),
        document("/b/100%_sure.pdf", title="It's", kind="pdf"),
        document("/b/café.md", title="cafe\u0301"),
    )

    def found(text: str, *kinds: str) -> list[str]:
        return [info.path for info in catalogue.infos(text, kinds)]  # type: ignore[arg-type]

    assert found("") == ["/Reisen/Straßen.md", "/b/100%_sure.pdf", "/b/café.md"]
    assert found("STRASSEN über urlaub") == ["/Reisen/Straßen.md"]
    assert found("straßen pdf") == []
    assert found("%_") == found("it's") == ["/b/100%_sure.pdf"]
    assert found("CAFÉ") == ["/b/café.md"]
    assert found("b/", "pdf", "mail") == ["/b/100%_sure.pdf"]
    assert found("", "mail") == []


def test_states_are_all_or_those_in_a_folder(catalogue: Catalogue) -> None:
    paths = ["/a/b", "/a/b/c", "/a/bc", "/a/b%/d", "/x"]
    put(catalogue, *(document(path) for path in paths))
    assert catalogue.states() == {path: (document_id(path), f"{9:064x}") for path in paths}
    assert set(catalogue.states("/a/b/")) == {"/a/b", "/a/b/c"}
    assert set(catalogue.states("/")) == set(paths)


def test_counts(catalogue: Catalogue) -> None:
    put(catalogue, document("/a"), document("/b", language="de"), document("/c", kind="pdf", language="de"), chunks=4)
    assert catalogue.kinds() == {"note": 2, "pdf": 1}
    assert list(catalogue.languages().items()) == [("de", 2), ("und", 1)]
    assert catalogue.chunks() == 12


def picture(number: int, digest: str, path: str = "") -> Picture:
    return Picture(number, digest, 30, 20, 0, 0, 0, path=path)


def test_pictures_are_counted_and_known_by_digest_and_by_the_file_that_is_shown(catalogue: Catalogue) -> None:
    note = document("/n.md", pictures=(picture(1, "a", "/a.png"), picture(2, "b", "/b.png"), picture(3, "a", "/a.png")))
    photo = document("/a.png", kind="image", pictures=(picture(1, "a"),))
    put(catalogue, note, photo, document("/plain.md"))
    assert catalogue.kinds() == {"note": 2, "image": 1}
    assert catalogue.pictures() == 4
    assert [info.pictures for info in catalogue.infos()] == [1, 3, 0]
    assert catalogue.shown() == {"/n.md": {"/a.png": "a", "/b.png": "b"}}
    assert catalogue.digests([note.id]) == {"a", "b"}
    catalogue.begin([(document("/other.md", pictures=(picture(1, "b"),)), 1)], remove=[note.id])
    assert catalogue.unused({"a", "b", "c"}) == {"c"}
    catalogue.finish([note.id])
    assert catalogue.unused({"a", "b", "c"}) == {"c"}, "one that is on its way has b"
    catalogue.forget_pending([document_id("/other.md")])
    assert catalogue.unused({"a", "b", "c"}) == {"b", "c"}
    assert catalogue.shown() == {}


def test_a_pending_document_is_there_beside_the_current_one(catalogue: Catalogue) -> None:
    old, new = document("/a", pictures=(picture(1, "a"),)), document("/a", pictures=(picture(1, "b"),))
    put(catalogue, old)
    catalogue.begin([(new, 1)])
    assert (catalogue.document(old.id), catalogue.document(old.id, pending=True)) == (old, new)
    catalogue.finish()
    assert catalogue.document(old.id) == new
    with pytest.raises(DocumentNotFound):
        catalogue.document(old.id, pending=True)


def test_children_are_found_at_any_depth(catalogue: Catalogue) -> None:
    mail = document("/m.eml")
    inner = document("/m.eml!/1/n.eml", parent=mail.id)
    deep = document("/m.eml!/1/n.eml!/1/a.md", parent=inner.id)
    put(catalogue, deep, inner, mail, document("/other", parent="f" * 32))
    assert catalogue.children(mail.id) == [inner.id, deep.id]
    assert catalogue.children(deep.id) == []


# --- resolving what a person types -------------------------------------------------------------------------------


def test_a_reference_is_an_id_a_beginning_or_a_path(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, linked = tmp_path / "notes" / "a.md", tmp_path / "linked"
    here.parent.mkdir()
    linked.symlink_to(here.parent)
    monkeypatch.chdir(tmp_path)
    put(catalogue, document(str(here)), document("/elsewhere.md"))
    name = document_id(str(here))
    for reference in (name, name[:6], name[:9].upper(), str(here), "notes/a.md", "./x/../notes/a.md", "linked/a.md"):
        assert catalogue.resolve(reference) == name, reference
    for reference in (name[:5], "a.md", "", "~nobody-of-this-name/a", "\x00", "\udc80", "zz" * 40):
        with pytest.raises(DocumentNotFound):
            catalogue.resolve(reference)


def test_an_ambiguous_reference_names_the_candidates(catalogue: Catalogue) -> None:
    put(catalogue, *(document(f"/{i}", id=f"abcdef{i:026x}") for i in range(7)))
    with pytest.raises(DocumentNotFound, match=r"'abcdef' could be any of abcdef000000 \('/0'\).*and 2 more"):
        catalogue.resolve("abcdef")


# --- pending changes ---------------------------------------------------------------------------------------------


def test_a_change_is_seen_when_it_is_finished_and_not_before(catalogue: Catalogue) -> None:
    old, gone, new = document("/a", "old"), document("/gone"), document("/a", "newer")
    put(catalogue, old, gone)
    catalogue.begin([(new, 3), (document("/b"), 2)], remove=[gone.id])
    assert catalogue.document(old.id) == old
    assert set(catalogue.states()) == {"/a", "/gone"}
    assert catalogue.pending() == [
        Pending(old.id, "/a", new.sha256, 3),
        Pending(document_id("/b"), "/b", f"{9:064x}", 2),
        Pending(gone.id, "/gone", None, 0),
    ]
    catalogue.finish()
    assert catalogue.document(old.id) == new
    assert set(catalogue.states()) == {"/a", "/b"}
    assert catalogue.pending() == []


def test_pending_changes_are_finished_or_forgotten_one_by_one(catalogue: Catalogue) -> None:
    put(catalogue, document("/keep"), document("/go"))
    catalogue.begin([(document("/a"), 1), (document("/b"), 1)], remove=[document_id("/keep"), document_id("/go")])
    catalogue.forget_pending([document_id("/a"), document_id("/keep")])
    catalogue.finish([document_id("/go"), document_id("/keep"), "unknown"])
    assert set(catalogue.states()) == {"/keep"}
    assert [change.path for change in catalogue.pending()] == ["/b"]
    catalogue.finish()
    assert set(catalogue.states()) == {"/keep", "/b"}


def test_beginning_again_replaces_what_was_pending(catalogue: Catalogue) -> None:
    put(catalogue, document("/a", "current"))
    for text in ("first", "second one"):
        catalogue.begin([(document("/a", text), 1)])
    catalogue.begin([], remove=[document_id("/a")])
    assert [change.sha256 for change in catalogue.pending()] == [None]
    catalogue.begin([(document("/a", "the third"), 1)], remove=[document_id("/a")])
    assert len(catalogue.pending()) == 1
    catalogue.finish()
    assert catalogue.document(document_id("/a")).text == "the third"


def test_a_document_that_is_not_unicode_is_refused_with_all_that_was_begun_with_it(catalogue: Catalogue) -> None:
    for bad in (document("/bad", "\ud800"), document("/bad\udcff"), document("/bad", tags=("\udfff",))):
        with pytest.raises(StoreError, match="not valid Unicode"):
            catalogue.begin([(document("/fine"), 1), (bad, 1)])
        assert catalogue.pending() == []


# --- failures ----------------------------------------------------------------------------------------------------


def test_failures_are_kept_until_the_file_succeeds_or_goes(catalogue: Catalogue) -> None:
    put(catalogue, document("/removed"))
    failures = [Failure(path, "no reason") for path in ("/broken", "/mended", "/removed", "/vanished", "/\udcff")]
    catalogue.record_failures(failures)
    catalogue.record_failures([Failure("/broken", "truncated")])
    catalogue.begin([(document("/mended"), 1)], remove=[document_id("/removed")])
    assert len(catalogue.failures()) == 5
    catalogue.finish()
    catalogue.clear_failures(["/vanished", "/\udcff"])
    assert catalogue.failures() == [Failure("/broken", "truncated")]


# --- the file ----------------------------------------------------------------------------------------------------


def test_what_was_written_is_there_when_opened_again(catalogue: Catalogue, tmp_path: Path) -> None:
    put(catalogue, document("/a"))
    catalogue.begin([(document("/b"), 1)])
    catalogue.close()
    again = Catalogue(tmp_path / "catalogue.sqlite")
    assert set(again.states()) == {"/a"}
    assert [change.path for change in again.pending()] == ["/b"]


FIRST_SCHEMA = """
CREATE TABLE documents (id TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('current', 'pending')),
    path TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, media_type TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, pages INTEGER NOT NULL, chunks INTEGER NOT NULL, language TEXT NOT NULL, tags TEXT NOT NULL,
    date TEXT, indexed TEXT NOT NULL, parent TEXT, warnings TEXT NOT NULL, searched TEXT NOT NULL,
    PRIMARY KEY (id, state)) WITHOUT ROWID;
CREATE INDEX documents_by_path ON documents (state, path, sha256);
CREATE INDEX documents_by_parent ON documents (parent);
CREATE VIEW infos AS SELECT id, path, title, kind, media_type, sha256, size, pages, chunks, language, tags, date,
    indexed, parent, warnings, searched FROM documents WHERE state = 'current';
CREATE TABLE bodies (id TEXT NOT NULL, state TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (id, state),
    FOREIGN KEY (id, state) REFERENCES documents (id, state) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE removals (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE failures (path TEXT PRIMARY KEY, error TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
FIRST_INSERT = """INSERT INTO documents VALUES (:id, 'current', :path, 't', :kind, 'm', 's', 9, 1, 1, 'en', '[]', NULL,
    '2025-01-01T00:00:00+00:00', NULL, '[]', :searched)"""
FIRST_DOCUMENT = (
    '{"id":"%s","path":"%s","sha256":"s","kind":"%s","media_type":"m","title":"t","text":"some text",'
    '"pages":[{"number":1,"start":0,"end":4}]}'
)


def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    rows = [("a" * 32, "/a.md", "note"), ("b" * 32, "/b.txt", "text"), ("c" * 32, "/c.pdf", "pdf")]
    with sqlite3.connect(tmp_path / "old") as db:
        db.executescript(FIRST_SCHEMA)
        for name, path, kind in rows:
            row = {"id": name, "path": path, "kind": kind, "searched": path}
            db.execute(FIRST_INSERT, row)
            db.execute("INSERT INTO bodies VALUES (?, 'current', ?)", (name, FIRST_DOCUMENT % (name, path, kind)))
    for _ in ("brought up to date", "and opened again"):
        catalogue = Catalogue(tmp_path / "old")
        assert [(info.path, info.pictures) for info in catalogue.infos()] == [
            ("/a.md", 0),
            ("/b.txt", 0),
            ("/c.pdf", 0),
        ]
        assert catalogue.document("a" * 32).pages == (Page(1, 0, 4),)
        assert catalogue.outdated() == {"/a.md", "/c.pdf"}, "plain text would be read as it was"
        catalogue.close()
    catalogue = Catalogue(tmp_path / "old")
    put(catalogue, document("/c.pdf", id="c" * 32, pictures=(picture(1, "d"),)))
    assert catalogue.outdated() == {"/a.md"}
    assert catalogue.pictures() == 1


def test_a_file_of_a_newer_program_and_a_file_that_is_not_ours_are_refused(tmp_path: Path) -> None:
    Catalogue(tmp_path / "newer").close()
    with sqlite3.connect(tmp_path / "newer") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer Commonplace"):
        Catalogue(tmp_path / "newer")
    (tmp_path / "other").write_text("this is not a database, " * 100)
    with pytest.raises(StoreError, match="other"):
        Catalogue(tmp_path / "other")
    with pytest.raises(StoreError, match="missing"):
        Catalogue(tmp_path / "missing" / "catalogue")


def test_readers_see_all_of_a_change_or_nothing_while_a_thread_writes(catalogue: Catalogue) -> None:
    documents = [document(f"/{i}") for i in range(20)]
    stop, seen, failures = threading.Event(), set(), []

    def read() -> None:
        try:
            while not stop.is_set():
                seen.add(len(catalogue.infos()))
                catalogue.pending()
        except Exception as exc:  # noqa: BLE001 - any failure of a thread is the test's
            failures.append(exc)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(10):
        put(catalogue, *documents)
        catalogue.begin([], remove=[each.id for each in documents])
        catalogue.finish()
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert seen <= {0, 20}


def test_ten_thousand_documents_are_listed_quickly(catalogue: Catalogue) -> None:
    put(catalogue, *(document(f"/{i}.md", "text " * 200) for i in range(10_000)))
    taken = []
    for _ in range(5):
        start = time.process_time()
        assert len(catalogue.states()) == 10_000
        taken.append(time.process_time() - start)
    assert min(taken) < 1, "seconds; .01 when idle"
