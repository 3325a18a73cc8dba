"""What every Reranker promises: a permutation, with the places renumbered."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rag.embed.device import place
from rag.protocols import Reranker
from rag.records import FoundBy, Hit
from rag.retrieve.rerank import CrossEncoderReranker
from tests.answer.passages import hit, picture_hit
from tests.cross_encoder import write_cross_encoder
from tests.fakes import OverlapReranker

QUESTION = "When does the first ferry leave?"
TEXTS = [
    "The boat is blue.",
    "Bees swarm in May.",
    "The first ferry leaves at 6:40.",
    "",
    "漢字とかな",
    "ferry " * 3000,
]


@pytest.fixture(scope="module", params=["overlap", "fp32", "bf16"])
def reranker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    if request.param == "overlap":
        return OverlapReranker()
    folder = write_cross_encoder(tmp_path_factory.mktemp("models") / "tiny")
    return CrossEncoderReranker(folder, name="tiny", place=lambda: place("cpu", request.param), budget_ms=60_000)


def hits(*texts: str) -> list[Hit]:
    return [replace(hit(n, text), found_by=(FoundBy("text", n, 0.5),)) for n, text in enumerate(texts or TEXTS, 1)]


def by_rerank(found: Hit) -> FoundBy:
    return next(by for by in found.found_by if by.retriever == "rerank")


def test_is_a_reranker(reranker: Reranker) -> None:
    assert isinstance(reranker, Reranker)
    reranker.load()
    assert reranker.state.role == "reranker"
    assert reranker.state.loaded


def test_it_is_a_permutation_with_the_scores_of_the_places(reranker: Reranker) -> None:
    given = hits()
    found = reranker.rerank(QUESTION, given)
    assert sorted(each.chunk.id for each in found) == sorted(each.chunk.id for each in given)
    assert [each.rank for each in found] == [1, 2, 3, 4, 5, 6]
    assert [each.score for each in found] == [each.score for each in given]
    assert {each.chunk.id: each.found_by[:1] for each in found} == {each.chunk.id: each.found_by for each in given}


def test_passages_are_scored_one_by_one(reranker: Reranker) -> None:
    scores = reranker.score(QUESTION, TEXTS)
    assert (scores.dtype, scores.shape) == (np.float32, (len(TEXTS),))
    assert reranker.score(QUESTION, []).shape == (0,)
    for text, score in zip(TEXTS, scores, strict=True):  # alone it is the same, but for rounding in half precision
        assert reranker.score(QUESTION, [text]) == pytest.approx(score, abs=0.05)


def test_its_own_scores_fall_and_are_told(reranker: Reranker) -> None:
    own = [by_rerank(each) for each in reranker.rerank(QUESTION, hits())]
    assert [each.rank for each in own] == [1, 2, 3, 4, 5, 6]
    assert [each.score for each in own] == sorted((each.score for each in own), reverse=True)


def test_the_order_it_is_given_does_not_matter_to_its_scores(reranker: Reranker) -> None:
    def scores(found: list[Hit]) -> dict[str, float]:
        return {each.chunk.id: by_rerank(each).score for each in found}

    forth, back = scores(reranker.rerank(QUESTION, hits())), scores(reranker.rerank(QUESTION, hits()[::-1]))
    assert forth == pytest.approx(back, abs=0.05)


def test_nothing_in_nothing_out(reranker: Reranker) -> None:
    assert reranker.rerank(QUESTION, []) == []


def test_ties_keep_their_order(reranker: Reranker) -> None:
    found = reranker.rerank(QUESTION, hits(*["The boat is blue."] * 3))
    assert [each.chunk.document_id for each in found][:1] == ["document-1"] or len(
        {by_rerank(e).score for e in found}
    ) > 1


@pytest.mark.parametrize("question", ["", "???", "x" * 20_000, "いつ出ますか", "a\x00b"])
def test_any_question_will_do(reranker: Reranker, question: str) -> None:
    assert len(reranker.rerank(question, hits())) == len(TEXTS)


def test_a_picture_found_by_its_looks_keeps_its_place(reranker: Reranker) -> None:
    seen: Callable[[int], Hit] = lambda n: replace(picture_hit(n), found_by=(FoundBy("image", 1, 0.3, 0.01),))  # noqa: E731
    given = [*hits()[:1], seen(2), *hits()[2:3]]
    found = reranker.rerank(QUESTION, given)
    assert found[1] == given[1]
