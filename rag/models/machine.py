"""How much memory this machine and its graphics card have. Loads neither torch nor llama.cpp."""

import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

import psutil

_SECONDS = 5  # a driver that is being reloaded may never answer


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
    name, card = _nvidia()
    return Machine(memory, card, name)


def _nvidia() -> tuple[str, int]:
    """Name and bytes of the largest NVIDIA card."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "", 0
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return "", 0
    return read_cards(done.stdout)


def read_cards(told: str) -> tuple[str, int]:
    """Name and bytes of the largest card in what nvidia-smi prints: one `name, MiB` per line."""
    cards = []
    for line in told.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if mebibytes.strip().isdecimal():
            cards.append((int(mebibytes) << 20, name.strip()))
    best = max(cards, default=(0, ""))
    return best[1], best[0]
