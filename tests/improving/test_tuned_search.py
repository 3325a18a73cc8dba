"""A candidate is trained, searches, and is gone back from, in a library whose owner has words of their own."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from rag.errors import TuneError
from rag.library import Library
from rag.tune.records import Candidate, Step, TuneOptions, Verdict
from tests.improving.made import asked, choose, first, found, opened

QUICK = TuneOptions(epochs=12)
SOME = range(6)  # subjects that are asked about


def trained(library: Library, tier: str, options: TuneOptions = QUICK) -> Candidate:
    folder = library.improver.runs.begin(tier)
    candidate = library.improver.train(tier, options, folder, lambda step: None, Event())
    assert candidate is not None
    return candidate


@pytest.fixture(scope="module")
def linear(library: Library) -> tuple[Candidate, list[Step]]:
    """A candidate of tier 1a, and what was told meanwhile."""
    steps: list[Step] = []
    candidate = library.improver.train("1a", QUICK, library.improver.runs.begin("1a"), steps.append, Event())
    assert candidate is not None
    return candidate, steps


@pytest.fixture(autouse=True)
def untouched(library: Library) -> None:
    """Each test begins with the embedder as it came."""
    library._databases.catalogue.retrievers.make_live("hashing-256", "")


def test_training_tells_how_far_it_is_and_leaves_what_searches_alone(
    library: Library, linear: tuple[Candidate, list[Step]]
) -> None:
    candidate, steps = linear
    stages = list(dict.fromkeys(step.stage for step in steps))
    assert stages == ["collect", "mine", "train"]
    last = steps[-1]
    assert last.loss is not None
    assert last.score is not None
    assert library.improver.live() is None
    assert candidate.parts == ("linear", "home")
    assert candidate.base == "hashing-256"
    folder = library.improver.runs.folder(candidate.name)
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["pairs"]["train"] == candidate.pairs
    assert manifest["trained"]["likelihood"]["after"] > manifest["trained"]["likelihood"]["before"]
    held_back = {json.loads(line)["text"] for line in (folder / "gate.jsonl").read_text().splitlines()}
    learnt = {json.loads(line)["query"] for line in (folder / "pairs.jsonl").read_text().splitlines()}
    assert held_back
    assert not held_back & learnt


def test_the_owners_words_are_understood_and_passages_stay(
    library: Library, linear: tuple[Candidate, list[Step]]
) -> None:
    candidate, _ = linear
    before, passages = found(library, SOME), library.models()[0].embed(["a passage"], "passage")
    library.improver.swap(candidate.name, force=True)
    after, tuned = found(library, SOME), library.models()[0]
    assert (before, after) == (pytest.approx(before), 1.0)
    assert before < 0.9
    assert tuned.fingerprint == "hashing-256"
    assert (tuned.embed(["a passage"], "passage") == passages).all()
    assert library.improver.live() == candidate
    status = library.improver.status()
    assert (status.live, status.before, status.suggested) == (candidate, "", "1a")
    assert library.improver.roll_back() is None
    assert found(library, SOME) == before
    assert library.improver.roll_back() == candidate, "and forth again"


def test_another_process_goes_over_with_its_next_question(
    library: Library, linear: tuple[Candidate, list[Step]]
) -> None:
    with closing(opened(library.settings.home)) as other:
        other.search("matter1")
        index = other._index.now()
        assert other._index.now() is index
        library.improver.swap(linear[0].name, force=True)
        assert other._index.now().tuned.name == linear[0].name
        assert first(other, "letter", 3) == "letter3"
        assert other._index.now().base is index.base, "the weights are not loaded again"


def test_a_candidate_that_cannot_be_read_does_not_stop_the_search(
    library: Library, linear: tuple[Candidate, list[Step]], caplog: pytest.LogCaptureFixture
) -> None:
    name = "1a-20200101-000000"
    broken = replace(linear[0], name=name)
    folder = library.improver.runs.folder(name)
    folder.mkdir()
    library.improver.runs.write(broken)
    with pytest.raises(TuneError, match="cannot read"):
        library.improver.swap(name, force=True)
    library._databases.catalogue.retrievers.make_live("hashing-256", name)
    assert library.search(asked("letter", 1)).hits
    assert library._index.now().tuned.name == ""
    assert f"the tuned retriever '{name}' cannot be used" in caplog.text
    (folder / "candidate.json").unlink()
    assert library.improver.live() is None
    assert library.improver.roll_back() is None


def test_what_was_not_judged_or_did_not_pass_is_not_swapped_in(
    library: Library, linear: tuple[Candidate, list[Step]]
) -> None:
    with pytest.raises(TuneError, match="not judged yet"):
        library.improver.swap(linear[0].name)
    with pytest.raises(TuneError, match="there is no candidate"):
        library.improver.swap("1a-nowhere", force=True)
    with pytest.raises(TuneError, match="not the name of a run"):
        library.improver.swap("../../etc", force=True)
    assert library.improver.live() is None


def test_one_made_for_another_embedder_is_refused(library: Library, linear: tuple[Candidate, list[Step]]) -> None:
    foreign = replace(linear[0], name="1a-20200101-000001", base="another model")
    library.improver.runs.folder(foreign.name).mkdir(exist_ok=True)
    library.improver.runs.write(foreign)
    with pytest.raises(TuneError, match="made from another embedder"):
        library.improver.swap(foreign.name, force=True)


def test_tier_0_remembers_what_was_right(library: Library) -> None:
    wanted = library.search("matter9 letter").hits[0].chunk
    assert Path(wanted.path).stem == "letter9"
    query = "what did the old man send in about that matter9 thing"
    choose(library, query, wanted.id, wanted.document_id)
    candidate = trained(library, "0")
    (library.settings.home / "feedback.jsonl").unlink()
    assert candidate.parts == ("memory",)
    plain = library._index.now().embedder
    library.improver.swap(candidate.name, force=True)
    remembering = library._index.now().embedder
    (before,), (after,) = (each.embed([query], "query") for each in (plain, remembering))
    (passage,) = library._databases.store.vectors("text", [wanted.id]).values()
    assert after @ passage > before @ passage + 0.1
    assert (remembering.embed(["something else"], "query") == plain.embed(["something else"], "query")).all()


def test_negatives_that_were_found_once_are_not_looked_for_again(
    library: Library, linear: tuple[Candidate, list[Step]]
) -> None:
    steps: list[Step] = []
    again = library.improver.train("1a", QUICK, library.improver.runs.begin("1a"), steps.append, Event())
    assert again is not None
    mined = max((step.total for step in steps if step.stage == "mine"), default=0)
    assert mined < again.pairs / 2, "but where none were found"
    one, other = (library.improver.runs.folder(each.name) / "linear.safetensors" for each in (linear[0], again))
    assert one.read_bytes() == other.read_bytes(), "the same lesson teaches the same, bit by bit"


def test_a_verdict_of_the_gate_lets_it_in(library: Library, linear: tuple[Candidate, list[Step]]) -> None:
    verdict: Verdict | None = library.improver.judge(linear[0].name, lambda step: None, Event())
    assert verdict is not None
    assert library.improver.verdict(linear[0].name) == verdict
    if verdict.outcome == "PASS":
        assert library.improver.swap(linear[0].name) == linear[0]
    else:
        with pytest.raises(TuneError, match=verdict.outcome):
            library.improver.swap(linear[0].name)
