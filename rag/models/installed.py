"""Which models lie in the library's models folder, and where the files of one are. Reads names and JSON, no weights.

A model is a folder in `RAG_HOME/models`: pulled, with a `manifest.json` that says where it came from, or put there by
hand without one. What a folder is good for is told by what is in it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rag.errors import ModelError, ModelNotFound

MANIFEST = "manifest.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
"""What a model may be called: no separator of folders, nothing hidden."""

ModelKind = Literal["embedder", "image embedder", "reranker", "generator"]

_SPLIT = re.compile(r"-(\d{5})-of-\d{5}\.gguf$")
_EYES = "mmproj"


@dataclass(frozen=True, slots=True)
class Installed:
    """A model on this machine. `files` has the sha256 by name; it and what follows are empty without a manifest.

    `source` is "hf:owner/name" or a path, `revision` a commit of that repository, `date` ISO 8601 in UTC.
    """

    name: str
    kind: ModelKind
    folder: Path
    bytes: int
    source: str = ""
    revision: str = ""
    date: str = ""
    licence: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def sees(self) -> bool:
        """Whether it is a language model with eyes."""
        return self.kind == "generator" and any(is_eyes(path.name) for path in self.folder.glob("*.gguf"))


def models_folder(home: Path) -> Path:
    """Where the models of the library in `home` lie."""
    return home / "models"


def installed_models(home: Path) -> list[Installed]:
    """The models of the library in `home`, by name. What is no model, or half of one, is left out."""
    folders = sorted(models_folder(home).iterdir()) if models_folder(home).is_dir() else []
    return [_installed(folder, kind) for folder in folders if (kind := _kind_of_named(folder)) is not None]


def installed_model(name: str, home: Path) -> Installed | None:
    """The model of that name, None where there is none."""
    folder = models_folder(home) / name
    kind = _kind_of_named(folder) if NAME.fullmatch(name) else None
    return _installed(folder, kind) if kind is not None else None


def resolve(reference: str, home: Path) -> Path:
    """The folder, or for a language model the GGUF file, that `reference` means: an installed name, or a path.

    A language model's folder stands for the file in it. An installed name wins over a file of that name.

    Raises:
        ModelNotFound: it is neither installed nor a path that exists.
        ModelError: a folder holds several language models.
    """
    named = models_folder(home) / reference if NAME.fullmatch(reference) else None
    path = named if named is not None and named.is_dir() else Path(reference).expanduser().absolute()
    if not path.exists():
        raise ModelNotFound(
            f"there is no model {reference!r}: it is not installed in {str(models_folder(home))!r} and no path either; "
            f"see `rag models list`, then `rag models pull {reference if named else 'NAME'}`"
        )
    return generator_file(path) if path.is_dir() and kind_of(path) == "generator" else path


def generator_file(folder: Path) -> Path:
    """The GGUF file of the language model in `folder`: of one in parts the first.

    Raises:
        ModelNotFound: there is none.
        ModelError: there are several.
    """
    files = list(_generators(folder))
    if not files:
        raise ModelNotFound(f"there is no GGUF file of a language model in {str(folder)!r}")
    if len(files) > 1:
        names = ", ".join(sorted(path.name for path in files))
        raise ModelError(f"{str(folder)!r} holds several language models ({names}); give the path of one")
    return files[0]


def eyes_of(generator: Path) -> Path | None:
    """The mmproj file that lies beside a language model and makes it see; None where there is none, or several."""
    eyes = [path for path in generator.parent.glob("*.gguf") if is_eyes(path.name)]
    return eyes[0] if len(eyes) == 1 else None


def is_eyes(name: str) -> bool:
    """Whether a GGUF file of that name is the eyes of a language model: they are called mmproj-… or ….mmproj-…"""
    return _EYES in name.lower()


def kind_of(folder: Path) -> ModelKind | None:
    """What the model in `folder` is for, None where there is none that this program could use."""
    if any(_generators(folder)):
        return "generator"
    if (folder / "open_clip_config.json").is_file():
        return "image embedder"
    config = _json(folder / "config.json")
    if any(str(name).endswith("ForSequenceClassification") for name in config.get("architectures") or ()):
        return "reranker"
    return "embedder" if (folder / "modules.json").is_file() else None


def _generators(folder: Path) -> Iterator[Path]:
    for path in folder.glob("*.gguf"):
        part = _SPLIT.search(path.name)
        if not is_eyes(path.name) and (part is None or int(part[1]) == 1):
            yield path


def _kind_of_named(folder: Path) -> ModelKind | None:
    return kind_of(folder) if NAME.fullmatch(folder.name) and folder.is_dir() else None


def _installed(folder: Path, kind: ModelKind) -> Installed:
    told = _json(folder / MANIFEST)
    words = {key: value for key in ("source", "revision", "date", "licence") if isinstance(value := told.get(key), str)}
    files = told.get("files")
    sums = {str(name): str(sum_) for name, sum_ in files.items()} if isinstance(files, dict) else {}
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Installed(folder.name, kind, folder, size, files=sums, **words)


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no such file, or something else in it."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
