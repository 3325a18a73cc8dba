"""What a step of text training makes small: the losses of `rag.tune.loss` on the pairs of one step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import CachedLossMixin
from torch import Tensor, nn

from rag.errors import TuneError
from rag.tune import loss as losses
from rag.tune.text_examples import GOOD, Examples, Row
from rag.tune.text_model import Kind, TextModel
from rag.tune.train_text import LEAST_PAIRS, Plan, Teacher, TextLoss, TextTraining


@dataclass(frozen=True, slots=True)
class Guide:
    """Vectors of the model before training: float32[Q, D] of queries, [M, D] of documents, [R, D] of replay texts.

    `library` [L, D] is of passages that no pair names.
    """

    queries: Tensor
    documents: Tensor
    replay: Tensor
    library: Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """The pairs of one step and the texts that they need, each once, as places in `Examples`.

    `others` int64[K] are places in `Guide.library`.
    """

    rows: tuple[Row, ...]
    queries: tuple[int, ...]
    documents: tuple[int, ...]
    replay: tuple[int, ...]
    others: Tensor


class TextObjective(CachedLossMixin, nn.Module):
    """Pairs of a step in, a scalar out. Holds the network, so that its weights are found and moved with it."""

    def __init__(
        self,
        model: TextModel,
        examples: Examples,
        replay: Sequence[str],
        guide: Guide,
        plan: Plan,
        training: TextTraining,
        scores: dict[Row, Tensor],
    ) -> None:
        super().__init__()
        self.model = model.network
        self.mini_batch_size = model.texts_at_once
        self._text_model = model
        self._examples = examples
        self._replay = replay
        self._guide = guide
        self._plan = plan
        self._training = training
        self._scores = scores
        self._loss: Callable[[Batch, Tensor, Tensor], Tensor] = {
            "infonce": self._info_nce,
            "triplet": self._triplet,
            "margin": self._margin,
            "cosine-mse": self._cosine_mse,
            "cosent": self._cosent,
            "kl": self._kl,
            "margin-mse": self._margin_mse,
        }[training.loss]

    def forward(self, step: int) -> Tensor:
        """The loss of `step`, which counts from 0."""
        self.model.train(self._training.dropout)
        batch = self._batch(step)
        texts: list[tuple[list[str], Kind]] = [([self._examples.queries[i] for i in batch.queries], "query")]
        if self._training.side == "both":
            texts.append(([self._examples.documents[i] for i in batch.documents], "passage"))
        if batch.replay:
            kind: Kind = "query" if self._training.side == "query" else "passage"
            texts.append(([self._replay[i] for i in batch.replay], kind))
        features = [self._text_model.features(column, kind, self._training.max_tokens) for column, kind in texts]
        if sum(len(column) for column, _ in texts) > self._training.hold:
            return self.forward_cached(features, batch)  # type: ignore[arg-type]  # it only hands the labels on
        reps = [
            [vectors for vectors, _ in self.embed_minibatch_iter(each, with_grad=True, copy_random_state=False)]
            for each in features
        ]
        return self.calculate_loss(reps, batch)

    def embed_minibatch(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        """Unit rows in fp32, whatever the network computes in."""
        with self._text_model.autocast():
            vectors, random_state = super().embed_minibatch(*args, **kwargs)
        return nn.functional.normalize(vectors.float(), dim=1), random_state

    def calculate_loss(self, reps: list[list[Tensor]], labels: Any = None, *, with_backward: bool = False) -> Tensor:
        """`reps` are the vectors of each column of texts in pieces, `labels` the batch; see CachedLossMixin."""
        batch: Batch = labels
        queries, *others = [torch.cat(pieces) for pieces in reps]
        both = self._training.side == "both"
        documents = others.pop(0) if both else self._guide.documents[list(batch.documents)]
        loss = self._loss(batch, queries, documents)
        if others:
            loss = loss + self._training.anchor * losses.anchor(others[0], self._guide.replay[list(batch.replay)])
        if with_backward:
            torch.autograd.backward(loss)
            return loss.detach()
        return loss

    def _batch(self, step: int) -> Batch:
        """Texts go by length, so that those which go through the network together need little padding."""
        rows = tuple(self._in_turn(self._examples.rows[i], step) for i in self._plan.rows(step))
        queries = {row.query for row in rows}
        documents = {place for row in rows for place in (row.positive, *row.negatives)}
        if self._training.side == "query" and self._training.loss == "infonce":
            documents = set(range(len(self._examples.documents)))  # their vectors are there: all are negatives
        replay = self._plan.replayed(step) if self._training.anchor else ()
        return Batch(
            rows,
            tuple(sorted(queries, key=lambda i: (len(self._examples.queries[i]), i))),
            tuple(sorted(documents, key=lambda i: (len(self._examples.documents[i]), i))),
            tuple(sorted((int(i) for i in replay), key=lambda i: (len(self._replay[i]), i))),
            torch.from_numpy(self._plan.drawn(step)),
        )

    def _in_turn(self, row: Row, step: int) -> Row:
        """The pair with those of its negatives whose turn it is in this epoch."""
        training, count = self._training, len(row.negatives)
        if training.loss != "infonce" or training.side == "query" or count <= training.negatives:
            return row
        first = step // self._plan.per_epoch * training.negatives
        return replace(row, negatives=tuple(row.negatives[(first + i) % count] for i in range(training.negatives)))

    def _info_nce(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        own = [row.positive for row in batch.rows]
        answers = set(own)
        columns = own + [place for place in batch.documents if place not in answers]
        rows = [row.query for row in batch.rows]
        others = self._guide.library[batch.others.to(self._guide.library.device)]
        guide = torch.cat([self._guide.documents[columns], others])
        near = losses.likely_positives(self._guide.queries[rows], guide)
        place = torch.tensor(columns)
        for i, row in enumerate(batch.rows):
            wrong, right = row.negatives, sorted(self._examples.right[row.query])
            near[i, : len(place)][torch.isin(place, torch.tensor(wrong, dtype=torch.long)).to(near.device)] = False
            near[i, : len(place)][torch.isin(place, torch.tensor(right)).to(near.device)] = True
        near[:, _again(columns)] = True  # a passage counts once, however many pairs it answers
        return losses.info_nce(
            queries[_places(rows, batch.queries)],
            torch.cat([documents[_places(columns, batch.documents)], others]),
            temperature=self._training.temperature,
            weights=queries.new_tensor([row.weight for row in batch.rows]),
            ignored=near,
        )

    def _triplet(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        triples = [(row, wrong) for row in batch.rows for wrong in row.negatives]
        return losses.triplet(
            queries[_places([row.query for row, _ in triples], batch.queries)],
            documents[_places([row.positive for row, _ in triples], batch.documents)],
            documents[_places([wrong for _, wrong in triples], batch.documents)],
            weights=queries.new_tensor([row.weight for row, _ in triples]),
            **self._margins(),
        )

    def _margin(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        a, b, target, weights = self._graded(batch, queries, documents)
        return losses.margin_contrastive(a, b, (target >= GOOD).float(), weights=weights, **self._margins())

    def _cosine_mse(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        return losses.cosine_mse(*self._graded(batch, queries, documents))

    def _cosent(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        """The order of all is one matter: a row cannot weigh less."""
        a, b, target, _ = self._graded(batch, queries, documents)
        return losses.cosent(a, b, target, self._training.temperature)

    def _kl(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        """Pairs with as many negatives form one matrix; the mean is over pairs, by their weight."""
        total, weight = queries.new_zeros(()), sum(row.weight for row in batch.rows)
        for count in sorted({len(row.negatives) for row in batch.rows}):
            rows = [row for row in batch.rows if len(row.negatives) == count]
            listed = [place for row in rows for place in (row.positive, *row.negatives)]
            candidates = documents[_places(listed, batch.documents)].view(len(rows), count + 1, -1)
            asked = queries[_places([row.query for row in rows], batch.queries)]
            student = (asked.unsqueeze(1) * candidates).sum(dim=2)
            teacher = torch.stack([self._scores[row] for row in rows]).to(student.device)
            weights = student.new_tensor([row.weight for row in rows])
            kl = losses.listwise_kl(student, teacher, student_temperature=self._training.temperature, weights=weights)
            total = total + kl * weights.sum() / weight
        return total

    def _margin_mse(self, batch: Batch, queries: Tensor, documents: Tensor) -> Tensor:
        """The teacher's scores are put between 0 and 1, where cosines of related texts are."""
        triples = [(row, i, wrong) for row in batch.rows for i, wrong in enumerate(row.negatives, 1)]
        asked = queries[_places([row.query for row, _, _ in triples], batch.queries)]
        right = documents[_places([row.positive for row, _, _ in triples], batch.documents)]
        wrong = documents[_places([place for _, _, place in triples], batch.documents)]
        c_right = torch.stack([self._scores[row][0] for row, _, _ in triples]).sigmoid().to(asked.device)
        c_wrong = torch.stack([self._scores[row][i] for row, i, _ in triples]).sigmoid().to(asked.device)
        weights = asked.new_tensor([row.weight for row, _, _ in triples])
        return losses.margin_mse((asked * right).sum(dim=1), (asked * wrong).sum(dim=1), c_right, c_wrong, weights)

    def _graded(self, batch: Batch, queries: Tensor, documents: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, documents, how right each document is (its label, 0 for a negative), and how much that counts."""
        graded = [(row, row.positive, row.target) for row in batch.rows]
        graded += [(row, wrong, 0.0) for row in batch.rows for wrong in row.negatives]
        return (
            queries[_places([row.query for row, _, _ in graded], batch.queries)],
            documents[_places([document for _, document, _ in graded], batch.documents)],
            queries.new_tensor([target for _, _, target in graded]),
            queries.new_tensor([row.weight for row, _, _ in graded]),
        )

    def _margins(self) -> dict[str, float]:
        return {} if self._training.margin is None else {"margin": self._training.margin}


def usable(examples: Examples, loss: TextLoss, teacher: Teacher | None) -> tuple[Row, ...]:
    """The rows that `loss` can learn from.

    Raises:
        TuneError: there are too few, or what it compares them with is missing.
    """
    if loss in ("kl", "margin-mse") and teacher is None:
        raise TuneError(f"the loss {loss!r} learns from a reranker's scores; turn a reranker on, or choose 'infonce'")
    rows = examples.rows
    if loss in ("infonce", "triplet", "kl", "margin-mse"):
        rows = tuple(row for row in rows if row.target >= GOOD)
    if loss in ("triplet", "kl", "margin-mse"):
        rows = tuple(row for row in rows if row.negatives)
    if loss in ("margin", "cosine-mse", "cosent") and not any(row.negatives or row.target < GOOD for row in rows):
        raise TuneError(f"the loss {loss!r} needs wrong passages as well; mine negatives first, or choose 'infonce'")
    if len(rows) < LEAST_PAIRS:
        raise TuneError(
            f"the loss {loss!r} can use {len(rows)} of {len(examples.rows)} pairs, and {LEAST_PAIRS} are the least; "
            "mine negatives first, or choose 'infonce'"
        )
    return rows


def _again(columns: Sequence[int]) -> list[int]:
    """Where a value stands that stood further left already."""
    first = {place: i for i, place in reversed(list(enumerate(columns)))}
    return [i for i, place in enumerate(columns) if first[place] != i]


def _places(wanted: Sequence[int], among: Sequence[int]) -> Tensor:
    place = {each: i for i, each in enumerate(among)}
    return torch.tensor([place[each] for each in wanted], dtype=torch.long)
