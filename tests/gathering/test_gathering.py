"""What there is to learn from, in a real library: names where they stand, feedback, files; and all of it forgotten."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from rag.gathering import CAPTIONS, IMPORTED, SYNTHETIC, Gatherer
from rag.library import Library
from rag.tune.lesson import Lesson
from rag.tune.lines import append_lines
from rag.tune.pairs import append_pairs, imported, new_pair, read_pairs
from rag.tune.questions import question
from rag.tune.records import Caption, Example, Excerpt, ShownChunk, Verdict
from rag.tune.runs import MANIFEST, VERDICT, Runs, runs_of, write_json


@pytest.fixture
def gatherer(library: Library) -> Gatherer:
    return library.improver.gatherer


def named(library: Library, name: str) -> str:
    return next(info.id for info in library.documents() if info.path.endswith(name))


def named_path(library: Library, name: str) -> str:
    return next(info.path for info in library.documents() if info.path.endswith(name))


def passage(library: Library, gatherer: Gatherer, name: str) -> Excerpt:
    document = named(library, name)
    return next(each for passages in gatherer.documents() for each in passages if each.document == document)


def test_names_lead_to_the_passages_that_they_name(library: Library, gatherer: Gatherer) -> None:
    found = {pair.query: pair for pair in gatherer.structure().pairs}
    boiler, bees = named(library, "boiler.md"), named(library, "bees.md")
    assert found["the thing on the landing"].positive.document == boiler
    assert "landing" in found["the thing on the landing"].positive.text
    assert "1.3 bar" in found["how hard to fill it"].positive.text  # the section that the link names
    assert found["the hives"].positive.document == bees
    assert "1.3 bar" in found["The boiler: Pressure"].positive.text  # a short heading with what stands above it
    assert found["Your roof, as promised"].positive.document == named(library, "roof.eml")
    assert found["plot"].positive.document == named(library, "plot.txt")
    assert not {"elsewhere", "nowhere", "index", "both"} & found.keys()  # outside, not there, itself, of two files
    assert found["the hives"].weight > found["Bees"].weight


def test_feedback_files_and_names_become_one_list(library: Library, gatherer: Gatherer) -> None:
    boiler, bees = passage(library, gatherer, "boiler.md"), passage(library, gatherer, "bees.md")
    shown = library.feedback.show(
        "how much pressure",
        "s",
        "",
        [ShownChunk(each.id, each.document, n) for n, each in enumerate((bees, boiler), 1)],
    )
    library.feedback.choose(shown, "pin", boiler.id)
    library.feedback.choose(shown, "wrong", bees.id)
    append_pairs(gatherer.file(IMPORTED), [new_pair("swarm", imported("Bees that leave."), "import", 1.0)])
    append_pairs(gatherer.file(SYNTHETIC), [new_pair("when did they swarm", bees, "synthetic", 1.0)] * 2)
    gathered = gatherer.gather()
    found = {pair.query: pair for pair in gathered.pairs}
    assert (found["how much pressure"].positive, found["how much pressure"].negatives) == (boiler, (bees,))
    assert {found[query].source for query in ("swarm", "when did they swarm", "the hives")} == {
        "import",
        "synthetic",
        "structure",
    }
    assert (gathered.duplicates, gathered.gone, gathered.contradictions) == (1, 0, ())


def test_a_document_that_went_takes_its_pairs_and_broken_lines_are_named(library: Library, gatherer: Gatherer) -> None:
    bees, boiler = passage(library, gatherer, "bees.md"), passage(library, gatherer, "boiler.md")
    path = gatherer.file(SYNTHETIC)
    kept = new_pair("how warm", boiler, "synthetic", 1.0, negatives=[bees])
    append_pairs(path, [new_pair("when did they swarm", bees, "synthetic", 1.0), kept])
    with path.open("ab") as file:
        file.write(b'{"cut')
    library.remove([bees.document])
    gathered = gatherer.gather()
    found = {pair.query: pair for pair in gathered.pairs}
    assert "when did they swarm" not in found
    assert found["how warm"].negatives == ()
    assert gathered.gone == 1
    assert [(line.path, line.line) for line in gathered.bad] == [(str(path), 3)]


def test_a_file_that_wants_to_attract_every_question_is_capped_and_shown(library: Library, gatherer: Gatherer) -> None:
    bees = passage(library, gatherer, "bees.md")
    append_pairs(gatherer.file(IMPORTED), [new_pair(f"anything {n}", bees, "import", 1.0) for n in range(500)])
    gathered = gatherer.gather()
    [share] = gathered.shares
    assert (share.group, share.kept) == (bees.document, sum(p.group == bees.document for p in gathered.pairs))
    assert share.pairs > 500 > 20 > share.kept


def test_forgetting_a_document_forgets_it_everywhere(library: Library, gatherer: Gatherer, own_home: Path) -> None:
    boiler, bees = passage(library, gatherer, "boiler.md"), passage(library, gatherer, "bees.md")
    shown = library.feedback.show("secret", "s", "", [ShownChunk(bees.id, bees.document, 1)])
    library.feedback.choose(shown, "pin", bees.id)
    pairs = [
        new_pair("secret too", bees, "synthetic", 1.0),
        new_pair("other", boiler, "synthetic", 1.0, negatives=[bees]),
    ]
    append_pairs(gatherer.file(SYNTHETIC), pairs)
    gatherer.questions.add([question("secret again", [bees.document]), question("kept", [boiler.document])])
    runs = runs_of(own_home)
    learnt, other = "1a-20260101-000000", "1a-20260102-000000"
    asked = [question("secret to judge by", [bees.document]), question("both", [bees.document, boiler.document])]
    run(own_home, learnt, Lesson(tuple(pairs), tuple(pairs), tuple(asked)))
    run(own_home, other, Lesson((new_pair("x", boiler, "synthetic", 1.0),), (), ()))
    trained_on = {"tier": "1a", "documents": {bees.document: 1.0}}
    write_json(runs.folder(learnt) / MANIFEST, trained_on)
    judged(runs, learnt, "Secret  to judge by", "both")
    judged(runs, other, "secret again", "kept")
    (own_home / "tuning" / "maps").mkdir()
    (own_home / "tuning" / "maps" / "v1.html").write_text(f"secret {bees.text}")
    (own_home / "tuning" / "vectors.npz").write_bytes(b"of secret")
    keep_captions(gatherer, named_path(library, "bees.md"), "secret picture")
    library.remove([bees.document])  # what was said of it is forgotten also when it is gone

    forgotten = gatherer.forget([bees.document])
    assert (forgotten.pairs, forgotten.questions, forgotten.runs) == (3, 1, (learnt,))  # one of them a caption
    assert forgotten.feedback > 0
    assert [each.text for each in gatherer.questions.all()] == ["kept"]
    [left] = read_pairs(gatherer.file(SYNTHETIC)).records
    assert (left.query, left.negatives) == ("other", ())
    lesson = Lesson.read(runs.folder(learnt))
    assert lesson is not None
    assert (lesson.train, lesson.dev) == ((left,), (left,))
    assert [(each.text, set(each.right)) for each in lesson.gate] == [("both", {boiler.document})]
    for name, told in ((learnt, "both"), (other, "kept")):
        verdict = runs.verdict(name)
        assert verdict is not None
        assert [each.question for each in (*verdict.better, *verdict.worse)] == [told, told]
        assert verdict.lost == (told,)
    files = [*(path for path in (own_home / "tuning").rglob("*") if path.is_file()), *own_home.glob("*.jsonl")]
    for file in files:
        said = file.read_text("utf-8")
        assert "secret" not in said.lower()
        assert bees.text not in said
        assert bees.document not in said or file.name == MANIFEST
    again = gatherer.forget([bees.document])
    assert (again.feedback, again.pairs, again.questions, again.runs) == (0, 0, 0, (learnt,))  # until it is deleted


def test_a_verdict_that_cannot_be_read_goes_and_a_torn_line_too(library: Library, gatherer: Gatherer) -> None:
    bees, runs = passage(library, gatherer, "bees.md"), runs_of(library.settings.home)
    run(library.settings.home, "1a-20260101-000000", Lesson((new_pair("x", bees, "synthetic", 1.0),), (), ()))
    folder = runs.folder("1a-20260101-000000")
    with (folder / "dev.jsonl").open("a") as file:
        file.write('{"query": "secret')
    (folder / VERDICT).write_text("secret")
    assert gatherer.forget([bees.document]).runs == (folder.name,)
    assert not (folder / VERDICT).exists()
    assert (folder / "dev.jsonl").read_bytes() == b""


def run(home: Path, name: str, lesson: Lesson) -> None:
    (home / "tuning" / "runs" / name).mkdir(parents=True)
    lesson.write(home / "tuning" / "runs" / name)


def judged(runs: Runs, name: str, *questions: str) -> None:
    examples = tuple(Example(text, 3, 1) for text in questions)
    gain = {"before": 0.5, "after": 0.6, "gain": 0.1, "interval": (0.0, 0.2), "p": 0.01, "detectable": 0.1}
    rest = {"canary": None, "lost": questions, "recall": (1.0, 1.0), "ms": (1.0, 1.0), "time": 1.0}
    runs.write(Verdict(name, "PASS", ("It is better.",), 2, **gain, **rest, better=examples, worse=examples))


def keep_captions(gatherer: Gatherer, path: str, text: str) -> None:
    """One of the file at `path`, and one of another."""
    captions = [Caption("/elsewhere/a.png", "0" * 64, "kept", 1.0), Caption(path, "1" * 64, text, 1.0)]
    append_lines(gatherer.file(CAPTIONS), captions, TypeAdapter(Caption))
