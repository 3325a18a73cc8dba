"""Kept conversations: every record of an answer comes back exactly, and words find the conversation."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.errors import StoreError
from rag.records import Answer, Citation, Evidence, FoundBy, GroundedSentence, Hit, Passage, Turn
from rag.store.conversations import Conversations
from tests.store.made import embedded

ODD = 'it\'s "odd" % _ \\ \n\t\x00😀 ünï日本'


@pytest.fixture
def conversations(tmp_path: Path) -> Conversations:
    return Conversations(tmp_path / "conversations.sqlite")


def turn(question: str, answer: str = "I do not know.") -> Turn:
    return Turn(question, Answer(question, answer, (), (), "stop", "a model"))


def full_turn() -> Turn:
    chunk = embedded("doc", text=ODD, tags=(ODD,), headings=("a", "b"), date=datetime(2024, 1, 1, tzinfo=UTC)).chunk
    hit = Hit(chunk, 1, 0.1 + 0.2, (FoundBy("text", 1, 1 / 3), FoundBy("bm25", 2, 17.0)))
    passages = (
        Passage(1, hit, ODD, 0, 9, (Evidence(0, 5, -0.25),), in_prompt=True),
        Passage(2, hit, "", 0, 0, (), in_prompt=False),
    )
    citations = (
        Citation(1, chunk.id, "doc", ODD, 3, 0, 5, ODD, None),
        Citation(2, "c", "d", "p", None, 0, 5, "", True),
    )
    ms = {"search": 1e-300, "answer": 2.5}
    sentences = (GroundedSentence(0, 5, "supported"), GroundedSentence(6, 9, "partly", (ODD, "the year is not there")))
    answer = Answer(
        ODD,
        ODD,
        citations,
        passages,
        "length",
        None,
        removed_markers=2,
        abstained=True,
        tokens=77,
        picture=ODD,
        standalone=ODD,
        ms=ms,
        sentences=sentences,
    )
    return Turn(ODD, answer)


def test_a_conversation_comes_back_exactly(conversations: Conversations, tmp_path: Path) -> None:
    kept = conversations.create(ODD)
    turns = (full_turn(), turn("second"), full_turn())
    for each in turns:
        conversations.append(kept.id, each)
    conversations.close()
    found = Conversations(tmp_path / "conversations.sqlite").get(kept.id)
    assert found.turns == turns
    assert type(found.turns[0].answer.passages[0].hit.chunk) is type(embedded().chunk)
    assert (found.id, found.title, found.created) == (kept.id, kept.title, kept.created)
    assert found.updated > kept.updated


def test_a_turn_kept_before_sentences_were_judged_still_loads(conversations: Conversations, tmp_path: Path) -> None:
    kept = conversations.create("old")
    conversations.append(kept.id, turn("a question"))
    conversations.close()
    with closing(sqlite3.connect(tmp_path / "conversations.sqlite")) as db, db:
        db.execute("UPDATE turns SET turn = json_remove(turn, '$.answer.sentences')")
    found = Conversations(tmp_path / "conversations.sqlite").get(kept.id)
    assert found.turns == (turn("a question"),)


def test_they_are_listed_latest_first_without_turns(conversations: Conversations) -> None:
    first, second = conversations.create("first"), conversations.create("second")
    time.sleep(0.001)
    conversations.append(first.id, turn("question"))
    assert [(each.title, each.turns) for each in conversations.list()] == [("first", ()), ("second", ())]
    assert conversations.get(second.id) == second


def test_every_word_must_be_in_the_title_or_a_question_or_an_answer(conversations: Conversations) -> None:
    travel, cooking = conversations.create("Reise nach Köln"), conversations.create("100%_Küche")
    conversations.append(travel.id, turn("Wo ist der Dom?", "In der Straße am Rhein."))
    conversations.append(travel.id, turn("Und das Museum?", "Daneben."))
    conversations.append(cooking.id, turn("How long do eggs boil?", "Six minutes."))

    def found(search: str) -> set[str]:
        return {each.id for each in conversations.list(search)}

    assert found("") == found("  ") == {travel.id, cooking.id}
    assert found("KÖLN strasse museum") == {travel.id}
    assert found("%_ SIX eggs") == {cooking.id}
    assert found("eggs museum") == found("' OR 1=1 --") == set()


def test_renaming_and_deleting(conversations: Conversations) -> None:
    kept, other = conversations.create("old name"), conversations.create("other")
    conversations.append(kept.id, turn("a question"))
    conversations.rename(kept.id, "New Name")
    assert [each.id for each in conversations.list("new")] == [kept.id]
    assert conversations.list("old") == []
    assert len(conversations.get(kept.id).turns) == 1
    conversations.delete(kept.id)
    conversations.delete(kept.id)
    assert conversations.list() == [other]
    assert conversations.list("question") == []


def test_one_that_is_not_there_is_named(conversations: Conversations) -> None:
    for use in (
        lambda: conversations.get("gone"),
        lambda: conversations.append("gone", turn("a")),
        lambda: conversations.rename("gone", "a"),
    ):
        with pytest.raises(StoreError, match="no conversation 'gone'"):
            use()
    assert conversations.list() == []


def test_text_that_is_not_unicode_is_mended_in_a_title_and_refused_in_a_turn(conversations: Conversations) -> None:
    kept = conversations.create("half \ud83d")
    assert conversations.get(kept.id).title == "half \ufffd"
    with pytest.raises(StoreError, match="cannot be kept"):
        conversations.append(kept.id, turn("\ud83d"))
    assert conversations.get(kept.id).turns == ()
