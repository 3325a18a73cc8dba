import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag.ingest.scan import FoundFile, scan
from rag.records import Failure


def write(path: Path, data: bytes | str = "text") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def names(root: Path) -> list[str]:
    return [Path(file.path).relative_to(root).as_posix() for file in scan([root]).files]


def test_files_come_sorted_once_with_their_kind_and_size(tmp_path: Path) -> None:
    write(tmp_path / "b.txt", "12345")
    a = write(tmp_path / "deep/er/a.md")
    found = scan([tmp_path, a, tmp_path / "deep"])
    assert found.files == (
        FoundFile(str(tmp_path / "b.txt"), "text/plain", 5),
        FoundFile(str(a), "text/markdown", 4),
    )
    assert (found.skipped, found.failed) == ((), ())


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("A.MD", b"x", "text/markdown"),
        ("page.xhtml", b"x", "text/html"),
        ("report.PDF", b"x", "application/pdf"),
        ("saved", b"\n<!DOCTYPE html><p>x", "text/html"),
        ("scan.tmp", b"%PDF-1.4 x", "application/pdf"),
        ("1234", b"Received: from a by b\nFrom: x", "message/rfc822"),
        ("README", "naïve text".encode(), "text/plain"),
        ("cut", ("x" * 1023 + "é").encode(), "text/plain"),
        ("program", b"\x7fELF\x02\x01\x00", None),
        ("photo.jpg", b"\xff\xd8\xff", "image/jpeg"),
        ("film.mp4", b"\x00\x00\x00\x18ftypmp42", None),
        ("code.py", b"print()", None),
        ("nothing", b"", None),
    ],
)
def test_kind_by_name_else_by_first_bytes(tmp_path: Path, name: str, data: bytes, kind: str | None) -> None:
    path = write(tmp_path / name, data)
    found = scan([tmp_path])
    assert [file.media_type for file in found.files] == ([kind] if kind else [])
    assert found.skipped == (() if kind else (str(path),))


def test_hidden_files_and_tool_folders_are_passed_over_silently(tmp_path: Path) -> None:
    for name in (".hidden.md", ".git/a.md", ".obsidian/a.md", ".trash/a.md", "node_modules/x/a.md", "a/.b/c.md"):
        write(tmp_path / name)
    write(tmp_path / "kept.md")
    assert names(tmp_path) == ["kept.md"]
    assert scan([tmp_path]).skipped == ()


def test_a_hidden_file_or_folder_given_by_name_is_taken(tmp_path: Path) -> None:
    hidden = write(tmp_path / ".notes/.a.md")
    inside = write(tmp_path / ".notes/b.md")
    assert [file.path for file in scan([tmp_path / ".notes"]).files] == [str(inside)]
    assert [file.path for file in scan([hidden]).files] == [str(hidden)]


def test_ragignore_holds_for_its_folder_and_below(tmp_path: Path) -> None:
    write(tmp_path / ".ragignore", "drafts/\n*.txt\n!keep.txt\n# remark\n")
    write(tmp_path / "sub/.ragignore", "/private.md\n")
    for name in ("a.md", "a.txt", "keep.txt", "drafts/b.md", "sub/private.md", "sub/deep/private.md", "private.md"):
        write(tmp_path / name)
    assert names(tmp_path) == ["a.md", "keep.txt", "private.md", "sub/deep/private.md"]


def test_links_never_lead_astray_or_twice(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", write(tmp_path / "outside.md")
    note = write(root / "note.md")
    (root / "again.md").symlink_to(note)
    (root / "out.md").symlink_to(outside)
    (root / "dangling.md").symlink_to(tmp_path / "nowhere.md")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "self.md").symlink_to(root / "self.md")
    found = scan([root, root / "loop"])
    assert [file.path for file in found.files] == [str(note)]
    assert found.skipped == (str(root / "dangling.md"), str(root / "out.md"))
    assert found.failed == ()


def test_a_link_given_by_name_is_followed(tmp_path: Path) -> None:
    note = write(tmp_path / "real/note.md")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "link.md").symlink_to(note)
    assert [file.path for file in scan([tmp_path / "link", tmp_path / "link.md"]).files] == [str(note)]


def test_odd_names_are_fine(tmp_path: Path) -> None:
    odd = ['it\'s "quoted".md', "new\nline.md", "😀 emoji.md", "100%.md", "-rf.md", "a&b;$(x).md", "e\u0301.md"]
    for name in odd:
        write(tmp_path / name)
    assert sorted(Path(file.path).name for file in scan([tmp_path]).files) == sorted(odd)


def test_what_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    missing = tmp_path / "missing.md"
    bad = os.fsencode(tmp_path) + b"/caf\xe9.md"
    try:
        with open(bad, "wb"):  # noqa: PTH123 the name is not a str
            pass
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    assert scan([tmp_path, missing]).failed == (
        Failure(str(tmp_path / "caf") + "\\udce9.md", "its name is not valid UTF-8; rename it"),
        Failure(str(missing), "it does not exist"),
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_permissions_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.md").chmod(0)
    (tmp_path / "locked").mkdir(mode=0)
    assert {failure.path for failure in scan([tmp_path]).failed} == {str(tmp_path / "a.md"), str(tmp_path / "locked")}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    assert scan([tmp_path]).files == ()
    assert scan([tmp_path / "pipe.md"]).skipped == (str(tmp_path / "pipe.md"),)


def test_two_thousand_files_take_no_time(tmp_path: Path) -> None:
    for number in range(2000):
        write(tmp_path / f"{number % 20}/{number}.md")
    started = time.process_time()
    found = scan([tmp_path])
    assert len(found.files) == 2000
    assert time.process_time() - started < 30  # 0.05 s when idle


def test_scanning_loads_no_reader() -> None:
    heavy = "('lxml', 'pypdfium2', 'markdown_it', 'torch')"
    code = f"import sys, rag.ingest.scan; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
