"""The conversation as HTML: the list at the left, the finished turns in the middle, the answer being written."""

from collections.abc import Sequence

from rag.records import Answer, Conversation, Status, Turn
from ui.controls import button, icon_button, problem, search_field
from ui.copying import copied
from ui.html import Html, join, tag
from ui.keeping import render_keep
from ui.links import asked_address, is_digest
from ui.marks import MarksOf, no_marks, render_thumbs
from ui.render import render_answer, render_words
from ui.runs import Run
from ui.support import render_counts
from ui.words import count, day, found_in, model_name, short_model

_TITLE = 60
_WORDLESS = "A picture"  # what a question is called that is a picture alone
_ASKED_HEIGHT = 160  # pixels


def title_from(question: str, picture: str = "") -> str:
    """The beginning of a question as the name of its conversation, cut at a word."""
    line = " ".join(question.split()) or (_WORDLESS if picture else "")
    if len(line) <= _TITLE:
        return line or "Untitled"
    return line[:_TITLE].rsplit(" ", 1)[0].rstrip(",;:") + "…"


# --- the list ----------------------------------------------------------------------------------------------------


def render_conversations(conversations: Sequence[Conversation], current: str, *, searched: bool = False) -> Html:
    """The left column. The search field keeps what is typed in it, because the page only replaces what differs."""
    rows = [_row(conversation, current) for conversation in conversations]
    nothing = "No conversation has these words." if searched else "Your conversations will be kept here."
    return tag(
        "nav",
        button("New conversation", "new", drawing="plus", look="quiet"),
        search_field("find", "Search conversations", "Search conversations"),
        tag("ul", *rows) if rows else tag("p", nothing, class_="none"),
        class_="conversations",
        aria_label="Conversations",
    )


def _row(conversation: Conversation, current: str) -> Html:
    here = conversation.id == current
    names = {"conversation": conversation.id, "title": conversation.title}
    return tag(
        "li",
        tag(
            "a",
            tag("span", conversation.title, class_="name"),
            tag("span", day(conversation.updated), class_="when"),
            href=f"#chat/{conversation.id}",
            aria_current="page" if here else None,
        ),
        icon_button("pencil", f"Rename {conversation.title}", "rename", hint="Rename", **names),
        icon_button("bin", f"Delete {conversation.title}", "delete", hint="Delete", **names),
        class_="here" if here else None,
    )


# --- the turns ---------------------------------------------------------------------------------------------------


def render_thread(conversation: Conversation, status: Status, marks_of: MarksOf = no_marks) -> Html:
    """All finished turns of a conversation; `status` says what they were drawn from, `marks_of` what is marked."""
    turns = (_turn(number, turn, status, marks_of) for number, turn in enumerate(conversation.turns))
    return tag("section", *turns, class_="thread", aria_label="Conversation", data_conversation=conversation.id)


def render_run(run: Run) -> Html:
    """The turn being written, or the reason why it could not be."""
    passages = {passage.number: passage for passage in run.passages}
    body = _failure(run) if run.error else join([render_answer(run.text, passages), _waiting(run)])
    return tag(
        "article",
        _question(run.question, run.picture),
        _understood(run.question, run.understood),
        tag("div", body, class_="answer", aria_busy="true" if run.live else "false"),
        class_="turn live" if run.live else "turn failed",
        data_shown=run.shown or None,
        data_question=run.question,
        data_picture=run.picture or None,
        data_state=run.state,
    )


def _turn(number: int, turn: Turn, status: Status, marks_of: MarksOf) -> Html:
    answer = turn.answer
    passages = {passage.number: passage for passage in answer.passages}
    written = render_answer(answer.text, passages, answer.sentences, f"why-{number}")
    print_line = tag("p", small_print(answer, status), class_="small-print")
    return tag(
        "article",
        _question(turn.question, answer.picture),
        _understood(turn.question, answer.standalone),
        tag("div", written, class_="answer calm" if answer.abstained else "answer"),
        _stopped(answer),
        _search_instead(answer),
        None if answer.abstained else render_counts(answer.sentences),
        tag("div", print_line, _actions(number, answer, marks_of), class_="turn-foot"),
        class_="turn",
        data_turn=number,
        data_shown=answer.shown or None,
        data_question=turn.question,
        data_picture=answer.picture or None,
    )


def _question(words: str, picture: str) -> Html:
    """The words of a question, and the picture that it was asked with."""
    title = tag("h3", words or _WORDLESS, class_="question" if words else "question unseen", dir="auto")
    if not is_digest(picture):
        return title
    address = asked_address(picture)
    shown = tag("img", src=address, alt="The picture that was asked with", height=_ASKED_HEIGHT, decoding="async")
    return tag("header", tag("div", shown, class_="asked"), title)


def _understood(question: str, standalone: str) -> Html | None:
    """What was looked for, where that is not the question as it was asked."""
    if not standalone or standalone == question:
        return None
    return tag("p", "Understood as: ", tag("q", standalone, dir="auto"), class_="understood")


def _search_instead(answer: Answer) -> Html | None:
    """The way on from an answer that there is not: the ranked list of everything that was found."""
    words = answer.standalone or answer.question
    if not answer.abstained or not words.strip():
        return None
    return tag("p", button("Search for it instead", "search-for", drawing="search", text=words), class_="instead")


def _stopped(answer: Answer) -> Html | None:
    words = {"stopped": "You stopped this answer here.", "length": "The answer reached its longest length here."}
    return tag("p", words[answer.finish], class_="aside") if answer.finish in words else None


def _actions(number: int, answer: Answer, marks_of: MarksOf) -> Html:
    many = count(len(answer.passages), "source")
    return tag(
        "div",
        button("Copy", "copy", drawing="copy", look="quiet", text=copied(answer)),
        button("Ask again", "retry", drawing="retry", look="quiet", turn=number),
        button(many, "sources", drawing="library", look="quiet", turn=number) if answer.passages else None,
        render_keep(number, answer),
        render_thumbs(marks_of(answer.shown)) if answer.shown else None,
        class_="actions",
    )


def _waiting(run: Run) -> Html:
    if run.text:
        return tag("p", "Writing…", class_="waiting")
    words = {
        "waiting": "Waiting for the answer before this one…",
        "searching": "Looking through your library…",
        "writing": f"Reading {count(len(run.passages), 'passage')}…" if run.passages else "Thinking…",
    }
    return tag("p", words.get(run.state, ""), class_="waiting", role="status")


def _failure(run: Run) -> Html:
    again = button("Try again", "again", drawing="retry", text=run.question, picture=run.picture or None)
    return join([render_words(run.text), problem(run.error or "", again)])


def small_print(answer: Answer, status: Status) -> str:
    """`6 of 1,204 passages · found in 23 ms · first word 0.4 s · 38 tokens/s · SmolLM2-135M on CPU`."""
    ms = answer.ms
    facts = [f"{len(answer.passages):,} of {count(status.chunks, 'passage')}", f"found in {found_in(ms)}"]
    if "first_token" in ms:
        facts.append(f"first word {ms['first_token'] / 1000:.1f} s")
    if answer.tokens and ms.get("generate"):
        facts.append(f"{answer.tokens / ms['generate'] * 1000:.0f} tokens/s")
    facts.append(_writer(answer, status))
    return " · ".join(facts)


def _writer(answer: Answer, status: Status) -> str:
    """The model that wrote an answer, and where it runs if it is the one that runs now."""
    if answer.abstained:
        return "the language model was not asked"
    if answer.model is None:
        return "no language model"
    running = next((model for model in status.models if model.name == answer.model), None)
    return model_name(running) if running else short_model(answer.model)
