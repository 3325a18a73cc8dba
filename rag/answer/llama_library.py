"""llama_cpp, made to keep quiet and to leave the cores alone; what it said of a failure; what a GGUF header tells."""

import ctypes
import logging
import os
import sys
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_ERROR = 4  # GGML_LOG_LEVEL_ERROR in ggml.h, which llama_cpp does not name
_errors: deque[str] = deque(maxlen=8)  # what llama.cpp said last, to be told in our errors
_callbacks: list[Any] = []


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself: for which `architecture` it is, and how many bytes of it there should be."""

    architecture: str
    size: int


@cache
def library() -> Any:
    """llama_cpp, imported so that its threads sleep while they wait.

    By default OpenMP's threads spin, which on a machine whose cores are busy made a reply ten times slower here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import llama_cpp

    callback = llama_cpp.llama_log_callback(_keep_log)
    _callbacks.append(callback)  # C holds no reference to it
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    return llama_cpp


@cache
def vision_library() -> Any:
    """llama_cpp.mtmd_cpp, as quiet as the rest."""
    library()
    import llama_cpp.mtmd_cpp as mtmd

    mtmd.mtmd_helper_log_set(_callbacks[0], ctypes.c_void_p(0))  # the helpers and mtmd itself
    return mtmd


def last_errors() -> str:
    """The errors that llama.cpp told since they were last asked for, in one line; "" where it told none."""
    said = "; ".join(_errors)
    _errors.clear()
    return said


def read_header(path: Path) -> GgufHeader | None:
    """The header of a GGUF file by ggml's own reader; None where it is none, and `last_errors` tells why."""
    ggml = _ggml()
    found = ggml.gguf_init_from_file(os.fsencode(path), _GgufParams(True, None))
    if not found:
        return None
    try:
        key = ggml.gguf_find_key(found, b"general.architecture")
        architecture = ggml.gguf_get_val_str(found, key).decode("utf-8", "replace") if key >= 0 else ""
        count = ggml.gguf_get_n_tensors(found)
        ends = (ggml.gguf_get_tensor_offset(found, i) + ggml.gguf_get_tensor_size(found, i) for i in range(count))
        return GgufHeader(architecture, ggml.gguf_get_data_offset(found) + max(ends, default=0))
    finally:
        ggml.gguf_free(found)


class _GgufParams(ctypes.Structure):
    """gguf_init_params of gguf.h."""

    _fields_ = [("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p)]


@cache
def _ggml() -> Any:
    """The functions of gguf.h, which are loaded with llama_cpp but get no names there."""
    ggml = library().llama_cpp._lib  # a look-up in it goes on to the libraries that it needs, but on Windows
    if sys.platform == "win32":
        from llama_cpp._ctypes_extensions import load_shared_library

        ggml = load_shared_library("ggml-base", Path(library().__file__).parent / "lib")
    pointer, number, text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p
    for name, arguments, result in (
        ("gguf_init_from_file", (text, _GgufParams), pointer),
        ("gguf_free", (pointer,), None),
        ("gguf_find_key", (pointer, text), number),
        ("gguf_get_val_str", (pointer, number), text),
        ("gguf_get_n_tensors", (pointer,), number),
        ("gguf_get_data_offset", (pointer,), ctypes.c_size_t),
        ("gguf_get_tensor_offset", (pointer, number), ctypes.c_size_t),
        ("gguf_get_tensor_size", (pointer, number), ctypes.c_size_t),
    ):
        function = getattr(ggml, name)
        function.argtypes, function.restype = arguments, result
    return ggml


def _keep_log(level: int, text: bytes, _: object) -> None:
    """llama.cpp's log goes to ours, and never to the screen."""
    line = text.decode("utf-8", "replace").strip()
    if level >= _ERROR:
        _errors.append(line)
    log.debug(line)
