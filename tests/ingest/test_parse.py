import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rag.errors import UnreadableFile
from rag.ingest import parse as parsing
from rag.ingest.attachments import read_original
from rag.ingest.chunk import embedding_text
from rag.ingest.options import ParseOptions
from rag.ingest.parse import Parsed, ReadTask, parse, parse_all, parse_source
from rag.records import Source
from tests.ingest.files import PROSE, mail, pdf, pdf_with

MARKDOWN, PLAIN, PDF, MAIL = "text/markdown", "text/plain", "application/pdf", "message/rfc822"


FRONT = "---\ntags: [brewing]\naliases: [Pot]\n---\n"


OPTIONS = ParseOptions(None, max_tokens=100, max_file_mb=1)


def results(
    tasks: list[ReadTask], workers: int = 2, timeout: float = 60, **limits: object
) -> dict[str, Parsed | UnreadableFile]:
    options = replace(OPTIONS, **limits)  # type: ignore[arg-type]
    return {Path(task.path).name: outcome for task, outcome in parse_all(tasks, options, workers, timeout)}


def note(folder: Path, name: str, text: str = "# Tea\n\nThe kettle boils.") -> ReadTask:
    (folder / name).write_text(text, "utf-8")
    return ReadTask(str(folder / name), MARKDOWN)


def test_a_file_becomes_a_document_with_chunks_and_words(tmp_path: Path) -> None:
    task = note(tmp_path, "my-kettle.md", FRONT + "# Tea\n\nThe kettles are boiling now.")
    parsed = parse(task, OPTIONS)
    [only] = parsed.chunks
    assert only.text == "# Tea\n\nThe kettles are boiling now."
    assert (parsed.document.title, parsed.document.path) == ("Tea", task.path)
    terms = parsed.words[0].split()
    assert {"kettl", "boil"} <= set(terms) or {"kettles", "boiling"} <= set(terms)
    assert {"my", "brewing", "pot"} <= set(terms) or {"my", "brew", "pot"} <= set(terms)
    assert parsed.document.date is not None  # the file's own


def test_chunks_fit_the_real_tokenizer(tmp_path: Path, tokenizer_file: Path, minilm: object) -> None:
    task = note(tmp_path, "long.md", "# Tea\n\n" + PROSE * 40)
    parsed = parse(task, ParseOptions(str(tokenizer_file), 64, 1))
    assert len(parsed.chunks) > 10
    assert len(parsed.words) == len(parsed.chunks)
    assert max(len(minilm(embedding_text(each))) for each in parsed.chunks) <= 64  # type: ignore[operator]


@pytest.mark.slow
def test_many_files_are_read_in_other_processes(tmp_path: Path) -> None:
    tasks = [note(tmp_path, f"{number}.md") for number in range(30)]
    found = results(tasks)
    assert len(found) == 30
    assert all(isinstance(each, Parsed) and len(each.chunks) == 1 for each in found.values())


@pytest.mark.parametrize("count", [1, pytest.param(12, marks=pytest.mark.slow)])
def test_each_bad_file_costs_itself(tmp_path: Path, count: int) -> None:
    good = [note(tmp_path, f"good{number}.md") for number in range(count)]
    (tmp_path / "binary.md").write_bytes(b"\x89PNG\x00\x00")
    gone = ReadTask(str(tmp_path / "gone.md"), MARKDOWN)
    large = note(tmp_path, "large.md", "x" * (1024 * 1024 + 1))
    found = results([ReadTask(str(tmp_path / "binary.md"), MARKDOWN), gone, large, *good])
    reasons = {name: each.reason for name, each in found.items() if isinstance(each, UnreadableFile)}
    assert reasons == {
        "binary.md": "it is not a text file, whatever its name says",
        "gone.md": "it vanished while being read",
        "large.md": "it has 1.0 MiB, more than the 1 that are read; set RAG_MAX_FILE_MB higher to read it",
    }
    assert sum(isinstance(each, Parsed) for each in found.values()) == count


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A file whose reading never ends: a pipe that nobody writes to."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    os.mkfifo(tmp_path / "stuck.pdf")
    return tmp_path / "stuck.pdf"


def readers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_a_file_that_takes_too_long_is_given_up(tmp_path: Path, pipe: Path) -> None:
    found = results([ReadTask(str(pipe), PDF), note(tmp_path, "good.md")], workers=1, timeout=3)
    assert str(found["stuck.pdf"]).endswith("reading it took more than 3 s; set RAG_READ_SECONDS higher to wait longer")
    assert isinstance(found["good.md"], Parsed)


@pytest.mark.slow
def test_a_reader_that_is_killed_costs_its_file_only(tmp_path: Path, pipe: Path) -> None:
    def kill_the_reader() -> None:
        with pipe.open("wb"):  # waits until the reader has opened the other end
            for process in readers():
                process.kill()

    killer = threading.Thread(target=kill_the_reader)
    killer.start()
    tasks = [note(tmp_path, "before.md"), ReadTask(str(pipe), PDF), note(tmp_path, "after.md")]
    found = results(tasks, workers=1)
    killer.join()
    assert "crashed its reader" in str(found["stuck.pdf"])
    assert isinstance(found["before.md"], Parsed)
    assert isinstance(found["after.md"], Parsed)


@pytest.mark.slow
def test_files_are_not_read_far_ahead_and_may_vanish_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_FEW_BYTES", 0)
    tasks = [note(tmp_path, f"{number}.md") for number in range(40)]
    outcomes = parse_all(tasks, OPTIONS, workers=2, timeout=60)
    found = [next(outcomes)[1]]
    time.sleep(1)
    for task in tasks:
        Path(task.path).unlink()
    found += [outcome for _, outcome in outcomes]
    assert len(found) == 40
    assert sum(isinstance(each, Parsed) for each in found) <= 4  # two processes, two files each on their way
    assert {each.reason for each in found if isinstance(each, UnreadableFile)} == {"it vanished while being read"}


@pytest.mark.slow
def test_closing_the_iterator_ends_the_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_FEW_BYTES", 0)
    outcomes = parse_all([note(tmp_path, f"{number}.md") for number in range(20)], OPTIONS, workers=2, timeout=60)
    next(outcomes)
    assert readers()
    outcomes.close()
    assert not [process for process in readers() if process.status() != psutil.STATUS_ZOMBIE]


def test_few_small_notes_are_read_without_a_process(tmp_path: Path) -> None:
    outcomes = parse_all([note(tmp_path, "a.md"), note(tmp_path, "b.md")], OPTIONS, workers=2, timeout=60)
    assert isinstance(next(outcomes)[1], Parsed)
    assert not readers()
    outcomes.close()


def test_much_text_is_read_in_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = note(tmp_path, "a.md", "x" * 60), note(tmp_path, "b.md", "y" * 41)
    monkeypatch.setattr(parsing, "_FEW_BYTES", 101)
    assert parsing._are_light([first, second])
    monkeypatch.setattr(parsing, "_FEW_BYTES", 100)
    assert not parsing._are_light([first, second])
    assert parsing._are_light([first])


def test_no_files_give_no_results() -> None:
    assert results([]) == {}


def test_attachments_are_parsed_as_documents_of_their_own() -> None:
    message = mail("outer words")
    message.add_attachment("# Plan\n\nsteps", filename="plan.md")
    report = pdf_with(pdf([[("BodyText", PROSE)]]), deep_dot_md=b"# Deep")
    message.add_attachment(report, "application", "pdf", filename="a.pdf")
    message.add_attachment(b"%PDF-broken", "application", "pdf", filename="broken.pdf")
    message.add_attachment(b"\xff\xd8", "image", "jpeg", filename="photo.jpg")
    source = Source("/mail/tea.eml", MAIL, message.as_bytes())
    parsed = parse_source(source, OPTIONS)
    plan, second = parsed.attachments
    [deep] = second.attachments
    assert [each.document.path for each in (plan, second, deep)] == [
        "/mail/tea.eml!/1/plan.md",
        "/mail/tea.eml!/2/a.pdf",
        "/mail/tea.eml!/2/a.pdf!/1/deep.md",
    ]
    assert (plan.document.parent, deep.document.parent) == (parsed.document.id, second.document.id)
    assert [failure.path for failure in parsed.failed] == ["/mail/tea.eml!/3/broken.pdf", "/mail/tea.eml!/4/photo.jpg"]
    assert parsed.document.attachments == ()


def test_nesting_ends_at_three_levels() -> None:
    message = mail("level 4")
    for level in (3, 2, 1, 0):
        outer = mail(f"level {level}")
        outer.add_attachment(message)
        message = outer
    parsed = parse_source(Source("/m.eml", MAIL, message.as_bytes()), OPTIONS)
    depth = 0
    while parsed.attachments:
        [parsed] = parsed.attachments
        depth += 1
    assert depth == 3
    assert [each.error for each in parsed.failed] == ["it is one of too many attachments, or too deep inside others"]


def test_an_attachment_can_be_opened_again_from_the_file_on_disk(tmp_path: Path) -> None:
    inner = mail("inner")
    inner.add_attachment("# Deep", filename="deep.md")
    outer = mail("outer")
    outer.add_attachment(inner)
    folder = tmp_path / "odd!"
    folder.mkdir()
    path = folder / "tea.eml"
    path.write_bytes(outer.as_bytes())
    parsed = parse(ReadTask(str(path), MAIL), OPTIONS)
    deep = parsed.attachments[0].attachments[0].document
    original = read_original(deep.path, deep.media_type, deep.parent)
    assert (original.data, original.sha256, original.parent) == (b"# Deep\n", deep.sha256, deep.parent)
    assert read_original(str(path), MAIL).data == path.read_bytes()
    with pytest.raises(UnreadableFile, match="there is no such attachment"):
        read_original(f"{path}!/7/none.md", MARKDOWN, "x")
    path.unlink()
    with pytest.raises(UnreadableFile, match="is gone"):
        read_original(deep.path, deep.media_type, deep.parent)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_a_large_text_stays_within_bounds(tmp_path: Path, tokenizer_file: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text((PROSE * 20 + "\n\n") * (8_000_000 // (20 * len(PROSE))), "utf-8")
    code = (
        "import sys; from pathlib import Path; from rag.ingest.parse import *; from rag.ingest.options import *; "
        "parsed = parse(ReadTask(sys.argv[1], 'text/plain'), ParseOptions(sys.argv[2], 200, 64)); "
        # Not getrusage: its peak begins with that of the process that started this one.
        "peak = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]; "
        "print(len(parsed.chunks), int(peak) // 1024)"
    )
    command = [sys.executable, "-c", code, str(path), str(tokenizer_file)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    chunks, megabytes = map(int, done.stdout.split())
    assert chunks > 8_000
    assert megabytes < 700
    assert time.perf_counter() - started < 200
