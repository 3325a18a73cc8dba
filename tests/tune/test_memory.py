"""What was chosen before draws a query that comes again, by visible arithmetic."""

from pathlib import Path

import numpy as np
import pytest

from rag.errors import TuneError
from rag.tune.feedback import Feedback
from rag.tune.memory import Memory, remembered
from rag.tune.records import Act, Choice, Shown, ShownChunk

VECTORS = {"c1": np.array([0, 1, 0], np.float32), "c2": np.array([0, 0, 1], np.float32)}
QUERIES = {"bees": np.array([1, 0, 0], np.float32), "tax": np.array([0, 0.6, 0.8], np.float32)}


def feedback(*said: tuple[str, str, Act, str, int]) -> Feedback:
    """Lists (by id and query), each with what was chosen in it: the act, the chunk and its rank."""
    shown = {
        name: Shown(name, 0.0, query, "", "", tuple(ShownChunk(chunk, "d", rank) for *_, chunk, rank in said))
        for name, query, *_ in said
    }
    return Feedback(shown, tuple(Choice(name, 0.0, act, chunk) for name, _, act, chunk, _ in said))


def memory(*said: tuple[str, str, Act, str, int]) -> Memory | None:
    return remembered(
        feedback(*said),
        lambda ids: {name: VECTORS[name] for name in ids if name in VECTORS},
        lambda queries: np.stack([QUERIES[query.casefold()] for query in queries]),
    )


def drawn(found: Memory, query: str) -> list[float]:
    rows = QUERIES[query][None]
    return [float(number) for number in found.apply(rows, rows)[0]]


def test_a_query_that_comes_again_is_drawn_to_what_was_right() -> None:
    found = memory(("l1", "bees", "this", "c1", 1), ("l2", "Bees", "pin", "c1", 3))
    assert found is not None
    # two lists, 1 for c1 in each: q + .3 * (2 c1) / 2 = (1, .3, 0), as long as sqrt(1.09)
    assert drawn(found, "bees") == pytest.approx(np.array([1, 0.3, 0]) / np.sqrt(1.09))
    assert drawn(found, "tax") == pytest.approx(QUERIES["tax"]), "another query is left alone"


def test_looks_count_more_further_down_and_less_than_words() -> None:
    found = memory(("l1", "bees", "open", "c1", 2), ("l1", "bees", "cited", "c2", 1))
    assert found is not None
    # one list: .3 * 2 for the open at place 2, .7 for the citation: q + .3 * (.6 c1 + .7 c2)
    expected = np.array([1, 0.3 * 0.6, 0.3 * 0.7])
    assert drawn(found, "bees") == pytest.approx(expected / np.linalg.norm(expected))


def test_one_choice_may_be_an_accident_and_right_and_wrong_cancel_out() -> None:
    assert memory(("l1", "bees", "open", "c1", 1)) is None
    assert memory(("l1", "bees", "this", "c1", 1)) is not None, "but not what somebody said"
    assert memory() is None
    assert memory(("l1", "bees", "this", "gone", 1), ("l2", "bees", "this", "gone", 1)) is None
    both = memory(("l1", "bees", "this", "c1", 1), ("l2", "bees", "wrong", "c1", 1), ("l3", "bees", "this", "c2", 1))
    assert both is not None
    expected = np.array([1, 0, 0.3 / 3])
    assert drawn(both, "bees") == pytest.approx(expected / np.linalg.norm(expected))
    apart = memory(("l1", "bees", "open", "c1", 1), ("l2", "tax", "open", "c2", 1))
    assert apart is not None
    assert drawn(apart, "bees") == pytest.approx([1, 0, 0]), "two choices, but of two queries"


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = memory(("l1", "bees", "this", "c1", 1), ("l2", "bees", "pin", "c1", 3))
    assert found is not None
    found.write(tmp_path)
    assert drawn(Memory.read(tmp_path, 3), "bees") == drawn(found, "bees")
    assert Memory.read(tmp_path, 3).apply(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).shape == (0, 3)
    with pytest.raises(TuneError, match="another size"):
        Memory.read(tmp_path, 4)
