"""One list of the models that are installed and of those that are suggested, for a machine and for what is in use."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag.config import Settings
from rag.models.catalogue import Entry, Fit, catalogue, fit_of, memory_of, suggested
from rag.models.installed import NAME, Installed, ModelKind, installed_models, models_folder
from rag.models.machine import Machine


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model as it is listed. What is not known is "". `bytes` on disk or to download; `memory` is an estimate.

    `suggested`: the one of its kind that suits the machine best. `card`: the smallest class of graphics card for it, in
    GB, 0 where none of them holds it.
    """

    name: str
    kind: ModelKind
    about: str
    bytes: int
    memory: int
    card: int
    fit: Fit
    suggested: bool
    installed: bool
    used: bool
    sees: bool
    gated: bool
    licence: str
    languages: str
    quality: str
    quality_source: str
    source: str
    revision: str


def overview(installed: Sequence[Installed], machine: Machine, used: Collection[str] = ()) -> list[ModelRow]:
    """The catalogue in its order, then what else is installed. `used` are the names of those in use."""
    here = {model.name: model for model in installed}
    best = {entry.name for entry in suggested(machine.memory, machine.card).values()}
    rows = [_known(entry, here.pop(entry.name, None), machine, entry.name in best, used) for entry in catalogue()]
    return rows + [_other(model, machine, used) for model in here.values()]


def names_in_use(settings: Settings, references: Collection[str] = ()) -> frozenset[str]:
    """The installed models that the settings name, and those that the versions of the index were made with.

    `references` are what the settings call the embedders of those versions.
    """
    installed = installed_models(settings.home)
    chosen = {settings.embedder, settings.generator, settings.image_embedder, settings.reranker, *references}
    for kind, setting in (("image embedder", settings.image_embedder), ("reranker", settings.reranker)):
        if setting == "auto":
            chosen.update([model.name for model in installed if model.kind == kind][:1])  # as it is found
    folders = {_folder_named(reference, settings.home) for reference in chosen}
    if settings.mmproj is not None:
        folders.add(settings.mmproj.expanduser().absolute().parent)
    return frozenset(model.name for model in installed if model.folder in folders)


def _folder_named(reference: str, home: Path) -> Path:
    """The folder of the model that a setting means: by name, or by the path of it or of a file in it."""
    if NAME.fullmatch(reference):
        return models_folder(home) / reference
    path = Path(reference).expanduser().absolute()
    return path.parent if path.is_file() else path


def _known(entry: Entry, here: Installed | None, machine: Machine, is_best: bool, used: Collection[str]) -> ModelRow:
    return ModelRow(
        name=entry.name,
        kind=entry.kind,
        about=entry.about,
        bytes=here.bytes if here else int(entry.bytes),
        memory=int(entry.memory),
        card=entry.card,
        fit=entry.fit(machine.memory, machine.card),
        suggested=is_best,
        installed=here is not None,
        used=entry.name in used,
        sees=entry.sees,
        gated=entry.gated,
        licence=entry.licence,
        languages=entry.languages,
        quality=entry.quality,
        quality_source=entry.quality_source,
        source=f"hf:{entry.repository}",
        revision=here.revision if here else entry.revision,
    )


def _other(model: Installed, machine: Machine, used: Collection[str]) -> ModelRow:
    fit = fit_of(model.kind, model.bytes, machine.memory, machine.card)
    return ModelRow(
        name=model.name,
        kind=model.kind,
        about="",
        bytes=model.bytes,
        memory=int(memory_of(model.bytes)),
        card=0,
        fit=fit,
        suggested=False,
        installed=True,
        used=model.name in used,
        sees=model.sees,
        gated=False,
        licence=model.licence,
        languages="",
        quality="",
        quality_source="",
        source=model.source,
        revision=model.revision,
    )
