"""What is indexed: every document, whole, in SQLite. The truth that the vector store is checked against.

A change is written ahead: `begin` notes the new versions (and what is to go) as pending, the store commits their
chunks, `finish` makes them current. Killed in between, `rag.store.recover` asks the store which side it is on.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from rag.errors import DocumentNotFound, StoreError
from rag.records import Document, DocumentInfo, Failure, Kind
from rag.store.database import Database, folded, listed
from rag.store.ledger import LEDGER, RETRIEVERS, Ledger
from rag.store.matching import folder_prefixes
from rag.store.retrievers import Retrievers
from rag.text import encodable

_VERSION = 4
_READERS = 2  # what readers take from a file; version 1 took no pictures
_INFOS = """CREATE VIEW infos AS SELECT id, path, title, kind, media_type, sha256, size, pages, chunks, language, tags,
    date, indexed, parent, warnings, pictures, searched FROM documents
    WHERE state = 'current'"""
_PICTURES = (
    """CREATE TABLE pictures (
        id TEXT NOT NULL,
        state TEXT NOT NULL,
        number INTEGER NOT NULL,
        digest TEXT NOT NULL,
        path TEXT NOT NULL,
        PRIMARY KEY (id, state, number),
        FOREIGN KEY (id, state) REFERENCES documents (id, state) ON DELETE CASCADE ON UPDATE CASCADE
    ) WITHOUT ROWID""",
    "CREATE INDEX pictures_by_digest ON pictures (digest)",
)
_SCHEMA = (
    """CREATE TABLE documents (
        id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('current', 'pending')),
        path TEXT NOT NULL,
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        media_type TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        size INTEGER NOT NULL,
        pages INTEGER NOT NULL,
        chunks INTEGER NOT NULL,
        language TEXT NOT NULL,
        tags TEXT NOT NULL,
        date TEXT,
        indexed TEXT NOT NULL,
        parent TEXT,
        warnings TEXT NOT NULL,
        searched TEXT NOT NULL,
        pictures INTEGER NOT NULL,
        readers INTEGER NOT NULL,
        PRIMARY KEY (id, state)
    ) WITHOUT ROWID""",
    "CREATE INDEX documents_by_path ON documents (state, path, sha256)",
    "CREATE INDEX documents_by_parent ON documents (parent)",
    _INFOS,
    # The texts live apart, so that listing documents does not read them.
    """CREATE TABLE bodies (
        id TEXT NOT NULL,
        state TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (id, state),
        FOREIGN KEY (id, state) REFERENCES documents (id, state) ON DELETE CASCADE ON UPDATE CASCADE
    )""",
    "CREATE TABLE removals (id TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE failures (path TEXT PRIMARY KEY, error TEXT NOT NULL) WITHOUT ROWID",
    *_PICTURES,
    *LEDGER,
    *RETRIEVERS,
)
_MIGRATIONS = {
    1: (
        "ALTER TABLE documents ADD COLUMN pictures INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE documents ADD COLUMN readers INTEGER NOT NULL DEFAULT 1",
        "UPDATE documents SET readers = 2 WHERE kind = 'text'",  # they would be read as they were
        "DROP VIEW infos",
        _INFOS,
        *_PICTURES,
    ),
    2: LEDGER,
    3: RETRIEVERS,
}

_PENDING = """SELECT id, path, sha256, chunks FROM documents WHERE state = 'pending'
    UNION ALL
    SELECT removals.id, coalesce(infos.path, removals.id), NULL, 0 FROM removals LEFT JOIN infos USING (id)
    ORDER BY 2, 1"""

_INSERT = """INSERT INTO documents VALUES (:id, :state, :path, :title, :kind, :media_type, :sha256, :size, :pages,
    :chunks, :language, :tags, :date, :indexed, :parent, :warnings, :searched, :pictures, :readers)"""

_DOCUMENT = TypeAdapter(Document)
_SHORTEST_PREFIX = 6  # hex digits of an id: 16 million possibilities
_NAMED = 5  # candidates that a message lists


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that was begun and not finished. `sha256` is None for a removal."""

    id: str
    path: str
    sha256: str | None
    chunks: int


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of a document: with how many chunks it has, when it was indexed, and what readers took then."""

    document: Document
    chunks: int
    indexed: datetime
    readers: int


class Catalogue:
    """The SQLite file at `path`. Any thread may read while one writes (see rag/store/database.py).

    `ledger` tells which versions of the index there are, and what they have of these documents; `retrievers` which
    tuned retriever searches them.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, _VERSION, _MIGRATIONS)
        self.ledger = Ledger(self._database)
        self.retrievers = Retrievers(self._database)

    # --- changing it ---------------------------------------------------------------------------------------------

    def begin(self, documents: Sequence[tuple[Document, int]], remove: Iterable[str] = ()) -> None:
        """Note new versions, each with its number of chunks, and the ids of documents to remove, as pending.

        What is current stays so until `finish`. Attachments of a document are not kept: they are documents of
        their own.
        """
        now = datetime.now(UTC)
        changing = {document.id for document, _ in documents}
        values = {"changing": listed(changing), "going": listed(set(remove) - changing)}
        with self._database.writing() as db:
            db.execute(
                "DELETE FROM documents WHERE state = 'pending' AND (id IN (SELECT value FROM json_each(:changing)) "
                "OR id IN (SELECT value FROM json_each(:going)))",
                values,
            )
            db.execute("DELETE FROM removals WHERE id IN (SELECT value FROM json_each(:changing))", values)
            db.execute("INSERT OR IGNORE INTO removals SELECT value FROM json_each(:going)", values)
            for document, chunks in documents:
                _insert(db, Kept(document, chunks, now, _READERS), "pending")

    def finish(self, ids: Sequence[str] | None = None) -> None:
        """Make pending changes current (None: all of them): call it when the store has committed them.

        Failures noted for their paths are cleared.
        """
        with self._database.writing() as db:
            waiting = {row["id"] for row in db.execute(_PENDING)}
            done = [listed(waiting if ids is None else waiting.intersection(ids))]
            db.execute(
                "DELETE FROM failures WHERE path IN "
                "(SELECT path FROM documents WHERE id IN (SELECT value FROM json_each(?)))",
                done,
            )
            db.execute("DELETE FROM documents WHERE state = 'current' AND id IN (SELECT value FROM json_each(?))", done)
            db.execute(
                "UPDATE documents SET state = 'current' "
                "WHERE state = 'pending' AND id IN (SELECT value FROM json_each(?))",
                done,
            )
            db.execute("DELETE FROM removals WHERE id IN (SELECT value FROM json_each(?))", done)

    def pending(self) -> list[Pending]:
        """Changes begun and not finished, by path: after a crash, or while another process is at work."""
        with self._database.reading() as db:
            rows = db.execute(_PENDING).fetchall()
        return [Pending(*row) for row in rows]

    def forget_pending(self, ids: Sequence[str]) -> None:
        """Drop pending changes that the store never got: what was current stays."""
        dropped = [listed(ids)]
        with self._database.writing() as db:
            db.execute(
                "DELETE FROM documents WHERE state = 'pending' AND id IN (SELECT value FROM json_each(?))", dropped
            )
            db.execute("DELETE FROM removals WHERE id IN (SELECT value FROM json_each(?))", dropped)

    def restore(self, kept: Sequence[Kept]) -> None:
        """Put documents back as `kept` gave them, current at once: for a library that nobody uses yet."""
        with self._database.writing() as db:
            for each in kept:
                _insert(db, each, "current")

    # --- asking it -----------------------------------------------------------------------------------------------

    def document(self, document: str, *, pending: bool = False) -> Document:
        """The whole document of that id, or the version of it that is pending; DocumentNotFound when there is none."""
        state = "pending" if pending else "current"
        with self._database.reading() as db:
            row = db.execute("SELECT document FROM bodies WHERE id = ? AND state = ?", (document, state)).fetchone()
        if row is None:
            raise _not_found(document)
        return _DOCUMENT.validate_json(row["document"])

    def kept(self, documents: Iterable[str]) -> list[Kept]:
        """All that is kept of those documents, by path."""
        query = (
            "SELECT b.document, d.chunks, d.indexed, d.readers FROM documents d JOIN bodies b USING (id, state) "
            "WHERE d.state = 'current' AND d.id IN (SELECT value FROM json_each(?)) ORDER BY d.path"
        )
        with self._database.reading() as db:
            rows = db.execute(query, [listed(documents)]).fetchall()
        return [
            Kept(_DOCUMENT.validate_json(body), chunks, datetime.fromisoformat(indexed), readers)
            for body, chunks, indexed, readers in rows
        ]

    def info(self, document: str) -> DocumentInfo:
        """The row of that id, without the text; DocumentNotFound when there is none."""
        with self._database.reading() as db:
            row = db.execute("SELECT * FROM infos WHERE id = ?", (document,)).fetchone()
        if row is None:
            raise _not_found(document)
        return _info(row)

    def infos(self, text: str = "", kinds: Sequence[Kind] = ()) -> list[DocumentInfo]:
        """By path: the documents whose title, path or tags hold every word of `text`, of any of `kinds` (none: all)."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT * FROM infos WHERE (:kinds = '[]' OR kind IN (SELECT value FROM json_each(:kinds))) "
                "AND NOT EXISTS (SELECT 1 FROM json_each(:words) WHERE instr(searched, value) = 0) ORDER BY path",
                {"kinds": listed(kinds), "words": listed(folded(text).split())},
            )
            return [_info(row) for row in rows]

    def states(self, folder: str | None = None) -> dict[str, tuple[str, str]]:
        """Path -> (id, sha256) of everything indexed, or of what lies under `folder` (an absolute path)."""
        query = "SELECT path, id, sha256 FROM documents WHERE state = 'current'"
        with self._database.reading() as db:
            found = {path: (name, sha256) for path, name, sha256 in db.execute(query)}
        if folder is None:
            return found
        itself, inside = folder_prefixes(folder)
        return {path: state for path, state in found.items() if path == itself or path.startswith(inside)}

    def outdated(self) -> set[str]:
        """Paths of what an older program read, which took less from files than this one does."""
        query = "SELECT path FROM documents WHERE state = 'current' AND readers < ?"
        with self._database.reading() as db:
            return {path for (path,) in db.execute(query, (_READERS,))}

    def placed(self) -> set[str]:
        """Paths of photos that are kept with the place where they were taken."""
        query = """SELECT infos.path FROM infos JOIN bodies ON bodies.id = infos.id AND bodies.state = 'current'
            WHERE infos.kind = 'image' AND EXISTS (SELECT 1 FROM json_each(bodies.document, '$.fields')
            WHERE json_extract(value, '$[0]') = 'Place')"""
        with self._database.reading() as db:
            return {path for (path,) in db.execute(query)}

    def children(self, document: str) -> list[str]:
        """The ids of what was attached to that document, and to what was attached to it, at any depth, by path."""
        with self._database.reading() as db:
            rows = db.execute(
                "WITH RECURSIVE below (id, path) AS ("
                "SELECT id, path FROM documents WHERE state = 'current' AND parent = ? "
                "UNION SELECT d.id, d.path FROM documents d JOIN below b ON d.parent = b.id WHERE d.state = 'current'"
                ") SELECT id FROM below ORDER BY path",
                (document,),
            ).fetchall()
        return [row["id"] for row in rows]

    def resolve(self, reference: str) -> str:
        """The id of the document that a person means by an id, a path, or the first six or more digits of an id.

        Raises:
            DocumentNotFound: none, or several, which are named.
        """
        with self._database.reading() as db:
            found = _resolved(db, encodable(reference))
        if len(found) == 1:
            return found[0]["id"]  # type: ignore[no-any-return]
        if not found:
            raise _not_found(reference)
        names = ", ".join(f"{row['id'][:12]} ({row['path']!r})" for row in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise DocumentNotFound(f"{reference!r} could be any of {names}{more}; write more of the id, or the path")

    def kinds(self) -> dict[str, int]:
        """How many documents there are of each kind."""
        with self._database.reading() as db:
            return dict(db.execute("SELECT kind, count(*) FROM infos GROUP BY 1 ORDER BY 2 DESC, 1").fetchall())

    def pictures(self) -> int:
        """How many pictures all documents have together."""
        with self._database.reading() as db:
            return int(db.execute("SELECT coalesce(sum(pictures), 0) FROM infos").fetchone()[0])

    def shown(self) -> dict[str, dict[str, str]]:
        """Path of a note -> path -> digest of each file that it shows as a picture."""
        query = (
            "SELECT d.path, p.path, p.digest FROM pictures p JOIN documents d USING (id, state) "
            "WHERE p.state = 'current' AND p.path != ''"
        )
        found: dict[str, dict[str, str]] = {}
        with self._database.reading() as db:
            for note, path, digest in db.execute(query):
                found.setdefault(note, {})[path] = digest
        return found

    def digests(self, documents: Iterable[str]) -> set[str]:
        """The digests of the pictures that those documents have."""
        query = (
            "SELECT DISTINCT digest FROM pictures WHERE state = 'current' AND id IN (SELECT value FROM json_each(?))"
        )
        with self._database.reading() as db:
            return {digest for (digest,) in db.execute(query, [listed(documents)])}

    def showing(self, digest: str) -> list[tuple[str, int]]:
        """Where the picture of that digest stands: ids of documents, and its number in each."""
        query = "SELECT id, number FROM pictures WHERE state = 'current' AND digest = ? ORDER BY id, number"
        with self._database.reading() as db:
            return [(row["id"], row["number"]) for row in db.execute(query, [digest])]

    def unused(self, digests: Iterable[str]) -> set[str]:
        """Those of `digests` that no document has, nor one that is pending."""
        query = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT digest FROM pictures)"
        with self._database.reading() as db:
            return {digest for (digest,) in db.execute(query, [listed(digests)])}

    def languages(self) -> dict[str, int]:
        """How many documents there are in each language, most first."""
        with self._database.reading() as db:
            return dict(db.execute("SELECT language, count(*) FROM infos GROUP BY 1 ORDER BY 2 DESC, 1").fetchall())

    def chunks(self) -> int:
        """How many chunks all documents have together."""
        with self._database.reading() as db:
            row = db.execute("SELECT coalesce(sum(chunks), 0) FROM infos").fetchone()
        return int(row[0])

    # --- what could not be read ----------------------------------------------------------------------------------

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Keep the last reason for each path. A path that is not valid Unicode is kept as it can be shown."""
        rows = [(encodable(failure.path), encodable(failure.error)) for failure in failures]
        with self._database.writing() as db:
            db.executemany("INSERT OR REPLACE INTO failures (path, error) VALUES (?, ?)", rows)

    def clear_failures(self, paths: Iterable[str]) -> None:
        """Forget the failures of paths that are gone or wanted no more."""
        with self._database.writing() as db:
            db.execute(
                "DELETE FROM failures WHERE path IN (SELECT value FROM json_each(?))",
                [listed(map(encodable, paths))],
            )

    def failures(self) -> list[Failure]:
        """Files that could not be taken in when they were last tried, by path."""
        with self._database.reading() as db:
            return [Failure(*row) for row in db.execute("SELECT path, error FROM failures ORDER BY path")]

    def close(self) -> None:
        self._database.close()


def _insert(db: sqlite3.Connection, kept: Kept, state: str) -> None:
    document = kept.document
    row = {
        "id": document.id,
        "state": state,
        "path": document.path,
        "title": document.title,
        "kind": document.kind,
        "media_type": document.media_type,
        "sha256": document.sha256,
        "size": len(document.text),
        "pages": len(document.pages),
        "chunks": kept.chunks,
        "language": document.language,
        "tags": json.dumps(document.tags),
        "date": document.date.isoformat() if document.date else None,
        "indexed": kept.indexed.isoformat(),
        "parent": document.parent,
        "warnings": json.dumps(document.warnings),
        "searched": folded("\n".join((document.title, document.path, *document.tags))),
        "pictures": len(document.pictures),
        "readers": kept.readers,
    }
    pictures = [(document.id, state, each.number, each.digest, each.path) for each in document.pictures]
    try:
        body = _DOCUMENT.dump_json(replace(document, attachments=())).decode()
        db.execute(_INSERT, row)
        db.executemany("INSERT INTO pictures VALUES (?, ?, ?, ?, ?)", pictures)
    except (PydanticSerializationError, UnicodeEncodeError) as exc:
        raise StoreError(f"{document.path!r} holds characters that are not valid Unicode: {exc}") from exc
    db.execute("INSERT INTO bodies (id, state, document) VALUES (?, ?, ?)", (document.id, state, body))


def _info(row: sqlite3.Row) -> DocumentInfo:
    values = dict(row)
    del values["searched"]
    for name in ("tags", "warnings"):
        values[name] = tuple(json.loads(values[name]))
    for name in ("date", "indexed"):
        values[name] = datetime.fromisoformat(values[name]) if values[name] is not None else None
    return DocumentInfo(**values)


def _resolved(db: sqlite3.Connection, reference: str) -> list[sqlite3.Row]:
    path = Path(os.path.expanduser(reference)).absolute()  # noqa: PTH111 - it leaves an unknown "~name" alone
    # The path as it was typed, from here; without its dots; and with its links followed.
    paths = listed([reference, os.path.normpath(path), os.path.realpath(path)])
    exact = db.execute(
        "SELECT id, path FROM infos WHERE id = ? OR path IN (SELECT value FROM json_each(?)) ORDER BY path",
        (reference, paths),
    ).fetchall()
    if exact or len(reference) < _SHORTEST_PREFIX:
        return exact
    return db.execute(
        "SELECT id, path FROM infos WHERE substr(id, 1, ?) = ? ORDER BY path", (len(reference), reference.lower())
    ).fetchall()


def _not_found(reference: str) -> DocumentNotFound:
    return DocumentNotFound(f"no document {reference!r} in the library; `rag list` shows what there is")
