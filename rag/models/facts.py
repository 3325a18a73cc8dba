"""What decides how fast models run here: memory, cards, drivers, and what torch and llama.cpp were built for.

`Facts` is a plain record, so that what follows from it (`findings`) can be tried on machines that are not here.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

_SECONDS = 10  # a driver that is being reloaded may never answer
_QUERY = "name,memory.total,memory.free,driver_version"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Card:
    """An NVIDIA card with its bytes of memory and the version of its driver."""

    name: str
    total: int
    free: int
    driver: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is. Sizes are bytes; versions are as their makers write them, "" where there is none.

    `load` is how many threads wanted a core in the last minute, on average.

    `driver_cuda` is the newest CUDA that the NVIDIA driver runs, `trouble` what nvidia-smi said instead of an answer,
    `hidden` the value of CUDA_VISIBLE_DEVICES where it is set, `compiler` where the CUDA compiler is. `torch_cuda` is
    the CUDA that torch was built for, `torch_device` the card that it uses, `llama_offload` whether llama.cpp was built
    for any card. `python` is the interpreter that all this is installed for.
    """

    system: str
    processor: str
    cores: int
    memory_total: int
    memory_free: int
    disk_free: int
    home: str
    python: str
    torch: str
    llama: str
    torch_cuda: str = ""
    torch_device: str = ""
    llama_offload: bool = False
    cards: tuple[Card, ...] = ()
    driver_cuda: str = ""
    trouble: str = ""
    hidden: str | None = None
    compiler: str = ""
    load: float = 0.0

    @property
    def apple_gpu(self) -> bool:
        """Whether this is a Mac with Apple's processor, whose memory the GPU shares."""
        return self.system == "Darwin" and self.processor == "arm64"


def this_machine(home: Path) -> Facts:
    """The facts of this machine. Loads torch and llama.cpp, but no model."""
    import llama_cpp
    import torch

    memory = psutil.virtual_memory()
    cards, driver_cuda, trouble = nvidia()
    cuda = torch.cuda.is_available()
    return Facts(
        system=platform.system(),
        processor=platform.machine(),
        cores=psutil.cpu_count(logical=False) or 1,
        memory_total=memory.total,
        memory_free=memory.available,
        disk_free=shutil.disk_usage(home).free,
        home=str(home),
        python=sys.executable,
        torch=torch.__version__,
        llama=llama_cpp.__version__,
        torch_cuda=torch.version.cuda or "",
        torch_device=torch.cuda.get_device_name(0)
        if cuda
        else "Apple GPU"
        if torch.backends.mps.is_available()
        else "",
        llama_offload=bool(llama_cpp.llama_supports_gpu_offload()),
        cards=cards,
        driver_cuda=driver_cuda,
        trouble=trouble,
        hidden=os.environ.get("CUDA_VISIBLE_DEVICES"),
        compiler=shutil.which("nvcc") or "",
        load=psutil.getloadavg()[0],
    )


def read_cards(told: str) -> tuple[Card, ...]:
    """The cards in what nvidia-smi prints for `name,memory.total,memory.free,driver_version`, one per line, in MiB."""
    found = []
    for line in told.splitlines():
        match [part.strip() for part in line.rsplit(",", 3)]:
            case [name, total, free, driver] if total.isdecimal() and free.isdecimal():
                found.append(Card(name, int(total) * _MIB, int(free) * _MIB, driver))
    return tuple(found)


def read_driver_cuda(told: str) -> str:
    """The newest CUDA that the driver runs, which nvidia-smi prints at the head of its table."""
    found = re.search(r"CUDA Version: *(\d+\.\d+)", told)
    return found[1] if found else ""


def nvidia() -> tuple[tuple[Card, ...], str, str]:
    """The cards, the newest CUDA that their driver runs, and what is wrong with it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return (), "", ""
    asked, trouble = _told([tool, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"])
    table, _ = ("", "") if trouble else _told([tool])
    return read_cards(asked), read_driver_cuda(table), trouble


def _told(command: list[str]) -> tuple[str, str]:
    """What a command printed, and what went wrong."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "", f"no answer in {_SECONDS} seconds"
    except OSError as exc:
        return "", str(exc)
    return done.stdout, "" if done.returncode == 0 else (done.stdout + done.stderr).strip() or "no reason given"
