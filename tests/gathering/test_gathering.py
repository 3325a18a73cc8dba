"""What there is to learn from, in a real library: names where they stand, feedback, files; and all of it forgotten."""

from pathlib import Path

import pytest

from rag.gathering import IMPORTED, SYNTHETIC, Gatherer
from rag.library import Library
from rag.tune.pairs import append_pairs, imported, new_pair, read_pairs
from rag.tune.questions import question
from rag.tune.records import Excerpt, Pair, ShownChunk


@pytest.fixture
def gatherer(library: Library) -> Gatherer:
    return library.improver.gatherer


def named(library: Library, name: str) -> str:
    return next(info.id for info in library.documents() if info.path.endswith(name))


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
    run(own_home, "1a-20260101-000000", pairs)
    run(own_home, "1a-20260102-000000", [new_pair("x", boiler, "synthetic", 1.0)])
    library.remove([bees.document])  # what was said of it is forgotten also when it is gone
    forgotten = gatherer.forget([bees.document])
    assert (forgotten.pairs, forgotten.questions, forgotten.runs) == (2, 1, ("1a-20260101-000000",))
    assert forgotten.feedback > 0
    assert [each.text for each in gatherer.questions.all()] == ["kept"]
    [left] = read_pairs(gatherer.file(SYNTHETIC)).records
    assert (left.query, left.negatives) == ("other", ())
    for file in (gatherer.file(SYNTHETIC), own_home / "feedback.jsonl", own_home / "questions.jsonl"):
        assert bees.document not in file.read_text("utf-8")
        assert "secret" not in file.read_text("utf-8")
    again = gatherer.forget([bees.document])
    assert (again.feedback, again.pairs, again.questions) == (0, 0, 0)


def run(home: Path, name: str, pairs: list[Pair]) -> None:
    append_pairs(home / "tuning" / "runs" / name / "pairs.jsonl", pairs)
