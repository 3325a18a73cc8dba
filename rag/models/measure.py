"""How fast a model is here, by letting it work for about a second."""

import io
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import Any, cast

from PIL import Image

from rag.protocols import Generator
from rag.records import Message

_SENTENCE = "The quick survey of the allotment found nine beds of beans and two of marrows. "
_SECONDS = 1.0
_FIRST = 64  # tokens of the first prompt; it doubles until reading it takes long enough to be measured
_LONGEST = 1024
_WRITTEN = 64
_KEPT_FREE = _WRITTEN + 64  # of the context: what is written, and what a chat template puts around it


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second: `reads` of a prompt that the model has not seen, `writes` of a reply."""

    reads: float
    writes: float


def generator_speed(generator: Generator) -> Speed:
    """Read prompts of growing length, then write.

    Raises:
        GenerationError: the model failed.
        PromptTooLong: its context does not hold even a short prompt.
    """
    longest = min(_LONGEST, generator.context_tokens - _KEPT_FREE)
    length, reads = min(_FIRST, longest), 0.0
    for number in count():
        prompt = _prompt(generator, number, length)
        seconds = _until_first_piece(generator, prompt)
        reads = generator.count_tokens(prompt) / seconds
        if seconds > _SECONDS / 2 or length >= longest:
            break
        length = min(2 * length, longest)
    return Speed(reads, _writes(generator))


def rate(work: Callable[[], int]) -> float:
    """Things per second: `work` does some and tells how many. The first time is not counted."""
    work()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < _SECONDS:
        done += work()
    return done / (time.perf_counter() - started)


def probe_texts() -> list[str]:
    """A batch of short texts."""
    return [_SENTENCE] * 64


def probe_picture() -> bytes:
    """A JPEG of a usual size for the screen, 1600 by 1200 pixels."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((1600, 1200)).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def _prompt(generator: Generator, number: int, tokens: int) -> str:
    """Words that fill about `tokens` tokens; its number makes it differ from its beginning on from the others."""
    each = max(generator.count_tokens(_SENTENCE), 1)
    return f"{number}. " + _SENTENCE * max(tokens // each, 1)


def _until_first_piece(generator: Generator, prompt: str) -> float:
    """Seconds until the model has read `prompt` and written one token."""
    started = time.perf_counter()
    for _ in generator.stream([Message("user", prompt)], max_tokens=1):
        break
    return max(time.perf_counter() - started, 1e-6)


def _writes(generator: Generator) -> float:
    """Tokens per second of a reply after its first token, for a second at most."""
    asked = [Message("user", f"Tell a long story that begins so: {_SENTENCE}")]
    text, started, elapsed = "", 0.0, 0.0
    with closing(cast(Any, generator.stream(asked, max_tokens=_WRITTEN))) as pieces:
        for number, piece in enumerate(pieces):
            if number == 0:
                started = time.perf_counter()
                continue
            text += piece
            elapsed = time.perf_counter() - started
            if elapsed > _SECONDS:
                break
    return generator.count_tokens(text) / elapsed if elapsed else 0.0
