"""What is particular to LanceDB: its traps (each has a test named for it), its indexes, its upkeep, its errors."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from rag.errors import DiskFull, IndexMismatch, StoreError
from rag.filters import Dated, In, Not
from rag.records import Box, EmbeddedChunk
from rag.store import lance_store
from rag.store.lance_rows import SpaceColumns, to_table
from rag.store.lance_rows import schema as lance_schema
from rag.store.lance_store import Holding, LanceStore
from rag.store.memory_store import MemoryStore
from tests.store.made import SPACES, axis, embedded, random_documents, unit

ON_DISK = Holding(chunks=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def store(folder: Path) -> LanceStore:
    return LanceStore(folder, SPACES, holding=ON_DISK)


def raw_table(folder: Path) -> lancedb.table.Table:
    """The table as LanceDB sees it, past our adapter."""
    return lancedb.connect(folder).open_table("chunks")


# --- the seven traps ---------------------------------------------------------------------------------------------


def test_trap_1_an_upsert_keeps_absent_vectors_absent_and_clears_old_ones(store: LanceStore) -> None:
    """merge_insert calls a null vector of ten or more numbers an error, and leaves a missing column as it was."""
    with_vector, without = (embedded("a", i, vector=axis(16, 1)) for i in (0, 1)), embedded("a", 2)
    store.replace_documents({"a": [*with_vector, without]})
    names = [chunk.id for chunk in store.chunks(["a"])]
    assert store.vectors("text", names).keys() == set(names[:2])
    store.replace_documents({"a": [embedded("a", 0), embedded("a", 1, vector=axis(16, 0, 1)), without]})
    assert store.vectors("text", names).keys() == {names[1]}
    assert [match.chunk.ordinal for match in store.search_vector("text", axis(16, 1), 9)] == [1]


# Trap 2, two processes upserting the same new ids, and trap 5, a reader that sees no write, are in test_crashes.py.


def test_trap_3_the_same_id_twice_never_reaches_the_table(store: LanceStore, folder: Path) -> None:
    """In one batch a new id would be inserted twice; one already there would make the merge ambiguous."""
    twice = {"a": [embedded("a", 0, words="one"), embedded("a", 0, words="two")]}
    for _ in ("new", "there already"):
        with pytest.raises(StoreError, match="twice"):
            store.replace_documents(twice)
        store.replace_documents({"a": twice["a"][:1]})
    assert raw_table(folder).count_rows() == 1


def test_trap_4_an_index_gives_exact_cosines_and_misses_little(indexed: tuple[MemoryStore, LanceStore]) -> None:
    """Without refinement, distances from a cosine index are estimates, or of another measure."""
    oracle, store = indexed
    rng = np.random.default_rng(3)
    found = wanted = 0
    for _ in range(20):
        query = near(rng, centre(int(rng.integers(CENTRES))))
        best = {match.chunk.id: match.score for match in oracle.search_vector("text", query, 10)}
        ours = store.search_vector("text", query, 10)
        assert [match.score for match in ours] == sorted((match.score for match in ours), reverse=True)
        exact = {match.chunk.id: match.score for match in oracle.search_vector("text", query, oracle.count())}
        assert all(match.score == exact[match.chunk.id] for match in ours)
        found, wanted = found + len(best.keys() & {match.chunk.id for match in ours}), wanted + len(best)
    assert found / wanted >= 0.95


def test_trap_6_what_is_not_yet_in_an_index_is_found(indexed: tuple[MemoryStore, LanceStore]) -> None:
    oracle, store = indexed
    assert unindexed(store) == (0, 0)
    late = {"late": [embedded("late", vector=centre(0), words="late")]}
    for each in (oracle, store):
        each.replace_documents(late)
    assert unindexed(store) == (1, 1)
    assert store.search_vector("text", centre(0), 1) == oracle.search_vector("text", centre(0), 1)
    assert [match.chunk.document_id for match in store.search_words("late", 5)] == ["late"]
    store.maintain()
    assert unindexed(store) == (0, 0)
    assert store.search_words("late", 5)[0].score == pytest.approx(oracle.search_words("late", 5)[0].score, rel=1e-5)


def test_trap_7_the_measure_is_the_cosine_and_terms_are_left_alone(indexed: tuple[MemoryStore, LanceStore]) -> None:
    """The defaults are Euclidean distance, English stemming, stop words and a longest term of 40 letters."""
    _, store = indexed
    assert store._table.index_stats("vector_text_idx").distance_type == "cosine"
    long = "x" * 41
    store.replace_documents({"words": [embedded("words", words=f"the Running café {long}")]})
    for tidy in (False, True):
        if tidy:
            store.maintain()
        for word in ("the", "Running", "café", long):
            assert len(store.search_words(word, 5)) == 1, word
        for word in ("running", "Run", "run", "cafe"):
            assert store.search_words(word, 5) == [], word


# --- indexes and upkeep ------------------------------------------------------------------------------------------

CENTRES = 60


def centre(number: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(1000 + number), 16)


def near(rng: np.random.Generator, middle: NDArray[np.float32]) -> NDArray[np.float32]:
    values = middle + 0.05 * rng.standard_normal(16)
    return (values / np.linalg.norm(values)).astype(np.float32)


def clustered(rng: np.random.Generator, documents: int) -> dict[str, list[EmbeddedChunk]]:
    def chunk(name: str, i: int) -> EmbeddedChunk:
        kind = "pdf" if rng.random() < 0.1 else "note"
        vector = near(rng, centre(int(rng.integers(CENTRES))))
        return embedded(name, i, vector=vector, words=f"w{rng.integers(50)}", kind=kind)

    return {f"d{number}": [chunk(f"d{number}", i) for i in range(10)] for number in range(documents)}


@pytest.fixture(scope="module")
def indexed_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryStore, Path]:
    documents = clustered(np.random.default_rng(2), 300)
    oracle, folder = MemoryStore(SPACES), tmp_path_factory.mktemp("indexed") / "index"
    oracle.replace_documents(documents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lance_store, "INDEX_FROM", 2000)
        store = LanceStore(folder, SPACES)
        store.replace_documents(documents)
        store.maintain()
    return oracle, folder


@pytest.fixture
def indexed(indexed_once: tuple[MemoryStore, Path], monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryStore, LanceStore]:
    """The oracle and a LanceStore with a vector index, at sizes that a test can afford."""
    oracle, folder = indexed_once
    monkeypatch.setattr(lance_store, "INDEX_FROM", 2000)
    monkeypatch.setattr(lance_store, "EXACT_BELOW", 1000)
    store = LanceStore(folder, SPACES, holding=ON_DISK)
    for each in (oracle, store):
        each.replace_documents({"late": [], "words": []})
    store.maintain()
    return oracle, store


def unindexed(store: LanceStore) -> tuple[int, int]:
    return tuple(store._table.index_stats(f"{name}_idx").num_unindexed_rows for name in ("words", "vector_text"))


def test_a_narrow_filter_is_searched_exactly_and_a_wide_one_nearly_so(indexed: tuple[MemoryStore, LanceStore]) -> None:
    oracle, store = indexed
    rng = np.random.default_rng(4)
    narrow, wide = In("kind", ("pdf",)), Not(In("kind", ("pdf",)))
    assert oracle.count(narrow) < 1000 < oracle.count(wide)
    shared = 0
    for _ in range(10):
        query = near(rng, centre(int(rng.integers(CENTRES))))
        assert store.search_vector("text", query, 10, narrow) == oracle.search_vector("text", query, 10, narrow)
        ours, theirs = (each.search_vector("text", query, 10, wide) for each in (store, oracle))
        assert all(match.chunk.kind == "note" for match in ours)
        shared += len({match.chunk.id for match in ours} & {match.chunk.id for match in theirs})
    assert shared >= 95
    assert len(store.search_vector("text", centre(1), 2900, wide)) == oracle.count(wide), "partitions until k are found"


def test_small_indexes_have_no_vector_index(store: LanceStore) -> None:
    store.replace_documents(random_documents(np.random.default_rng(1), range(50)))
    store.maintain()
    assert {index.name for index in store._table.list_indices()} == {"words_idx"}


def test_a_write_of_many_documents_is_one_version_of_the_table(store: LanceStore, folder: Path) -> None:
    rng = np.random.default_rng(5)
    store.replace_documents(random_documents(rng, range(60)))
    writes = [
        random_documents(rng, range(60, 90)),  # all new
        random_documents(rng, range(30), version="v2"),  # all replaced
        {f"d{i}": [] for i in range(10)},  # all removed
        {**random_documents(rng, range(20, 40), version="v3"), "d50": [], "d99": []},  # some of each
    ]
    for documents in writes:
        before = raw_table(folder).version
        store.replace_documents(documents)
        assert raw_table(folder).version == before + 1
    assert store.count() == sum(count for _, count in store.versions().values())


def test_writes_tidy_up_after_many(store: LanceStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance_store, "_TIDY_WRITES", 4)
    for i in range(4):
        store.replace_documents({f"d{i}": [embedded(f"d{i}", words="word")]})
        assert unindexed_words(store) == (i + 1) % 4
    monkeypatch.setattr(lance_store, "_TIDY_ROWS", 50)
    store.replace_documents({"many": [embedded("many", i, words="word") for i in range(49)]})
    assert unindexed_words(store) == 49
    store.replace_documents({"one": [embedded("one")]})
    assert unindexed_words(store) == 0


def unindexed_words(store: LanceStore) -> int:
    return int(store._table.index_stats("words_idx").num_unindexed_rows)


def test_a_failed_tidying_is_told_and_the_write_stands(
    store: LanceStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lance_store, "_TIDY_WRITES", 1)

    def fail(**_: object) -> None:
        raise OSError("the compaction went wrong")

    monkeypatch.setattr(store._table, "optimize", fail)
    with caplog.at_level(logging.WARNING):
        store.replace_documents({"a": [embedded("a", words="word")]})
    assert "the compaction went wrong" in caplog.text
    assert len(store.search_words("word", 5)) == 1
    with pytest.raises(StoreError, match="the compaction went wrong"):
        store.maintain()


# --- opening and errors ------------------------------------------------------------------------------------------


def test_what_was_written_is_there_when_opened_again(folder: Path) -> None:
    documents = random_documents(np.random.default_rng(6), range(20))
    LanceStore(folder, SPACES).replace_documents(documents)
    again = LanceStore(folder, SPACES)
    assert again.chunks(list(documents)) == [e.chunk for chunks in documents.values() for e in chunks]


def test_a_table_that_was_being_made_when_the_program_died_is_made_again(folder: Path) -> None:
    (folder / "chunks.lance" / "_versions").mkdir(parents=True)
    (folder / "chunks.lance" / "data").mkdir()
    (folder / "creation.lock").write_text("")
    store = LanceStore(folder, SPACES)
    store.replace_documents({"a": [embedded("a", words="word")]})
    assert len(LanceStore(folder, SPACES).search_words("word", 5)) == 1


def test_a_new_space_may_join_an_old_index(folder: Path) -> None:
    LanceStore(folder, {"text": 16}).replace_documents({"a": [embedded("a", vector=axis(16, 1))]})
    store = LanceStore(folder, SPACES)
    store.replace_documents({"b": [embedded("b", vector=axis(16, 0, 1), image=axis(8, 1))]})
    assert [match.chunk.document_id for match in store.search_vector("image", axis(8, 1), 5)] == ["b"]
    assert [match.chunk.document_id for match in store.search_vector("text", axis(16, 1), 5)] == ["a", "b"]


def old_layout(folder: Path, documents: dict[str, list[EmbeddedChunk]]) -> None:
    """A table as Commonplace wrote it before there were pictures."""
    columns = {"text": SpaceColumns.of("text", 16)}
    new = {"picture", "digest", "caption", "around", "region", "has_text"}
    whole = [field for field in lance_schema(columns.values()) if field.name not in new]
    table = lancedb.connect(folder).create_table("chunks", schema=pa.schema(whole))
    table.add(to_table([e for chunks in documents.values() for e in chunks], columns, pa.schema(whole)))


def test_a_table_of_the_old_layout_gets_the_new_columns_and_keeps_everything(folder: Path) -> None:
    rng = np.random.default_rng(12)
    documents = {f"d{i}": [embedded(f"d{i}", vector=unit(rng, 16) if i else None, words="word")] for i in range(20)}
    old_layout(folder, documents)
    assert "digest" not in raw_table(folder).schema.names
    for _ in ("opened for the first time", "opened again"):
        store = LanceStore(folder, SPACES)
        assert store.chunks(list(documents)) == [e.chunk for chunks in documents.values() for e in chunks]
        assert [chunk.document_id for chunk in store.without_vector("text", 99)] == ["d0"]
        assert store.count(Not(In("digest", ("x",)))) == 20
    query = unit(rng, 16)
    oracle = MemoryStore(SPACES)
    picture = embedded("d3", image=axis(8, 1), picture=1, digest="d", caption="c", around="a", region=Box(0, 0.1, 1, 1))
    for each in (store, oracle):
        each.replace_documents(documents)
        each.replace_documents({"d3": [picture], "d4": []})
    assert store.search_vector("text", query, 30) == oracle.search_vector("text", query, 30)
    assert store.search_vector("image", axis(8, 1), 1) == oracle.search_vector("image", axis(8, 1), 1)


def test_a_migration_that_was_cut_off_goes_on(folder: Path) -> None:
    old_layout(folder, {"a": [embedded("a", vector=axis(16, 1))], "b": [embedded("b")]})
    raw_table(folder).add_columns({"digest": "''", "caption": "''", "around": "''"})  # and killed before the next step
    store = LanceStore(folder, SPACES)
    assert store.get([embedded("a").chunk.id]) == [embedded("a").chunk]
    assert [chunk.document_id for chunk in store.without_vector("text", 9)] == ["b"]


# --- a space that may come, go, or be another model's ------------------------------------------------------------


def with_pictures(folder: Path, model: str | None) -> LanceStore:
    """The store as it is opened with that model for pictures, or with none."""
    return LanceStore(folder, SPACES, {"image": model}) if model else LanceStore(folder, {"text": 16})


def test_without_its_model_a_space_is_left_alone_but_for_documents_that_are_replaced(folder: Path) -> None:
    chunks = {name: [embedded(name, vector=axis(16, 1), modality="image")] for name in "abc"}
    ids = {name: chunks[name][0].chunk.id for name in chunks}
    with_model = with_pictures(folder, "clip")
    with_model.replace_documents(chunks)
    with_model.add_vectors("image", dict.fromkeys(ids.values(), axis(8, 1)))
    without = with_pictures(folder, None)
    without.replace_documents({"a": chunks["a"], "d": [embedded("d", vector=axis(16, 1))], "b": []})
    without.maintain()
    with pytest.raises(StoreError, match="unknown vector space 'image'"):
        without.sample("image", 3)
    again = with_pictures(folder, "clip")
    assert again.vectors("image", list(ids.values())).keys() == {ids["c"]}
    assert again.without_vector("image", 9, In("modality", ("image",))) == [chunks["a"][0].chunk]


def test_a_store_that_was_open_before_a_space_came_writes_no_stale_vectors(folder: Path) -> None:
    before = with_pictures(folder, None)
    before.replace_documents({"a": [embedded("a")]})
    late = with_pictures(folder, "clip")
    late.add_vectors("image", {embedded("a").chunk.id: axis(8, 1)})
    before.replace_documents({"a": [embedded("a")], "b": [embedded("b")]})
    assert late.count(without="image") == 2


def test_another_model_begins_with_no_vectors_and_never_meets_the_old_ones(folder: Path) -> None:
    first, chunk = with_pictures(folder, "clip"), embedded("a", vector=axis(16, 1))
    first.replace_documents({"a": [chunk]})
    first.add_vectors("image", {chunk.chunk.id: axis(8, 1)})
    second = LanceStore(folder, {"text": 16, "image": 4}, {"image": "siglip"})
    assert second.search_vector("image", axis(4, 1), 5) == []
    assert second.count(without="image") == 1
    assert len(first.search_vector("image", axis(8, 1), 5)) == 1, "the other program goes on"
    second.add_vectors("image", {chunk.chunk.id: axis(4, 1)})
    second.maintain()
    names = raw_table(folder).schema.names
    assert sum(name.startswith("vector_image") for name in names) == 1, "the room of the old ones is given back"
    assert second.search_vector("image", axis(4, 1), 5)[0].score == 1.0
    assert second.search_vector("text", axis(16, 1), 5)[0].score == 1.0


def test_adding_vectors_is_one_version_of_the_table(store: LanceStore, folder: Path) -> None:
    store.replace_documents({"a": [embedded("a", i) for i in range(50)]})
    before = raw_table(folder).version
    store.add_vectors("image", {chunk.id: axis(8, 1) for chunk in store.chunks(["a"])})
    assert raw_table(folder).version == before + 1


def test_what_lacks_a_vector_is_found_without_reading_vectors(store: LanceStore) -> None:
    store.replace_documents({"a": [embedded("a", i, vector=axis(16, 1)) for i in range(50)]})
    plan = store._table.search().where(store._lacking("text", In("modality", ("image",)))).select(["id"]).explain_plan()
    assert "has_text" in plan
    assert "vector_text" not in plan


def test_a_sample_is_read_once_for_each_version_of_the_table(store: LanceStore, folder: Path) -> None:
    store.replace_documents({"a": [embedded("a", i, image=axis(8, 1, i)) for i in range(9)]})
    assert store.sample("image", 5) is store.sample("image", 5)
    before = store.sample("image", 99)
    LanceStore(folder, SPACES).replace_documents({"b": [embedded("b", image=axis(8, 1))]})
    assert len(store.sample("image", 99)) == len(before) + 1, "what another process writes counts"


def test_another_dimension_is_refused_with_the_remedy(store: LanceStore, folder: Path) -> None:
    with pytest.raises(IndexMismatch, match=r"16 numbers in 'text'.*makes 384.*RAG_HOME"):
        LanceStore(folder, {"text": 384})


def test_a_folder_that_cannot_be_one_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot open the index"):
        LanceStore(tmp_path / "file" / "index", SPACES)


def test_a_damaged_table_is_a_store_error(store: LanceStore, folder: Path) -> None:
    store.replace_documents({"a": [embedded("a", words="word", vector=axis(16, 1))]})
    for file in (folder / "chunks.lance" / "data").iterdir():
        file.write_bytes(b"damaged")
    with pytest.raises(StoreError, match="cannot read chunks"):
        LanceStore(folder, SPACES).get([embedded("a").chunk.id])


FILL_A_DISK = """
import sys
from pathlib import Path
import numpy as np
from rag.errors import DiskFull
from rag.store.catalogue import Catalogue
from rag.store.lance_store import Holding, LanceStore
from tests.store.made import SPACES, random_documents, written

disk, rng = Path(sys.argv[1]), np.random.default_rng(0)
store, catalogue = LanceStore(disk / "index", SPACES), Catalogue(disk / "catalogue.sqlite")
store.replace_documents(random_documents(rng, [0]))
kept = store.versions()
filler = disk / "filler"
try:
    with filler.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
except OSError:
    pass
for attempt in (
    lambda: store.replace_documents(random_documents(rng, range(1, 2000))),
    lambda: catalogue.begin([(written("/home/me/a.md", "text " * 300_000, rng)[0], 1)]),
):
    try:
        attempt()
    except DiskFull as exc:
        print("told:", exc)
assert store.versions() == kept
filler.unlink()
store.replace_documents(random_documents(rng, range(1, 20)))
assert len(store.versions()) == 20 and catalogue.pending() == []
print("went on")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of its own, which Linux lets a test make")
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    own_space = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*own_space, "sh", "-c", 'mount -t tmpfs tmpfs "$1"', "sh", str(disk)]).returncode:
        pytest.skip("this machine does not let a test mount a file system")
    command = [*own_space, "sh", "-c", mount, "sh", str(disk), sys.executable, FILL_A_DISK]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("told: ") == 2, done.stdout
    assert "the disk is full; make room" in done.stdout
    assert "went on" in done.stdout


@pytest.mark.parametrize("holding", [ON_DISK, Holding(asked=2)])
def test_threads_may_search_while_one_writes(folder: Path, holding: Holding) -> None:
    store = LanceStore(folder, SPACES, holding=holding)
    rng = np.random.default_rng(8)
    store.replace_documents(random_documents(rng, range(100)))
    stop, failures = threading.Event(), []

    def read() -> None:
        mine = np.random.default_rng(9)
        try:
            while not stop.is_set():
                assert len(store.search_vector("text", unit(mine, 16), 5, Not(Dated()))) == 5
                assert store.search_words("w1 w2", 5)
                store.versions()
        except Exception as exc:  # noqa: BLE001 - any failure of a thread is the test's
            failures.append(exc)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(12):
        store.replace_documents(random_documents(rng, range(number, number + 10), version=f"v{number}"))
        if number % 4 == 0:
            store.maintain()
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []


def test_disk_full_is_recognised_by_number_and_by_words() -> None:
    for cause in (OSError(28, "ENOSPC"), RuntimeError("lance error: No space left on device (os error 28)")):
        with pytest.raises(DiskFull, match="make room"), lance_store._translated("write"):
            raise cause
