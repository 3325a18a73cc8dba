"""Sentences made wrong, by hand, and a tiny set from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from eval.answers import Asking
from eval.cache import CachedEmbedder
from eval.datasets import DatasetError
from eval.grounding import TRUE, grounding, print_grounding, variants
from rag.config import load_settings
from rag.embed.hashing import HashingEmbedder
from tests.eval.made import beir, tiny

ELSEWHERE = "Bees swarm when a hive is full in May, and never at night."


def made(sentence: str) -> dict[str, str]:
    return dict(variants(sentence, ELSEWHERE, ["Otto"], rng()))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_each_way_of_making_a_sentence_wrong() -> None:
    found = made("In 1962 the bakery of Ana was opened with 3 ovens.")
    number = found.pop("another number")
    assert number.endswith(" the bakery of Ana was opened with 3 ovens.")
    assert 1962 < int(number.split()[1]) < 1972
    assert found == {
        "numbers swapped": "In 3 the bakery of Ana was opened with 1962 ovens.",
        "another name": "In 1962 the bakery of Otto was opened with 3 ovens.",
        "denied": "In 1962 the bakery of Ana was not opened with 3 ovens.",
        "something added": "In 1962 the bakery of Ana was opened with 3 ovens, and bees swarm when a hive is full in.",
        "about something else": ELSEWHERE,
    }


def test_what_gives_no_hold_is_left_out() -> None:
    assert set(made("the bread rises slowly")) == {"something added", "about something else"}


def asking() -> Asking:
    settings = load_settings(home=Path("unused"), embedder="hashing", ocr=False, image_embedder="none")
    return Asking(settings, CachedEmbedder(HashingEmbedder(), None), None)


def test_true_sentences_are_supported_and_wrong_ones_marked(tmp_path: Path) -> None:
    texts = {"d1": "The bakery of Ana Flores opened in 1962.", "d2": "Bees swarm in May when the hive is full."}
    beir(
        tmp_path,
        [{"_id": name, "title": "", "text": text} for name, text in texts.items()],
        [{"_id": "q1", "text": "When did the bakery open?"}],
        [("q1", "d1", 1)],
    )
    (tmp_path / "answers.jsonl").write_text(json.dumps({"query-id": "q1", "answers": [{"text": "1962"}]}), "utf-8")
    found = grounding(tmp_path, asking())
    assert found["kinds"][TRUE[0]] == {"sentences": 1, "supported": 1, "partly": 0, "unsupported": 0, "marked": 0}
    assert found["kinds"]["another number"]["unsupported"] == 1
    assert found["kinds"]["something added"]["marked"] == 1
    console = Console(record=True, width=120)
    print_grounding(found, console)
    assert "another number" in console.export_text()


def test_it_needs_answers(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no answers"):
        grounding(tiny(tmp_path), asking())
