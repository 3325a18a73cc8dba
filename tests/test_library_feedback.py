"""What people are shown is logged by the library, and what programs ask is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

import rag.build
from rag.build import open_library
from rag.cli import app
from rag.config import load_settings
from rag.library import Library
from rag.records import Answer, Audience, Done, Turn
from rag.tune.feedback import FeedbackLog
from rag.tune.records import ShownChunk
from tests.colours import ColourEmbedder, picture
from tests.fakes import ScriptedGenerator
from tests.store.processes import parse_here

SWARM = "When did the hive swarm?"
REPLY = "The second hive did swarm on 14 May [1]. Nobody was stung in Vienna [2]."


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)
    monkeypatch.setattr(rag.build, "build_generator", lambda settings: ScriptedGenerator(REPLY))
    monkeypatch.setattr(rag.build, "build_image_embedder", lambda settings: ColourEmbedder())
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThe second hive did swarm on 14 May.")
    (folder / "boiler.md").write_text("# Boiler\n\nThe pressure of the hive boiler is 1.3 bar.")
    opened = open_library(load_settings(embedder="hashing", ocr=False))
    opened.add([folder])
    yield opened
    opened.close()


def answered(library: Library, question: str, audience: Audience) -> Answer:
    *_, done = library.ask(question, audience=audience)
    assert isinstance(done, Done)
    return done.answer


def test_a_search_is_logged_as_it_was_shown(library: Library) -> None:
    result = library.search(SWARM, audience="person")
    shown = library.feedback.read().shown[result.shown]
    assert (shown.query, shown.space, shown.retriever) == (SWARM, library.models()[0].fingerprint, "")
    assert shown.chunks == tuple(
        ShownChunk(hit.chunk.id, hit.chunk.document_id, hit.rank, {by.retriever: by.rank for by in hit.found_by})
        for hit in result.hits
    )
    assert shown.chunks[0].ranks["bm25"] == 1


def test_an_answer_is_logged_with_the_sources_beside_it_and_what_it_cites(library: Library) -> None:
    answer = answered(library, SWARM, "person")
    log = library.feedback
    assert [each.chunk for each in log.read().shown[answer.shown].chunks] == [p.hit.chunk.id for p in answer.passages]
    assert log.read().choices == ()
    log.choose(answer.shown, "up")
    first, second = answer.citations
    assert (first.supported, second.supported) == (True, False)  # the second does not bear out what it is cited for
    assert [(each.act, each.chunk) for each in log.read().choices] == [("cited", first.chunk_id), ("up", "")]


def test_what_programs_ask_is_not_logged(library: Library) -> None:
    assert library.search(SWARM).shown == ""
    assert answered(library, SWARM, "program").shown == ""
    assert not library.feedback.path.exists()


def test_a_search_with_a_picture_is_not_logged(library: Library) -> None:
    assert library.search("hive", picture=picture("red"), audience="person").shown == ""
    assert not library.feedback.path.exists()


def test_a_query_that_is_being_typed_waits_until_something_is_done_with_it(library: Library) -> None:
    result = library.search(SWARM, audience="typist")
    assert not library.feedback.path.exists()
    library.feedback.choose(result.shown, "this", result.hits[0].chunk.id)
    assert list(library.feedback.read().shown) == [result.shown]


def test_switched_off_nothing_is_logged(library: Library) -> None:
    off = open_library(load_settings(embedder="hashing", ocr=False, feedback=False))
    assert off.search(SWARM, audience="person").shown == ""
    assert answered(off, SWARM, "person").shown == ""
    assert not off.feedback.path.exists()
    off.close()


def test_a_log_that_cannot_be_written_breaks_nothing(library: Library) -> None:
    library.feedback.path.mkdir()
    assert library.search(SWARM, audience="person").hits
    assert "14 May" in answered(library, SWARM, "person").text


def test_the_command_line_is_a_person_and_its_json_a_program(library: Library) -> None:
    for command in (["search", SWARM], ["ask", SWARM]):
        done = CliRunner(env={"RAG_EMBEDDER": "hashing", "RAG_OCR": "false"}).invoke(app, [*command, "--json"])
        assert done.exit_code == 0, done.output
        assert '"shown"' not in done.output
    assert not library.feedback.path.exists()
    for command in (["search", SWARM], ["ask", SWARM]):
        CliRunner(env={"RAG_EMBEDDER": "hashing", "RAG_OCR": "false"}).invoke(app, command)
    assert [each.query for each in FeedbackLog(library.feedback.path).read().shown.values()] == [SWARM] * 2


def test_a_conversation_kept_by_an_older_program_is_read(library: Library) -> None:
    answer = answered(library, SWARM, "person")
    kept = TypeAdapter(Turn).dump_python(Turn(SWARM, answer), mode="json")
    del kept["answer"]["shown"]
    assert TypeAdapter(Turn).validate_python(kept).answer.shown == ""
    talk = library.conversations.create("Bees")
    library.conversations.append(talk.id, Turn(SWARM, answer))
    assert library.conversations.get(talk.id).turns[0].answer.shown == answer.shown
