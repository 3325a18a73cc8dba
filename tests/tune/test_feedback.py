"""The log of feedback: what was shown and chosen stays, whoever writes, whatever is cut off, till it is forgotten."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rag.errors import DiskFull, StoreError, TuneError
from rag.tune import feedback
from rag.tune.feedback import FeedbackLog
from rag.tune.records import Act, ShownChunk
from rag.tune.standing import Marks

BEES, HONEY, TRAIN = (
    ShownChunk("c-bees", "bees.md", 1, {"text": 1, "bm25": 3}),
    ShownChunk("c-honey", "honey.md", 2, {"bm25": 1}),
    ShownChunk("c-train", "train.pdf", 3),
)


@pytest.fixture
def log(tmp_path: Path) -> FeedbackLog:
    return FeedbackLog(tmp_path / "feedback.jsonl")


def shown(log: FeedbackLog, query: str = "when do bees swarm", *chunks: ShownChunk, settled: bool = True) -> str:
    return log.show(query, "space-1", "1a-20261121-120000", chunks or (BEES, HONEY, TRAIN), settled=settled)


def acts(log: FeedbackLog) -> list[tuple[Act, str]]:
    return [(choice.act, choice.chunk) for choice in log.read().choices]


def lines(log: FeedbackLog) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.path.read_text("utf-8").splitlines()]


# --- what is written is read again ---


def test_what_was_shown_and_chosen_is_read_again(log: FeedbackLog) -> None:
    name = shown(log, "Wann schwärmen 蜂 \ud800?")
    log.choose(name, "this", "c-honey")
    found = log.read()
    assert found.shown[name].query == "Wann schwärmen 蜂 \ud800?"
    assert (found.shown[name].space, found.shown[name].retriever) == ("space-1", "1a-20261121-120000")
    assert found.shown[name].chunks == (BEES, HONEY, TRAIN)
    (choice,) = found.choices
    assert (choice.shown, choice.act, choice.chunk) == (name, "this", "c-honey")
    assert found.chosen(choice) == HONEY
    assert [line["kind"] for line in lines(log)] == ["shown", "choice"]


def test_nothing_there_is_nothing(log: FeedbackLog) -> None:
    assert not log.read().shown
    assert not log.path.exists()
    assert log.marks("") == Marks()
    assert log.forget(["bees.md"]) == 0


def test_an_empty_query_or_list_is_not_logged(log: FeedbackLog) -> None:
    assert log.show("  ", "space-1", "", [BEES]) == ""
    assert log.show("bees", "space-1", "", []) == ""
    assert not log.path.exists()


def test_only_the_owner_may_read_it(log: FeedbackLog) -> None:
    shown(log)
    if os.name == "posix":
        assert log.path.stat().st_mode & 0o777 == 0o600


def test_switched_off_nothing_is_written_and_what_is_there_stays_readable(log: FeedbackLog) -> None:
    name = shown(log)
    off = FeedbackLog(log.path, enabled=False)
    assert shown(off) == ""
    with pytest.raises(TuneError, match="RAG_FEEDBACK"):
        off.choose(name, "up")
    assert list(off.read().shown) == [name]


def test_a_search_that_is_being_typed_is_logged_once_something_is_done_with_it(log: FeedbackLog) -> None:
    typed, passed = shown(log, "bee", settled=False), shown(log, "bees", settled=False)
    assert not log.path.exists()
    assert log.marks(typed) == Marks()
    log.choose(typed, "open", "c-bees")
    log.choose(typed, "this", "c-bees")
    assert list(log.read().shown) == [typed]
    assert passed
    assert [line["kind"] for line in lines(log)] == ["shown", "choice", "choice"]


@pytest.mark.parametrize(
    ("act", "chunk"), [("up", "c-bees"), ("down", "c-bees"), ("pin", ""), ("wrong", ""), ("this", "c-other")]
)
def test_an_act_that_does_not_fit_is_refused(log: FeedbackLog, act: Act, chunk: str) -> None:
    name = shown(log)
    with pytest.raises(TuneError):
        log.choose(name, act, chunk)
    assert acts(log) == []


def test_a_list_that_nobody_knows_is_refused(log: FeedbackLog) -> None:
    shown(log)
    with pytest.raises(TuneError, match="search again"):
        log.choose("0" * 32, "up")


# --- which choices stand ---


def test_the_last_word_counts(log: FeedbackLog) -> None:
    name = shown(log)
    log.choose(name, "up")
    log.choose(name, "down")
    log.choose(name, "pin", "c-bees")
    log.choose(name, "this", "c-bees")
    log.choose(name, "wrong", "c-honey")
    assert acts(log) == [("down", ""), ("pin", "c-bees"), ("this", "c-bees"), ("wrong", "c-honey")]
    log.choose(name, "wrong", "c-bees")  # against both
    log.choose(name, "wrong", "c-honey", taken_back=True)
    log.choose(name, "down", taken_back=True)
    assert acts(log) == [("wrong", "c-bees")]
    assert len(lines(log)) == 1 + 8  # nothing is ever changed in the file


def test_a_judgement_belongs_to_the_words_and_a_thumb_to_the_list(log: FeedbackLog) -> None:
    first = shown(log, "when do bees swarm")
    log.choose(first, "this", "c-bees")
    log.choose(first, "up")
    again, other = shown(log, " When do  BEES swarm "), shown(log, "trains")
    assert log.marks(first) == Marks("up", {"c-bees": frozenset({"this"})})
    assert log.marks(again) == Marks(None, {"c-bees": frozenset({"this"})})
    assert log.marks(other) == Marks()
    log.choose(again, "this", "c-bees", taken_back=True)
    assert log.marks(first) == Marks("up")


def test_events_of_two_lists_are_two(log: FeedbackLog) -> None:
    for name in (shown(log), shown(log)):
        log.choose(name, "open", "c-bees")
        log.choose(name, "open", "c-bees")
    assert acts(log) == [("open", "c-bees")] * 2


def test_citations_count_once_the_answer_is_kept(log: FeedbackLog) -> None:
    name = shown(log)
    log.cite(name, ["c-bees", "c-honey", "c-bees"])
    assert acts(log) == []
    log.choose(name, "copy")
    cited: list[tuple[Act, str]] = [("cited", "c-bees"), ("cited", "c-honey")]
    assert acts(log) == [*cited, ("copy", "")]
    log.choose(name, "down")
    assert acts(log) == [("copy", ""), ("down", "")]
    log.choose(name, "up")
    assert acts(log) == [*cited, ("copy", ""), ("up", "")]


# --- crashes, full disks, others ---


def test_a_torn_line_costs_itself_alone(log: FeedbackLog) -> None:
    """Wherever the crash came, everything before it and after it is read."""
    first = shown(log)
    whole = log.path.read_bytes()
    shown(log, "torn")
    last = log.path.read_bytes()[len(whole) :]
    for cut in (*range(1, len(last) - 1, 17), len(last) - 2):
        log.path.write_bytes(whole + last[:cut])
        other = FeedbackLog(log.path)
        assert (list(other.read().shown), other.read().unreadable) == ([first], 1)
        other.choose(first, "up")
        found = other.read()
        assert ([choice.act for choice in found.choices], found.unreadable) == (["up"], 1)
        assert other.marks(first).thumb == "up"


def test_a_line_that_only_lacks_its_end_counts(log: FeedbackLog) -> None:
    name = shown(log)
    log.path.write_bytes(log.path.read_bytes().rstrip(b"\n"))
    assert list(log.read().shown) == [name]
    log.choose(name, "up")
    assert log.read().unreadable == 0
    assert acts(log) == [("up", "")]


@pytest.mark.parametrize("line", ['{"kind":"later","x":1}', '{"kind":"shown","id":3}', "[]", "3", "[" * 5000, "\x00"])
def test_strange_lines_are_counted_and_passed_over(log: FeedbackLog, line: str) -> None:
    name = shown(log)
    with log.path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    log.choose(name, "up")
    assert (log.read().unreadable, acts(log)) == (1, [("up", "")])


def test_a_full_disk_breaks_no_search_and_is_told_to_who_marks(
    log: FeedbackLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shown(log)
    before = log.path.read_bytes()

    def half(file: object, data: bytes) -> None:
        os.write(file.fileno(), data[: len(data) // 2])  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(feedback, "_write", half)
    assert shown(log) == ""
    log.cite(name, ["c-bees"])
    with pytest.raises(DiskFull, match="make room"):
        log.choose(name, "up")
    assert log.path.read_bytes() == before
    with pytest.raises(DiskFull):
        log.forget(["bees.md"])
    assert log.path.read_bytes() == before
    assert [path.name for path in log.path.parent.iterdir() if path.suffix == ".new"] == []


def test_a_file_that_cannot_be_written_breaks_no_search(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path / "feedback.jsonl")
    log.path.mkdir()
    assert shown(log) == ""
    with pytest.raises(StoreError):
        log.read()


_APPENDING = """
import sys
from pathlib import Path
from rag.tune.feedback import FeedbackLog
from rag.tune.records import ShownChunk
log = FeedbackLog(Path(sys.argv[1]))
for number in range(60):
    name = log.show(f"{sys.argv[2]} {number} " + "long " * 2000, "space", "", [ShownChunk("c", "d", 1)])
    log.choose(name, "this", "c")
"""


def test_two_processes_and_two_threads_append_at_once(log: FeedbackLog) -> None:
    command = [sys.executable, "-c", _APPENDING, str(log.path)]
    others = [subprocess.Popen([*command, who]) for who in ("one", "two")]

    def mine() -> None:
        for number in range(30):
            log.choose(shown(log, f"{threading.get_ident()} {number}"), "pin", "c-bees")

    threads = [threading.Thread(target=mine) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait() for other in others] == [0, 0]
    found = log.read()
    assert (len(found.shown), len(found.choices), found.unreadable) == (2 * 60 + 2 * 30, 2 * 60 + 2 * 30, 0)


# --- forgetting ---


def test_forgetting_a_document_leaves_no_trace_of_it(log: FeedbackLog) -> None:
    about, chosen, both = shown(log, "secret swarm"), shown(log, "honey jars"), shown(log, "both")
    alone = shown(log, "bees alone", BEES)
    log.choose(about, "this", "c-bees")
    log.choose(about, "up")
    log.choose(chosen, "this", "c-honey")
    log.choose(both, "this", "c-honey")
    log.choose(both, "open", "c-bees")
    log.choose(alone, "wrong", "c-bees")
    with log.path.open("a") as file:
        file.write('{"kind":"later","names":"bees.md"}\n{"kind":"later","names":"honey.md"}\n{"torn')
    assert log.forget(["bees.md"]) > 0
    text = log.path.read_text("utf-8")
    assert not any(word in text for word in ("bees.md", "c-bees", "secret swarm", "bees alone", "torn"))
    assert [line["kind"] for line in lines(log)] == ["shown", "shown", "choice", "choice", "later"]
    found = log.read()
    assert {name: each.chunks for name, each in found.shown.items()} == {
        chosen: (HONEY, TRAIN),  # at the ranks that they had
        both: (HONEY, TRAIN),
    }
    assert acts(log) == [("this", "c-honey")] * 2
    assert log.forget(["bees.md"]) == 0


def test_a_list_on_the_screen_does_not_bring_back_what_was_forgotten(log: FeedbackLog) -> None:
    typed = shown(log, settled=False)
    log.forget(["bees.md"])
    with pytest.raises(TuneError):
        log.choose(typed, "this", "c-honey")
    assert not log.path.exists()


def test_another_process_forgets_and_the_marks_here_follow(log: FeedbackLog) -> None:
    name, kept = shown(log), shown(log, "trains")
    log.choose(name, "this", "c-bees")
    log.choose(kept, "pin", "c-train")
    assert log.marks(name).chunks
    FeedbackLog(log.path).forget(["bees.md"])
    assert log.marks(name) == Marks()
    assert log.marks(kept).chunks == {"c-train": frozenset({"pin"})}
    with pytest.raises(TuneError):
        log.choose(name, "up")
    log.choose(kept, "open", "c-train")


def test_lists_go_by_their_names(log: FeedbackLog) -> None:
    gone, kept = shown(log, "gone"), shown(log, "kept")
    log.choose(gone, "up")
    log.choose(kept, "up")
    assert log.forget_lists([gone]) == 2
    assert list(log.read().shown) == [kept]
    assert acts(log) == [("up", "")]
    assert "gone" not in log.path.read_text("utf-8")


def test_erasing_leaves_nothing(log: FeedbackLog) -> None:
    name, typed = shown(log), shown(log, "typed", settled=False)
    log.choose(name, "up")
    log.erase()
    log.erase()
    assert not log.path.exists()
    assert not log.read().shown
    for one in (name, typed):
        with pytest.raises(TuneError):
            log.choose(one, "up")


def test_exporting_copies_what_can_be_read(log: FeedbackLog, tmp_path: Path) -> None:
    log.choose(shown(log), "up")
    whole = log.path.read_bytes()
    log.path.write_bytes(whole + b'{"torn')
    assert log.export(tmp_path / "copy.jsonl") == 2
    assert (tmp_path / "copy.jsonl").read_bytes() == whole
    with pytest.raises(StoreError):
        log.export(tmp_path / "copy.jsonl")


def test_a_killed_rewrite_leaves_the_old_file(log: FeedbackLog, monkeypatch: pytest.MonkeyPatch) -> None:
    name = shown(log)
    before = log.path.read_bytes()
    original: Callable[..., None] = feedback._write

    def killed(file: object, data: bytes) -> None:
        original(file, data)
        raise KeyboardInterrupt

    monkeypatch.setattr(feedback, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        log.forget(["bees.md"])
    assert log.path.read_bytes() == before
    assert list(log.read().shown) == [name]
