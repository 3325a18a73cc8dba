"""The OpenAI chat format as this program speaks it: a request to a question, an answer to the objects sent back.

Parameters that shape the model's style (`temperature`, `top_p`, `seed`, …) are passed over: answers keep to their
sources and are the same each time. Those that promise something we do not do (`n`, `response_format`, `stop`, a forced
tool call, `logprobs`) are refused.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, Field

from rag import json_forms
from rag.api.forms import PERSON
from rag.api.pictures import picture_of
from rag.api.service import Asked, Finished, as_utf8, audience_of, filter_of
from rag.errors import InvalidQuery
from rag.records import Finish, Message

MODEL = "commonplace"
_MESSAGES = 500
_WORDLESS = "(a picture)"  # what the model is told of an earlier question that was a picture alone
_FINISH: Mapping[Finish, str] = {"length": "length"}  # everything else is "stop" there


class TextPart(BaseModel):
    """Words."""

    type: Literal["text"]
    text: str


class PictureAddress(BaseModel):
    """A picture as a data: URL; other addresses are refused, for nothing is fetched."""

    url: str = Field(examples=["data:image/png;base64,…"])


class PicturePart(BaseModel):
    """A picture."""

    type: Literal["image_url"]
    image_url: PictureAddress


Part = Annotated[TextPart | PicturePart, Field(discriminator="type")]


class ChatMessage(BaseModel):
    """One turn. What `system`, `developer` and `tool` say is passed over: the sources are the only authority."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or () if isinstance(part, TextPart))

    @property
    def pictures(self) -> list[str]:
        """The addresses of its pictures."""
        parts = self.content if isinstance(self.content, list) else ()
        return [part.image_url.url for part in parts if isinstance(part, PicturePart)]


class StreamOptions(BaseModel):
    """What a stream ends with."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A question to the library. The last message is the question, those before it the conversation."""

    model: str = Field(MODEL, description="the only one there is")
    messages: list[ChatMessage] = Field(
        min_length=1,
        max_length=_MESSAGES,
        description="`role` and `content`: words, or parts of type `text` and `image_url`, a picture as a data: URL",
    )
    stream: bool | None = Field(False, description="as server-sent events")
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1, description="longest answer, where that is less than the settings say")
    max_completion_tokens: int | None = Field(None, ge=1, description="the same by its newer name")
    where: str = Field("", max_length=1000, description="which documents may be found, as after `rag ask --where`")
    person: bool = Field(False, description=PERSON)
    n: int | None = Field(None, description="refused, but for 1")
    stop: str | list[str] | None = Field(None, description="refused")
    response_format: dict[str, Any] | None = Field(None, description="refused, but for text")
    tool_choice: str | dict[str, Any] | None = Field(None, description="refused where it forces a call")
    logprobs: bool | None = Field(None, description="refused")

    def asked(self, most: int) -> Asked:
        """The question with its history. `most` is the largest picture, in bytes.

        Raises:
            InvalidQuery: the last message is no question, or something is asked for that is not done here.
        """
        self._refuse_promises()
        last = self.messages[-1]
        if last.role != "user":
            raise InvalidQuery(f"the last message must be the question, of role 'user'; it is of role {last.role!r}")
        if len(last.pictures) > 1:
            raise InvalidQuery(f"one picture at a time can be asked with; the last message has {len(last.pictures)}")
        return Asked(
            question=last.text,
            picture=picture_of(last.pictures[0], most) if last.pictures else None,
            history=tuple(_turns(self.messages[:-1])),
            where=filter_of(self.where),
            max_tokens=self.max_completion_tokens or self.max_tokens,
            audience=audience_of(self.person),
        )

    def _refuse_promises(self) -> None:
        promised = {
            "n": self.n not in (None, 1),
            "stop": bool(self.stop),
            "response_format": self.response_format is not None and self.response_format.get("type") != "text",
            "tool_choice": self.tool_choice not in (None, "none", "auto"),
            "logprobs": bool(self.logprobs),
        }
        if refused := [name for name, asked_for in promised.items() if asked_for]:
            raise InvalidQuery(f"{', '.join(refused)}: this is not done here; leave it out")


def _turns(messages: list[ChatMessage]) -> list[Message]:
    """What the two of them said before, without pictures."""
    turns = []
    for message in messages:
        if message.role in ("user", "assistant"):
            text = message.text or (_WORDLESS if message.pictures else "")
            turns.append(Message("user" if message.role == "user" else "assistant", as_utf8(text)))
    return [turn for turn in turns if turn.text]


class Reply:
    """The objects that one answer is told in, all with the same id."""

    def __init__(self) -> None:
        self._id = f"chatcmpl-{uuid4().hex}"
        self._created = int(time.time())

    def whole(self, finished: Finished) -> dict[str, object]:
        """The answer in one object."""
        message = {"role": "assistant", "content": finished.answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(finished)}
        return self._object("chat.completion", [choice], usage=_usage(finished), **_extension(finished))

    def piece(self, text: str, *, first: bool = False) -> dict[str, object]:
        """The next words of a stream."""
        role = {"role": "assistant"} if first else {}
        return self._chunk({**role, "content": text}, None)

    def end(self, finished: Finished) -> dict[str, object]:
        """What a stream closes with: why it ended, and the answer with its sources in our own field."""
        return self._chunk({}, _reason(finished), **_extension(finished))

    def usage(self, finished: Finished) -> dict[str, object]:
        """What a stream adds where `include_usage` asks for it."""
        return self._object("chat.completion.chunk", [], usage=_usage(finished))

    def _chunk(self, delta: dict[str, str], reason: str | None, **more: object) -> dict[str, object]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._object("chat.completion.chunk", [choice], **more)

    def _object(self, kind: str, choices: list[dict[str, object]], **more: object) -> dict[str, object]:
        return {"id": self._id, "object": kind, "created": self._created, "model": MODEL, "choices": choices, **more}


def _reason(finished: Finished) -> str:
    return _FINISH.get(finished.answer.finish, "stop")


def _usage(finished: Finished) -> dict[str, int]:
    prompt, completion = finished.prompt_tokens, finished.answer.tokens
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _extension(finished: Finished) -> dict[str, object]:
    """Our own field: what `rag ask --json` prints."""
    return {"commonplace": json_forms.answer_json(finished.answer)}


def model_object() -> dict[str, object]:
    """The one model there is: the library with whatever language model serves it."""
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "you"}
