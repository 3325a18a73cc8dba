"""Losses against sums done by hand on cases that no symmetry can hide in, and against the libraries' own code."""

from math import cos, exp, log, pi, sin
from typing import Any

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from sentence_transformers.sentence_transformer.losses import (
    ContrastiveLoss,
    CoSENTLoss,
    DistillKLDivLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
    TripletDistanceMetric,
    TripletLoss,
)
from torch import Tensor

from rag.tune import loss


def at(*degrees: float) -> Tensor:
    """Unit vectors in the plane, so that cosines can be worked out by hand."""
    return torch.tensor([[cos(d * pi / 180), sin(d * pi / 180)] for d in degrees], dtype=torch.float64)


def unit(count: int, seed: int) -> Tensor:
    made = torch.randn(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.functional.normalize(made, dim=1)


def near(value: float) -> Any:
    return pytest.approx(value, rel=1e-9)


QUERIES, DOCUMENTS = at(0, 90), at(60, 90, 0)  # cosines: .5, 0, 1 for the first; sin 60°, 1, 0 for the second
HALF, ROOT = 0.5, 3**0.5 / 2


def test_info_nce_by_hand() -> None:
    first = -log(exp(HALF / 0.5) / (exp(HALF / 0.5) + exp(0) + exp(1 / 0.5)))
    second = -log(exp(1 / 0.5) / (exp(ROOT / 0.5) + exp(1 / 0.5) + exp(0)))
    assert float(loss.info_nce(QUERIES, DOCUMENTS, temperature=0.5)) == near((first + second) / 2)
    weighted = loss.info_nce(QUERIES, DOCUMENTS, temperature=0.5, weights=torch.tensor([3.0, 1.0]))
    assert float(weighted) == near((3 * first + second) / 4)


def test_info_nce_passes_over_what_may_be_right() -> None:
    ignored = torch.tensor([[True, False, True], [False, False, False]])  # its own is never ignored
    first = -log(exp(1) / (exp(1) + exp(0)))
    second = -log(exp(2) / (exp(2 * ROOT) + exp(2) + exp(0)))
    masked = loss.info_nce(QUERIES, DOCUMENTS, temperature=0.5, ignored=ignored)
    assert float(masked) == near((first + second) / 2)
    assert ignored.tolist()[0] == [True, False, True]  # what was given is as it was


def test_likely_positives_are_those_that_the_guide_finds_as_near() -> None:
    # The first query's own has cosine .5, so .475 is the border; the second's own is 1, so .95 is.
    assert loss.likely_positives(QUERIES, DOCUMENTS).tolist() == [[False, False, True], [False, False, False]]
    assert loss.likely_positives(QUERIES, DOCUMENTS, margin=0.2).tolist()[1] == [True, False, False]  # ROOT > .8
    away = at(180), at(0)  # a cosine of -1: the border is below it, not above
    assert not loss.likely_positives(*away).any()


def test_clip_and_siglip_by_hand() -> None:
    images, texts = at(0, 90), at(60, 90)  # cosines .5, 0 / ROOT, 1
    rows = -log(exp(2 * HALF) / (exp(2 * HALF) + 1)) - log(exp(2) / (exp(2 * ROOT) + exp(2)))
    columns = -log(exp(2 * HALF) / (exp(2 * HALF) + exp(2 * ROOT))) - log(exp(2) / (1 + exp(2)))
    assert float(loss.clip_symmetric(images, texts, 2.0)) == near((rows / 2 + columns / 2) / 2)

    def term(sign: int, cosine: float) -> float:
        return log(1 + exp(-sign * (2 * cosine - 1)))

    total = term(1, HALF) + term(-1, 0) + term(-1, ROOT) + term(1, 1)
    assert float(loss.siglip(images, texts, 2.0, -1.0)) == near(total / 2)


def test_pair_losses_by_hand() -> None:
    a, b = at(0, 0, 0), at(60, 90, 45)  # cosines .5, 0, .7071
    label = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    diagonal = 2**-0.5
    contrastive = (0.5**2 + 0 + (0.5 - (1 - diagonal)) ** 2) / 3 / 2  # 90 degrees is further apart than the margin
    assert float(loss.margin_contrastive(a, b, label)) == near(contrastive)
    assert float(loss.cosine_mse(a, b, label)) == near((0.5**2 + 0 + diagonal**2) / 3)
    ordered = log(1 + exp((0 - 0.5) / 0.05) + exp((diagonal - 0.5) / 0.05))  # the two zeros are not compared
    assert float(loss.cosent(a, b, label)) == near(ordered)
    assert float(loss.anchor(a, b)) == near(1 - (0.5 + 0 + diagonal) / 3)


def test_cosent_has_nothing_to_say_of_equal_targets() -> None:
    assert float(loss.cosent(at(0, 0), at(10, 80), torch.zeros(2))) == 0


def test_triplet_by_hand() -> None:
    anchors, positives, negatives = at(0, 0), at(60, 0), at(45, 90)
    reached = max(0.0, (0 - 1) + 0.2)  # the second is there already: nothing is to be gained
    assert float(loss.triplet(anchors, positives, negatives)) == near(((2**-0.5 - 0.5) + 0.2 + reached) / 2)


def test_distillation_by_hand() -> None:
    student, teacher = torch.tensor([[0.1, 0.0]]), torch.tensor([[log(3.0), 0.0]])
    shares = [exp(2.0) / (exp(2.0) + 1), 1 / (exp(2.0) + 1)]
    divergence = 0.75 * log(0.75 / shares[0]) + 0.25 * log(0.25 / shares[1])
    assert float(loss.listwise_kl(student, teacher)) == pytest.approx(divergence, rel=1e-5)
    leads = torch.tensor([0.9, 0.5]), torch.tensor([0.2, 0.4]), torch.tensor([3.0, 1.0]), torch.tensor([1.0, 2.0])
    assert float(loss.margin_mse(*leads)) == pytest.approx(((0.7 - 2) ** 2 + (0.1 + 1) ** 2) / 2, rel=1e-6)


def test_a_row_of_weight_three_counts_as_three_rows() -> None:
    a, b, hard = unit(2, 1), unit(2, 2), unit(2, 3)
    label, weights = torch.tensor([1.0, 0.0]), torch.tensor([3.0, 1.0])
    scores, goals = (a @ b.T, b @ hard.T), (hard @ a.T, a @ a.T)

    def thrice(*rows: torch.Tensor) -> list[torch.Tensor]:
        return [torch.cat([each[:1], each[:1], each]) for each in rows]

    def kl(student: torch.Tensor, teacher: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        return loss.listwise_kl(student, teacher, weights=weights)

    assert float(loss.triplet(a, b, hard, weights=weights)) == near(float(loss.triplet(*thrice(a, b, hard))))
    for pair_loss in (loss.margin_contrastive, loss.cosine_mse):
        assert float(pair_loss(a, b, label, weights=weights)) == near(float(pair_loss(*thrice(a, b, label))))
    assert float(kl(scores[0], goals[0], weights)) == near(float(kl(*thrice(scores[0], goals[0]))))
    columns = [scores[0][:, 0], scores[1][:, 0], goals[0][:, 1], goals[1][:, 1]]
    assert float(loss.margin_mse(*columns, weights)) == near(float(loss.margin_mse(*thrice(*columns))))


def test_against_the_libraries() -> None:
    a, b, hard = unit(6, 1), unit(6, 2), unit(6, 3)
    label = torch.tensor([1.0, 0, 1, 0, 0, 1], dtype=torch.float64)
    grades = torch.tensor([0.9, 0.1, 0.5, 0.5, 0.3, 0.0], dtype=torch.float64)
    model: Any = torch.nn.Identity()

    ranking = MultipleNegativesRankingLoss(model, scale=20).compute_loss_from_embeddings([a, b, hard], None)
    assert float(loss.info_nce(a, torch.cat([b, hard]))) == near(float(ranking))
    assert float(loss.clip_symmetric(a, b, 7.0)) == near(float(ClipLoss()(a, b, 7.0)))
    assert float(loss.siglip(a, b, 7.0, -2.0)) == near(float(SigLipLoss()(a, b, 7.0, -2.0)))
    contrastive = ContrastiveLoss(model, margin=0.5).compute_loss_from_embeddings([a, b], label)
    assert float(loss.margin_contrastive(a, b, label)) == near(float(contrastive))
    ordered = CoSENTLoss(model, scale=20).compute_loss_from_embeddings([a, b], grades)
    assert float(loss.cosent(a, b, grades)) == near(float(ordered))
    apart = TripletLoss(model, TripletDistanceMetric.COSINE, 0.2).compute_loss_from_embeddings([a, b, hard], None)
    assert float(loss.triplet(a, b, hard)) == near(float(apart))


def test_distillation_against_the_library() -> None:
    a, b, hard = unit(6, 1), unit(6, 2), unit(6, 3)
    model: Any = torch.nn.Identity()
    student = torch.stack([(a * b).sum(1), (a * hard).sum(1)], 1)
    teacher = torch.randn(6, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    theirs = DistillKLDivLoss(model, student_temperature=0.2, teacher_temperature=2.0)
    ours = loss.listwise_kl(student, teacher, student_temperature=0.2, teacher_temperature=2.0)
    computed = theirs.compute_loss_from_embeddings([a, b, hard], teacher)
    assert float(ours) * 0.2**2 == near(float(computed))  # theirs is scaled by the square of the temperature
    margins = MarginMSELoss(model, similarity_fct=lambda x, y: (x * y).sum(-1))
    computed = margins.compute_loss_from_embeddings([a, b, hard], teacher)
    assert float(loss.margin_mse(*student.T, *teacher.T)) == near(float(computed))


@pytest.mark.parametrize("name", ["info_nce", "clip_symmetric", "siglip", "cosine_mse", "margin_contrastive"])
def test_a_step_down_the_gradient_makes_the_loss_smaller(name: str) -> None:
    a, b = unit(5, 6).requires_grad_(), unit(5, 7)
    rest: dict[str, tuple[Any, ...]] = {
        "clip_symmetric": (5.0,),
        "siglip": (5.0, -1.0),
        "cosine_mse": (torch.ones(5),),
        "margin_contrastive": (torch.ones(5),),
    }
    compute = getattr(loss, name)
    before = compute(a, b, *rest.get(name, ()))
    before.backward()
    assert a.grad is not None
    moved = torch.nn.functional.normalize(a - 0.01 * a.grad, dim=1)
    assert compute(moved, b, *rest.get(name, ())).item() < before.item()
