"""The losses: pure functions of vectors and labels, each with its formula and where it comes from.

Vectors are float[N, D] tensors of length-1 rows, so that a product of two is their cosine `s`, and 1 - s their
distance. Every loss is a scalar to be made small, and every gradient flows through the vectors alone. `weights`, where
a loss has them, are float[N] >= 0: how much each row counts; not all 0. None: the same.
"""

import torch
import torch.nn.functional as F  # noqa: N812  as everywhere
from torch import Tensor

TEMPERATURE = 0.05  # of InfoNCE and CoSENT on cosines, as in sentence-transformers (a scale of 20)
NEAR_POSITIVE = 0.05  # a document this close below the positive, as the guide sees it, may be right as well


def info_nce(
    queries: Tensor,
    documents: Tensor,
    *,
    temperature: float = TEMPERATURE,
    weights: Tensor | None = None,
    ignored: Tensor | None = None,
) -> Tensor:
    """Each query is to pick its own document among all of the batch, by cosine.

    The mean over queries i, weighted by w_i, of -log(exp(s_ii / t) / sum_j exp(s_ij / t)), j over all documents that
    are not ignored (van den Oord et al. 2018, https://arxiv.org/abs/1807.03748; with in-batch negatives Henderson et
    al. 2017, https://arxiv.org/abs/1705.00652).

    Args:
        queries: float[N, D].
        documents: float[M, D], M >= N. The i-th of the first N is right for query i; the rest are mined negatives,
            which are negatives for every query.
        ignored: bool[N, M], pairs that may be right although nobody says so; see `likely_positives`.
    """
    count = len(queries)
    logits = queries @ documents.T / temperature
    own = torch.arange(count, device=logits.device)
    if ignored is not None:
        hidden = ignored.clone()
        hidden[own, own] = False
        logits = logits.masked_fill(hidden, -torch.inf)
    return _mean(F.cross_entropy(logits, own, reduction="none"), weights)


def likely_positives(queries: Tensor, documents: Tensor, margin: float = NEAR_POSITIVE) -> Tensor:
    """bool[N, M]: documents that a guide finds almost as near to a query as its own, or nearer.

    True where g_ij > g_ii - margin * |g_ii|, g being the guide's cosines: the relative margin of GISTEmbed (Solatorio
    2024, https://arxiv.org/abs/2402.16829). The guide is the model before tuning, whose vectors these are.
    """
    cosines = queries @ documents.T
    own = cosines.diagonal()[: len(queries)].unsqueeze(1)
    near = cosines > own - margin * own.abs()
    index = torch.arange(len(queries), device=near.device)
    near[index, index] = False
    return near


def clip_symmetric(images: Tensor, texts: Tensor, scale: Tensor | float) -> Tensor:
    """Each picture picks its caption and each caption its picture: the mean of both cross-entropies of scale * s.

    Radford et al. 2021, https://arxiv.org/abs/2103.00020. `scale` is the model's own, at most 100.
    """
    logits = scale * images @ texts.T
    own = torch.arange(len(images), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def siglip(images: Tensor, texts: Tensor, scale: Tensor | float, bias: Tensor | float) -> Tensor:
    """Every pair is judged on its own: -1/N sum_ij log sigmoid(y_ij (scale * s_ij + bias)).

    y is 1 on the diagonal and -1 elsewhere. Zhai et al. 2023, https://arxiv.org/abs/2303.15343.
    """
    logits = scale * images @ texts.T + bias
    signs = 2 * torch.eye(len(images), device=logits.device, dtype=logits.dtype) - 1
    return -F.logsigmoid(signs * logits).sum() / len(images)


def margin_contrastive(
    a: Tensor, b: Tensor, alike: Tensor, margin: float = 0.5, weights: Tensor | None = None
) -> Tensor:
    """Pairs that are alike come together, others go `margin` apart: mean of (y d^2 + (1 - y) max(0, m - d)^2) / 2.

    Hadsell, Chopra & LeCun 2006, with d = 1 - s. `alike` is float[N], 1 or 0.
    """
    distance = 1 - _cosines(a, b)
    apart = (margin - distance).clamp(min=0)
    return _mean(alike * distance.square() + (1 - alike) * apart.square(), weights) / 2


def triplet(
    anchors: Tensor, positives: Tensor, negatives: Tensor, margin: float = 0.2, weights: Tensor | None = None
) -> Tensor:
    """The positive is to be nearer than the negative by `margin`: mean of max(0, d_ap - d_an + m), d = 1 - s.

    Schroff et al. 2015 (FaceNet, whose margin this is). A Euclidean margin above 2 would never be reached by vectors
    of length 1.
    """
    return _mean((_cosines(anchors, negatives) - _cosines(anchors, positives) + margin).clamp(min=0), weights)


def cosine_mse(a: Tensor, b: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """The cosine itself is to be the target: mean of (s - y)^2. `target` is float[N] in [-1, 1], often 1 or 0."""
    return _mean((_cosines(a, b) - target).square(), weights)


def cosent(a: Tensor, b: Tensor, target: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Pairs are to be in the order of their targets: log(1 + sum over y_i > y_j of exp((s_j - s_i) / t)).

    Su 2022, https://kexue.fm/archives/8847. `target` is float[N] on any scale; equal targets are not compared.
    """
    cosines = _cosines(a, b) / temperature
    differences = cosines.unsqueeze(0) - cosines.unsqueeze(1)  # [i, j] = s_j - s_i
    ordered = target.unsqueeze(1) > target.unsqueeze(0)
    return torch.logsumexp(torch.cat([differences.new_zeros(1), differences[ordered]]), dim=0)


def listwise_kl(
    student: Tensor,
    teacher: Tensor,
    *,
    student_temperature: float = TEMPERATURE,
    teacher_temperature: float = 1.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The student is to share its belief among K documents as the teacher does: KL(teacher || student), query by query.

    Both are float[N, K] scores, turned into shares by softmax at their own temperature (Hinton et al. 2015,
    https://arxiv.org/abs/1503.02531). Cosines need a low one: at 1 they give almost equal shares.
    """
    shares = F.log_softmax(student / student_temperature, dim=1)
    goal = F.log_softmax(teacher / teacher_temperature, dim=1)
    return _mean(F.kl_div(shares, goal, reduction="none", log_target=True).sum(dim=1), weights)


def margin_mse(
    positive: Tensor,
    negative: Tensor,
    teacher_positive: Tensor,
    teacher_negative: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """The lead of the positive is to be the teacher's: mean of ((s_p - s_n) - (c_p - c_n))^2; all are float[N] scores.

    Hofstätter et al. 2020, https://arxiv.org/abs/2010.02666.
    """
    return _mean(((positive - negative) - (teacher_positive - teacher_negative)).square(), weights)


def anchor(vectors: Tensor, before: Tensor) -> Tensor:
    """How far a model has moved from where it was: mean of 1 - cos(f(x), f0(x)) over texts of other subjects."""
    return (1 - _cosines(vectors, before)).mean()


def _mean(losses: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over rows, each as much as it weighs."""
    return losses.mean() if weights is None else (losses * weights).sum() / weights.sum()


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=1)
