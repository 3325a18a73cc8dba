"""Which version of the index is live, and which documents does each of them have, as they were read when?

A place, such as this machine or a server, has versions of its own, and the one that was made live last is live. Beside
the documents in one file, so that making another version live and noting what the old one then has is one transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rag.store.database import Database, listed

LEDGER = (
    # `turn` counts on with each change of what searches; 0 is a version that is gone, whose name is not used again.
    """CREATE TABLE versions (
        place TEXT NOT NULL,
        version TEXT NOT NULL,
        turn INTEGER NOT NULL,
        PRIMARY KEY (place, version)
    ) WITHOUT ROWID""",
    """CREATE TABLE carried (
        place TEXT NOT NULL,
        version TEXT NOT NULL,
        id TEXT NOT NULL,
        indexed TEXT NOT NULL,
        PRIMARY KEY (place, version, id)
    ) WITHOUT ROWID""",
)


RETRIEVERS = (
    """CREATE TABLE retrievers (
        base TEXT NOT NULL,
        name TEXT NOT NULL,
        turn INTEGER NOT NULL,
        PRIMARY KEY (base, name)
    ) WITHOUT ROWID""",
)
NEXT_TURN = """(SELECT coalesce(max(turn), 0) + 1 FROM
    (SELECT turn FROM versions UNION ALL SELECT turn FROM retrievers))"""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A current document: where it lies, its version, how many chunks it has, and when it was read into the library.

    `indexed` differs between two readings of a file whose bytes are the same.
    """

    path: str
    sha256: str
    chunks: int
    indexed: str


class Ledger:
    """The versions of the index in the catalogue's `database`; `Catalogue.ledger` is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lived(self, place: str) -> list[str]:
        """The versions that are or were live, the live one first; none where no other one ever was."""
        query = "SELECT version FROM versions WHERE place = ? AND turn > 0 ORDER BY turn DESC"
        with self._database.reading() as db:
            return [version for (version,) in db.execute(query, (place,))]

    def turn(self, place: str) -> int:
        """When another version was made live last: later changes have larger numbers; 0 where none ever was."""
        with self._database.reading() as db:
            row = db.execute("SELECT coalesce(max(turn), 0) FROM versions WHERE place = ?", (place,)).fetchone()
        return int(row[0])

    def named(self) -> dict[str, set[str]]:
        """Each version that is or was live anywhere, or is gone -> the places where it is still kept."""
        with self._database.reading() as db:
            rows = db.execute("SELECT version, place, turn FROM versions").fetchall()
        found: dict[str, set[str]] = {}
        for version, place, turn in rows:
            found.setdefault(version, set()).update({place} if turn else ())
        return found

    def make_live(self, place: str, version: str, *, in_step: bool = True) -> None:
        """Make `version` live. Call it with the write lock held.

        What was live until now is noted to have every document as it is; not so where it is not `in_step`.
        """
        with self._database.writing() as db:
            before = db.execute(
                "SELECT version FROM versions WHERE place = ? AND turn > 0 ORDER BY turn DESC LIMIT 1", (place,)
            ).fetchone()
            old = before["version"] if before else None
            if old == version:
                return
            db.execute("DELETE FROM carried WHERE place = ? AND version IN (?, ?)", (place, version, old))
            if old is not None and in_step:
                db.execute(
                    "INSERT INTO carried SELECT ?, ?, id, indexed FROM documents WHERE state = 'current'", (place, old)
                )
            db.execute(
                f"INSERT OR REPLACE INTO versions VALUES (?, ?, {NEXT_TURN})",  # noqa: S608 - a constant
                (place, version),
            )

    def drop(self, place: str, version: str) -> None:
        """Note that a version is gone from `place`."""
        with self._database.writing() as db:
            db.execute("DELETE FROM carried WHERE place = ? AND version = ?", (place, version))
            db.execute("INSERT OR REPLACE INTO versions VALUES (?, ?, 0)", (place, version))

    # --- documents -----------------------------------------------------------------------------------------------

    def stamps(self) -> dict[str, Stamp]:
        """Every current document by id."""
        query = "SELECT id, path, sha256, chunks, indexed FROM documents WHERE state = 'current'"
        with self._database.reading() as db:
            return {name: Stamp(*stamp) for name, *stamp in db.execute(query)}

    def carried(self, place: str, version: str) -> dict[str, str]:
        """Id -> `Stamp.indexed` of each document that the version has; of one that is live this says nothing."""
        query = "SELECT id, indexed FROM carried WHERE place = ? AND version = ?"
        with self._database.reading() as db:
            return dict(db.execute(query, (place, version)).fetchall())

    def carry(self, place: str, version: str, indexed: Mapping[str, str]) -> None:
        """Note that the version has these documents as they were read at `indexed`."""
        rows = [(place, version, name, when) for name, when in indexed.items()]
        with self._database.writing() as db:
            db.executemany("INSERT OR REPLACE INTO carried VALUES (?, ?, ?, ?)", rows)

    def forget(self, place: str, version: str, documents: Iterable[str]) -> None:
        """Note that the version has those documents no longer, or not as they should be."""
        with self._database.writing() as db:
            db.execute(
                "DELETE FROM carried WHERE place = ? AND version = ? AND id IN (SELECT value FROM json_each(?))",
                (place, version, listed(documents)),
            )
