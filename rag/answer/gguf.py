"""What a GGUF file says of itself, by ggml's own reader (gguf.h), which has no names in llama_cpp. No weights are read.

llama.cpp ends the process over some files that are whole but make no sense, so they are looked at here first.
"""

import ctypes
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rag.answer.llama_library import ggml_function

Value = str | int | float | bool | tuple[int, ...]

_STRING, _ARRAY = 8, 9  # gguf_type in gguf.h
_FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_INTEGERS = (0, 1, 2, 3, 4, 5, 10, 11)
_WORDS = b"tokenizer.ggml.tokens"
_LONGEST = 4096  # numbers of an array that is kept: one per layer, not one per word


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The header of a GGUF file.

    `size` is how many bytes of it there should be, `tensors` the bytes of each one's data by name. `values` are its
    key-value pairs but for arrays of words and scores; `words` is how many words it knows.
    """

    architecture: str
    size: int
    words: int
    values: Mapping[str, Value] = field(repr=False)
    tensors: Mapping[str, int] = field(repr=False)

    def text(self, key: str) -> str:
        """The string at `key`; "" where there is none."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str, default: int = 0) -> int:
        """The whole number at `<architecture>.<key>`, of an array the largest one."""
        value = self.values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple):
            return max(value, default=default)
        return int(value) if isinstance(value, int) else default

    def numbers(self, key: str, count: int, default: int = 0) -> tuple[int, ...]:
        """`count` whole numbers at `<architecture>.<key>`; one that stands alone is that of every layer."""
        value = self.values.get(f"{self.architecture}.{key}")
        if isinstance(value, tuple) and len(value) >= count:
            return value[:count]
        return (self.number(key, default),) * count


def read_header(path: Path) -> GgufHeader | None:
    """The header of a GGUF file; None where it is none, and `last_errors` tells why."""
    ggml = _ggml()
    found = ggml.gguf_init_from_file(os.fsencode(path), _GgufParams(True, None))
    if not found:
        return None
    try:
        values = dict(_values(ggml, found))
        architecture = values.get("general.architecture", "")
        tensors, end = {}, 0
        for i in range(ggml.gguf_get_n_tensors(found)):
            size = ggml.gguf_get_tensor_size(found, i)
            tensors[ggml.gguf_get_tensor_name(found, i).decode("utf-8", "replace")] = size
            end = max(end, ggml.gguf_get_tensor_offset(found, i) + size)
        name = architecture if isinstance(architecture, str) else ""
        words = ggml.gguf_find_key(found, _WORDS)
        known = ggml.gguf_get_arr_n(found, words) if words >= 0 and ggml.gguf_get_kv_type(found, words) == _ARRAY else 0
        return GgufHeader(name, ggml.gguf_get_data_offset(found) + end, known, values, tensors)
    finally:
        ggml.gguf_free(found)


def _values(ggml: Any, found: int) -> Iterator[tuple[str, Value]]:
    """The key-value pairs. Reading one as another type than it has would end the process."""
    for i in range(ggml.gguf_get_n_kv(found)):
        key, kind = ggml.gguf_get_key(found, i).decode("utf-8", "replace"), ggml.gguf_get_kv_type(found, i)
        if kind == _STRING:
            yield key, ggml.gguf_get_val_str(found, i).decode("utf-8", "replace")
        elif kind in _FORMATS:
            yield key, _unpacked(ggml.gguf_get_val_data(found, i), kind, 1)[0]
        elif kind == _ARRAY:
            of, count = ggml.gguf_get_arr_type(found, i), ggml.gguf_get_arr_n(found, i)
            if of in _INTEGERS and 0 < count <= _LONGEST:
                yield key, _unpacked(ggml.gguf_get_arr_data(found, i), of, count)


def _unpacked(at: int, kind: int, count: int) -> tuple[Any, ...]:
    form = f"={count}{_FORMATS[kind]}"
    return struct.unpack(form, ctypes.string_at(at, struct.calcsize(form)))


class _GgufParams(ctypes.Structure):
    """gguf_init_params of gguf.h."""

    _fields_ = [("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p)]


@cache
def _ggml() -> Any:
    """The functions of gguf.h."""
    pointer, number, text, size = ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_size_t
    functions = (
        ("gguf_init_from_file", (text, _GgufParams), pointer),
        ("gguf_free", (pointer,), None),
        ("gguf_get_n_kv", (pointer,), number),
        ("gguf_find_key", (pointer, text), number),
        ("gguf_get_key", (pointer, number), text),
        ("gguf_get_kv_type", (pointer, number), ctypes.c_int),
        ("gguf_get_val_str", (pointer, number), text),
        ("gguf_get_val_data", (pointer, number), pointer),
        ("gguf_get_arr_type", (pointer, number), ctypes.c_int),
        ("gguf_get_arr_n", (pointer, number), size),
        ("gguf_get_arr_data", (pointer, number), pointer),
        ("gguf_get_n_tensors", (pointer,), number),
        ("gguf_get_tensor_name", (pointer, number), text),
        ("gguf_get_tensor_offset", (pointer, number), size),
        ("gguf_get_tensor_size", (pointer, number), size),
        ("gguf_get_data_offset", (pointer,), size),
    )
    return SimpleNamespace(**{name: ggml_function(name, arguments, result) for name, arguments, result in functions})
