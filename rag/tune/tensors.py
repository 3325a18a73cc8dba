"""Arrays in a safetensors file: written whole or not at all, read with their shapes made sure of."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rag.errors import TuneError
from rag.files import write_whole

Arrays = Mapping[str, NDArray[np.float32]]


def write_tensors(path: Path, arrays: Arrays) -> None:
    """Write float32 arrays by name.

    Raises:
        DiskFull: there is no room; what was there before stays.
        TuneError: it cannot be written for another reason.
    """
    data = save({name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()})
    write_whole(path, data, TuneError)


def read_tensors(path: Path, dimensions: Mapping[str, int]) -> dict[str, NDArray[np.float32]]:
    """The float32 arrays of a file that has exactly those names, each with so many dimensions and finite numbers.

    Raises:
        TuneError: there is no such file, or it holds something else.
    """
    try:
        arrays = load(path.read_bytes())
    except (OSError, SafetensorError) as exc:
        raise TuneError(f"cannot read {str(path)!r}: {exc}; train again") from exc
    if {name: array.ndim for name, array in arrays.items()} != dict(dimensions) or not all(
        array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()
    ):
        raise TuneError(f"{str(path)!r} does not hold what it should; train again")
    return arrays


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[N, D] with each row made as long as 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
