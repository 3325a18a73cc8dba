"""How much memory this machine and its graphics card have. Loads neither torch nor llama.cpp."""

import platform
from dataclasses import dataclass
from functools import cache

import psutil

from rag.models.facts import nvidia


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes of memory, and of the largest graphics card's: 0 where there is none that models would run on."""

    memory: int
    card: int
    card_name: str


@cache
def this_machine() -> Machine:
    """This machine. On a Mac with Apple's processor the card's memory is the machine's."""
    memory = psutil.virtual_memory().total
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return Machine(memory, memory, "Apple GPU")
    cards, _, _ = nvidia()
    largest = max(cards, key=lambda card: card.total, default=None)
    return Machine(memory, largest.total, largest.name) if largest else Machine(memory, 0, "")
