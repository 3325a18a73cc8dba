"""The catalogue keeps its word, and what is suggested fits."""

import re
from fnmatch import fnmatch
from typing import get_args

import pytest

from rag.models import machine
from rag.models.catalogue import CARDS, Entry, catalogue, find_entry, fit_of, suggested
from rag.models.choose import choose
from rag.models.facts import Card
from rag.models.installed import NAME, ModelKind, is_eyes

GB = 1e9


@pytest.mark.parametrize("one", catalogue(), ids=lambda one: one.name)
def test_an_entry_is_whole(one: Entry) -> None:
    assert NAME.fullmatch(one.name)
    assert one.name == one.name.lower()
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", one.repository)
    assert re.fullmatch(r"main|[0-9a-f]{40}", one.revision)
    assert one.about.endswith(".")
    assert bool(one.quality) == one.quality_source.startswith("https://")
    assert all(re.fullmatch(r"[0-9a-f]{64}", sum_) for sum_ in one.sha256.values())
    assert set(one.files) <= set(one.sha256)  # a file that is named is pinned by its checksum
    assert one.sees == any(is_eyes(name) for name in one.files)
    assert one.card in CARDS


def test_names_are_unique_and_found() -> None:
    names = [one.name for one in catalogue()]
    assert len(set(names)) == len(names)
    assert all(find_entry(name) is one for name, one in zip(names, catalogue(), strict=True))
    assert find_entry("unknown") is None


def test_every_kind_and_every_class_of_card_has_something() -> None:
    assert {one.kind for one in catalogue()} == set(get_args(ModelKind))
    writers = {one.card for one in catalogue() if one.kind == "generator"}
    assert writers == set(CARDS)


@pytest.mark.parametrize("card", [0, *CARDS])
def test_what_is_suggested_fits(card: int) -> None:
    memory = 16 * GB
    best = suggested(memory, card * GB)
    assert set(best) == set(get_args(ModelKind))
    assert not any(one.gated for one in best.values())
    assert all(one.fit(memory, card * GB) in ("gpu", "cpu") for one in best.values())
    if card:
        assert best["generator"].card == card


def test_nothing_is_suggested_to_a_machine_that_holds_nothing() -> None:
    assert suggested(0.5 * GB, 0) == {}


@pytest.mark.parametrize(
    ("weights", "memory", "card", "fit"),
    [
        (4.0, 16, 6, "gpu"),  # 4.0 * 1.1 + .5 = 4.9 <= 6 * .92 = 5.52
        (4.6, 16, 6, "slow"),  # 5.56 > 5.52, and 4.6 > 4.5
        (4.5, 16, 0, "cpu"),
        (4.5, 7, 0, "no"),  # 5.45 > 7 * .7 = 4.9
        (0, 1, 0, "cpu"),
    ],
)
def test_how_a_language_model_would_run(weights: float, memory: float, card: float, fit: str) -> None:
    assert fit_of("generator", weights * GB, memory * GB, card * GB) == fit


def test_the_largest_card_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = (Card("Small", 4 << 30, 0, ""), Card("Large", 8 << 30, 0, ""))
    monkeypatch.setattr(machine, "nvidia", lambda: (cards, "13.0", ""))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    found = machine.this_machine.__wrapped__()
    assert (found.card_name, found.card) == ("Large", 8 << 30)
    monkeypatch.setattr(machine, "nvidia", lambda: ((), "", "the driver is not loaded"))
    assert machine.this_machine.__wrapped__().card == 0


def test_the_named_files_are_those_that_are_taken() -> None:
    for one in catalogue():
        if one.files:
            beside = {*one.files, "README.md", "other-Q8_0.gguf", "mmproj-other.gguf", "LICENSE"}
            assert choose(beside, one.files) == sorted({*one.files, "LICENSE"})
            assert all(any(fnmatch(name, pattern) for pattern in one.files) for name in one.files)
