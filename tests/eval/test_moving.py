"""The benchmark of moving moves a library that is sound."""

from pathlib import Path

from eval.moving import _copy, _export, _import, _make
from rag.build import open_folder
from rag.store.catalogue import Catalogue
from rag.store.manifest import read_manifest
from rag.store.recover import verify


def test_every_step_leaves_a_sound_library(tmp_path: Path) -> None:
    _make(tmp_path / "home", 300)
    _export(tmp_path / "home", tmp_path / "library.zip")
    _import(tmp_path / "library.zip", tmp_path / "imported")
    _copy(tmp_path / "imported", tmp_path / "copied")
    manifest = read_manifest(tmp_path / "home" / "index" / "manifest.json")
    assert manifest is not None
    catalogue = Catalogue(tmp_path / "imported" / "catalogue.sqlite")
    for place in (tmp_path / "imported" / "index", tmp_path / "copied"):
        report = verify(catalogue, open_folder(place, manifest))
        assert (report.documents, report.chunks, report.problems) == (3, 300, ())
    catalogue.close()
