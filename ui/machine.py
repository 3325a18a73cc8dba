"""The facts of the machine that the Models page shows, and which models there are for it."""

import os
import platform
from collections.abc import Iterator, Sequence

from rag.config import Settings, load_settings
from rag.errors import ConfigError
from rag.library import Library
from rag.models.choice import SETTINGS
from rag.models.installed import installed_models
from rag.models.machine import this_machine
from rag.models.overview import names_in_use, overview
from rag.text import gigabytes
from ui.model_tasks import Task
from ui.models_page import Models
from ui.status import Warmth


def machine_facts() -> list[tuple[str, str]]:
    """What a person may want to know before a model is got."""
    machine = this_machine()
    card = f"{machine.card_name}, {gigabytes(machine.card)}" if machine.card else "none that models would run on"
    return [
        ("System", f"{platform.system()} {platform.release()}"),
        ("Processor", f"{platform.machine()}, {os.cpu_count() or 1} cores"),
        ("Memory", gigabytes(machine.memory)),
        ("Graphics card", card),
        ("Python", platform.python_version()),
    ]


def models_of(library: Library, warmth: Warmth, tasks: Sequence[Task] = ()) -> Models:
    """Everything that the Models page shows of a library. Loads no model."""
    status, versions = library.status(), library.versions()
    settings, machine = settings_on_disk(library.settings), this_machine()
    installed = installed_models(library.settings.home)
    # What is found by itself may have come after the start; then it does not run yet.
    named = names_in_use(library.settings.model_copy(update={"image_embedder": "none", "reranker": "none"}))
    serving = named | {model.name for model in status.models}
    chosen = names_in_use(settings)
    kept = names_in_use(settings, [version.reference or version.embedder for version in versions])
    return Models(
        status=status,
        warmth=warmth,
        rows=overview(installed, machine, kept | serving),
        versions=versions,
        tasks=tasks,
        serving=frozenset(serving),
        later=chosen - serving,
        waiting=tuple(new for new, old in _chosen(settings, library.settings) if new != old),
    )


def _chosen(*settings: Settings) -> Iterator[tuple[str, ...]]:
    """What the settings say of each model that is chosen in them."""
    return (tuple(str(getattr(each, name)) for each in settings) for name in SETTINGS.values())


def references_in_use(library: Library) -> frozenset[str]:
    """What the next start would use, as the settings write it: names, paths, and models of servers."""
    settings = settings_on_disk(library.settings)
    live = [version.reference for version in library.versions() if version.state == "live"]
    return frozenset({settings.generator, settings.embedder, *live})


def settings_on_disk(settings: Settings) -> Settings:
    """The settings that the next start would have: a model may have been chosen meanwhile."""
    try:
        return load_settings(home=settings.home)
    except ConfigError:
        return settings
