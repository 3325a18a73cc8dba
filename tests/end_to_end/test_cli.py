"""The command line as a user calls it, in processes of their own. Most use the model-free embedder to be quick."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

RAG = (sys.executable, "-m", "rag.cli")


class Rag:
    """Calls `rag` with a home of its own."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.environment = {**os.environ, "RAG_HOME": str(home), "RAG_EMBEDDER": "hashing", "RAG_GENERATOR": "none"}
        self.environment |= settings

    def __call__(self, *arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*RAG, *map(str, arguments)], env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str | Path, status: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", status=status).stdout)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*RAG, *map(str, arguments)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def rag(tmp_path: Path) -> Rag:
    return Rag(tmp_path / "home")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThe second hive swarmed on 14 May and settled in the plum tree.\n")
    (folder / "boiler.txt").write_text("The boiler pressure should stand at 1.3 bar when cold.\n")
    return folder


def test_add_search_show_remove(rag: Rag, notes: Path) -> None:
    report = rag.json("add", notes)
    assert (report["added"], report["unchanged"], report["chunks"], report["failed"]) == (2, 0, 2, [])

    found = rag.json("search", "boiler pressure")
    assert found["query"] == "boiler pressure"
    hit = found["hits"][0]
    assert hit["path"] == str(notes / "boiler.txt")
    assert hit["rank"] == 1
    assert set(hit["found_by"]) == {"text", "bm25"}
    shown = rag.json("show", hit["document"])
    assert shown["text"][hit["start"] : hit["end"]] == hit["text"]
    assert all(ms >= 0 for ms in found["ms"].values())
    assert {"text", "bm25", "fuse"} <= set(found["ms"])

    assert rag.json("status")["documents"] == 2
    assert [info["path"] for info in rag.json("list")] == [str(notes / "bees.md"), str(notes / "boiler.txt")]
    assert str(notes / "bees.md") in rag("list").stdout  # whole, on one line
    assert rag.json("remove", notes / "bees.md") == {"removed": 1}
    assert rag.json("verify") == {"documents": 1, "chunks": 1, "problems": []}


def test_again_unchanged_changed_vanished(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    assert rag.json("add", notes)["unchanged"] == 2
    (notes / "bees.md").write_text("# Bees\n\nThe queen is marked blue this year.\n")
    (notes / "boiler.txt").unlink()
    report = rag.json("add", notes)
    assert (report["updated"], report["unchanged"], report["vanished"]) == (1, 0, [str(notes / "boiler.txt")])
    assert not any("swarmed" in hit["text"] for hit in rag.json("search", "swarmed in the plum tree")["hits"])
    assert rag.json("add", notes, "--prune")["removed"] == 1
    assert rag.json("verify") == {"documents": 1, "chunks": 1, "problems": []}


def test_bad_files_cost_one_line_each(rag: Rag, notes: Path) -> None:
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 nothing follows")
    (notes / "empty.pdf").write_bytes(b"")
    (notes / "binary.md").write_bytes(bytes(range(256)) * 40)
    (notes / "film.xyz").write_bytes(b"\0\1\2")
    (notes / "loop").symlink_to(notes)
    (notes / 'odd "name"\n🐝.md').write_text("An odd name for a note about waggle dances.")
    report = rag.json("add", notes, notes / "missing.md", status=1)
    assert report["added"] == 3
    assert {Path(failure["path"]).name for failure in report["failed"]} == {
        "broken.pdf",
        "empty.pdf",
        "binary.md",
        "missing.md",
    }
    assert all(failure["error"] for failure in report["failed"])
    assert [Path(path).name for path in report["skipped"]] == ["film.xyz"]
    assert Path(rag.json("search", "waggle dances")["hits"][0]["path"]).name == 'odd "name"\n🐝.md'
    assert rag.json("verify")["problems"] == []


def test_odd_queries_have_sane_results(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    for query in ("?!… --", ("word " * 20_000)[:100_000], "'; DROP TABLE chunks; -- 漢 \\x00 boiler"):
        assert isinstance(rag.json("search", query)["hits"], list)
    assert rag.json("verify")["problems"] == []


def test_wrong_calls_are_status_two(rag: Rag) -> None:
    assert "empty" in rag("search", "   ", status=2).stderr
    assert "kind" in rag("search", "x", "--where", "kind:film", status=2).stderr
    assert "no-such" in rag("show", "no-such", status=2).stderr
    rag("fly", status=2)
    wrong = Rag(rag.home, RAG_COLOUR="red")
    assert "RAG_COLOUR" in wrong("status", status=2).stderr


def test_an_empty_library_says_so(rag: Rag) -> None:
    assert rag.json("search", "anything")["hits"] == []
    assert "empty" in rag("list").stdout
    answer = rag.json("ask", "What is the boiler pressure?")
    assert answer["abstained"]
    assert answer["citations"] == []


def test_another_embedder_is_refused_with_the_remedy(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    manifest = rag.home / "index" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("hashing-64", "hashing-65"))
    error = rag("search", "boiler", status=1).stderr
    assert "hashing-64" in error
    assert "hashing-65" in error


def test_without_a_model_the_passages_are_the_answer(rag: Rag, notes: Path) -> None:
    rag("add", notes)
    answer = rag.json("ask", "What should the boiler pressure be?")
    assert answer["finish"] == "no_model"
    assert answer["model"] is None
    assert "1.3 bar" in answer["answer"]
    citation = answer["citations"][0]
    assert Path(citation["path"]).name == "boiler.txt"
    assert "1.3 bar" in citation["quote"]


def test_mail_attachments_are_documents_that_go_with_their_mail(rag: Rag, tmp_path: Path) -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Minutes", "a@example.org", "b@example.org"
    mail.set_content("The minutes are attached.")
    mail.add_attachment("Agreed: the pump is replaced in March.", filename="minutes.txt")
    path = tmp_path / "minutes.eml"
    path.write_bytes(bytes(mail))
    assert rag.json("add", path)["added"] == 2
    hit = rag.json("search", "pump replaced in March")["hits"][0]
    assert hit["path"] == f"{path}!/1/minutes.txt"
    assert rag.json("add", path)["unchanged"] == 1
    mail.clear_content()
    mail.set_content("No attachment after all.")
    path.write_bytes(bytes(mail))
    rag("add", path)
    assert rag.json("verify") == {"documents": 1, "chunks": 1, "problems": []}


def many(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"note {number}.md").write_text(f"# Note {number}\n\nNumber {number} is about topic {number % 37}.\n")
    return folder


def rows(catalogue: Path) -> int:
    """Documents in the catalogue, also those whose writing is not finished; 0 before there is one."""
    try:
        with closing(sqlite3.connect(f"file:{catalogue}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(rag: Rag, tmp_path: Path) -> None:
    folder = many(tmp_path / "many", 1500)
    for written in (1, 513, 1025):  # rows of the catalogue, which is written to before the index is
        process = rag.start("add", folder)
        while rows(rag.home / "catalogue.sqlite") < written and process.poll() is None:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it could be killed"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    report = rag.json("add", folder)
    assert report["added"] + report["unchanged"] == 1500
    assert rag.json("verify") == {"documents": 1500, "chunks": 1500, "problems": []}


@pytest.mark.slow
def test_two_at_once_lose_nothing(rag: Rag, tmp_path: Path) -> None:
    folders = [many(tmp_path / name, 300) for name in ("a", "b")]
    processes = [rag.start("add", folder, "--json") for folder in folders]
    for process in processes:
        _, error = process.communicate(timeout=300)
        assert process.returncode in (0, 1), error
        if process.returncode:
            assert "is writing to the library" in error
    for folder in folders:
        rag("add", folder)
    assert rag.json("verify") == {"documents": 600, "chunks": 600, "problems": []}


@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_half_written(tmp_path: Path) -> None:
    disk = tmp_path / "small disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        rag = Rag(disk / "home")
        folder = tmp_path / "long"
        folder.mkdir()
        for number in range(60):
            (folder / f"{number}.txt").write_text(" ".join(f"word{number}x{i}." for i in range(20_000)))
        assert "the disk is full" in rag("add", folder, status=1).stderr
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        rag("add", folder)
        report = rag.json("verify")
        assert (report["documents"], report["problems"]) == (60, [])
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.model
def test_the_starter_models_answer_with_a_source(tmp_path: Path, notes: Path) -> None:
    rag = Rag(tmp_path / "home", RAG_EMBEDDER="starter", RAG_GENERATOR="starter")
    rag("add", notes)
    hit = rag.json("search", "When did the honey insects leave their home?")["hits"][0]
    assert Path(hit["path"]).name == "bees.md"
    answer = rag.json("ask", "What should the boiler pressure be when cold?")
    assert answer["model"]
    assert answer["answer"]
    assert any(Path(citation["path"]).name == "boiler.txt" for citation in answer["citations"])
