"""The questions that are kept to judge retrievers: whose right documents are known, and which must never be lost.

They are lines of RAG_HOME/questions.jsonl. Several processes may change them at the same time.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from rag.errors import TuneError
from rag.text import encodable, one_line
from rag.tune.lines import changing, read_lines, write_lines
from rag.tune.records import Question
from rag.tune.standing import folded

FILE = "questions.jsonl"
_ADAPTER = TypeAdapter(Question)
_LONGEST = 2000  # characters of a question


def words_of(query: str) -> str:
    """What makes two queries the same, as in feedback: case, white space and ways of writing do not count."""
    return folded(encodable(query))


def question_id(text: str) -> str:
    """The name of a question (12 hex digits), the same however it is spaced or capitalised."""
    return hashlib.sha256(words_of(text).encode()).hexdigest()[:12]


def question(
    text: str,
    right: Iterable[str],
    *,
    source: str = "hand",
    pinned: bool = False,
    now: Callable[[], float] = time.time,
) -> Question:
    """A question to keep, whose right documents (ids) are those given, all equally right.

    Raises:
        TuneError: there are no words in it, it is longer than 2,000 characters, or no document is right.
    """
    fields = {"id": question_id(text), "text": one_line(encodable(text)), "right": dict.fromkeys(right, 1)}
    return _checked(_ADAPTER.validate_python({**fields, "source": source, "time": now(), "pinned": pinned}))


def question_without(question: Question, documents: Collection[str]) -> Question:
    """The question with these documents (by id) right for it no more; with none left it is to go."""
    return replace(question, right={name: grade for name, grade in question.right.items() if name not in documents})


class Questions:
    """The kept questions in the file at `path`, which need not be there. Each call sees what others have written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[Question]:
        """The questions, in the order in which they were kept.

        Raises:
            TuneError: a line of the file is not one, or the file cannot be read.
        """
        lines = read_lines(self._path, _ADAPTER, _amiss)
        if lines.bad:
            raise TuneError(f"{lines.bad[0]}; mend or delete this line")
        return list(lines.records)

    def add(self, questions: Iterable[Question]) -> int:
        """Keep these as well; how many are new. One that is kept already gets the right documents of both.

        Raises:
            TuneError, DiskFull: nothing is changed.
        """
        with changing(self._path):
            kept = {each.id: each for each in self.all()}
            before = len(kept)
            for each in map(_checked, questions):
                kept[each.id] = _joined(kept[each.id], each) if each.id in kept else each
            self._write(kept.values())
            return len(kept) - before

    def remove(self, references: Sequence[str]) -> list[Question]:
        """Keep those no longer that are named, as in `find`; which they were.

        Raises:
            TuneError: there is none of a name, or several; nothing is changed.
        """
        with changing(self._path):
            kept = self.all()
            gone = [_find(kept, reference) for reference in references]
            self._write([each for each in kept if each not in gone])
            return gone

    def pin(self, reference: str, pinned: bool = True) -> Question:
        """Have a question that must never be lost, or no longer; it is named as in `find`."""
        with changing(self._path):
            kept = self.all()
            changed = replace(_find(kept, reference), pinned=pinned)
            self._write([changed if each.id == changed.id else each for each in kept])
            return changed

    def find(self, reference: str) -> Question:
        """The question that `reference` (an id, the beginning of one, or its words) names.

        Raises:
            TuneError: none, or several.
        """
        return _find(self.all(), reference)

    def forget(self, documents: Collection[str]) -> int:
        """Have these documents right for no question; one that none is right for goes. How many questions changed."""
        with changing(self._path):
            kept = self.all()
            left = [question_without(each, documents) for each in kept]
            self._write([each for each in left if each.right])
            return sum(before != after for before, after in zip(kept, left, strict=True))

    def _write(self, questions: Iterable[Question]) -> None:
        write_lines(self._path, questions, _ADAPTER)


def _find(questions: Sequence[Question], reference: str) -> Question:
    wanted = question_id(reference)
    found = [each for each in questions if each.id == wanted]
    found = found or [each for each in questions if reference and each.id.startswith(reference.lower())]
    if len(found) != 1:
        several = "more than one" if found else "no"
        raise TuneError(f"there is {several} kept question {reference!r}; `rag tune questions list` shows them")
    return found[0]


def _joined(old: Question, new: Question) -> Question:
    return replace(old, right={**old.right, **new.right}, pinned=old.pinned or new.pinned)


def _checked(question: Question) -> Question:
    if reason := _amiss(question):
        raise TuneError(reason)
    return question


def _amiss(question: Question) -> str:
    """Why a question cannot judge, "" where it can."""
    if not any(map(str.isalnum, question.text)):
        return f"the question {question.text!r} has no words; type what one would ask"
    if len(question.text) > _LONGEST:
        return f"a question of {len(question.text)} characters is too long to keep; {_LONGEST} are the most"
    if not question.right:
        return f"no document is right for {question.text!r}; name one that answers it"
    if min(question.right.values()) < 1:
        return f"a document that is right for {question.text!r} has a grade below 1; leave it out"
    return ""
