"""Working stand-ins for what is slow or random: they keep the same contracts (tests/contracts/) as the real things."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.answer.evidence import SentencePool, mark
from rag.errors import GenerationError, ModelError, PromptTooLong
from rag.protocols import Embedder
from rag.records import Hit, Message, ModelState, Passage
from rag.retrieve.rerank import reranked

Reply = Callable[[Sequence[Message]], str]


class ScriptedGenerator:
    """A Generator that says what it is told to; a token is a word with the space before it.

    Args:
        reply: the text of every reply, or a function of the messages.
        parameters: a number below 700 million makes it be prompted as a very small model.
        picture_tokens: what a picture takes of its context; more than 0 makes it be given pictures.
        fails_after: raise GenerationError after that many pieces.
    """

    name = "scripted"
    state = ModelState("generator", "scripted", "cpu", "fp32", "no model: it says what the test wrote", loaded=True)

    def __init__(
        self,
        reply: str | Reply,
        *,
        context_tokens: int = 4096,
        parameters: int = 0,
        picture_tokens: int = 0,
        fails_after: int | None = None,
    ) -> None:
        self.context_tokens = context_tokens
        self.parameters = parameters
        self.picture_tokens = picture_tokens
        self.sees = picture_tokens > 0
        self.asked: list[tuple[Message, ...]] = []
        self._reply: Reply = reply if callable(reply) else lambda _: reply
        self._fails_after = fails_after
        self._lock = threading.Lock()

    def load(self) -> None:
        """Nothing to load."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, stop: Sequence[str] = (), seed: int = 0
    ) -> Iterator[str]:
        with self._lock:
            if not self.sees:
                messages = [replace(message, pictures=()) for message in messages]
            size = sum(self.count_tokens(m.text) + self.picture_tokens * len(m.pictures) for m in messages)
            if size + max_tokens > self.context_tokens:
                raise PromptTooLong("the messages do not fit the scripted context")
            self.asked.append(tuple(messages))
            text = self._reply(messages)
            end = min((at for at in map(text.find, filter(None, stop)) if at >= 0), default=len(text))
            for i, piece in enumerate(_words(text[:end])[:max_tokens]):
                if i == self._fails_after:
                    raise GenerationError("the script says so")
                yield piece

    def count_tokens(self, text: str) -> int:
        return len(_words(text))


class OverlapReranker:
    """A Reranker that counts the words that a question and a hit share, or raises `broken` where that is given."""

    state = ModelState("reranker", "overlap", "cpu", "fp32", "no model: it counts shared words", loaded=True)

    def __init__(self, broken: ModelError | None = None) -> None:
        self._broken = broken

    def load(self) -> None:
        """Nothing to load."""

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        if self._broken is not None:
            raise self._broken

        return reranked(query, hits, _shared, budget_ms=60_000)

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        return _shared([(query, passage) for passage in passages])


def _shared(pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
    return np.array([len(_folded(asked) & _folded(text)) for asked, text in pairs], np.float32)


def highlight(question: str, passages: Sequence[Passage], embedder: Embedder, *, most: int = 2) -> tuple[Passage, ...]:
    """The passages with their evidence, from a pool of their own."""
    return mark(question, passages, SentencePool(passages, embedder), most=most)


def _folded(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+\Z", text)
