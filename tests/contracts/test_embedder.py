"""What every Embedder promises, on the model-free one, on the real starter model in both precisions, and on
that model behind a real server."""

import numpy as np
import pytest

from rag.embed.hashing import HashingEmbedder
from rag.embed.openai_server import ServerEmbedder
from rag.embed.query_side import QuerySideEmbedder
from rag.embed.remembering import RememberingEmbedder
from rag.embed.text import TextEmbedder
from rag.models import starter
from rag.protocols import Embedder
from rag.servers.address import ServerAddress

TEXTS = ["the cat sat on the mat", "a feline rested on the rug", "quarterly revenue rose", "", "漢字とかな", "x" * 5000]


def minilm(precision: str) -> TextEmbedder:
    return TextEmbedder(
        starter.embedder_folder(),
        name=starter.EMBEDDER_NAME,
        sha256=starter.EMBEDDER_SHA256,
        device="cpu",
        precision=precision,
    )


@pytest.fixture(
    scope="module",
    params=[
        "hashing",
        "remembering",
        "query side",
        *(pytest.param(each, marks=pytest.mark.model) for each in ("fp32", "bf16", "server")),
    ],
)
def embedder(request: pytest.FixtureRequest) -> Embedder:
    if request.param == "server":
        return ServerEmbedder(ServerAddress(request.getfixturevalue("model_server"), "minilm"))
    if request.param == "remembering":
        return RememberingEmbedder(HashingEmbedder(), request.getfixturevalue("tmp_path_factory").mktemp("v") / "v.npz")
    if request.param == "query side":
        return QuerySideEmbedder(
            HashingEmbedder(),
            model=HashingEmbedder(),
            turn=lambda rows: np.roll(rows, 1, axis=1),
            is_home=lambda rows: rows[:, 0] > 0,
            remember=lambda before, rows: rows,
        )
    return HashingEmbedder() if request.param == "hashing" else minilm(request.param)


def test_is_an_embedder(embedder: Embedder) -> None:
    assert isinstance(embedder, Embedder)


def test_rows_are_unit_and_in_order(embedder: Embedder) -> None:
    rows = embedder.embed(TEXTS, "passage")
    assert rows.shape == (len(TEXTS), embedder.dim)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    backwards = embedder.embed(TEXTS[::-1], "passage")
    assert (np.sum(rows * backwards[::-1], axis=1) > 0.998).all()


def test_nothing_in_nothing_out(embedder: Embedder) -> None:
    assert embedder.embed([], "query").shape == (0, embedder.dim)


def test_the_batch_does_not_change_a_row(embedder: Embedder) -> None:
    alone = np.concatenate([embedder.embed([text], "passage") for text in TEXTS])
    together = embedder.embed(TEXTS * 20, "passage")[: len(TEXTS)]
    assert (np.sum(alone * together, axis=1) > 0.998).all()


def test_counts_tokens(embedder: Embedder) -> None:
    assert embedder.count_tokens("") == 0
    assert 0 < embedder.count_tokens("one two") < embedder.count_tokens("one two three four five")


def test_the_fingerprint_is_of_the_model_not_of_the_machine(embedder: Embedder) -> None:
    if isinstance(embedder, TextEmbedder):
        assert minilm("fp32").fingerprint == minilm("bf16").fingerprint == embedder.fingerprint
    assert len(embedder.fingerprint) > 4
