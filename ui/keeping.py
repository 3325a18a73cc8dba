"""The button below an answer that keeps its question, to measure by: what the answer cites is what is right."""

from collections.abc import Sequence

from rag.records import Answer, Turn
from rag.tune.questions import question_id
from rag.tune.records import Question
from ui.controls import button
from ui.html import Html, tag


def right_for(answer: Answer) -> list[str]:
    """The documents that an answer cites, in the order of their numbers."""
    cited = sorted(answer.citations, key=lambda each: each.number)
    return list(dict.fromkeys(each.document_id for each in cited))


def question_of(turn: Turn) -> str:
    """What was looked for: the question as it stands alone."""
    return turn.answer.standalone or turn.question


def render_keep(number: int, answer: Answer) -> Html | None:
    """Keep the question of turn `number`; nothing where the answer rests on nothing. `kept` tells which are."""
    words = answer.standalone or answer.question
    if answer.abstained or not answer.citations or not words.strip():
        return None
    name = question_id(words)
    return button("Keep as a test question", "keep-question", drawing="keep", look="quiet", turn=number, question=name)


def render_kept(questions: Sequence[Question], trouble: str = "") -> Html:
    """Which questions are kept, for page.js to mark their buttons; `trouble` is said aloud."""
    names = " ".join(each.id for each in questions)
    return tag("p", trouble, data_kept=names, hidden=True)
