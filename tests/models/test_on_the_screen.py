"""From the hub to the screen with real weights: an embedder is pulled, the library switched to it, and back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rag.build import open_library
from rag.config import load_settings
from rag.errors import ConfigError
from rag.library import Library
from tests.hub_server import Hub
from tests.ui.test_models_page import Told, ended
from ui.machine import models_of
from ui.model_tasks import ModelTasks
from ui.status import Warmth

from .conftest import files_of
from .test_cli_models import run

pytestmark = pytest.mark.model


@pytest.fixture
def library(own_home: Path, tmp_path: Path) -> Iterator[Library]:
    for name, text in (("bees", "The queen leaves with half the hive in May."), ("train", "The night train leaves.")):
        (tmp_path / f"{name}.md").write_text(text, "utf-8")
    opened = open_library(load_settings(workers=1))
    opened.add([tmp_path])
    yield opened
    opened.close()


def finish(library: Library, home: Path, begin: Callable[[ModelTasks], None]) -> None:
    """Let a task come to its end, and see that it was a good one."""
    pulse = Told()
    tasks = ModelTasks(library, home, pulse)
    begin(tasks)
    pulse.wait_for(ended(tasks))
    assert [(task.state, task.error) for task in tasks.all()] == [("done", None)]
    tasks.close(10)


def test_a_pulled_embedder_takes_over_and_gives_back(
    hub: Hub,
    library: Library,
    own_home: Path,
    small_embedder: Path,
) -> None:
    hub.add("someone/minilm-l1", files_of(small_embedder))
    run("pull", "hf:someone/minilm-l1")
    page = models_of(library, Warmth())
    assert "minilm-l1" not in page.serving

    finish(library, own_home, lambda tasks: tasks.use("minilm-l1"))
    page = models_of(library, Warmth())
    assert "minilm-l1" in page.serving
    assert library.search("queen of the hive").hits[0].chunk.title == "bees"
    with pytest.raises(ConfigError, match="'minilm-l1' is in use"):
        run("remove", "minilm-l1")

    finish(library, own_home, ModelTasks.roll_back)
    page = models_of(library, Warmth())
    assert "minilm-l1" not in page.serving
    row = next(row for row in page.rows if row.name == "minilm-l1")
    assert row.used  # its index is kept
    library.prune_versions()
    assert not next(row for row in models_of(library, Warmth()).rows if row.name == "minilm-l1").used
    run("remove", "minilm-l1")
