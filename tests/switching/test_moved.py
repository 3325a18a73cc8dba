"""A library with versions of its index from before, from an archive, on a server, and from the command line."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from typer.testing import CliRunner

from rag.build import open_folder, open_versions
from rag.cli import app
from rag.library import Library
from rag.moving.exporting import export_library
from rag.moving.importing import import_library
from rag.store.manifest import read_manifest, write_manifest
from tests.store.weaviate_stub import WeaviateStub
from tests.switching.looked_at import address, ran, titles, told
from tests.switching.made import opened


def test_a_library_of_before_there_were_versions_is_the_first_one(local: Library) -> None:
    home = local.settings.home
    local.close()
    path = home / "index" / "manifest.json"
    values = json.loads(path.read_text())
    path.write_text(
        json.dumps({name: value for name, value in (values | {"schema": 2}).items() if name != "reference"})
    )
    with sqlite3.connect(home / "catalogue.sqlite") as db:
        db.executescript("DROP TABLE versions; DROP TABLE carried; DROP TABLE retrievers; PRAGMA user_version = 2")
    with closing(opened(home)) as library:
        assert titles(library, "topic5")[0] == "Note 5"
        assert told(library) == [("v1", "live", "first", 0)]
        assert library.switch_embedder("second").live
        assert library.roll_back().embedded == 0


def test_an_archive_takes_the_live_version_along_and_a_path_in_it_is_not_followed(
    local: Library, tmp_path: Path
) -> None:
    local.switch_embedder("second")
    local.close()
    for reference, kept in (("second", "second"), ("/somewhere/else", ""), ("http://127.0.0.1:1/v1#m", "")):
        path = local.settings.home / "index" / "v2" / "manifest.json"
        manifest = read_manifest(path)
        assert manifest is not None
        write_manifest(path, replace(manifest, reference=reference))
        archive, new = tmp_path / f"{kept}{len(reference)}.zip", tmp_path / f"new{len(reference)}"
        report = export_library(local.settings.home, partial(open_versions, local.settings), archive)
        assert report.vectors == {"text": 8, "image": 0}
        import_library(archive, new, open_folder)
        manifest = read_manifest(new / "index" / "manifest.json")
        assert manifest is not None
        assert (manifest.embedder, manifest.reference) == ("second", kept)
        with closing(opened(new)) as library:
            assert told(library) == [("v1", "live", "second", 0)]
            assert titles(library, "topic5")[0] == "Note 5"


def test_a_copy_is_live_where_it_is_copied_to_and_what_was_there_is_not_taken_to_be_whole(
    local: Library, notes: Path, stub: WeaviateStub
) -> None:
    home, url = local.settings.home, address(stub)
    local.switch_embedder("second")
    ran("store", "copy", "--to", url, home=home)
    with closing(opened(home, url)) as there:
        assert told(there) == [("v2", "live", "second", 0)]
        assert titles(there, "topic5")[0] == "Note 5"
        (notes / "0.md").unlink()
        there.add([notes], prune=True)
        assert there.switch_embedder("third").version == "v3"
        assert told(there) == [("v3", "live", "third", 0), ("v2", "kept", "second", 0)]
    ran("store", "copy", "--from", url, "--to", "lance", "--prune", home=home)
    assert told(local) == [("v3", "live", "third", 0), ("v2", "kept", "second", 7), ("v1", "kept", "first", 0)]
    assert local.verify().problems == ()
    assert local.roll_back().embedded == 7
    assert local.verify().problems == ()


def test_the_commands_switch_and_list_and_go_back(local: Library) -> None:
    home = local.settings.home
    assert ran("models", "use", "second", home=home).startswith("second searches the library now: version v2, 8 chunk")
    listed = json.loads(ran("index", "versions", "--json", home=home))
    assert [(each["version"], each["state"], each["reference"]) for each in listed] == [
        ("v2", "live", "second"),
        ("v1", "kept", "starter"),
    ]
    assert json.loads(ran("index", "rollback", "--json", home=home))["version"] == "v1"
    assert "second" in ran("index", "versions", home=home)
    assert ran("index", "prune", home=home) == "Deleted v2.\n"
    assert ran("index", "prune", home=home) == "There is only the live version.\n"
    assert "no older version" in ran("index", "rollback", home=home, code=1)
    assert "no model 'nowhere'" in ran("models", "use", "nowhere", home=home, code=1)
    assert "insists on 'first'" in ran("models", "use", "second", home=home, code=1, RAG_EMBEDDER="first")
    assert "have them cut anew" in " ".join(
        CliRunner().invoke(app, ["models", "use", "short"], env={"RAG_HOME": str(home)}).output.split()
    )


def test_a_model_of_another_kind_is_named(local: Library) -> None:
    folder = local.settings.home / "models" / "speaker"
    folder.mkdir(parents=True)
    (folder / "speaker.gguf").write_bytes(b"GGUF")
    said = ran("models", "use", "speaker", home=local.settings.home, code=1)
    assert said == "'speaker' is no text embedder but a generator: to use it set RAG_GENERATOR=speaker"
