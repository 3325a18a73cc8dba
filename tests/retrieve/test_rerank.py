"""Reranking: the budget by a clock of our own, places that stay, files that cannot be used, and the Searcher's part."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag.build import build_reranker
from rag.config import load_settings
from rag.embed.device import place
from rag.embed.hashing import HashingEmbedder
from rag.errors import ModelError, ModelNotFound
from rag.json_forms import hit_json
from rag.protocols import Reranker
from rag.records import Query
from rag.retrieve.rerank import CrossEncoderReranker, passage_text, reranked
from rag.retrieve.search import Searcher
from tests.answer.passages import hit, picture_hit
from tests.cross_encoder import write_cross_encoder
from tests.fakes import OverlapReranker
from tests.retrieve.made import filled, terms


class Watch:
    """A clock that a scorer moves on by so many seconds per pair."""

    def __init__(self, seconds: float) -> None:
        self.now, self._seconds, self.read = 0.0, seconds, 0

    def __call__(self) -> float:
        return self.now

    def score(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.read += len(pairs)
        self.now += self._seconds * len(pairs)
        return np.array([float(text.rsplit(" ", 1)[1]) for _, text in pairs], np.float32)


HITS = [hit(n, f"passage {n}") for n in range(1, 41)]


def test_what_is_read_is_turned_round_and_the_rest_follows() -> None:
    watch = Watch(0.010)  # a batch of 8 takes 80 ms: three end within 250 ms, and a fourth would not
    found = reranked("?", HITS, watch.score, 250, watch)
    assert watch.read == 24
    assert [each.chunk.text for each in found[:24]] == [f"passage {n}" for n in range(24, 0, -1)]
    assert [each.chunk.text for each in found[24:]] == [f"passage {n}" for n in range(25, 41)]
    assert [bool(each.found_by) for each in found] == [True] * 24 + [False] * 16


def test_the_first_batch_is_read_whatever_it_takes() -> None:
    watch = Watch(10.0)
    assert len(reranked("?", HITS, watch.score, 0, watch)) == 40
    assert watch.read == 8


def test_a_slow_batch_is_taken_for_what_the_next_one_takes() -> None:
    watch = Watch(0.0)
    assert reranked("?", HITS, watch.score, 0, watch)[0].chunk.text == "passage 40"
    assert watch.read == 40


def test_ties_keep_their_order() -> None:
    same = [hit(n, "passage 1") for n in (1, 2, 3)]
    watch = Watch(0.0)
    assert [each.chunk.id for each in reranked("?", same, watch.score, 1, watch)] == [each.chunk.id for each in same]


def test_a_picture_is_read_with_what_is_written_about_it() -> None:
    shown = picture_hit(1, "EXIT", caption="The harbour", around="We left at dawn")
    assert passage_text(shown) == "Title 1\nThe harbour\nEXIT\nWe left at dawn"
    assert len(passage_text(hit(1, "word " * 10_000))) == 4000


# --- in a search ---

TEXTS = ["The kettle whistles loudly.", "Rye bread rises slowly in the cold kitchen.", "Bees swarm in May."]


def searching(reranker: Reranker | None) -> Searcher:
    embedder = HashingEmbedder()
    return Searcher(embedder, filled(TEXTS, embedder), terms, reranker=reranker)


def test_the_searcher_reranks_what_it_found_before_it_cuts() -> None:
    class Backwards(OverlapReranker):
        def rerank(self, query, hits):  # type: ignore[no-untyped-def]
            return reranked(query, hits, lambda pairs: np.arange(len(pairs), dtype=np.float32), 60_000)

    plain, turned = searching(None).search("bread kitchen", 3), searching(Backwards()).search("bread kitchen", 3)
    assert [each.chunk.id for each in turned.hits] == [each.chunk.id for each in plain.hits][::-1]
    first = searching(Backwards()).search("bread kitchen", 1)
    assert [each.chunk.id for each in first.hits] == [turned.hits[0].chunk.id]
    assert "rerank" in turned.ms
    assert hit_json(turned.hits[0])["found_by"]["rerank"] == {"rank": 1, "score": 2.0}  # type: ignore[index]


def test_what_was_asked_with_a_picture_is_not_reranked() -> None:
    broken = OverlapReranker(ModelError("asked"))
    found = searching(broken).search(Query(like=searching(None).search("bread", 1).hits[0].chunk.id), 3)
    assert not any("reranked" in note for note in found.notes)


def test_a_reranker_that_fails_costs_a_note() -> None:
    found = searching(OverlapReranker(ModelError("the file is broken"))).search("bread", 2)
    assert [each.chunk.id for each in found.hits] == [each.chunk.id for each in searching(None).search("bread", 2).hits]
    assert found.notes == ("What was found is not reranked: the file is broken",)


# --- files ---


def test_auto_takes_the_one_in_the_models_folder_and_none_is_the_default(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    assert build_reranker(settings) is None
    assert build_reranker(settings.model_copy(update={"reranker": "auto"})) is None
    write_cross_encoder(tmp_path / "models" / "tiny", hidden=8)
    assert build_reranker(settings) is None
    for chosen in ("auto", "tiny", str(tmp_path / "models" / "tiny")):
        found = build_reranker(settings.model_copy(update={"reranker": chosen}))
        assert found is not None
        assert found.state.name == "tiny"
    with pytest.raises(ModelNotFound, match="'other'"):
        build_reranker(settings.model_copy(update={"reranker": "other"}))


def tiny(folder: Path) -> CrossEncoderReranker:
    return CrossEncoderReranker(folder, name="tiny", place=lambda: place("cpu", "fp32"))


def test_a_folder_that_lacks_weights_is_named(tmp_path: Path) -> None:
    folder = write_cross_encoder(tmp_path / "tiny", hidden=8)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelNotFound, match=r"lacks 'model\.safetensors'"):
        tiny(folder)


@pytest.mark.parametrize("damage", ["cut", "nonsense", "config"])
def test_a_broken_file_is_an_error_of_ours(tmp_path: Path, damage: str) -> None:
    folder = write_cross_encoder(tmp_path / "tiny", hidden=8)
    weights = folder / "model.safetensors"
    if damage == "config":
        (folder / "config.json").write_text("{", "utf-8")
    else:
        weights.write_bytes(weights.read_bytes()[:1000] if damage == "cut" else b"nonsense" * 100)
    with pytest.raises(ModelError, match="cannot be loaded"):
        tiny(folder).rerank("?", [replace(HITS[0])])


def test_a_model_that_tells_classes_apart_is_no_reranker(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tells 3 classes apart"):
        tiny(write_cross_encoder(tmp_path / "nli", labels=3, hidden=8)).load()
