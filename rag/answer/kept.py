"""KV caches of earlier prompts, kept in memory: going back to one is a copy instead of an evaluation.

A short call between two answers (to make a question stand alone), a second conversation or a question that is asked
again would otherwise throw away what the model has read.
"""

import ctypes
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import llama_cpp

_SEQUENCE = 0  # the one that Llama works with
_BYTES = ctypes.POINTER(ctypes.c_uint8)

Blocks = Sequence[Hashable]


@dataclass(frozen=True, slots=True)
class KeptPrompt:
    """A prompt in the blocks in which it was evaluated, and llama.cpp's state after it: uint8[N]."""

    blocks: Blocks
    state: NDArray[np.uint8] = field(compare=False, repr=False)


class KeptPrompts:
    """At most `limit` bytes of them; that which was not used for longest goes first."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: list[KeptPrompt] = []  # the latest one last

    def put(self, prompt: KeptPrompt) -> None:
        """Keep a prompt in place of those that are its beginnings."""
        self._kept = [each for each in self._kept if common_prefix(each.blocks, prompt.blocks) < len(each.blocks)]
        self._kept.append(prompt)
        while sum(len(each.state) for each in self._kept) > self.limit:
            del self._kept[0]

    def take(self, blocks: Blocks, longer_than: int) -> KeptPrompt | None:
        """The prompt that has most of the beginning of `blocks`, and more than so many of them; None without one."""
        best = max(self._kept, key=lambda each: common_prefix(each.blocks, blocks), default=None)
        if best is None or common_prefix(best.blocks, blocks) <= longer_than:
            return None
        self._kept.remove(best)
        return best


def can_be_kept(llama: "llama_cpp.Llama") -> bool:
    """Whether the model's state can be cut back to a prompt: that of recurrent ones cannot."""
    return not (llama._is_recurrent or llama._is_hybrid)


def state_of(llama: "llama_cpp.Llama") -> NDArray[np.uint8]:
    """What is in the KV cache."""
    from llama_cpp import llama_state_seq_get_data, llama_state_seq_get_size

    state = np.empty(llama_state_seq_get_size(llama.ctx, _SEQUENCE), np.uint8)
    written = llama_state_seq_get_data(llama.ctx, state.ctypes.data_as(_BYTES), len(state), _SEQUENCE)
    return state[:written]


def put_back(llama: "llama_cpp.Llama", state: NDArray[np.uint8]) -> bool:
    """Fill the KV cache, which is emptied first, so that everything lies where it lay. False where that fails."""
    from llama_cpp import llama_state_seq_set_data

    llama._ctx.kv_cache_clear()  # type: ignore[no-untyped-call]
    return bool(llama_state_seq_set_data(llama.ctx, state.ctypes.data_as(_BYTES), len(state), _SEQUENCE))


def common_prefix(a: Blocks, b: Blocks) -> int:
    """How many blocks two prompts begin with alike."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
