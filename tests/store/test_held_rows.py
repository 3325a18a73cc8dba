"""When is a small index held in memory, and does what is held ever differ from what is in the table?

That searches in memory find what every store must find is shown by tests/contracts/test_store.py.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rag.filters import In
from rag.store import lance_store
from rag.store.held_rows import HeldRows
from rag.store.lance_rows import SpaceColumns
from rag.store.lance_store import Holding, LanceStore
from tests.store.made import SPACES, axis, embedded, random_documents, unit

AT_ONCE = Holding(asked=1)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were read whenever an index was read into memory."""
    found: list[int] = []

    class Counted(HeldRows):
        def __init__(self, table: pa.Table, spaces: Mapping[str, SpaceColumns]) -> None:
            found.append(len(table))
            super().__init__(table, spaces)

    monkeypatch.setattr(lance_store, "HeldRows", Counted)
    return found


def test_what_is_asked_often_is_read_once(tmp_path: Path, held: list[int]) -> None:
    store = LanceStore(tmp_path, SPACES)  # as the program opens it
    store.replace_documents({"a": [embedded("a", i, words="one two", vector=axis(16, 1, i)) for i in range(5)]})
    for _ in range(Holding().asked - 1):
        assert len(store.search_words("one", 9)) == 5
    assert held == []
    for _ in range(3):
        assert len(store.search_words("one", 9)) == 5
    assert len(store.search_vector("text", axis(16, 1), 9)) == len(store.sample("text", 9)) == 5
    assert held == [5]


def test_a_write_is_seen_at_once_whoever_wrote(tmp_path: Path, held: list[int]) -> None:
    store, other = LanceStore(tmp_path, SPACES, holding=AT_ONCE), LanceStore(tmp_path, SPACES)
    for number, writer in enumerate((store, other, other, store), start=1):
        writer.replace_documents({f"d{number}": [embedded(f"d{number}", words="word", vector=axis(16, 1, number))]})
        assert len(store.search_words("word", 99)) == len(store.search_vector("text", axis(16, 1), 99)) == number
    other.replace_documents({"d1": []})
    assert store.search_words("word", 99, In("document_id", ("d1",))) == []
    assert store.get([embedded("d1").chunk.id]) == []
    other.add_vectors("image", {embedded("d2").chunk.id: axis(8, 1)})
    assert [match.chunk.document_id for match in store.search_vector("image", axis(8, 1), 9)] == ["d2"]
    assert held == [1, 2, 3, 4, 3, 3]


def test_a_large_index_stays_where_it_is(tmp_path: Path, held: list[int]) -> None:
    store = LanceStore(tmp_path, SPACES, holding=Holding(chunks=4, asked=1))
    store.replace_documents({"a": [embedded("a", i, words="one") for i in range(5)]})
    assert len(store.search_words("one", 9)) == 5
    assert held == []
    store.replace_documents({"a": [embedded("a", i, words="one") for i in range(4)]})
    assert len(store.search_words("one", 9)) == 4
    assert held == [4]


def test_what_is_written_while_it_is_read_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, other = LanceStore(tmp_path, SPACES, holding=AT_ONCE), LanceStore(tmp_path, SPACES)
    store.replace_documents({"a": [embedded("a", words="one")]})

    class Slow(HeldRows):
        def __init__(self, table: pa.Table, spaces: Mapping[str, SpaceColumns]) -> None:
            super().__init__(table, spaces)
            other.replace_documents({"b": [embedded("b", words="one")]})

    monkeypatch.setattr(lance_store, "HeldRows", Slow)
    assert len(store.search_words("one", 9)) == 2
    monkeypatch.setattr(lance_store, "HeldRows", HeldRows)
    assert len(store.search_words("one", 9)) == 2


def test_lists_in_memory_are_those_of_the_table_to_the_last_tie(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    on_disk, in_memory = (LanceStore(tmp_path, SPACES, holding=each) for each in (Holding(chunks=0), AT_ONCE))
    on_disk.replace_documents(random_documents(rng, range(60)))
    on_disk.maintain()
    for _ in range(20):
        query, k = unit(rng, 16), int(rng.integers(1, 40))
        assert in_memory.search_vector("text", query, k) == on_disk.search_vector("text", query, k)
        words = " ".join(f"w{number}" for number in rng.integers(0, 30, 4))
        ours, theirs = (store.search_words(words, k) for store in (in_memory, on_disk))
        assert [match.chunk for match in ours] == [match.chunk for match in theirs]
    np.testing.assert_array_equal(in_memory.sample("image", 7), on_disk.sample("image", 7))
