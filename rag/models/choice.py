"""Which model the library is to use from its next start on: written into rag.toml, as a person would."""

import os
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from rag.errors import ConfigError
from rag.models.installed import ModelKind

SETTINGS: dict[ModelKind, str] = {
    "generator": "generator",
    "image embedder": "image_embedder",
    "reranker": "reranker",
}
"""The setting that names the model of a kind. A text embedder is not set but switched to: the index depends on it."""


def choose_model(kind: ModelKind, name: str, home: Path) -> None:
    """Write into `rag.toml` in `home` that `name` is to be used; the rest of the file stays as it is.

    Raises:
        ConfigError: no setting names a model of that kind, an environment variable insists on another one, or the file
            cannot be read or written.
    """
    setting = SETTINGS.get(kind)
    if setting is None:
        raise ConfigError(f"the {kind} is not chosen in the settings")
    variable = f"RAG_{setting.upper()}"
    if os.environ.get(variable, name) != name:
        raise ConfigError(f"{variable} insists on {os.environ[variable]!r}; take it out of the environment first")
    path = home / "rag.toml"
    try:
        told = tomlkit.parse(path.read_text("utf-8")) if path.exists() else tomlkit.document()
        told[setting] = name
        if kind == "generator":
            told.pop("mmproj", None)  # the eyes of the model before
        new = path.with_suffix(".toml.new")
        new.write_text(tomlkit.dumps(told), "utf-8")
        new.replace(path)
    except (OSError, UnicodeError, TOMLKitError) as exc:
        raise ConfigError(f"cannot write the setting {setting!r} into {str(path)!r}: {exc}") from exc
