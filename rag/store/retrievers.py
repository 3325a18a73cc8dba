"""Which tuned retriever searches the passages of an embedder? A pointer beside the documents, moved in one step.

An embedder is known by its fingerprint, so that what was tuned for one is never used with another, and each version
of the index finds its own again when it is live again. The name "" stands for the embedder as it came.
"""

from rag.store.database import Database
from rag.store.ledger import NEXT_TURN

_KEPT = 2  # the live one and the one before

_NAMES = "SELECT name FROM retrievers WHERE base = ? ORDER BY turn DESC"


class Retrievers:
    """The pointers in the catalogue's `database`; `Catalogue.retrievers` is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def live(self, base: str) -> str:
        """The name of what searches passages of `base`, "" for the embedder as it came. Cheap: ask at every use."""
        with self._database.reading() as db:
            row = db.execute(f"{_NAMES} LIMIT 1", (base,)).fetchone()
        return str(row["name"]) if row else ""

    def before(self, base: str) -> str | None:
        """The name of what did so before, None where nothing else ever did."""
        with self._database.reading() as db:
            rows = db.execute(f"{_NAMES} LIMIT {_KEPT:d}", (base,)).fetchall()
        return str(rows[1]["name"]) if len(rows) > 1 else None

    def turn(self, base: str) -> int:
        """When the pointer of `base` was moved last, on the clock of `Ledger.turn`; 0 where it never was."""
        with self._database.reading() as db:
            row = db.execute("SELECT coalesce(max(turn), 0) FROM retrievers WHERE base = ?", (base,)).fetchone()
        return int(row[0])

    def make_live(self, base: str, name: str) -> None:
        """Let `name` search passages of `base` from now on, in every process."""
        with self._database.writing() as db:
            live = db.execute(f"{_NAMES} LIMIT 1", (base,)).fetchone()
            if live is None and name:
                db.execute(f"INSERT INTO retrievers VALUES (?, '', {NEXT_TURN})", (base,))  # noqa: S608
            if (live["name"] if live else "") == name:
                return
            db.execute(f"INSERT OR REPLACE INTO retrievers VALUES (?, ?, {NEXT_TURN})", (base, name))  # noqa: S608
            db.execute(
                f"DELETE FROM retrievers WHERE base = ? AND name NOT IN ({_NAMES} LIMIT {_KEPT:d})",  # noqa: S608
                (base, base),
            )
