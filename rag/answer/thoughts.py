"""What a model says, without what it thinks aloud before: `<think>…</think>` is no part of an answer.

Servers mostly keep thoughts apart, and models are told not to think where they can be told; some write their thoughts
into the reply all the same. They begin where the reply begins: behind its first word such a tag opens nothing.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from rag.errors import GenerationError

_OPENING = ("<think>", "<thinking>")
_CLOSING = re.compile(r"</think(?:ing)?>\s*")
_LONGEST = len("</thinking>")
_MAY_CLOSE = re.compile(r"<(?:/[a-z]{0,8})?\Z")


class Thoughts:
    """Leaves the thoughts out of a reply that comes in pieces, wherever those were cut.

    `found` tells whether there were any. Some templates open the thoughts in the prompt, so that the reply has only
    their end. Then all that was said before it was thought: `retracted` counts how often that was so, once `feed` has
    returned what comes behind.
    """

    def __init__(self) -> None:
        self.found = False
        self.retracted = 0
        self._held = ""
        self._state: Literal["beginning", "thinking", "saying"] = "beginning"

    def feed(self, piece: str) -> str:
        """What `piece` adds to what is said; what may yet become a tag is held back."""
        self._held += piece
        while self._goes_on():
            pass
        return self._said() if self._state == "saying" else ""

    def finish(self) -> str:
        """What was held back to the end; nothing where the model was still thinking."""
        said, self._held = self._held, ""
        return "" if self._state == "thinking" or (self.found and not said.strip()) else said

    def _goes_on(self) -> bool:
        """Whether what is held leads from one state to the next."""
        before = self._state
        closing = _CLOSING.search(self._held) if before != "beginning" else None
        if before == "beginning":
            self._begin(self._held.lstrip())
        elif closing:
            self.retracted += before == "saying"
            self.found, self._state, self._held = True, "beginning", self._held[closing.end() :]
        elif before == "thinking":
            self._held = self._held[-_LONGEST:]
        return self._state != before

    def _begin(self, said: str) -> None:
        if said.startswith(_OPENING):
            self._state, self.found = "thinking", True
        elif said and not any(tag.startswith(said) for tag in _OPENING):
            self._state, self._held = "saying", said if self.found else self._held

    def _said(self) -> str:
        may_close = _MAY_CLOSE.search(self._held)
        cut = may_close.start() if may_close else len(self._held)
        said, self._held = self._held[:cut], self._held[cut:]
        return said


def spoken(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a short reply without its thoughts. Raises what `pieces` raises."""
    thoughts = Thoughts()
    for piece in pieces:
        yield thoughts.feed(piece)
    yield thoughts.finish()


def only_thoughts(name: str) -> GenerationError:
    """What to say of a model that came to no answer."""
    return GenerationError(
        f"{name!r} came to no answer while thinking; raise `answer_tokens`, or use a model that does not think"
    )
