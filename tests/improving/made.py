"""A library whose owner has words of their own: a gizmo is a report and a wotsit is a letter.

Of every subject there is a report and a letter, which share all other words: only who knows the owner's words can tell
which one is meant. What is learnt from some subjects holds for all.
"""

from pathlib import Path
from typing import Any

import pytest

from rag.config import Settings, load_settings
from rag.embed.hashing import HashingEmbedder
from rag.gathering import IMPORTED, pairs_file
from rag.library import Library
from rag.namings import excerpt
from rag.tune.feedback import FeedbackLog
from rag.tune.pairs import new_pair, write_pairs
from rag.tune.records import Pair, ShownChunk
from tests.store.processes import parse_here

SAYS = {"report": "gizmo", "letter": "wotsit"}
SUBJECTS = 18


def prepare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedder without weights, and files that are read in this process."""

    def embedder(settings: Settings, reference: str = "") -> HashingEmbedder:
        return HashingEmbedder(256)

    monkeypatch.setattr("rag.build.build_embedder", embedder)
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)


def opened(home: Path, **chosen: Any) -> Library:
    import rag.build

    return rag.build.open_library(load_settings(home=home, generator="none", ocr=False, **chosen))


def write_notes(folder: Path, subjects: range = range(SUBJECTS)) -> None:
    folder.mkdir(exist_ok=True)
    for number in subjects:
        for kind in SAYS:
            (folder / f"{kind}{number}.txt").write_text(f"the {kind} of matter{number} was written last year")


def asked(kind: str, number: int) -> str:
    return f"{SAYS[kind]} matter{number}"


def teach(library: Library, subjects: range = range(SUBJECTS)) -> list[Pair]:
    """Pairs in the owner's words for those subjects, as if imported, the newest about the last one."""
    by_title = {Path(info.path).stem: info.id for info in library.documents()}
    pairs = []
    for number in subjects:
        for kind in SAYS:
            (chunk,) = library._databases.store.chunks([by_title[f"{kind}{number}"]])
            pairs.append(new_pair(asked(kind, number), excerpt(chunk), "import", 1000.0 + number))
    path = pairs_file(library.settings.home, IMPORTED)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pairs(path, pairs)
    return pairs


def choose(library: Library, query: str, chunk: str, document: str) -> None:
    """Somebody searched for `query`, and said of a chunk in the list: this was it."""
    log = FeedbackLog(library.settings.home / "feedback.jsonl")
    log.choose(log.show(query, "", "", [ShownChunk(chunk, document, 1)]), "this", chunk)


def first(library: Library, kind: str, number: int) -> str:
    """The name of the file that is found first in the owner's words."""
    return Path(library.search(asked(kind, number), k=5).hits[0].chunk.path).stem


def found(library: Library, subjects: range = range(SUBJECTS)) -> float:
    """The share of questions in the owner's words whose right file comes first."""
    right = [first(library, kind, number) == f"{kind}{number}" for number in subjects for kind in SAYS]
    return sum(right) / len(right)
