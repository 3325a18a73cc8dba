"""What is compared in one run: named sets of options, from the command line or from a small TOML file.

A table of the file, or an option `--configuration NAME:KEY=VALUE,KEY=VALUE`, is one configuration:

    [short]
    chunk_tokens = 100

    ["rank fusion"]
    fusion = "rrf"

What a configuration does not say is as the other options and settings have it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eval.fusions import FUSIONS
from rag.config import Settings, load_settings
from rag.errors import ConfigError

OURS = "ours"  # the fusion of the program
_SETTINGS = (
    *("embedder", "image_embedder", "device", "precision"),
    *("ocr", "chunk_tokens", "reranker", "rerank_ms"),
)
KEYS = (*_SETTINGS, "fusion", "store")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A way to index and to search. `settings` holds those of the program that are chosen here."""

    name: str
    settings: Mapping[str, Any]
    store: str = "lance"
    fusion: str = OURS

    def loaded(self) -> Settings:
        """The settings in force.

        Raises:
            ConfigError: a value that a setting cannot have.
        """
        return load_settings(**self.settings)


def configurations(base: Configuration, file: Path | None, said: Sequence[str]) -> list[Configuration]:
    """Those of `file` and then those that were `said` as options, each on top of `base`; without any, `base` alone.

    Raises:
        ConfigError: the file cannot be read, a key or value is unknown, or two have the same name.
    """
    named = [*(_tables(file) if file else ()), *map(_option, said)]
    if not named:
        return [_checked(base)]
    names = [name for name, _ in named]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two configurations are called {name!r}; give each a name of its own")
    return [_checked(_on_top(base, name, values)) for name, values in named]


def _tables(file: Path) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        tables = tomllib.loads(file.read_text("utf-8-sig"))
    except OSError as exc:
        raise ConfigError(f"cannot read the configurations in {str(file)!r} ({exc.strerror})") from exc
    except ValueError as exc:  # not TOML, or not UTF-8
        raise ConfigError(f"cannot read the configurations in {str(file)!r}: {exc}") from exc
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{str(file)!r}: {name!r} stands outside a table; write [name] above it")
    if not tables:
        raise ConfigError(f"{str(file)!r} has no configuration; write one as a table, such as [short]")
    return list(tables.items())


def _option(said: str) -> tuple[str, Mapping[str, Any]]:
    name, colon, rest = said.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair.strip()]
    if not (name.strip() and colon) or any(not equals for _, equals, _ in pairs):
        raise ConfigError(f"cannot read the configuration {said!r}; write NAME:KEY=VALUE,KEY=VALUE")
    return name.strip(), {key.strip(): value.strip() for key, _, value in pairs}


def _on_top(base: Configuration, name: str, values: Mapping[str, Any]) -> Configuration:
    for key in values:
        if key not in KEYS:
            raise ConfigError(f"the configuration {name!r} has an unknown key {key!r}; known are {', '.join(KEYS)}")
    chosen = {key: value for key, value in values.items() if key in _SETTINGS}
    store, fusion = str(values.get("store", base.store)), str(values.get("fusion", base.fusion))
    return replace(base, name=name, settings={**base.settings, **chosen}, store=store, fusion=fusion)


def _checked(one: Configuration) -> Configuration:
    if one.fusion != OURS and one.fusion not in FUSIONS:
        raise ConfigError(f"{one.name!r}: no fusion is called {one.fusion!r}; known are {', '.join([OURS, *FUSIONS])}")
    settings = one.loaded()
    if one.fusion != OURS and settings.reranker != "none":
        raise ConfigError(f"{one.name!r}: a reranker goes on from our own fusion; leave out one of the two")
    return one
