"""A document of ten megabytes: its last words are found, and it is seen how far the run is."""

from pathlib import Path

import pytest

from eval.cache import CachedEmbedder
from eval.datasets import load
from eval.run import run
from rag.config import Settings
from rag.embed.hashing import HashingEmbedder
from tests.eval.made import beir

LINE = "The ferry leaves the old harbour before the tide turns."


@pytest.mark.slow
def test_ten_megabytes_are_indexed_whole_and_the_progress_moves(tmp_path: Path) -> None:
    text = "\n".join([LINE] * (10_000_000 // (len(LINE) + 1)) + ["The walrus sleeps here."])
    corpus = [{"_id": "small", "text": "Bees swarm in May."}, {"_id": "large", "text": text}]
    folder = beir(tmp_path / "large", corpus, [{"_id": "q", "text": "Where is the walrus?"}], [("q", "large", 1)])
    shown: list[float] = []
    found = run(
        load(folder),
        CachedEmbedder(HashingEmbedder(), None),
        Settings(home=tmp_path / "home", chunk_tokens=1000),
        store="memory",
        progress=lambda stage: lambda done, total: shown.append(done) if stage == "index" else None,
    )
    assert len(text) >= 9_900_000
    assert found["chunks"] > 1000
    assert found["by_retriever"]["bm25"]["r@1"] == found["by_retriever"]["text"]["r@1"] == 1
    assert shown == sorted(shown)
    assert len({done for done in shown if 1 < done < 2}) > 10  # between the small document and the end of the large one
    assert shown[-1] == 2
