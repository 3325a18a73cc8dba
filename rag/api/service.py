"""What every door of the API asks of the library: the same calls and limits as the browser UI, in the same line."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from rag.api.gate import Gate
from rag.errors import GenerationError, InvalidQuery
from rag.filters import Filter, In, both, parse
from rag.library import Library
from rag.records import (
    Answer,
    AnswerEvent,
    Audience,
    Delta,
    Document,
    DocumentInfo,
    Done,
    Kind,
    Message,
    Modality,
    Retrieved,
    SearchResult,
)

VERSION = "1.0"  # of the API: the first part counts changes that clients must follow
QUESTION = 10_000  # characters of a question or a search: far more than any model reads of one
_SEARCHES = 2  # at once
_SEARCHES_WAITING = 16  # fewer than the server has threads, so that the screen always has one


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as a program asks it: `history` oldest first, `max_tokens` None for as many as the settings say.

    `audience` is "person" where the program shows the answer to one, who may send feedback.
    """

    question: str
    picture: bytes | None = field(default=None, repr=False)
    history: tuple[Message, ...] = ()
    where: Filter | None = None
    max_tokens: int | None = None
    audience: Audience = "program"


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole answer, last of all. `prompt_tokens` are those of the question, the history and the sources read."""

    answer: Answer
    prompt_tokens: int


Event = Retrieved | Delta | Finished


class Service:
    """One library behind all doors. `answers` is the gate that the browser UI shares; searches have their own."""

    def __init__(self, library: Library, answers: Gate | None = None) -> None:
        self.library = library
        self._answers = answers or Gate()
        self._searches = Gate(_SEARCHES, _SEARCHES_WAITING)

    def search(
        self,
        query: str,
        *,
        k: int,
        picture: bytes | None = None,
        like: str = "",
        where: Filter | None = None,
        audience: Audience = "program",
    ) -> SearchResult:
        """The ranked list, in the caller's thread; raises as `Library.search` does, and TooBusy."""
        words = _checked(query)
        with self._searches.enter():
            return self.library.search(words, picture=picture, like=as_utf8(like), k=k, where=where, audience=audience)

    def documents(self, text: str = "", kind: Kind | None = None) -> list[DocumentInfo]:
        """The documents whose title or path contains `text`, of that kind, by path."""
        return self.library.documents(as_utf8(text), (kind,) if kind else ())

    def document(self, reference: str) -> Document:
        """A document by its id, the beginning of one, or its path; DocumentNotFound where there is none.

        It comes from the library: no path is ever opened for a program.
        """
        return self.library.document(self.library.resolve(as_utf8(reference)))

    async def events(self, asked: Asked) -> AsyncGenerator[Event]:
        """The answer as it comes: Retrieved, Deltas, Finished. Closing the iterator stops the model.

        Raises:
            TooBusy: too many others wait for the model.
            RagError: as `Library.ask` does.
        """
        asked = replace(asked, question=_checked(asked.question))
        loop, stop = asyncio.get_running_loop(), threading.Event()
        queue: asyncio.Queue[Event | Exception | None] = asyncio.Queue()

        def put(item: Event | Exception | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads it any more
                loop.call_soon_threadsafe(queue.put_nowait, item)

        threading.Thread(target=self._write, args=(asked, stop, put), name="answering", daemon=True).start()
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stop.set()

    async def answer(self, asked: Asked) -> Finished:
        """The whole answer; raises as `events` does."""
        async with aclosing(self.events(asked)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event
        raise GenerationError("the answer did not come to an end")

    def _write(self, asked: Asked, stop: threading.Event, put: Callable[[Event | Exception | None], None]) -> None:
        try:
            with self._answers.enter(stop):
                for event in self._ask(asked, stop):
                    put(Finished(event.answer, self._read(asked, event.answer)) if isinstance(event, Done) else event)
            put(None)
        except Exception as error:  # noqa: BLE001  it is raised again where the answer is read
            put(error)

    def _ask(self, asked: Asked, stop: threading.Event) -> Iterator[AnswerEvent]:
        return self.library.ask(
            asked.question,
            picture=asked.picture,
            history=asked.history,
            where=asked.where,
            stop=stop,
            answer_tokens=asked.max_tokens,
            audience=asked.audience,
        )

    def _read(self, asked: Asked, answer: Answer) -> int:
        """Tokens that the model was given of what was asked and found, without the words of our own around it."""
        _, generator = self.library.models()
        if generator is None or answer.model is None:
            return 0
        texts = [message.text for message in asked.history] + [asked.question]
        texts += [passage.text for passage in answer.passages if passage.in_prompt]
        return generator.count_tokens("\n".join(texts))


def filter_of(where: str, modality: Modality | None = None) -> Filter | None:
    """What is typed after `--where`, and only text or only pictures.

    Raises:
        InvalidQuery: it cannot be read.
    """
    return both(parse(as_utf8(where)), In("modality", (modality,)) if modality else None)


def as_utf8(text: str) -> str:
    """`text` with "?" for what UTF-8 cannot carry: the halves of characters that JSON can hold, and odd file names."""
    return text.encode("utf-8", "replace").decode("utf-8")


def audience_of(person: bool) -> Audience:
    """Who sees what a program asks for."""
    return "person" if person else "program"


def _checked(question: str) -> str:
    if len(question) > QUESTION:
        raise InvalidQuery(f"the question has {len(question)} characters; {QUESTION} are the most that are read")
    return as_utf8(question)
