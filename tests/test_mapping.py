"""Maps of a real, small library: of the live version, of another version, of a candidate's queries, and of samples."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from typer.testing import CliRunner

from rag.cli import app
from rag.errors import TuneError
from rag.library import Library
from rag.mapping import Mapper, spots_of
from rag.protocols import Embedder
from rag.tune.process import read_steps
from rag.tune.records import Excerpt, Pair, Step
from tests.switching.made import Words, opened, prepare, write_notes

NOTES = 12


class Tuned(Words):
    """The first embedder with queries of its own."""

    def __init__(self) -> None:
        super().__init__("first")

    def embed(self, texts: Sequence[str], kind: Any) -> Any:
        rows = super().embed(texts, kind)
        return -rows if kind == "query" else rows


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(monkeypatch)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    (tmp_path / "notes" / "garden").mkdir(parents=True)
    write_notes(tmp_path / "notes", range(NOTES - 4))
    write_notes(tmp_path / "notes" / "garden", range(NOTES - 4, NOTES), "about <b>herons</b>")
    library = opened(tmp_path / "home")
    library.add([tmp_path / "notes"])
    yield library
    library.close()


def mapper(library: Library, tuned: dict[str, Embedder] | None = None, live: str = "") -> Mapper:
    """As `Improver.make_map` makes one, with pairs and candidates of this test."""
    improver = library.improver

    def pairs() -> list[Pair]:
        hits = library.search("topic3", k=2).hits
        known = [Pair("p1", "where is topic3?", Excerpt(hits[0].chunk.id, ""), "structure", 1.0)]
        gone = [Pair("p2", "gone", Excerpt("import:0", "a passage of elsewhere"), "import", 2.0)]
        return known + gone

    return Mapper(
        library.settings.home,
        improver._index,
        improver._switcher.versions,
        improver._build_embedder,
        (tuned or {}).get,
        lambda: live,
        pairs,
    )


def data_of(path: Path) -> Any:
    return json.loads(path.read_text("utf-8").split('id="data">')[1].split("</script>")[0])


def test_the_live_version_alone(library: Library) -> None:
    steps: list[Step] = []
    made = mapper(library).make_map(on_step=steps.append)
    assert made is not None
    assert made.path == library.settings.home / "tuning" / "maps" / "v1.html"
    assert (made.shown, made.total, made.queries, made.names) == (NOTES, NOTES, 1, ("first",))
    assert [(step.done, step.total, step.stage) for step in steps] == [(n, 5, "draw") for n in range(5)]
    data = data_of(made.path)
    assert data["folders"] == ["", "garden"]
    assert data["kinds"] == ["note"]
    assert sorted(spot[0] for spot in data["spots"]) == sorted(f"Note {n}" for n in range(NOTES))
    assert data["spots"][data["answers"][0]][1].endswith("topic3 stands in it.")
    assert len(data["layouts"][0]["sides"]) == 1
    assert "<b>herons" not in made.path.read_text("utf-8")


def test_from_one_version_to_another_and_back(library: Library) -> None:
    library.switch_embedder("second")
    live, older = library.versions()[0].version, library.versions()[1].version
    made = mapper(library).make_map(older, live)
    assert made is not None
    assert made.names == ("first (v1)", "second")
    assert made.path.name == f"{older}--{live}.html"
    assert len(made.figures) == 2
    data = data_of(made.path)
    assert data["moved"]
    assert [len(side["spots"]) for side in data["layouts"][1]["sides"]] == [NOTES, NOTES]
    alone = mapper(library).make_map(older)  # from the live one to that
    assert alone is not None
    assert alone.names == ("second", "first (v1)")


def test_a_candidate_moves_queries_and_nothing_else(library: Library) -> None:
    made = mapper(library, {"1a-now": Tuned()}).make_map("1a-now")
    assert made is not None
    assert made.names == ("first", "1a-now")
    data = data_of(made.path)
    before, after = data["layouts"][0]["sides"]
    assert not data["moved"]
    assert before["spots"] == after["spots"]
    assert before["queries"] != after["queries"]
    base, tuned = made.figures
    assert base.alignment is not None
    assert tuned.alignment == pytest.approx(4 - base.alignment, abs=1e-4)  # |-q - d|^2 = 4 - |q - d|^2
    assert any("further from what answers them" in words for words in made.alarms)


def test_without_names_it_is_the_candidate_that_searches_now(library: Library) -> None:
    made = mapper(library, {"1a-now": Tuned()}, live="1a-now").make_map()
    assert made is not None
    assert made.names == ("first", "1a-now")


def test_of_many_passages_some_are_drawn_evenly_and_those_that_answer(library: Library) -> None:
    made = mapper(library).make_map(points=5)
    again = mapper(library).make_map(points=5)
    assert made is not None
    assert again is not None
    assert (made.shown, made.total, made.queries) == (5, NOTES, 1)
    assert data_of(made.path) == data_of(again.path)
    assert "5 of 12 passages" in made.path.read_text("utf-8")


def test_names_that_are_none_are_told(library: Library) -> None:
    with pytest.raises(TuneError, match="no candidate called 'v9'"):
        mapper(library).make_map("v9")
    with pytest.raises(TuneError, match="rag tune reembed 2-now"):
        mapper(library, {"2-now": Words("other", 48)}).make_map("2-now")
    with pytest.raises(TuneError, match=r"no candidate called '\.\./x'"):
        mapper(library).make_map("../x", "v1")
    assert not list((library.settings.home / "tuning").rglob("*.html"))


def test_an_empty_library_has_no_map(tmp_path: Path) -> None:
    library = opened(tmp_path / "home")
    try:
        with pytest.raises(TuneError, match="no passage to draw: add something first"):
            Mapper(
                tmp_path / "home",
                library.improver._index,
                library.improver._switcher.versions,
                library.improver._build_embedder,
                lambda name: None,
                lambda: "",
                list,
            ).make_map()
    finally:
        library.close()


def test_it_can_be_stopped(library: Library) -> None:
    stop = Event()
    stop.set()
    assert mapper(library).make_map(stop=stop) is None
    assert not (library.settings.home / "tuning" / "maps").exists()


def test_folders_are_told_from_the_one_that_all_lie_in(library: Library) -> None:
    chunks = [hit.chunk for hit in library.search("Written", k=3).hits]
    paths = (r"C:\notes\garden\a.md", r"C:\notes\b.eml!/1/c.pdf", r"C:\notes\house\cellar\d.md")
    moved = [replace(chunk, path=path) for chunk, path in zip(chunks, paths, strict=True)]
    assert [spot.folder for spot in spots_of(moved)] == ["garden", "", "house/cellar"]
    assert [spot.folder for spot in spots_of(moved[:1])] == [""]


def test_the_command(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.tune.layout._LEAST", 1000)  # UMAP takes seconds to get ready
    home = library.settings.home
    for name, value in {"HOME": str(home), "GENERATOR": "none", "OCR": "false"}.items():
        monkeypatch.setenv(f"RAG_{name}", value)
    done = CliRunner().invoke(app, ["tune", "map", "--json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["path"] == str(home / "tuning" / "maps" / "v1.html")
    assert (made["shown"], made["total"], made["names"]) == (NOTES, NOTES, ["first"])
    assert made["figures"][0]["rank"] > 1
    assert "laying out by UMAP" in done.stderr
    steps = read_steps(home / "tuning" / "maps")
    assert [step.stage for step in steps] == ["draw"] * 5 + ["done"]
    told = CliRunner().invoke(app, ["tune", "map", "v1"])
    assert "12 passages" in told.stdout
    assert made["path"] in told.stdout
    assert isinstance(CliRunner().invoke(app, ["tune", "map", "v9"]).exception, TuneError)
