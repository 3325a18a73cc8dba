"""The models that are suggested: `catalogue.toml`, checked, and what of it suits a machine.

Memory is an estimate from what is downloaded; `rag doctor` measures what a loaded model really takes.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.models.installed import ModelKind

CARDS = (6, 8, 12, 16, 24)
"""GB of memory that graphics cards have: the classes that suggestions are made for."""

Fit = Literal["gpu", "cpu", "slow", "no"]
"""On the graphics card; on the processor, quickly enough to wait for; there, but slowly; nowhere."""

_GB = 1e9
_GROWTH = 1.1  # of the weights: caches and buffers grow with a model
_BASE = 0.5e9  # bytes: what a runtime takes for itself and for a context of 4,096 tokens
_CARD_SHARE = 0.92  # of a card's memory is ours: the driver and the screen take the rest
_MEMORY_SHARE = 0.7  # of the machine's memory
_SMALL_SHARE = 1 / 8  # of a card, for each model beside the language model, which is to have most of it
_BRISK = {"generator": 4.5e9, "embedder": 0.7e9, "image embedder": 1.6e9, "reranker": 0.35e9}
"""Bytes of weights that a laptop's processor gets through often enough: each word, text or picture takes all."""


class Entry(BaseModel):
    """One suggested model. What is not known is left out: 0, "" or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: ModelKind
    about: str
    repository: str
    revision: str = "main"
    files: tuple[str, ...] = Field((), description="patterns of its weights, where the repository holds several")
    sha256: Mapping[str, str] = Field(default_factory=dict, description="by file name, where published")
    gigabytes: float = Field(description="of the download, in 10^9 bytes")
    sees: bool = Field(False, description="it looks at pictures")
    gated: bool = Field(False, description="given only to those who accepted its licence on the hub")
    licence: str
    languages: str
    quality: str = ""
    quality_source: str = ""
    prompts: Mapping[str, str] = Field(default_factory=dict, description="what goes before a 'query' and a 'document'")

    @property
    def bytes(self) -> float:
        return self.gigabytes * _GB

    @property
    def memory(self) -> float:
        """Bytes that it takes when it runs, estimated."""
        return memory_of(self.bytes)

    @property
    def card(self) -> int:
        """The smallest class of graphics card that holds it, in GB; 0: none of them does."""
        return next((card for card in CARDS if self.memory <= card * _GB * _CARD_SHARE), 0)

    def fit(self, memory: float, card: float) -> Fit:
        """How it would run on a machine with that much memory and a graphics card with that much, in bytes."""
        return fit_of(self.kind, self.bytes, memory, card)


def memory_of(weights: float) -> float:
    """Bytes that a model takes when it runs, estimated from the bytes of its files."""
    return weights * _GROWTH + _BASE


def fit_of(kind: ModelKind, weights: float, memory: float, card: float) -> Fit:
    """How a model of `weights` bytes would run where there are `memory` bytes, and `card` on a graphics card."""
    if memory_of(weights) <= card * _CARD_SHARE:
        return "gpu"
    if memory_of(weights) > memory * _MEMORY_SHARE:
        return "no"
    return "cpu" if weights <= _BRISK[kind] else "slow"


@cache
def catalogue() -> tuple[Entry, ...]:
    """Every suggested model, in the order of the file: of each kind the small ones first."""
    told = tomllib.loads(files("rag.models").joinpath("catalogue.toml").read_text("utf-8"))
    return tuple(Entry(**entry) for entry in told["model"])


def find_entry(name: str) -> Entry | None:
    """The suggested model of that name."""
    return next((entry for entry in catalogue() if entry.name == name), None)


def suggested(memory: float, card: float) -> dict[ModelKind, Entry]:
    """For each kind the best that runs well on a machine of that much memory and graphics memory, in bytes.

    The language model is to have the graphics card; the others are to take a small share of it, or the processor.
    """
    best: dict[ModelKind, Entry] = {}
    for entry in catalogue():
        room = card if entry.kind == "generator" else card * _SMALL_SHARE
        if not entry.gated and entry.fit(memory, room) in ("gpu", "cpu"):
            best[entry.kind] = entry
    return best
