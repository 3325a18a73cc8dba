"""Questions about everything but the library: if they get worse, a retriever has forgotten more than it learnt.

A frozen set comes with the program: short passages about 23 subjects, six to a subject so that each has near misses,
and two questions to each passage in other words than its own. It was written for this purpose and is free to use as
the program is. A file of the same form in RAG_HOME/tuning/canaries.jsonl takes its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from pydantic import TypeAdapter

from rag.errors import TuneError
from rag.tune.lines import read_lines
from rag.tune.records import Question

FILE = "canaries.jsonl"


@dataclass(frozen=True, slots=True)
class Canary:
    """A passage, and questions that it answers and no other does. `id` serves as the name of its document."""

    id: str
    text: str
    questions: tuple[str, ...]


_ADAPTER = TypeAdapter(Canary)


def load_canaries(own: Path | None = None) -> list[Canary]:
    """Those in the file at `own`, if it is there; else those of the program.

    Raises:
        TuneError: the file cannot be read, a line of it is none, two have the same id, or nothing is asked.
    """
    if own is not None and own.is_file():
        return _read(own)
    with as_file(files("rag.tune") / FILE) as shipped:
        return _read(shipped)


def questions_of(canaries: Sequence[Canary]) -> list[Question]:
    """What is asked of them, each question with its passage for the only right one."""
    return [
        Question(f"{canary.id}-{number}", text, {canary.id: 1}, "hand", 0.0)
        for canary in canaries
        for number, text in enumerate(canary.questions, start=1)
    ]


def _read(path: Path) -> list[Canary]:
    lines = read_lines(path, _ADAPTER, _amiss)
    if lines.bad:
        raise TuneError(f"{lines.bad[0]}; mend or delete this line")
    if len({canary.id for canary in lines.records}) < len(lines.records):
        raise TuneError(f"two canaries in {str(path)!r} have the same id; give each its own")
    if not any(canary.questions for canary in lines.records):
        raise TuneError(f"{str(path)!r} asks nothing; delete it, and the program's own questions are asked")
    return list(lines.records)


def _amiss(canary: Canary) -> str:
    """Why a canary is of no use, "" where it is."""
    if not (canary.id and any(map(str.isalnum, canary.text))):
        return "a canary needs an id and a text with words"
    if not all(any(map(str.isalnum, question)) for question in canary.questions):
        return f"a question of {canary.id!r} has no words"
    return ""
