"""Jobs and answers live on the server: they go on, can be stopped, and never end the queue."""

import threading
from pathlib import Path
from typing import Any

import pytest

from rag.errors import DiskFull, GenerationError
from rag.records import AddReport
from tests.patience import until
from tests.ui.fakes import FakeLibrary
from ui.jobs import Job, Jobs
from ui.pulse import Pulse
from ui.runs import Runs, history


def files(folder: Path, number: int) -> list[str]:
    paths = [folder / f"{n}.md" for n in range(number)]
    for path in paths:
        path.write_text(f"note {path.name}")
    return [str(path) for path in paths]


def only(jobs: Jobs) -> Job:
    return jobs.all()[0]


def test_a_job_is_done_with_its_report(library: FakeLibrary, tmp_path: Path) -> None:
    jobs = Jobs(library, Pulse())
    jobs.adopt(files(tmp_path, 2))
    until(lambda: only(jobs).state == "done")
    report = only(jobs).report
    assert report is not None
    assert len(report.added) == 2


def test_a_job_is_stopped_between_files(library: FakeLibrary, tmp_path: Path) -> None:
    library.pace = 0.05
    jobs = Jobs(library, Pulse())
    job = jobs.add(files(tmp_path, 50))
    until(lambda: only(jobs).progress)
    jobs.stop(job.number)
    until(lambda: only(jobs).state == "stopped")
    report = only(jobs).report
    assert report is not None
    assert 0 < len(report.added) < 50


def test_a_job_that_waits_can_be_stopped_before_it_begins(library: FakeLibrary, tmp_path: Path) -> None:
    library.pace = 0.05
    jobs = Jobs(library, Pulse())
    jobs.add(files(tmp_path, 5))
    second = jobs.add(files(tmp_path, 1))
    jobs.stop(second.number)
    until(lambda: not any(job.live for job in jobs.all()))
    assert [(job.state, job.report is None) for job in jobs.all()] == [("stopped", True), ("done", False)]


class Failing(FakeLibrary):
    """`trouble` is raised by the first call of `add`."""

    trouble: Exception | None = None

    def add(self, *args: object, **named: object) -> object:  # type: ignore[override]
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble
        return super().add(*args, **named)  # type: ignore[arg-type]


def test_an_error_is_shown_and_the_next_job_still_runs(tmp_path: Path) -> None:
    for trouble, words in ((DiskFull("no room left"), "no room left"), (KeyError("x"), "unexpected KeyError: 'x'")):
        library = Failing(tmp_path / "home")
        library.trouble = trouble
        jobs = Jobs(library, Pulse())
        jobs.add(files(tmp_path, 1))
        jobs.add(files(tmp_path, 1))
        until(lambda jobs=jobs: not any(job.live for job in jobs.all()))
        second, first = jobs.all()
        assert (first.state, first.error) == ("failed", words)
        assert second.state == "done"


def test_only_the_latest_finished_jobs_stay_listed_and_can_be_dismissed(library: FakeLibrary, tmp_path: Path) -> None:
    jobs = Jobs(library, Pulse())
    for _ in range(12):
        jobs.add(files(tmp_path, 1))
    until(lambda: not any(job.live for job in jobs.all()))
    until(lambda: len(jobs.all()) == 8)
    jobs.dismiss(only(jobs).number)
    assert len(jobs.all()) == 7


def test_the_pulse_is_busy_while_a_job_runs(
    library: FakeLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse, add, busy = Pulse(), library.add, []

    def watched(*words: Any, **more: Any) -> AddReport:
        busy.append(pulse.busy)
        return add(*words, **more)

    monkeypatch.setattr(library, "add", watched)
    jobs = Jobs(library, pulse)
    before = pulse.version
    jobs.add(files(tmp_path, 2))
    until(lambda: busy and not pulse.busy)
    assert busy == [True]
    assert pulse.version > before


def test_closing_stops_what_runs_and_what_waits(library: FakeLibrary, tmp_path: Path) -> None:
    library.pace = 0.05
    jobs = Jobs(library, Pulse())
    jobs.add(files(tmp_path, 50))
    jobs.add(files(tmp_path, 1))
    until(lambda: jobs.all()[1].progress)
    jobs.close(5)
    assert [job.state for job in jobs.all()] == ["stopped", "stopped"]


def test_looking_at_pictures_makes_way_for_files_and_goes_on_after(library: FakeLibrary, tmp_path: Path) -> None:
    library.unseen, library.pace = 30, 0.02
    jobs = Jobs(library, Pulse())
    jobs.look()
    until(jobs.looking)
    jobs.add(files(tmp_path, 2))
    until(lambda: not any(job.live for job in jobs.all()))
    assert [(job.work, job.state) for job in jobs.all()] == [("look", "done"), ("add", "done"), ("look", "stopped")]
    assert sum(job.looked or 0 for job in jobs.all()) == 30
    assert library.unseen == 0


def test_looking_that_the_person_stopped_stays_stopped(library: FakeLibrary, tmp_path: Path) -> None:
    library.unseen, library.pace = 1000, 0.01
    jobs = Jobs(library, Pulse())
    job = jobs.look()
    until(jobs.looking)
    jobs.stop(job.number)
    until(lambda: not only(jobs).live)
    jobs.add(files(tmp_path, 1))
    until(lambda: only(jobs).work == "add" and not only(jobs).live)
    assert [job.work for job in jobs.all()] == ["add", "look"]
    assert jobs.looking() is None


# --- answers -----------------------------------------------------------------------------------------------------


def test_a_finished_answer_becomes_a_turn(library: FakeLibrary) -> None:
    runs = Runs(library, library.conversations, Pulse())
    conversation = library.conversations.create("Bees")
    runs.start(conversation, "When does the queen leave the hive?")
    until(lambda: runs.get(conversation.id) is None)
    (turn,) = library.conversations.get(conversation.id).turns
    assert turn.answer.text.startswith("The queen leaves")
    assert [message.role for message in history(library.conversations.get(conversation.id))] == ["user", "assistant"]


def test_an_answer_can_be_stopped_and_keeps_what_was_written(library: FakeLibrary) -> None:
    library.pace = 0.05
    runs = Runs(library, library.conversations, Pulse())
    conversation = library.conversations.create("Bees")
    runs.start(conversation, "When does the queen leave the hive?")
    until(lambda: (run := runs.get(conversation.id)) is not None and run.text)
    runs.stop(conversation.id)
    until(lambda: runs.get(conversation.id) is None)
    (turn,) = library.conversations.get(conversation.id).turns
    assert turn.answer.finish == "stopped"
    assert turn.answer.text


def test_closing_keeps_what_was_written(library: FakeLibrary) -> None:
    library.pace = 0.05
    runs = Runs(library, library.conversations, Pulse())
    conversation = library.conversations.create("Bees")
    runs.start(conversation, "When does the queen leave the hive?")
    until(lambda: (run := runs.get(conversation.id)) is not None and run.text)
    runs.close(5)
    assert library.conversations.get(conversation.id).turns[0].answer.finish == "stopped"


def test_a_second_question_waits_for_the_first(library: FakeLibrary) -> None:
    library.pace = 0.05
    runs = Runs(library, library.conversations, Pulse())
    first, second = library.conversations.create("a"), library.conversations.create("b")
    runs.start(first, "When does the queen leave?")
    until(lambda: (run := runs.get(first.id)) is not None and run.state == "writing")
    runs.start(second, "When does the train leave?")
    waiting = runs.get(second.id)
    assert waiting is not None
    assert waiting.state == "waiting"
    until(lambda: runs.get(second.id) is None)
    assert library.conversations.get(second.id).turns


def test_asking_twice_in_one_conversation_keeps_the_first(library: FakeLibrary) -> None:
    library.pace = 0.05
    runs = Runs(library, library.conversations, Pulse())
    conversation = library.conversations.create("a")
    runs.start(conversation, "When does the queen leave?")
    assert runs.start(conversation, "Another?").question == "When does the queen leave?"
    runs.forget(conversation.id)


def test_a_failure_stays_until_it_is_asked_again(library: FakeLibrary) -> None:
    class Broken:
        def ask(self, *_: object, **__: object) -> object:
            raise GenerationError("the model ran out of memory; choose a smaller one")

    runs = Runs(Broken(), library.conversations, Pulse())  # type: ignore[arg-type]
    conversation = library.conversations.create("a")
    runs.start(conversation, "x")
    until(lambda: (run := runs.get(conversation.id)) is not None and run.state == "failed")
    failed = runs.get(conversation.id)
    assert failed is not None
    assert failed.error == "the model ran out of memory; choose a smaller one"


def test_a_conversation_deleted_meanwhile_brings_nothing_back(library: FakeLibrary) -> None:
    library.pace = 0.05
    runs = Runs(library, library.conversations, Pulse())
    conversation = library.conversations.create("a")
    runs.start(conversation, "When does the queen leave?")
    until(lambda: (run := runs.get(conversation.id)) is not None and run.text)
    runs.forget(conversation.id)
    library.conversations.delete(conversation.id)
    until(lambda: not any(thread.name == "answering" for thread in threading.enumerate()))
    assert runs.get(conversation.id) is None
    assert library.conversations.list() == []
