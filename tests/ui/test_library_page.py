"""The Library page: sorting, the table, the queue and the failures."""

import threading
from dataclasses import replace

from rag.records import AddReport, Failure, Progress
from tests.ui.fakes import FakeLibrary
from ui.jobs import Job
from ui.library import job_line, render_failures, render_jobs, render_table, sort_documents


def test_sorting_by_each_column(library: FakeLibrary) -> None:
    bees, train = library.documents()
    more = replace(bees, title="apiary", chunks=9, pages=3)
    everything = [train, bees, more]
    assert [d.title for d in sort_documents(everything, "title", down=False)] == ["apiary", "Bees", "Night train"]
    assert sort_documents(everything, "chunks", down=True)[0].title == "apiary"
    assert [d.pages for d in sort_documents(everything, "pages", down=False)] == [0, 2, 3]
    assert sort_documents(everything, "nonsense", down=False) == sort_documents(everything, "title", down=False)


def test_the_table_counts_what_the_filter_left(library: FakeLibrary) -> None:
    found = library.documents("bees")
    made = render_table(found, 2, "title", down=False)
    assert "1 of 2 documents" in made
    assert 'aria-sort="ascending"' in made
    assert f'data-pick="{found[0].id}"' in made


def test_a_long_table_is_drawn_in_part(library: FakeLibrary) -> None:
    many = library.documents() * 3
    assert "Show all 6" in render_table(many, 6, "title", down=False, rows=4)
    assert "Show all" not in render_table(many, 6, "title", down=False, rows=6)


def test_empty_tables_say_what_to_do() -> None:
    assert "Drop files above" in render_table([], 0, "title", down=False)
    assert "No document matches" in render_table([], 5, "title", down=False)


def test_a_partly_read_document_says_why(library: FakeLibrary) -> None:
    partly = replace(library.documents()[0], warnings=("page 3 has no text",))
    assert "page 3 has no text" in render_table([partly], 1, "title", down=False)


def test_the_line_of_a_job() -> None:
    job = Job(1, ("/u/a.pdf", "/u/b.md"), work="adopt")
    assert job_line(job) == "Waiting: 2 files"
    running = replace(job, state="running", progress=Progress(1, 2, "/u/b.md", 7, 2.0, 125.0))
    assert job_line(running) == "Reading b.md · 1 of 2 files · 0.5 files/s · 2 min 5 s left"
    report = AddReport(added=("/u/a.pdf",), failed=(Failure("/u/b.md", "it is empty"),), seconds=3.0)
    assert job_line(replace(job, state="done", report=report)) == "1 added, 1 failed in 3 s"
    assert job_line(replace(job, state="stopped", report=AddReport())) == "Stopped: nothing to read in a moment"
    assert job_line(replace(job, state="failed", error="no room on the disk")) == "No room on the disk."


def test_a_stopped_job_says_that_it_is_stopping() -> None:
    stop = threading.Event()
    stop.set()
    assert job_line(Job(1, ("/u/a.md",), work="adopt", state="running", stop=stop)).startswith("Stopping after")


def test_a_running_job_can_be_stopped_and_a_done_one_dismissed() -> None:
    running, done = Job(1, ("/a",), True, "running"), Job(2, ("/a",), True, "done", report=AddReport())
    assert 'data-do="stop-job"' in render_jobs([running])
    assert 'data-do="dismiss"' in render_jobs([done])


def test_failures_name_the_file_the_reason_and_a_retry() -> None:
    made = render_failures([Failure("/home/ada/<x>.pdf", "it is encrypted")])
    assert "&lt;x&gt;.pdf" in made
    assert "It is encrypted." in made
    assert 'data-file="/home/ada/&lt;x&gt;.pdf"' in made
    assert render_failures([]) == ""
