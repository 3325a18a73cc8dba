"""Which conversations were kept? SQLite, in a file of its own: an index can be made again, a conversation cannot."""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from rag.errors import StoreError
from rag.records import Conversation, Turn
from rag.store.database import Database, folded, listed
from rag.text import encodable

_VERSION = 1
_SCHEMA = (
    """CREATE TABLE conversations (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        searched TEXT NOT NULL
    )""",
    """CREATE TABLE turns (
        conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        turn TEXT NOT NULL,
        searched TEXT NOT NULL,
        PRIMARY KEY (conversation, number)
    )""",
)
_TURN = TypeAdapter(Turn)


class Conversations:
    """The SQLite file at `path`. Any thread may read while one writes."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, _VERSION)

    def list(self, search: str = "") -> Sequence[Conversation]:
        """Latest first, without turns: those whose title, questions and answers hold every word of `search`."""
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT id, title, created, updated FROM conversations c WHERE NOT EXISTS ("
                "SELECT 1 FROM json_each(?) word WHERE instr(c.searched, word.value) = 0 AND NOT EXISTS ("
                "SELECT 1 FROM turns t WHERE t.conversation = c.id AND instr(t.searched, word.value) > 0)"
                ") ORDER BY updated DESC, id",
                [listed(folded(search).split())],
            ).fetchall()
        return [_conversation(*row) for row in rows]

    def get(self, conversation: str) -> Conversation:
        """The conversation of that id with all its turns; StoreError when there is none."""
        with self._database.reading() as db:
            row = db.execute(
                "SELECT id, title, created, updated FROM conversations WHERE id = ?", [conversation]
            ).fetchone()
            turns = db.execute("SELECT turn FROM turns WHERE conversation = ? ORDER BY number", [conversation])
            records = tuple(_TURN.validate_json(turn) for (turn,) in turns)
        if row is None:
            raise _missing(conversation)
        return replace(_conversation(*row), turns=records)

    def pictures(self) -> set[str]:
        """The digests of all pictures that were asked with."""
        with self._database.reading() as db:
            found = db.execute("SELECT DISTINCT turn ->> '$.answer.picture' FROM turns").fetchall()
        return {digest for (digest,) in found if digest}

    def create(self, title: str) -> Conversation:
        """A new conversation without turns."""
        name, now, shown = uuid.uuid4().hex, _now(), encodable(title)
        with self._database.writing() as db:
            db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?)", (name, shown, now, now, folded(shown)))
        return _conversation(name, shown, now, now)

    def append(self, conversation: str, turn: Turn) -> None:
        """Keep one more turn; StoreError when there is no such conversation."""
        record, searched = _row(turn)
        with self._database.writing() as db:
            if not db.execute("UPDATE conversations SET updated = ? WHERE id = ?", (_now(), conversation)).rowcount:
                raise _missing(conversation)
            db.execute(
                "INSERT INTO turns SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3 FROM turns WHERE conversation = ?1",
                (conversation, record, searched),
            )

    def restore(self, conversation: Conversation) -> None:
        """Put a conversation back as `get` gave it; StoreError when there is one of that id."""
        name, title = conversation.id, encodable(conversation.title)
        times = conversation.created.isoformat(), conversation.updated.isoformat()
        turns = [(name, number, *_row(turn)) for number, turn in enumerate(conversation.turns, 1)]
        with self._database.writing() as db:
            db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?, ?)", (name, title, *times, folded(title)))
            db.executemany("INSERT INTO turns VALUES (?, ?, ?, ?)", turns)

    def rename(self, conversation: str, title: str) -> None:
        """Give it another title; StoreError when there is no such conversation."""
        shown = encodable(title)
        values = (shown, folded(shown), conversation)
        with self._database.writing() as db:
            if not db.execute("UPDATE conversations SET title = ?, searched = ? WHERE id = ?", values).rowcount:
                raise _missing(conversation)

    def delete(self, conversation: str) -> None:
        """Remove it with all its turns; what is not there is gone already."""
        with self._database.writing() as db:
            db.execute("DELETE FROM conversations WHERE id = ?", (conversation,))

    def close(self) -> None:
        self._database.close()


def _row(turn: Turn) -> tuple[str, str]:
    """A turn as it is kept, and the words that it is found by."""
    try:
        record = _TURN.dump_json(turn).decode()
    except PydanticSerializationError as exc:
        raise StoreError(f"the answer to {turn.question[:60]!r} cannot be kept: {exc}") from exc
    return record, folded(f"{turn.question}\n{turn.answer.text}")


def _conversation(name: str, title: str, created: str, updated: str) -> Conversation:
    return Conversation(name, title, datetime.fromisoformat(created), datetime.fromisoformat(updated))


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _missing(conversation: str) -> StoreError:
    return StoreError(f"there is no conversation {conversation!r}; it may have been deleted")
