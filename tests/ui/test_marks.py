"""What can be marked, and what is marked already, as HTML; what the server does with a mark."""

from typing import Any

import gradio as gr
import pytest

from rag.records import Turn
from rag.tune.standing import Marks
from tests.ui.fakes import FakeLibrary, make_document, make_passage
from ui.desk import Desk
from ui.events import Events
from ui.marks import render_judgements, render_thumbs
from ui.sources import render_sources

PASSAGE = make_passage(make_document("/n/a.md", "Twelve jars.", title="Jars <b>"))
CHUNK = PASSAGE.hit.chunk.id


def pressed(html: str) -> list[str]:
    """The acts of the buttons that are pressed."""
    buttons = html.split("<button")[1:]
    return [each.split('data-act="')[1].split('"')[0] for each in buttons if 'aria-pressed="true"' in each]


def test_what_is_marked_is_pressed() -> None:
    marks = Marks("down", {CHUNK: frozenset({"this", "pin"})})
    assert pressed(render_thumbs(marks)) == ["down"]
    assert pressed(render_judgements(CHUNK, "Jars <b>", marks)) == ["this", "pin"]
    assert pressed(render_judgements("another", "Jars", marks)) == []


def test_titles_are_only_text() -> None:
    assert "Your opinion of Jars &lt;b&gt;" in render_judgements(CHUNK, "Jars <b>", Marks())


def test_each_button_says_what_it_is_against() -> None:
    made = render_judgements(CHUNK, "Jars", Marks())
    assert made.count('data-against="wrong"') == 2
    assert 'data-act="wrong" data-against="pin this"' in made


def test_only_a_list_that_is_logged_can_be_marked() -> None:
    assert 'data-do="mark"' not in render_sources([PASSAGE])
    made = render_sources([PASSAGE], shown="s" * 32)
    assert f'data-shown="{"s" * 32}"' in made
    assert made.count('data-do="mark"') == 3
    assert "stay on this machine" in made


@pytest.fixture
def desk(library: FakeLibrary, tmp_path: Any) -> Desk:
    return Desk(library, tmp_path / "uploads")  # type: ignore[arg-type]


def event(**data: object) -> gr.EventData:
    return gr.EventData(None, data)


def test_a_mark_is_logged_and_taken_back(desk: Desk) -> None:
    found = desk.library.search("queen hive", audience="person")
    chunk, log = found.hits[0].chunk.id, desk.library.feedback
    events = Events(desk)
    assert events.mark(event(shown=found.shown, act="this", chunk=chunk)) == ""
    assert [each.act for each in log.read().choices] == ["this"]
    assert events.mark(event(shown=found.shown, act="this", chunk=chunk, back=True)) == ""
    assert log.read().choices == ()


def test_a_mark_that_cannot_be_kept_is_said_and_an_opened_source_is_not(desk: Desk) -> None:
    events = Events(desk)
    said = events.mark(event(shown="0" * 32, act="up", order=7))
    assert 'data-refused="7"' in said
    assert "search again" in said
    assert events.mark(event(shown="0" * 32, act="open", chunk="c")) == ""


@pytest.mark.parametrize("act", ["", "cites", "<b>", 3])
def test_other_acts_are_passed_over(desk: Desk, act: object) -> None:
    assert Events(desk).mark(event(shown="0" * 32, act=act)) == ""


def test_a_conversation_goes_with_what_was_logged_of_it(desk: Desk) -> None:
    library = desk.library
    *_, done = library.ask("queen hive", audience="person")
    stays = library.search("night train", audience="person").shown
    talk = library.conversations.create("Bees")
    library.conversations.append(talk.id, Turn("queen hive", done.answer))  # type: ignore[union-attr]
    Events(desk).delete(event(conversation=talk.id))
    assert list(library.feedback.read().shown) == [stays]
