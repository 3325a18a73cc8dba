"""The manifest: another embedder is refused, and the file is whole or absent."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rag.errors import IndexMismatch, StoreError
from rag.store.manifest import Manifest, check_manifest, read_manifest, write_manifest

MINE = Manifest(3, "text", "starter", "0123456789abcdef", 384, 1, "2026-01-01T00:00:00+00:00")
CLIP = {"image_embedder": "clip", "image_fingerprint": "abc", "image_dim": 512}
SIGLIP = {"image_embedder": "siglip", "image_fingerprint": "def", "image_dim": 768}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index" / "manifest.json"


def test_the_first_use_writes_it_and_the_next_accepts_it(path: Path) -> None:
    assert read_manifest(path) is None
    assert check_manifest(path, MINE) == MINE
    later = replace(MINE, created="2027-01-01T00:00:00+00:00", embedder="the same under another name")
    assert check_manifest(path, later) == MINE == read_manifest(path)
    assert [file.name for file in path.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    "other", [replace(MINE, fingerprint="fedcba"), replace(MINE, dim=768), replace(MINE, space="clip")]
)
def test_another_embedder_is_refused_with_both_names_and_the_remedy(path: Path, other: Manifest) -> None:
    check_manifest(path, MINE)
    with pytest.raises(IndexMismatch) as told:
        check_manifest(path, replace(other, embedder="my/folder"))
    for part in ("'starter'", "'my/folder'", "fingerprint 0123456789ab", "rag models use my/folder", str(path.parent)):
        assert part in str(told.value)
    assert read_manifest(path) == MINE


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", "null", "{}", '{"schema": 1}', '{"schema": "1"}', "\udc80".encode("utf-8", "surrogatepass")],
)
def test_a_damaged_file_is_a_store_error_with_a_remedy(path: Path, damage: str | bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(StoreError, match="add the files again"):
        check_manifest(path, MINE)


def test_one_of_the_first_schema_is_read_and_brought_up_to_date(path: Path) -> None:
    path.parent.mkdir()
    first = {name: value for name, value in asdict(MINE).items() if not name.startswith(("image_", "reference"))}
    path.write_text(json.dumps({**first, "schema": 1}))
    assert read_manifest(path) == replace(MINE, schema=1)
    assert check_manifest(path, MINE) == MINE == read_manifest(path)
    with pytest.raises(IndexMismatch):
        check_manifest(path, replace(MINE, dim=768))


def test_another_image_embedder_takes_the_place_of_the_old_one_and_none_leaves_it(path: Path) -> None:
    check_manifest(path, MINE)
    for expected in (replace(MINE, **CLIP), replace(MINE, **SIGLIP)):
        later = replace(expected, created="2027-01-01T00:00:00+00:00", embedder="the same under another name")
        assert check_manifest(path, later) == expected == read_manifest(path)
    assert check_manifest(path, MINE) == replace(MINE, **SIGLIP) == read_manifest(path)


@pytest.mark.parametrize("wrong", [{"dim": "384"}, {"image_dim": "512"}, {"embedder": None}])
def test_a_wrong_type_is_damage_too(path: Path, wrong: dict[str, object]) -> None:
    write_manifest(path, replace(MINE, **wrong))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="not a manifest"):
        read_manifest(path)


def test_a_newer_manifest_asks_for_an_update(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"schema": 4, "what": "comes later"}))
    with pytest.raises(StoreError, match="update the program"):
        check_manifest(path, MINE)


def test_what_a_crash_left_beside_it_does_no_harm(path: Path) -> None:
    check_manifest(path, MINE)
    path.with_name("manifest.json.123.new").write_text('{"schema"')
    assert check_manifest(path, MINE) == MINE


def test_a_manifest_that_cannot_be_written_is_a_store_error_and_leaves_nothing(path: Path) -> None:
    path.mkdir(parents=True)  # a folder stands in its place
    with pytest.raises(StoreError, match="cannot write"):
        write_manifest(path, MINE)
    assert [file.name for file in path.parent.iterdir()] == ["manifest.json"]
