"""Answers in the making, kept on the server: a page may leave and come back while the model writes.

One answer is written at a time, because there is one model; others wait their turn, at the gate where programs that
ask by the API wait too.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from rag.api.gate import Gate
from rag.errors import RagError
from rag.filters import Filter
from rag.records import (
    AnswerEvent,
    Audience,
    Conversation,
    Delta,
    Done,
    Message,
    Passage,
    Retrieved,
    SearchResult,
    Turn,
)
from ui.asked import Asked
from ui.pulse import Pulse

State = Literal["waiting", "searching", "writing", "failed"]
_WORDLESS = "(a picture)"  # what the model is told of a question that was a picture alone


class Answerer(Protocol):
    """The call of the library that writes an answer."""

    def ask(
        self,
        question: str,
        *,
        picture: bytes | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        stop: threading.Event | None = None,
        audience: Audience = "program",
    ) -> Iterator[AnswerEvent]: ...


class TurnKeeper(Protocol):
    """Where finished answers go."""

    def append(self, conversation: str, turn: Turn) -> object: ...


@dataclass(frozen=True, slots=True)
class Run:
    """An answer that is not finished, or that failed, in one conversation."""

    conversation: str
    question: str
    picture: str = ""  # digest of the picture that was asked with
    state: State = "waiting"
    text: str = ""
    result: SearchResult | None = None
    passages: tuple[Passage, ...] = ()
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)

    @property
    def live(self) -> bool:
        return self.state != "failed"

    @property
    def shown(self) -> str:
        """The id of its sources in the log of feedback, "" where they are not logged."""
        return self.result.shown if self.result else ""

    @property
    def understood(self) -> str:
        """What is looked for, "" where that is the question itself."""
        looked_for = self.result.query.strip() if self.result else ""
        return "" if looked_for == self.question.strip() else looked_for


class Runs:
    """At most one run per conversation. A finished one is kept as a turn and forgotten here."""

    def __init__(self, library: Answerer, conversations: TurnKeeper, pulse: Pulse, answers: Gate | None = None) -> None:
        self._library = library
        self._conversations = conversations
        self._pulse = pulse
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        self._answers = answers or Gate()

    def get(self, conversation: str) -> Run | None:
        with self._lock:
            return self._runs.get(conversation)

    def start(self, conversation: Conversation, question: str, picture: Asked | None = None) -> Run:
        """Begin an answer in the background; while one is being written there, that one is returned instead."""
        with self._lock:
            current = self._runs.get(conversation.id)
            if current is not None and current.live:
                return current
            run = Run(conversation.id, question, picture.digest if picture else "")
            self._runs[conversation.id] = run
        arguments = (run, picture.data if picture else None, history(conversation))
        threading.Thread(target=self._write, args=arguments, name="answering", daemon=True).start()
        return run

    def stop(self, conversation: str) -> None:
        """Ask the model to stop; what it has written stays."""
        run = self.get(conversation)
        if run is not None:
            run.stop.set()

    def forget(self, conversation: str) -> None:
        """Drop a failed run, or one whose conversation is gone."""
        self.stop(conversation)
        with self._lock:
            self._runs.pop(conversation, None)

    def close(self, seconds: float) -> None:
        """Stop everything and wait that long for the answer in work to be kept."""
        with self._lock:
            for run in self._runs.values():
                run.stop.set()
        self._answers.wait_idle(seconds)

    def _write(self, run: Run, picture: bytes | None, past: tuple[Message, ...]) -> None:
        with self._pulse, self._answers.enter(always=True):
            run = replace(run, state="searching")
            self._set(run)
            try:
                for event in self._library.ask(
                    run.question, picture=picture, history=past, stop=run.stop, audience="person"
                ):
                    run = self._advance(run, event)
            except RagError as error:
                self._set(replace(run, state="failed", error=str(error)))
            except Exception as error:  # noqa: BLE001  it must be seen on the screen, not only in a log
                self._set(replace(run, state="failed", error=f"unexpected {type(error).__name__}: {error}"))

    def _advance(self, run: Run, event: AnswerEvent) -> Run:
        match event:
            case Retrieved(result, passages):
                run = replace(run, state="writing", result=result, passages=passages)
            case Delta(text):
                run = replace(run, text=run.text + text)
            case Done(answer):
                kept = replace(answer, picture=run.picture)
                self._conversations.append(run.conversation, Turn(run.question, kept))
                with self._lock:
                    self._runs.pop(run.conversation, None)
                return run
        self._set(run)
        return run

    def _set(self, run: Run) -> None:
        with self._lock:
            if run.conversation in self._runs:  # it is not when the conversation was deleted meanwhile
                self._runs[run.conversation] = run


def history(conversation: Conversation) -> tuple[Message, ...]:
    """What was said before, oldest first; how much of it fits is for the library to say."""
    said = (
        (Message("user", turn.question or _WORDLESS), Message("assistant", turn.answer.text))
        for turn in conversation.turns
    )
    return tuple(message for pair in said for message in pair)
