"""What do trainings leave behind of documents and of questions about them, besides weights? It can be forgotten.

Lessons and verdicts in the folders of runs, maps, and vectors that were kept for the next training.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from rag.errors import TuneError
from rag.tune.lesson import Lesson
from rag.tune.questions import words_of
from rag.tune.records import Verdict
from rag.tune.runs import MANIFEST, MAPS, VECTORS, VERDICT, Runs


def forget_traces(tuning: Path, documents: Collection[str], asked: Collection[str] = ()) -> tuple[str, ...]:
    """Take documents (by id) and what was asked about them out of everything under `tuning` (RAG_HOME/tuning).

    Maps show what the library says, and go as a whole; so do the kept vectors, which cost time when they are made
    again, nothing else. Weights cannot forget: the answer is the names of the runs that learnt from the documents,
    which their run.json goes on to say by id.

    Args:
        asked: the words of questions that are forgotten elsewhere, and may stand in a verdict.

    Raises:
        TuneError, DiskFull: a file cannot be changed; what comes after it is as it was.
    """
    runs = Runs(tuning / "runs")
    folders = sorted(path for path in runs.root.glob("*") if path.is_dir())
    learnt = [folder for folder in folders if _names(folder, documents)]
    gone = {words_of(each) for each in asked}
    for folder in learnt:
        gone |= _forget_lesson(folder, documents)
    for folder in folders:
        _forget_examples(runs, folder, gone)
    for path in (*(tuning / MAPS).glob("*.html"), tuning / VECTORS):
        _delete(path)
    return tuple(folder.name for folder in learnt)


def _names(folder: Path, documents: Iterable[str]) -> bool:
    """Whether one of these ids stands in what a run learnt from or was to be judged by."""
    ids = [document.encode() for document in documents]
    files = [*folder.glob("*.jsonl"), *folder.glob(MANIFEST)]
    return any(each in data for data in (path.read_bytes() for path in files) for each in ids)


def _forget_lesson(folder: Path, documents: Collection[str]) -> set[str]:
    """The queries that went, as `words_of` has them; those that lead to other documents as well stay."""
    before = Lesson.readable(folder)
    after = before.without(documents)
    after.write(folder)
    return _queries(before) - _queries(after)


def _queries(lesson: Lesson) -> set[str]:
    asked = [*(pair.query for pair in (*lesson.train, *lesson.dev)), *(each.text for each in lesson.gate)]
    return {words_of(each) for each in asked}


def _forget_examples(runs: Runs, folder: Path, gone: Collection[str]) -> None:
    """A verdict stands, without what went; one that cannot be read is of no use, and who knows what it says."""
    try:
        verdict = runs.verdict(folder.name)
    except TuneError:
        _delete(folder / VERDICT)
        return
    if verdict is not None and (left := _without(verdict, gone)) != verdict:
        runs.write(left)


def _without(verdict: Verdict, gone: Collection[str]) -> Verdict:
    better, worse = (
        tuple(each for each in examples if words_of(each.question) not in gone)
        for examples in (verdict.better, verdict.worse)
    )
    lost = tuple(each for each in verdict.lost if words_of(each) not in gone)
    return replace(verdict, better=better, worse=worse, lost=lost)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        raise TuneError(f"cannot delete {str(path)!r}: {exc.strerror or exc}") from exc
