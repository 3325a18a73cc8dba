"""Tier 1a: a turn that is there to be found is found, nothing is turned where there is nothing to learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rag.errors import TuneError
from rag.tune.head import LinearHead
from rag.tune.linear import LinearTraining, fit_linear
from rag.tune.tensors import unit

DIM = 24
QUICK = LinearTraining(rank=4, epochs=20, learning_rate=0.02, batch=64, penalty=0.01)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def rows(count: int, seed: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32))


def turned(documents: np.ndarray) -> np.ndarray:
    """Queries that lie where their documents do, but that everybody's first two numbers are swapped."""
    found = documents.copy()
    found[:, [0, 1]] = 2 * found[:, [1, 0]]
    return unit(found)


def first_places(queries: np.ndarray, documents: np.ndarray) -> float:
    return float(((queries @ documents.T).argmax(axis=1) == np.arange(len(queries))).mean())


def test_a_head_that_is_zero_changes_nothing_and_one_by_hand_is_as_written() -> None:
    q = np.array([[0.6, 0.8]], np.float32)
    assert LinearHead(np.zeros((2, 1), np.float32), np.ones((2, 1), np.float32)).apply(q) == pytest.approx(q)
    head = LinearHead(np.array([[1], [0]], np.float32), np.array([[0], [2]], np.float32))
    # V^t q = 2 * .8 = 1.6; q + U 1.6 = (.6 + 1.6, .8) = (2.2, .8), as long as sqrt(4.84 + .64)
    assert head.apply(q) == pytest.approx(np.array([[2.2, 0.8]]) / np.sqrt(5.48), rel=1e-6)
    assert head.apply(np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_a_turn_that_all_queries_share_is_undone_for_new_ones() -> None:
    learnt, new = rows(400, 1), rows(200, 2)
    head = fit_linear(turned(learnt), learnt, None, QUICK)
    assert np.linalg.norm(head.apply(turned(new)), axis=1) == pytest.approx(1, abs=1e-5)
    before, after = (turned(new) * new).sum(axis=1).mean(), (head.apply(turned(new)) * new).sum(axis=1).mean()
    assert 1 - after < 0.75 * (1 - before), "they come nearer to what answers them"


def test_the_same_seed_gives_the_same_head_and_another_one_another() -> None:
    documents = rows(50, 3)
    one, same, other = (
        fit_linear(turned(documents), documents, None, LinearTraining(rank=4, epochs=2, seed=seed))
        for seed in (0, 0, 1)
    )
    assert (one.u == same.u).all()
    assert (one.v == same.v).all()
    assert not (one.u == other.u).all()


def test_the_head_of_the_best_epoch_is_kept_and_none_where_none_is_better() -> None:
    documents, scores = rows(40, 4), iter([0.5, 0.4, 0.7, 0.6, 0.6])
    heads: list[LinearHead] = []

    def score(head: LinearHead) -> float:
        heads.append(head)
        return next(scores)

    told: list[tuple[int, float | None]] = []
    training = LinearTraining(rank=4, epochs=9, patience=2)
    head = fit_linear(
        turned(documents), documents, None, training, score=score, on_epoch=lambda n, loss, s: told.append((n, s))
    )
    assert told == [(1, 0.4), (2, 0.7), (3, 0.6), (4, 0.6)], "two epochs that are no better end it"
    assert (head.u == heads[2].u).all()
    worse = iter([0.5, *[0.4] * 9])
    kept = fit_linear(turned(documents), documents, None, training, score=lambda head: next(worse))
    assert not kept.u.any()


def test_mined_negatives_are_driven_away_and_empty_places_are_none() -> None:
    documents = rows(64, 5)
    wrong = unit(documents + np.roll(documents, 1, axis=1))[:, None, :]
    queries = unit(turned(documents) + 0.5 * wrong[:, 0])
    none = np.zeros_like(wrong)
    plain, empty, mined = (fit_linear(queries, documents, n, QUICK) for n in (None, none, wrong))
    assert empty.u == pytest.approx(plain.u, abs=1e-6)

    def lead(head: LinearHead) -> float:
        z = head.apply(queries)
        return float((z * documents).sum(axis=1).mean() - (z * wrong[:, 0]).sum(axis=1).mean())

    assert lead(mined) > lead(plain)


def test_a_pair_without_weight_teaches_nothing() -> None:
    good, bad = rows(64, 6), rows(64, 7)
    queries = np.concatenate([turned(good), turned(bad)])
    shuffled = np.concatenate([good, np.roll(bad, 7, axis=0)])
    weights = np.repeat(np.array([1, 0], np.float32), 64)
    heard = fit_linear(queries, shuffled, None, QUICK)
    unheard = fit_linear(queries, shuffled, None, QUICK, weights=weights)
    new = rows(300, 8)
    assert first_places(unheard.apply(turned(new)), new) > first_places(heard.apply(turned(new)), new)
    nothing = fit_linear(queries, shuffled, None, QUICK, weights=np.zeros(128, np.float32))
    assert not nothing.u.any()


def test_numbers_that_are_none_end_it_in_plain_words() -> None:
    broken = rows(8, 9)
    broken[3] = np.nan
    with pytest.raises(TuneError, match="the loss became nan in epoch 1"):
        fit_linear(broken, rows(8, 9), None, QUICK)


def test_a_head_is_read_as_it_was_written_and_another_file_is_refused(tmp_path: Path) -> None:
    head = LinearHead(rows(DIM, 1)[:, :4], rows(DIM, 2)[:, :4])
    head.write(tmp_path)
    again = LinearHead.read(tmp_path, DIM)
    assert (again.u == head.u).all()
    assert (again.v == head.v).all()
    with pytest.raises(TuneError, match="another size"):
        LinearHead.read(tmp_path, 384)
    LinearHead(head.u * np.nan, head.v).write(tmp_path)
    with pytest.raises(TuneError, match="does not hold what it should"):
        LinearHead.read(tmp_path, DIM)
    (tmp_path / LinearHead.FILE).write_bytes(b"nonsense")
    with pytest.raises(TuneError, match="train again"):
        LinearHead.read(tmp_path, DIM)


def test_its_steps_are_those_of_torch() -> None:
    from rag.tune.linear import _Adam

    chance = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    adam, oracle = _Adam([ours], 0.01), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(20):
        theirs.grad = torch.randn(5, 3, generator=chance)
        adam.take([theirs.grad])
        oracle.step()
    assert torch.allclose(ours, theirs, atol=1e-6)
