"""A query's vector turned a little, to where its owner's documents lie: z = norm((I + U V^t) q).

The form of a residual adapter on a frozen embedder (Search-Adaptor, Yoon et al. 2023,
https://arxiv.org/abs/2310.08750, there for queries and documents; here for queries alone, so that no document is
embedded again). U = 0 changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rag.errors import TuneError
from rag.tune.tensors import read_tensors, unit, write_tensors


@dataclass(frozen=True, eq=False)
class LinearHead:
    """`u` and `v` are float32[D, R], R being the rank."""

    FILE: ClassVar[str] = "linear.safetensors"

    u: NDArray[np.float32]
    v: NDArray[np.float32]

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[N, D] unit rows -> float32[N, D] unit rows."""
        return unit(np.asarray(rows + (rows @ self.v) @ self.u.T, np.float32))

    def write(self, folder: Path) -> None:
        write_tensors(folder / self.FILE, {"u": self.u, "v": self.v})

    @classmethod
    def read(cls, folder: Path, dim: int) -> "LinearHead":
        """The head in a run's folder; TuneError where it is not one for vectors of `dim` numbers."""
        arrays = read_tensors(folder / cls.FILE, {"u": 2, "v": 2})
        if arrays["u"].shape != arrays["v"].shape or len(arrays["u"]) != dim:
            raise TuneError(f"{str(folder / cls.FILE)!r} is for vectors of another size; train again")
        return cls(arrays["u"], arrays["v"])
