"""One library for each file of tests: taught, and not trained yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rag.library import Library
from tests.improving.made import opened, prepare, teach, write_notes


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        prepare(patch)
        yield patch


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> Iterator[Library]:
    torch.set_num_threads(1)
    folder: Path = tmp_path_factory.mktemp("improving")
    write_notes(folder / "notes")
    library = opened(folder / "home")
    library.add([folder / "notes"])
    teach(library)
    yield library
    library.close()
