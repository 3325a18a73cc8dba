"""The write lock: one writer across processes and threads, named to those who wait, freed when it dies."""

import os
import sys
import time
from pathlib import Path

import pytest

from rag.errors import LibraryBusy, StoreError
from rag.store.lock import write_lock
from tests.store.processes import hold_lock, process


def test_a_second_process_is_told_who_holds_it_and_gets_it_when_that_dies(tmp_path: Path) -> None:
    with process(hold_lock, tmp_path) as (child, connection):
        assert connection.recv() == "held"
        start = time.monotonic()
        with pytest.raises(LibraryBusy, match=rf"process {child.pid} is writing.*wait until it is done"):
            write_lock(tmp_path, wait=0.2).__enter__()
        assert 0.2 <= time.monotonic() - start < 100
        child.kill()
        child.join()
        assert (tmp_path / "writer.pid").read_text() == str(child.pid), "it had no time to tidy up"
        with write_lock(tmp_path, wait=0.2):
            assert (tmp_path / "writer.pid").read_text() == str(os.getpid())


def test_it_waits_for_a_writer_that_ends_soon(tmp_path: Path) -> None:
    with process(hold_lock, tmp_path) as (_, connection):
        connection.recv()
        connection.send("let go")
        with write_lock(tmp_path, wait=20):
            pass


def test_the_same_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    with write_lock(tmp_path):
        with pytest.raises(LibraryBusy, match="another part of this program"):
            write_lock(tmp_path, wait=0).__enter__()
        assert (tmp_path / "writer.pid").exists(), "the one refused takes nothing away"
    with write_lock(tmp_path, wait=0):
        pass
    assert not (tmp_path / "writer.pid").exists()


def test_it_is_let_go_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_lock(tmp_path):
        raise ZeroDivisionError
    with write_lock(tmp_path, wait=0):
        pass


@pytest.mark.parametrize("leftover", [b"", b"not a number", b"\xff\xfe", b"999999999"])
def test_what_a_crash_left_behind_does_no_harm(tmp_path: Path, leftover: bytes) -> None:
    (tmp_path / "writer.lock").write_bytes(b"anything")
    (tmp_path / "writer.pid").write_bytes(leftover)
    with write_lock(tmp_path, wait=0):
        pass


def test_an_unknown_holder_is_told_as_such(tmp_path: Path) -> None:
    with write_lock(tmp_path):
        (tmp_path / "writer.pid").write_text("")
        with pytest.raises(LibraryBusy, match="another process is writing"):
            write_lock(tmp_path, wait=0).__enter__()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot write"):
        write_lock(tmp_path, wait=0).__enter__()


def test_a_folder_that_is_a_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_lock(tmp_path / "file", wait=0).__enter__()
