"""What was asked and answered before, and how much of it the model is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rag.answer.sources import no_markers
from rag.answer.wording import is_ours
from rag.records import Message
from rag.text import sentences, visible

_LONGEST = (
    600  # characters of an earlier answer that are told; the same from turn to turn, so that it need not be reread
)
NO_WORDS = "(a picture)"  # what was asked in an earlier turn that had no words


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, "" where there was none."""

    question: str
    answer: str


def exchanges(history: Sequence[Message]) -> list[Exchange]:
    """The messages in pairs, oldest first. What is nobody's answer, or the system's, is left out."""
    found: list[Exchange] = []
    for message in history:
        if message.role == "user":
            found.append(Exchange(visible(message.text).strip() or NO_WORDS, ""))
        elif message.role == "assistant" and found and not found[-1].answer:
            found[-1] = Exchange(found[-1].question, visible(message.text).strip())
    return found


def latest(history: Sequence[Message], room: int, size: Callable[[Sequence[Message]], int]) -> list[Message]:
    """The latest turns that fit `room` tokens, whole ones, oldest first; `size` tells the tokens of a turn.

    Long texts are told by their beginning, answers without the markers that pointed to sources of then. Turns that no
    model answered are left out: "Nothing in your library answers this" is no example to follow.
    """
    kept: list[Message] = []
    for exchange in reversed(exchanges(history)):
        if not exchange.answer or is_ours(exchange.answer):
            continue
        said = shortened(exchange.question), shortened(no_markers(exchange.answer))
        turn = [Message("user", said[0]), Message("assistant", said[1])]
        room -= size(turn)
        if room < 0:
            break
        kept = [*turn, *kept]
    return kept


def shortened(text: str, longest: int = _LONGEST) -> str:
    """`text`, or as many of its first sentences as stay within `longest` characters; of a longer one its beginning."""
    if len(text) <= longest:
        return text
    end = max((end for _, end in sentences(text[: longest + 1]) if end < longest), default=longest - 1)
    return text[:end].rstrip() + " …"
