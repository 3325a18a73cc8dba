"""From tokens to pieces of text: whole characters, and nothing behind a stop string."""

import codecs
import ctypes
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import llama_cpp

_PIECE_BYTES = 512  # longest token is far shorter


def text_of(llama: "llama_cpp.Llama", tokens: Iterator[int]) -> Iterator[str]:
    """The text of `tokens` as it becomes whole: a character may be spread over several tokens."""
    from llama_cpp import llama_token_to_piece

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    buffer = ctypes.create_string_buffer(_PIECE_BYTES)
    for token in tokens:
        size = llama_token_to_piece(llama._model.vocab, token, buffer, _PIECE_BYTES, 0, False)
        piece = decoder.decode(buffer.raw[: max(size, 0)])
        if piece:
            yield piece


def until_stop(pieces: Iterator[str], stop: tuple[str, ...]) -> Iterator[str]:
    """`pieces` up to the first of the `stop` strings; what could be the beginning of one is held back."""
    held = ""
    for piece in pieces:
        held += piece
        at = min((i for i in map(held.find, stop) if i >= 0), default=-1)
        if at >= 0:
            if at:
                yield held[:at]
            return
        keep = max((n for s in stop for n in range(1, len(s)) if held.endswith(s[:n])), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held
