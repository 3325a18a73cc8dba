"""What llama.cpp can run on here: memory, cores, graphics cards."""

import ctypes
import os

import psutil

from rag.answer.llama_library import ggml_function, library
from rag.answer.memory import Gpu, Room

_GPUS = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU in ggml-backend.h


def this_room() -> Room:
    """The memory, cores and graphics cards of this machine, as llama.cpp sees them."""
    memory = psutil.virtual_memory()
    offload = bool(library().llama_supports_gpu_offload())
    return Room(memory.total, memory.available, usable_cores(), gpus(), offload)


def usable_cores() -> int:
    """Physical cores that this process may use: a second thread on a core only gets in the way of the first."""
    physical = psutil.cpu_count(logical=False) or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(min(physical, allowed), 1)


def gpus() -> tuple[Gpu, ...]:
    """The graphics cards that this build of llama.cpp can use, with the memory that is free at this moment."""
    library()
    device, size = ctypes.c_void_p, ctypes.c_size_t
    count = ggml_function("ggml_backend_dev_count", (), size)
    get = ggml_function("ggml_backend_dev_get", (size,), device)
    kind = ggml_function("ggml_backend_dev_type", (device,), ctypes.c_int)
    description = ggml_function("ggml_backend_dev_description", (device,), ctypes.c_char_p)
    memory = ggml_function("ggml_backend_dev_memory", (device, ctypes.POINTER(size), ctypes.POINTER(size)), None)
    found = []
    for card in (get(i) for i in range(count())):
        if kind(card) in _GPUS:
            free, total = size(), size()
            memory(card, ctypes.byref(free), ctypes.byref(total))
            found.append(Gpu(description(card).decode("utf-8", "replace"), total.value, free.value))
    return tuple(found)
