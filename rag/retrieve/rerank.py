"""Which of the hits answer best? A cross-encoder reads the question and each passage together, as many as time allows.

It knows words only, so a picture that was found by what it looks like keeps its place.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelError, ModelNotFound
from rag.records import Footprint, FoundBy, Hit, ModelState

if TYPE_CHECKING:
    import torch
    from sentence_transformers import CrossEncoder

RERANK = "rerank"
DEPTH = 50  # hits that are offered to a reranker at most
_BATCH = 8  # pairs that are scored before the clock is looked at again
_MOST_TOKENS = 512  # of a question and a passage together
_CHARACTERS = 4000  # of a passage that are read: more than 512 tokens are in no language
_LOOKS = ("image", "likeness")  # retrievers that no words explain

Score = Callable[[Sequence[tuple[str, str]]], NDArray[np.float32]]
"""How well each passage answers its question, float32[N]; higher is better."""


class Placed(Protocol):
    """Where a model runs: what `rag.embed.device.place` chooses."""

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def dtype(self) -> "torch.dtype": ...

    @property
    def reason(self) -> str: ...


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers in a local folder, as a Reranker. Safe to call from several threads.

    `folder` holds `config.json`, `model.safetensors` and a tokenizer. Nothing is ever downloaded, and no code of the
    model's own is run.

    Args:
        place: chooses device and precision; called when the model is loaded.
        budget_ms: for one question. What takes longer is left as it was; the first few hits are always read.

    Raises:
        ModelNotFound: a file is missing.
    """

    def __init__(self, folder: Path, *, name: str, place: Callable[[], Placed], budget_ms: float = 500) -> None:
        for needed in (folder / "config.json", folder / "model.safetensors"):
            if not needed.is_file():
                raise ModelNotFound(f"the reranker {name!r} lacks {needed.name!r} in {str(folder)!r}; install it again")
        self._folder, self._place, self._budget_ms = folder, place, budget_ms
        self._lock = threading.Lock()
        self._model: CrossEncoder | None = None
        self.state = ModelState("reranker", name, "not chosen yet", "auto", "loaded at first use", loaded=False)

    def load(self) -> None:
        """Load the weights now instead of at the first question."""
        with self._lock:
            self._loaded()

    def rerank(self, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """See `Reranker.rerank`; raises ModelError where the model cannot be used."""
        with self._lock:
            self._loaded()
            return reranked(query, hits, self._score, self._budget_ms)

    def score(self, query: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """See `Reranker.score`; raises ModelError where the model cannot be used."""
        if not passages:
            return np.zeros(0, np.float32)
        with self._lock:
            self._loaded()
            return self._score([(query, passage) for passage in passages])

    def _score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        scores = self._loaded().predict(list(pairs), batch_size=_BATCH, show_progress_bar=False, convert_to_tensor=True)
        return np.asarray(scores.float().cpu().numpy(), np.float32)

    def _loaded(self) -> "CrossEncoder":
        if self._model is None:
            self._model, placed = self._opened()
            weights = [(p.numel() * p.element_size(), p.device.type) for p in self._model.parameters()]
            size = sum(taken for taken, _ in weights)
            on_gpu = size if weights and weights[0][1] != "cpu" else 0
            reason = f"{placed.reason}; at most {self._budget_ms:.0f} ms for a question"
            self.state = ModelState(
                "reranker", self.state.name, placed.device, placed.precision, reason, True, Footprint(size, on_gpu)
            )
        return self._model

    def _opened(self) -> "tuple[CrossEncoder, Placed]":
        from safetensors import SafetensorError
        from sentence_transformers import CrossEncoder

        placed = self._place()
        options: dict[str, Any] = {"dtype": placed.dtype, "use_safetensors": True}
        try:
            model = CrossEncoder(
                str(self._folder),
                device=placed.device,
                local_files_only=True,
                trust_remote_code=False,
                max_length=_MOST_TOKENS,
                model_kwargs=options,
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as exc:  # for broken files
            raise ModelError(
                f"the reranker in {str(self._folder)!r} cannot be loaded ({exc}); install it again"
            ) from exc
        if model.num_labels != 1:
            raise ModelError(
                f"the model in {str(self._folder)!r} tells {model.num_labels} classes apart and gives no score; "
                "choose a cross-encoder that was made to rank"
            )
        model.predict([("warm", "up")], show_progress_bar=False)  # the first call is slower than those that are timed
        return model, placed


def reranked(
    query: str, hits: Sequence[Hit], score: Score, budget_ms: float, clock: Callable[[], float] = time.perf_counter
) -> list[Hit]:
    """`hits` in the order of `score`, as many of the first ones as `budget_ms` milliseconds allow.

    Another batch is begun while it is likely to end in time, judged by the slowest so far; the first always is. What
    was not read follows in its order. The scores of the hits stay with the places, so that they fall from rank to rank
    as before; what the reranker thought is added to `found_by`.
    """
    places = [i for i, hit in enumerate(hits) if not any(found.retriever in _LOOKS for found in hit.found_by)]
    scores = _scored([(query, passage_text(hits[i])) for i in places], score, budget_ms, clock)
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    new = list(hits)
    for rank, (place, i) in enumerate(zip(places, order, strict=False), start=1):
        hit = hits[places[i]]
        new[place] = replace(hit, found_by=(*hit.found_by, FoundBy(RERANK, rank, scores[i])))
    standing = [hit.score for hit in hits]
    return [replace(hit, rank=i, score=at) for i, (hit, at) in enumerate(zip(new, standing, strict=True), start=1)]


def passage_text(hit: Hit) -> str:
    """What a reranker reads of a hit: its title and headings, what is written about a picture, and its text."""
    chunk = hit.chunk
    parts = (chunk.context, chunk.caption, chunk.text, chunk.around if chunk.modality == "image" else "")
    return "\n".join(filter(None, parts))[:_CHARACTERS]


def _scored(
    pairs: Sequence[tuple[str, str]], score: Score, budget_ms: float, clock: Callable[[], float]
) -> list[float]:
    scores: list[float] = []
    started, slowest = clock(), 0.0
    while len(scores) < len(pairs):
        began = clock()
        if scores and (began - started + slowest) * 1000 > budget_ms:
            break
        scores += map(float, score(pairs[len(scores) : len(scores) + _BATCH]))
        slowest = max(slowest, clock() - began)
    return scores
