"""A library that has read a few notes: reading them once is enough for all tests here."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rag.build import open_library
from rag.config import load_settings
from rag.library import Library

NOTES = {
    "house/boiler.md": f"# The boiler\n\nIt hangs on the landing. {'It hums. ' * 150}\n\n"
    f"## Pressure\n\nCold it wants 1.3 bar. {'Filled by a loop. ' * 100}\n",
    "house/index.md": "# Where things are\n\nSee [the thing on the landing](boiler.md), [[bees|the hives]], "
    "[how hard to fill it](boiler.md#pressure), [elsewhere](https://example.org/bees), [[nowhere]], [[index]] "
    "and [[wasps|both]].\n",
    "wasps.md": "# Wasps\n\nNo honey here.\n",
    "old/wasps.md": "# Older wasps\n\nNor here.\n",
    "bees.md": "# Bees\n\nThe second hive swarmed on 14 May.\n",
    "roof.eml": "From: Tom <tom@example.org>\nTo: me@example.org\nSubject: Re: Your roof, as promised\n"
    "Date: Mon, 3 Nov 2025 10:00:00 +0000\n\nThe slates come on Friday.\n",
    "plot.txt": "Half a plot at the lane.\n",
}


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    for name, text in NOTES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="session")
def filled_home(notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a library that has read the notes: reading them once is enough."""
    home = tmp_path_factory.mktemp("filled")
    with closing(open_library(load_settings(home=home, embedder="hashing", generator="none", workers=1))) as library:
        library.add([notes])
    return home


@pytest.fixture
def home(filled_home: Path, own_home: Path) -> Path:
    """This test's own RAG_HOME, with those notes in it."""
    shutil.copytree(filled_home, own_home, dirs_exist_ok=True)
    return own_home


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with closing(open_library(load_settings(embedder="hashing", generator="none"))) as library:
        yield library
