"""Where do files go that were dropped into the browser? Into a folder of the library, under their own names."""

import shutil
from filecmp import cmp
from itertools import count
from pathlib import Path


def adopted(file: Path, folder: Path) -> Path:
    """A copy of `file` in `folder`: under its own name, or a numbered one where that name holds something else."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        copy = folder / (file.name if number == 1 else f"{file.stem} ({number}){file.suffix}")
        if not copy.exists():
            shutil.copy2(file, copy)
            return copy
        if cmp(file, copy, shallow=False):
            return copy
    raise AssertionError("unreachable: there is always a next number")
