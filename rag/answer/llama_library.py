"""llama_cpp, made to keep quiet and to leave the cores alone; what it said of a failure."""

import ctypes
import logging
import os
import sys
from collections import deque
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_ERROR = 4  # GGML_LOG_LEVEL_ERROR in ggml.h, which llama_cpp does not name
_errors: deque[str] = deque(maxlen=8)  # what llama.cpp said last, to be told in our errors
_callbacks: list[Any] = []


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


def ggml_function(name: str, arguments: Sequence[Any], result: Any) -> Any:
    """A function of ggml, which is loaded with llama_cpp but gets no names there."""
    found = next(getattr(each, name) for each in _ggml_libraries() if hasattr(each, name))
    found.argtypes, found.restype = list(arguments), result
    return found


@cache
def _ggml_libraries() -> list[Any]:
    found = [library().llama_cpp._lib]  # a look-up in it goes on to the libraries that it needs, but on Windows
    if sys.platform == "win32":
        from llama_cpp._ctypes_extensions import load_shared_library

        folder = Path(library().__file__).parent / "lib"
        found += [load_shared_library(name, folder) for name in ("ggml", "ggml-base")]
    return found


def _keep_log(level: int, text: bytes, _: object) -> None:
    """llama.cpp's log goes to ours, and never to the screen."""
    line = text.decode("utf-8", "replace").strip()
    if level >= _ERROR:
        _errors.append(line)
    log.debug(line)
