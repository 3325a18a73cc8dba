"""The home switch: what is like the questions learnt from is let in, what is not stays out."""

from pathlib import Path

import numpy as np
import pytest

from rag.errors import TuneError
from rag.tune.home import Home, fit_threshold, nearness
from rag.tune.tensors import unit


def test_nearness_is_the_mean_cosine_to_the_five_nearest() -> None:
    queries = np.eye(8, dtype=np.float32)
    row = np.array([[0.1, 0.9, 0.2, 0.3, 0.0, 0.1, 0.05, 0.15]], np.float32)
    assert nearness(row, queries) == pytest.approx([(0.9 + 0.3 + 0.2 + 0.15 + 0.1) / 5])
    assert nearness(row, queries[:2]) == pytest.approx([(0.1 + 0.9) / 2]), "where there are fewer, all of them"


def test_a_question_at_the_threshold_is_at_home() -> None:
    home = Home(np.eye(2, dtype=np.float32), 0.5)
    rows = np.array([[1, 0], [0.6, -0.8], [0.8, 0.6]], np.float32)  # nearness .5, -.1, .7
    assert home.is_home(rows).tolist() == [True, False, True]
    assert home.is_home(rows[:0]).tolist() == []


def test_without_away_questions_one_home_question_in_twenty_is_given_up() -> None:
    assert fit_threshold([i / 100 for i in range(101)]) == pytest.approx(0.05)
    assert fit_threshold([0.4]) == pytest.approx(0.4)


def test_away_questions_stay_out_whatever_that_costs_at_home() -> None:
    home = np.linspace(0.3, 0.7, 50)
    away = np.linspace(0.0, 0.5, 100)
    threshold = fit_threshold(home, away)
    assert (away >= threshold).sum() == 2, "two in a hundred may come in"
    few = fit_threshold(home, [0.1, 0.9])
    assert few > 0.9, "of few none may"
    assert fit_threshold(home, [0.0, 0.1]) == fit_threshold(home), "those that are far away change nothing"


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    queries = unit(np.random.default_rng(1).standard_normal((7, 6)).astype(np.float32))
    Home(queries, 0.4).write(tmp_path)
    again = Home.read(tmp_path, 6, 0.4)
    assert (again.queries == queries).all()
    assert again.threshold == 0.4
    with pytest.raises(TuneError, match="another size"):
        Home.read(tmp_path, 8, 0.4)
    with pytest.raises(TuneError, match="cannot read"):
        Home.read(tmp_path / "nowhere", 6, 0.4)
