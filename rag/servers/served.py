"""What is said between us and a model server, whichever it is."""

import re
from dataclasses import dataclass, field
from typing import Any

from rag.errors import ServerError


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a server tells of one of its models; None, 0 and "" where it does not.

    `context` counts the tokens that it has room for now, `trained` those that it could have at most. `sees` tells of
    pictures, `embeds` that it makes vectors and no text.
    """

    name: str
    context: int | None = None
    trained: int | None = None
    sees: bool | None = None
    embeds: bool | None = None
    parameters: int = 0
    precision: str = ""
    loaded: bool | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a chat; `pictures` are JPEGs in base64."""

    role: str
    text: str
    pictures: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Chat:
    """What a model is asked. `context` is the room that prompt and answer share, in tokens."""

    model: str
    messages: tuple[Said, ...]
    max_tokens: int
    context: int
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a reply. The last ones tell why it ended (`finish`) and the tokens of all of it (`reply_tokens`)."""

    text: str = ""
    thought: bool = False  # the model thinks, and what it thinks is not part of the reply
    finish: str = ""
    model: str = ""
    reply_tokens: int | None = None


_TOO_LONG = re.compile(
    r"exceed\w*\W.{0,60}context|context.{0,60}(exceed|overflow)|maximum context length|context length of only"
    r"|longer than the (maximum )?context",
    re.I | re.S,
)
_ROOM = re.compile(r"(?:maximum context length is|context (?:window|size|length)(?: of(?: only)?)?)\W{0,3}(\d+)", re.I)


def is_too_long(error: ServerError) -> bool:
    """Whether a server refused a prompt because it does not fit, in the words of any of them."""
    return bool(_TOO_LONG.search(error.said))


def told_room(error: ServerError) -> int | None:
    """The tokens of context that such a refusal names, if it does."""
    found = _ROOM.search(error.said)
    return int(found[1]) if found else None


def number(value: Any) -> int | None:
    """A count as JSON tells it; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def fields(value: Any) -> dict[str, Any]:
    """An object as JSON tells it; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def records(answer: Any, key: str) -> list[dict[str, Any]]:
    """The list of objects at `key` of a server's answer; empty where there is none."""
    found = fields(answer).get(key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
