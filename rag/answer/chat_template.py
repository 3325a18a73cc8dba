"""A conversation in the form that a model's chat template gives it, with every text and picture kept apart from it."""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rag.errors import GenerationError

Template = Callable[[list[dict[str, Any]]], str]
"""Messages with `role` and `content` to the text that the model is to read."""

Turn = tuple[str, Sequence[int]]
"""A role, and the numbers of the parts, texts and pictures, that it says."""


def in_template(template: Template, turns: Sequence[Turn]) -> list[str | int]:
    """What the template writes itself, and between it the numbers of the parts where they stand.

    The template never sees a part, only a random mark in its place: what a part says cannot become the template's.
    Where it refuses a system message, that one begins the first question instead. Content is given as one string, or,
    where a template made for pictures leaves that out, as a list of pieces.

    Raises:
        GenerationError: the template refuses the conversation, or leaves out what was said.
    """
    mark = secrets.token_hex(8)
    marked = [(role, [f"{mark}{number}." for number in numbers]) for role, numbers in turns]
    wanted = sorted(number for _, numbers in turns for number in numbers)
    reason: object = "it leaves out what was said"
    for messages in _forms(marked):
        try:
            written = re.split(rf"{mark}(\d+)\.", template(messages))
        except Exception as exc:  # noqa: BLE001  # whatever the template's own code raises
            reason = exc
            continue
        if sorted(map(int, written[1::2])) == wanted:
            pieces = (int(piece) if i % 2 else piece for i, piece in enumerate(written))
            return [piece for piece in pieces if piece != ""]
    raise GenerationError(f"the chat template refuses the conversation: {reason}")


def _forms(turns: Sequence[tuple[str, list[str]]]) -> Iterator[list[dict[str, Any]]]:
    """The ways in which the turns may be told, the usual one first."""
    for told in (turns, _folded(turns)):
        if told:
            yield [{"role": role, "content": "".join(parts)} for role, parts in told]
            yield [
                {"role": role, "content": [{"type": "text", "text": part} for part in parts]} for role, parts in told
            ]


def _folded(turns: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """The turns with the system's put before the first question; none where they do not begin with these two."""
    if [role for role, _ in turns[:2]] != ["system", "user"]:
        return []
    return [("user", [*turns[0][1], "\n\n", *turns[1][1]]), *turns[2:]]
