"""Tiers that train a model: an encoder for queries, and an embedder of its own, on one that was made for this test."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch

from rag.embed.text import TextEmbedder
from rag.errors import TuneError
from rag.gathering import IMPORTED, pairs_file
from rag.library import Library
from rag.namings import excerpt
from rag.tune.pairs import new_pair, write_pairs
from rag.tune.records import Candidate, Step, TuneOptions
from tests.improving.made import opened, teach, write_notes
from tests.store.processes import parse_here
from tests.tune.tiny_text import tiny_pairs, tiny_text_model

QUICK = TuneOptions(epochs=6, learning_rate=3e-3)
PAIRS = tiny_pairs(48, negatives=0)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    torch.set_num_threads(1)
    folder: Path = tmp_path_factory.mktemp("models")
    (folder / "notes").mkdir()
    for pair in PAIRS:
        (folder / "notes" / f"{pair.positive.document}.txt").write_text(pair.positive.text)
    tiny_text_model(folder / "home" / "models" / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rag.indexing.parse_all", parse_here)
        patch.setattr("rag.tune.split.DUPLICATE", 2.0)  # to a model of random weights all queries are nearly the same
        library = opened(folder / "home")
        library.switch_embedder("tiny")
        library.add([folder / "notes"])
        keep(library)
        yield library
        library.close()


def keep(library: Library) -> None:
    """The pairs, as if imported."""
    chunks = {Path(info.path).stem: library._databases.store.chunks([info.id])[0] for info in library.documents()}
    path = pairs_file(library.settings.home, IMPORTED)
    path.parent.mkdir(parents=True)
    write_pairs(
        path,
        [
            new_pair(pair.query, excerpt(chunks[pair.positive.document]), "import", float(number))
            for number, pair in enumerate(PAIRS)
        ],
    )


@pytest.fixture(autouse=True)
def untouched(library: Library) -> None:
    """Each test begins with the embedder as it came."""
    if library.models()[0].state.name != "tiny":
        library.roll_back()
    library._databases.catalogue.retrievers.make_live(library._index.now().base.fingerprint, "")


def train(library: Library, tier: str, options: TuneOptions = QUICK) -> Candidate:
    candidate = library.improver.train(tier, options, library.improver.runs.begin(tier), lambda step: None, Event())
    assert candidate is not None
    return candidate


def test_queries_get_an_encoder_of_their_own_and_passages_stay(library: Library) -> None:
    candidate = train(library, "1b")
    folder = library.improver.runs.folder(candidate.name)
    assert not (folder / "checkpoints").exists()
    base, passage = library.models()[0], library.models()[0].embed(["a passage"], "passage")
    library.improver.swap(candidate.name, force=True)
    tuned = library.models()[0]
    assert tuned.fingerprint == base.fingerprint
    assert (tuned.embed(["a passage"], "passage") == passage).all()
    assert "model" in candidate.parts
    assert (folder / "model" / "model.safetensors").is_file()
    assert library._index.now().base is base
    encoder = TextEmbedder(folder / "model", name="queries", device="cpu")
    query = [PAIRS[0].query]
    assert not (encoder.embed(query, "query") == base.embed(query, "query")).all()
    library.improver.roll_back()
    assert library.models()[0] is base


def test_a_training_that_was_stopped_goes_on(library: Library) -> None:
    folder, stop, steps = library.improver.runs.begin("1b"), Event(), []

    def tell(step: Step) -> None:
        steps.append(step)
        if step.stage == "train" and step.done >= 2:
            stop.set()

    assert library.improver.train("1b", QUICK, folder, tell, stop) is None
    assert not (folder / "candidate.json").exists()
    again: list[Step] = []
    resumed = replace(QUICK, resume=True)
    assert library.improver.runs.unfinished() == folder
    assert library.improver.train("1b", resumed, folder, again.append, Event()) is not None
    assert "collect" not in {step.stage for step in again}
    first = next(step for step in again if step.stage == "train")
    assert first.done > 1, "what was done is not done again"


def test_an_embedder_of_its_own_is_made_beside_and_both_come_back(library: Library, tmp_path: Path) -> None:
    candidate = train(library, "2")
    base = library._index.now().base.fingerprint
    assert candidate.embedder == candidate.name
    report = library.improver.embed_beside(candidate.name)
    assert (report.live, report.ready, report.embedded) == (False, True, 48)
    assert library._index.now().base.fingerprint == base, "what searches is as it was"
    assert library.improver.embed_beside(candidate.name).embedded == 0
    assert library.improver.swap(candidate.name, force=True) == candidate
    assert library.improver.live() == candidate
    assert library._index.now().base.fingerprint != base
    assert library.verify().problems == ()
    assert library.improver.status().before == ""
    assert library.improver.roll_back() is None
    assert library._index.now().base.fingerprint == base
    assert library.improver.live() is None


def test_documents_that_changed_while_it_learnt_end_it(library: Library, tmp_path: Path) -> None:
    folder = library.improver.runs.begin("1a")
    (path,) = [Path(info.path) for info in library.documents() if info.path.endswith("doc-4.txt")]
    before = path.read_text()

    def tell(step: Step) -> None:
        if step.stage == "train" and step.done == 1:
            path.write_text("something else")
            library.add([path])

    with pytest.raises(TuneError, match="1 documents that this training learns about were changed or removed"):
        library.improver.train("1a", TuneOptions(epochs=3), folder, tell, Event())
    assert not (folder / "candidate.json").exists()
    assert library.improver.live() is None
    path.write_text(before)
    library.add([path])


def test_too_little_is_told_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)
    write_notes(tmp_path / "notes", range(1))
    library = opened(tmp_path / "home")
    library.switch_embedder("hashing")
    library.add([tmp_path / "notes"])
    teach(library, range(1))
    with pytest.raises(TuneError, match="too little to learn from: 4 pairs so far, 10 are the least"):
        library.improver.begin("auto")
    folder = library.improver.runs.begin("1a")
    with pytest.raises(TuneError, match="there are 4 pairs to learn from, and 10 are the least"):
        library.improver.train("1a", QUICK, folder, lambda step: None, threading.Event())
    library.close()
