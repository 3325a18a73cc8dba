"""A switch that is stopped, killed, refused, or finds something broken: the live version is whole, and it goes on."""

import threading
from contextlib import closing
from pathlib import Path

import pytest
from grpc import StatusCode

from rag import carrying
from rag.errors import DiskFull, LibraryBusy, StoreError
from rag.library import Library
from rag.records import Progress
from rag.store.lance_store import LanceStore
from rag.store.lock import write_lock
from tests.store.processes import process
from tests.store.weaviate_stub import DISK_FULL, Fault, WeaviateStub
from tests.switching.looked_at import address, contents, titles, told
from tests.switching.made import STEPS, opened, switch_and_wait, write_notes


def test_it_can_be_stopped_and_goes_on_where_it_was(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "READ_CHUNKS", 3)
    stop = threading.Event()

    def after_some(progress: Progress) -> None:
        if progress.chunks >= 3:
            stop.set()

    first = library.switch_embedder("second", after_some, stop)
    assert (first.live, first.version) == (False, "v2")
    assert told(library) == [("v1", "live", "first", 0), ("v2", "begun", "second", 8 - first.embedded)]
    assert 0 < first.embedded < 8
    assert titles(library, "topic5")[0] == "Note 5"
    second = library.switch_embedder("second")
    assert (second.live, second.version, first.embedded + second.embedded) == (True, "v2", 8)
    assert library.verify().problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_moment_it_goes_on_and_the_live_one_is_whole(local: Library, notes: Path, step: str) -> None:
    local.switch_embedder("third")  # so that there is a version that goes in the end
    with process(switch_and_wait, local.settings.home, step) as (child, connection):
        assert connection.poll(120), "it does not get there"
        assert connection.recv() == step
        child.kill()
        child.join()
    changed = STEPS.index(step) >= STEPS.index("changed")
    assert told(local)[0][2] == ("second" if changed else "third")
    assert local.verify().problems == ()
    assert titles(local, "topic5")[0] == "Note 5"
    write_notes(notes, [1], "once more")
    (notes / "2.md").unlink()
    local.add([notes], prune=True)
    report = local.switch_embedder("second")
    assert (report.live, report.embedder) == (True, "second")
    if step == "noted":
        assert report.embedded < 7, "what was noted is not embedded again"
    assert local.verify().problems == ()
    assert sorted(titles(local, "written")) == [f"Note {number}" for number in (0, 1, 3, 4, 5, 6, 7)]
    contents(local)
    local.prune_versions()
    assert [path.name for path in (local.settings.home / "index").iterdir() if path.name.startswith("v")] == ["v3"]


def test_what_was_written_and_not_noted_when_it_was_killed_is_put_right(
    local: Library, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("rag.store.ledger.Ledger.carry", killed)
        with pytest.raises(KilledError):
            local.switch_embedder("second")
    (notes / "7.md").unlink()
    local.add([notes], prune=True)
    assert local.switch_embedder("second").embedded == 7
    assert local.verify().problems == ()


def test_a_full_disk_is_told_and_the_live_version_stays(local: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LanceStore, "_upsert", full)
        with pytest.raises(DiskFull, match="make room"):
            local.switch_embedder("second")
    assert told(local) == [("v1", "live", "first", 0), ("v2", "begun", "second", 8)]
    assert titles(local, "topic5")[0] == "Note 5"
    assert local.switch_embedder("second").embedded == 8


def test_a_writer_is_waited_for_and_a_second_switch_is_refused(local: Library) -> None:
    home, refused = local.settings.home, []
    busy, free = threading.Event(), threading.Event()

    def hold() -> None:
        with write_lock(home):
            busy.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    busy.wait(60)

    def tell(progress: Progress) -> None:
        if progress.done == progress.total and not refused:
            with closing(opened(home)) as other, pytest.raises(LibraryBusy, match="being made already") as caught:
                other.switch_embedder("third")
            refused.append(caught)
            free.set()

    assert local.switch_embedder("second", tell).live
    holder.join()
    assert len(refused) == 1


def test_a_live_version_that_is_not_whole_is_not_taken_over(local: Library) -> None:
    gone = local.documents()[3]
    local._databases.store.replace_documents({gone.id: []})
    with pytest.raises(StoreError, match=r"does not hold .*3\.md' as it was read; run `rag verify`"):
        local.switch_embedder("second")
    assert told(local)[0] == ("v1", "live", "first", 0)


def test_a_place_that_lost_a_version_gets_it_again(local: Library) -> None:
    local.switch_embedder("second")
    LanceStore(local.settings.home / "index", {"text": 32}).replace_documents({local.documents()[0].id: []})
    assert local.roll_back().embedded == 1
    assert local.verify().problems == ()


def test_a_server_that_fails_while_it_is_made_is_told_and_it_goes_on(
    tmp_path: Path, notes: Path, stub: WeaviateStub
) -> None:
    with closing(opened(tmp_path / "home", address(stub))) as library:
        library.add([notes])
        stub.faults.fail("BatchObjects", Fault(StatusCode.UNKNOWN, DISK_FULL))
        with pytest.raises(StoreError, match="disk"):
            library.switch_embedder("second")
        stub.faults.queue.clear()
        assert told(library) == [("v1", "live", "first", 0), ("v2", "begun", "second", 8)]
        assert titles(library, "topic5")[0] == "Note 5"
        assert library.switch_embedder("second").live
        assert stub.schema.aliases.popitem()[1].endswith("_v2")
        assert library.verify().problems == ()


def test_what_cannot_be_deleted_goes_with_the_next_one(local: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    index = local.settings.home / "index"

    def refused(*_: object) -> None:
        raise PermissionError(13, "it is in use")

    local.switch_embedder("second")
    with monkeypatch.context() as patch:
        patch.setattr("rag.store.places.Path.rename", refused)
        assert local.switch_embedder("third").dropped == ("v1",)
    assert (index / "chunks.lance").is_dir()
    assert told(local) == [("v3", "live", "third", 0), ("v2", "kept", "second", 0)]
    assert local.prune_versions() == ("v2",)
    assert sorted(path.name for path in index.iterdir() if path.is_dir()) == ["v3"]
    assert local.verify().problems == ()


def test_an_index_without_its_manifest_is_not_taken_for_an_empty_library(local: Library) -> None:
    home = local.settings.home
    local.close()
    (home / "index" / "manifest.json").unlink()
    with closing(opened(home)) as library, pytest.raises(StoreError, match="nothing says what embedded them"):
        library.switch_embedder("second")
