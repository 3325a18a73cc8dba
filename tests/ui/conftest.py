"""A small library in memory for the tests of the screen."""

from pathlib import Path

import pytest

from tests.ui.fakes import FakeLibrary, make_document

BEES = "# Swarms\nThe queen leaves with half the hive in May. Keep an empty box ready.\n# Honey\nTwelve jars in August."
TRAIN = "The night train to Vienna leaves Hamburg at 20:29. Berth 45 is by the window."


@pytest.fixture
def library(tmp_path: Path) -> FakeLibrary:
    documents = [
        make_document("/home/ada/notes/bees.md", BEES, title="Bees"),
        make_document("/home/ada/papers/train.pdf", TRAIN, title="Night train", kind="pdf", pages=2),
    ]
    return FakeLibrary(tmp_path / "home", documents)
