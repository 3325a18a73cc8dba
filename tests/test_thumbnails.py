"""The cache of small pictures: whole files under safe names, made once."""

import os
import re
import threading
from pathlib import Path

import pytest

from rag.errors import StoreError
from rag.thumbnails import Thumbnails

ONE, TWO = "1" * 64, "ab" * 32


@pytest.fixture
def thumbnails(tmp_path: Path) -> Thumbnails:
    return Thumbnails(tmp_path / "thumbnails")


def files(tmp_path: Path) -> set[str]:
    return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}


def test_what_is_put_is_there_by_digest_and_size(thumbnails: Thumbnails, tmp_path: Path) -> None:
    assert thumbnails.get(ONE, 512) is None
    thumbnails.put(ONE, 512, b"small")
    thumbnails.put(ONE, 2560, b"large")
    thumbnails.put(TWO, 512, b"other")
    assert (thumbnails.get(ONE, 512), thumbnails.get(ONE, 2560), thumbnails.get(TWO, 512)) == (
        b"small",
        b"large",
        b"other",
    )
    assert thumbnails.get(TWO, 2560) is None
    assert files(tmp_path) == {
        f"thumbnails/11/{ONE}-512.webp", f"thumbnails/11/{ONE}-2560.webp", f"thumbnails/ab/{TWO}-512.webp",
    }  # fmt: skip


def test_what_is_there_stays_as_if_it_were_new(thumbnails: Thumbnails, tmp_path: Path) -> None:
    thumbnails.put(ONE, 512, b"first")
    os.utime(tmp_path / "thumbnails" / "11" / f"{ONE}-512.webp", (1000, 1000))
    assert thumbnails.digests(older_than=2000) == {ONE}
    thumbnails.put(ONE, 512, b"second")
    assert thumbnails.get(ONE, 512) == b"first"
    assert thumbnails.digests(older_than=2000) == set()


def test_removing_takes_all_sizes_and_nothing_else(thumbnails: Thumbnails, tmp_path: Path) -> None:
    near = ONE[:-1] + "2"
    for name in (ONE, near, TWO):
        thumbnails.put(name, 512, b"x")
        thumbnails.put(name, 2560, b"x")
    thumbnails.remove([ONE, "3" * 64, "../escape", "*"])
    assert {name for name in (ONE, near, TWO) if thumbnails.get(name, 512) or thumbnails.get(name, 2560)} == {near, TWO}


ODD = ["", "x", "../" * 3 + "etc/passwd", "A" * 64, "1" * 63, "1" * 64 + "\n", "/" * 64, f"{ONE}#2", "\udcff"]


def test_what_is_no_digest_never_leads_out_of_the_folder(thumbnails: Thumbnails, tmp_path: Path) -> None:
    for name in ODD:
        assert thumbnails.get(name, 512) is None
        thumbnails.put(name, 512, name.encode("utf-8", "replace"))
    assert all(re.fullmatch(r"thumbnails/[0-9a-f]{2}/[0-9a-f]{64}-512\.webp", file) for file in files(tmp_path))
    for name in ODD:
        assert thumbnails.get(name, 512) == name.encode("utf-8", "replace")
    thumbnails.remove(ODD)
    assert files(tmp_path) == set()


def test_a_folder_that_cannot_be_written_to_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").write_text("a file stands in its place")
    with pytest.raises(StoreError, match="cannot write"):
        Thumbnails(tmp_path / "thumbnails").put(ONE, 512, b"x")
    assert Thumbnails(tmp_path / "thumbnails").get(ONE, 512) is None


def test_readers_never_see_half_a_file(thumbnails: Thumbnails) -> None:
    data, seen = b"x" * 2_000_000, set()

    def read() -> None:
        while not done.is_set():
            seen.add(thumbnails.get(ONE, 512))

    done = threading.Event()
    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        thumbnails.put(ONE, 512, data)
        thumbnails.remove([ONE])
    done.set()
    reader.join()
    assert seen <= {None, data}
