"""Another embedder for the whole library: beside the old one, then at once, and back."""

import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rag import carrying
from rag.errors import ConfigError, IndexMismatch, ModelNotFound, StoreError
from rag.library import Library
from rag.records import Progress
from rag.store.manifest import read_manifest, write_manifest
from tests.colours import ColourEmbedder, paint
from tests.store.processes import parse_here

# --- switching ---------------------------------------------------------------------------------------------------
from tests.switching.looked_at import contents, titles, told
from tests.switching.made import opened, write_notes


def test_all_is_copied_and_only_texts_are_embedded(
    library: Library, notes: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(notes / "both.png", "red", "blue")
    (notes / "shows.md").write_text("# Shown\n\n![red and blue](both.png)")
    paint(notes / "IMG_0001.png", "green")  # nothing is said of it, so it has no text vector
    library.add([notes])
    before = contents(library)
    for name in ("rag.indexing.parse_all", "tests.colours.ColourEmbedder.embed_images"):
        monkeypatch.setattr(name, None)
    seen: list[Progress] = []
    report = library.switch_embedder("second", seen.append)
    assert (report.version, report.embedder, report.live, report.cut) == ("v2", "second", True, 0)
    assert report.embedded == report.chunks - sum(bare for *_, bare, _ in before)  # type: ignore[misc]
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)
    assert (seen[-1].done, seen[-1].seconds_left, seen[-1].stage) == (seen[-1].total, 0, "switch")
    assert contents(library) == before
    assert library.status().models[0].name == library.models()[0].state.name == "second"
    assert titles(library, "topic5")[0] == "Note 5"
    assert library.verify().problems == ()
    assert told(library) == [("v2", "live", "second", 0), ("v1", "kept", "first", 0)]
    with closing(opened(library.settings.home, store)) as again:
        assert again.models()[0].state.name == "second"
        assert titles(again, "topic5")[0] == "Note 5"


def test_going_back_embeds_nothing_and_brings_over_what_changed(library: Library, notes: Path) -> None:
    library.switch_embedder("second")
    report = library.roll_back()
    assert (report.version, report.embedder, report.live, report.embedded) == ("v1", "first", True, 0)
    assert told(library) == [("v1", "live", "first", 0), ("v2", "kept", "second", 0)]
    write_notes(notes, [2], "anew about wasps")
    write_notes(notes, [8, 9])
    (notes / "3.md").unlink()
    library.add([notes], prune=True)
    assert told(library)[1] == ("v2", "kept", "second", 3)
    report = library.roll_back()
    assert (report.version, report.embedded) == ("v2", 3)
    assert library.verify().problems == ()
    assert titles(library, "anew about wasps")[0] == "Note 2"
    assert sorted(titles(library, "note")) == [f"Note {number}" for number in (0, 1, 2, 4, 5, 6, 7, 8, 9)]
    contents(library)


def test_what_changes_meanwhile_is_brought_over(library: Library, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrying, "READ_CHUNKS", 3)
    changes = iter("abc")

    def change(progress: Progress) -> None:
        if progress.done and (name := next(changes, None)):
            write_notes(notes, [0], f"for the {name} time")
            (notes / f"new {name}.md").write_text(f"# New {name}\n\nCame while it was embedded.")
            (notes / f"{ord(name) - ord('a') + 4}.md").unlink()
            library.add([notes], prune=True)
            assert library.models()[0].state.name == "first"

    library.switch_embedder("second", change)
    assert next(changes, None) is None
    assert library.verify().problems == ()
    assert titles(library, "for the c time")[0] == "Note 0"
    expected = ["New a", "New b", "New c", "Note 0", "Note 1", "Note 2", "Note 3", "Note 7"]
    assert sorted(titles(library, "note came written")) == expected
    contents(library)


def test_searches_never_fail_and_never_mix_two_models(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    done, failures, seen = threading.Event(), [], set()

    def look() -> None:
        while not done.is_set():
            try:
                seen.add(titles(library, "topic6 stands in it")[0])
            except Exception as exc:  # noqa: BLE001  whatever it is, it is what this test is about
                failures.append(exc)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for reference in ("second", "third"):
        library.switch_embedder(reference)
    library.roll_back()
    library.prune_versions()
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert seen == {"Note 6"}
    assert told(library) == [("v2", "live", "second", 0)]


def test_another_program_that_has_it_open_goes_over_with_its_next_question(library: Library, store: str) -> None:
    with closing(opened(library.settings.home, store)) as other:
        for reference, name in (("second", "second"), ("third", "third")):
            assert titles(other, "topic1")[0] == "Note 1"
            library.switch_embedder(reference)
            assert titles(other, "topic1")[0] == "Note 1"
            assert other.status().models[0].name == name
        library.roll_back()
        other.remove([other.resolve(other.documents()[0].path)])
        assert len(titles(library, "note")) == 7
        assert library.verify().problems == ()


def test_two_versions_stay_and_the_others_are_deleted(library: Library) -> None:
    library.switch_embedder("second")
    report = library.switch_embedder("third")
    assert report.dropped == ("v1",)
    assert told(library) == [("v3", "live", "third", 0), ("v2", "kept", "second", 0)]
    assert library.prune_versions() == ("v2",)
    with pytest.raises(StoreError, match="no older version"):
        library.roll_back()
    assert library.switch_embedder("first").version == "v4", "a name is not used twice"
    index = library.settings.home / "index"
    assert sorted(path.name for path in index.iterdir() if path.is_dir()) == ["v3", "v4"]
    assert library.verify().problems == ()


# --- whatever goes wrong -----------------------------------------------------------------------------------------


# --- which model ---------------------------------------------------------------------------------------------------


def test_the_setting_that_insists_on_another_one_is_named(local: Library) -> None:
    with closing(opened(local.settings.home, embedder="first")) as insisting:
        assert titles(insisting, "topic1")[0] == "Note 1"
        with pytest.raises(ConfigError, match=r"insists on 'first'.*RAG_EMBEDDER"):
            insisting.switch_embedder("second")
    with closing(opened(local.settings.home, embedder="second")) as other:
        with pytest.raises(IndexMismatch, match="rag models use second"):
            other.search("topic1")
        assert other.switch_embedder("second").live
        assert titles(other, "topic1")[0] == "Note 1"
        with pytest.raises(ConfigError, match="insists on 'second'"):
            other.roll_back()


def test_a_model_that_is_not_here_changes_nothing(local: Library) -> None:
    with pytest.raises(ModelNotFound):
        local.switch_embedder("nowhere")
    assert told(local) == [("v1", "live", "first", 0)]


def test_the_model_that_is_in_use_is_taken_as_it_is(local: Library) -> None:
    report = local.switch_embedder("first")
    assert (report.version, report.live, report.embedded) == ("v1", True, 0)
    assert local.switch_embedder("starter").version == "v1", "another reference to the same model"
    manifest = read_manifest(local.settings.home / "index" / "manifest.json")
    assert manifest is not None
    assert manifest.reference == "starter"


def test_a_version_that_is_kept_is_taken_again_and_one_that_was_begun_with_another_model_is_given_up(
    local: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.switch_embedder("second")
    stop = threading.Event()
    stop.set()
    assert not local.switch_embedder("third", None, stop).live
    assert told(local)[2] == ("v3", "begun", "third", 8)
    assert local.switch_embedder("first").embedded == 0
    assert told(local) == [("v1", "live", "first", 0), ("v2", "kept", "second", 0)]


def test_an_empty_library_begins_with_the_model_that_was_chosen(tmp_path: Path, notes: Path) -> None:
    with closing(opened(tmp_path / "home")) as library:
        assert library.versions() == []
        assert library.switch_embedder("second").version == "v1"
        library.add([notes])
        assert told(library) == [("v1", "live", "second", 0)]
    with closing(opened(tmp_path / "home")) as again:
        assert again.models()[0].state.name == "second"


def test_the_model_of_a_version_that_changed_since_is_not_gone_back_to(local: Library) -> None:
    local.switch_embedder("second")
    path = local.settings.home / "index" / "manifest.json"
    manifest = read_manifest(path)
    assert manifest is not None
    write_manifest(path, replace(manifest, fingerprint="older"))
    with pytest.raises(IndexMismatch, match="has changed since; run `rag models use starter`"):
        local.roll_back()
    assert told(local)[0][:3] == ("v2", "live", "second")


def test_texts_that_the_model_does_not_read_whole_are_counted_and_found_by_all_their_words(local: Library) -> None:
    report = local.switch_embedder("short")
    assert report.cut == report.embedded == 8
    assert titles(local, "topic4")[0] == "Note 4"


# --- beside other things that change --------------------------------------------------------------------------------


def test_pictures_that_are_looked_at_meanwhile_come_along(
    local: Library, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(notes / "red.png", "red")
    with monkeypatch.context() as patch:
        patch.setattr("rag.build.build_image_embedder", lambda settings: None)
        with closing(opened(local.settings.home)) as blind:
            blind.add([notes])
    assert local.status().unseen == 1
    looked = iter([local.look])

    def look(progress: Progress) -> None:
        if progress.done == progress.total and (do := next(looked, None)):
            assert do() == 1

    assert local.switch_embedder("second", look).live
    assert next(looked, None) is None
    assert local.status().unseen == 0
    monkeypatch.setattr(ColourEmbedder, "embed_images", None)
    local.roll_back()
    assert local.status().unseen == 0


def test_another_image_embedder_that_comes_meanwhile_is_taken_along(
    local: Library, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(notes / "red.png", "red")
    local.add([notes])
    came = iter([ColourEmbedder("sharper")])

    def come(progress: Progress) -> None:
        if progress.done == progress.total and (sharper := next(came, None)):
            monkeypatch.setattr("rag.build.build_image_embedder", lambda settings: sharper)
            with closing(opened(local.settings.home)) as other:
                assert other.look() == 1

    assert local.switch_embedder("second", come).live
    monkeypatch.setattr(ColourEmbedder, "embed_images", None)
    with closing(opened(local.settings.home)) as other:
        assert other.status().unseen == 0
        assert titles(other, "red")[0] == "red"


# --- on a server -----------------------------------------------------------------------------------------------------


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_starter_takes_over_from_hashed_words_and_gives_back(
    tmp_path: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)
    (notes / "car.md").write_text("# Repair\n\nThe automobile was taken to the garage, as its engine would not start.")
    with closing(opened(tmp_path / "home")) as library:
        library.switch_embedder("hashing")
        library.add([notes])
        assert library.switch_embedder("starter").embedded == 9
        assert titles(library, "broken car")[0] == "Repair", "in words that are not there"
        assert library.roll_back().embedded == 0
        assert library.models()[0].state.name == "hashing"
        assert library.verify().problems == ()
