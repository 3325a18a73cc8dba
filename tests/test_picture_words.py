"""Tier image in a real library: its owner's words find pictures that nothing looks at again, and back."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch

from eval.shapes import Scene, retold, training_scenes, write_pictures
from rag.build import open_library
from rag.config import load_settings
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_words import CLIP_TEXT_FILE
from rag.errors import TuneError
from rag.gathering import CAPTIONS, IMPORTED
from rag.library import Library
from rag.models.installed import installed_model
from rag.protocols import IMAGE_SPACE
from rag.records import document_id
from rag.tune.imports import keep, read_import
from rag.tune.records import Candidate, ShownChunk, Step, TuneOptions
from rag.whole_pictures import _why_not
from tests.store.processes import parse_here

SCENES = list({scene.caption: scene for scene in training_scenes(120, seed=9)}.values())[:80]
OPTIONS = TuneOptions(epochs=20, learning_rate=1e-3)  # the small CLIP learns at the rate that it was made at


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("rag.indexing.parse_all", parse_here)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"), SCENES)


@pytest.fixture
def library(tmp_path: Path, pictures: list[Path], spelling_clip: Path) -> Iterator[Library]:
    library = opened(tmp_path, spelling_clip)
    library.add([pictures[0].parent])
    yield library
    library.close()


def opened(home: Path, clip: Path | str) -> Library:
    chosen = {"embedder": "hashing", "generator": "none", "image_embedder": str(clip), "ocr": False}
    return open_library(load_settings(home=home / "home", precision="fp32", device="cpu", **chosen))


def bring(library: Library, folder: Path, captions: dict[str, str]) -> None:
    """Import what somebody says of pictures in `folder`."""
    rows = folder / "captions.jsonl"
    rows.write_text("".join(json.dumps({"image": name, "caption": said}) + "\n" for name, said in captions.items()))
    gatherer = library.improver.gatherer
    keep(read_import(rows, time=1.0), gatherer.file(IMPORTED), gatherer.file(CAPTIONS))


def train(library: Library, options: TuneOptions = OPTIONS) -> tuple[Candidate | None, list[Step]]:
    steps: list[Step] = []
    folder = library.improver.begin("image")
    return library.improver.train("image", options, folder, steps.append, Event()), steps


def found_first(library: Library, scenes: list[Scene], pictures: list[Path]) -> float:
    """How often the picture of a scene told in the owner's words is at the top of the program's own list."""
    paths = dict(zip((scene.caption for scene in SCENES), pictures, strict=True))
    hits = [library.search(retold(scene.caption), k=1).hits for scene in scenes]
    right = [
        bool(hit) and hit[0].chunk.path == str(paths[scene.caption]) for hit, scene in zip(hits, scenes, strict=True)
    ]
    return float(np.mean(right))


@pytest.mark.slow
@pytest.mark.model
def test_words_are_taught_found_by_and_taken_back(
    library: Library, pictures: list[Path], spelling_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(library, pictures[0].parent, {p.name: retold(s.caption) for p, s in zip(pictures, SCENES, strict=True)})

    own, look = {path.read_bytes() for path in pictures}, ClipEmbedder.embed_images

    def watched(self: ClipEmbedder, shown: Sequence[bytes]) -> np.ndarray:
        assert not own & set(shown)  # drawn canaries alone
        return look(self, shown)

    monkeypatch.setattr(ClipEmbedder, "embed_images", watched)
    asked = SCENES[:30]
    before = found_first(library, asked, pictures)
    candidate, steps = train(library)
    assert candidate is not None
    assert (candidate.tier, candidate.parts, candidate.embedder) == ("image", ("clip_text",), None)
    assert library.image_embedder is not None
    assert candidate.base == library.image_embedder.fingerprint
    folder = library.improver.runs.folder(candidate.name)
    assert (folder / CLIP_TEXT_FILE).is_file()
    assert {"collect", "train", "blend"} == {step.stage for step in steps}
    assert steps[-12].loss is not None  # the last before the eleven of the blend
    assert json.loads((folder / "run.json").read_text())["pairs"]["train"] == candidate.pairs
    assert found_first(library, asked, pictures) == before  # nothing searches with it yet

    verdict = library.improver.judge(candidate.name, lambda step: None, Event())
    assert verdict is not None
    assert verdict.questions >= 10
    assert verdict.after >= verdict.before
    assert verdict.canary is not None
    assert any("128 questions about other subjects" in reason for reason in verdict.reasons)
    scores = json.loads((folder / "run.json").read_text())["trained"]["scores"]
    assert len(scores) == 11
    assert all(known is not None for _, _, known in scores)  # so the blend forgets little
    assert library.improver.swap(candidate.name, force=True) == candidate
    after = found_first(library, asked, pictures)
    assert after >= before + 0.1
    assert library.status().unseen == 0
    assert library.improver.picture_words.live == candidate.name
    again = opened(tmp_path, spelling_clip)  # as another process sees it
    assert found_first(again, asked, pictures) == after
    again.close()

    assert library.improver.roll_back() is None
    assert found_first(library, asked, pictures) == before
    assert library.improver.picture_words.before == candidate.name


@pytest.mark.slow
@pytest.mark.model
def test_a_training_that_was_cut_off_goes_on_to_the_same_words(library: Library, pictures: list[Path]) -> None:
    bring(library, pictures[0].parent, {p.name: retold(s.caption) for p, s in zip(pictures, SCENES, strict=True)})
    options, improver, stop = replace(OPTIONS, epochs=4), library.improver, Event()
    whole, _ = train(library, options)
    assert whole is not None

    def cut_off(step: Step) -> None:
        if step.stage == "train" and step.done == 2:
            stop.set()

    folder = improver.begin("image")
    assert improver.train("image", options, folder, cut_off, stop) is None
    assert improver.runs.unfinished() == folder
    steps: list[Step] = []
    again = improver.train("image", replace(options, resume=True), folder, steps.append, Event())
    assert again is not None
    assert [step.done for step in steps if step.stage == "train"] == [3, 4]
    words = [(improver.runs.folder(each.name) / CLIP_TEXT_FILE).read_bytes() for each in (whole, again)]
    assert words[0] == words[1]
    assert not (folder / "checkpoints").exists()

    stop.clear()
    folder = improver.begin("image")
    assert improver.train("image", options, folder, cut_off, stop) is None
    library.remove([document_id(str(path)) for path in pictures])
    with pytest.raises(TuneError, match="pictures that this training learns about are gone"):
        improver.train("image", replace(options, resume=True), folder, steps.append, Event())


@pytest.mark.slow
@pytest.mark.model
def test_a_whole_image_embedder_is_trained_installed_and_used_when_it_is_asked_for(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    bring(library, pictures[0].parent, {p.name: retold(s.caption) for p, s in zip(pictures, SCENES, strict=True)})
    options, improver, stop = replace(OPTIONS, whole=True), library.improver, Event()

    def cut_off(step: Step) -> None:
        if step.stage == "train" and step.done == 3:
            stop.set()

    folder = improver.begin("image")
    assert improver.train("image", options, folder, cut_off, stop) is None
    with pytest.raises(TuneError, match="began with --whole"):
        improver.train("image", replace(OPTIONS, resume=True), folder, cut_off, stop)
    steps: list[Step] = []
    candidate = improver.train("image", replace(options, resume=True), folder, steps.append, Event())
    assert candidate is not None
    assert next(step.done for step in steps if step.stage == "train") == 4
    assert candidate.embedder == f"clip-{folder.name}"
    figures = json.loads((folder / "run.json").read_text())["trained"]
    assert figures["held out"][1] > figures["held out"][0]
    home = library.settings.home
    model = installed_model(candidate.embedder, home)
    assert model is not None
    assert model.kind == "image embedder"
    for use in (improver.embed_beside, improver.swap):
        with pytest.raises(TuneError, match=f"set RAG_IMAGE_EMBEDDER={candidate.embedder}, and `rag look`"):
            use(candidate.name)
    assert f"RAG_IMAGE_EMBEDDER={candidate.embedder}" in improver.why_not(candidate.name)

    before = found_first(library, SCENES[:30], pictures)
    library.close()
    again = opened(tmp_path, candidate.embedder)
    assert again.status().unseen == len(pictures)  # none of the old vectors is compared with its words
    assert again.look() == len(pictures)
    assert found_first(again, SCENES[:30], pictures) >= before + 0.1
    again.close()


def test_a_whole_model_that_learnt_nothing_is_not_installed(library: Library, pictures: list[Path]) -> None:
    bring(library, pictures[0].parent, {p.name: retold(s.caption) for p, s in zip(pictures, SCENES, strict=True)})
    folder = library.improver.begin("image")
    still = TuneOptions(epochs=1, learning_rate=1e-12, whole=True)
    with pytest.raises(TuneError, match="nothing that was learnt is better on the pairs that were held out"):
        library.improver.train("image", still, folder, lambda step: None, Event())
    assert library.improver.candidates() == []
    assert not (library.settings.home / "models").exists()
    assert not list(folder.rglob("*.safetensors"))


def test_what_forgets_too_much_is_not_installed() -> None:
    assert _why_not({"held out": (0.4, 0.8), "known": (0.7, 0.695)}) == ""
    assert "too much is forgotten" in _why_not({"held out": (0.4, 0.8), "known": (0.7, 0.68)})
    assert "nothing that was learnt is better" in _why_not({"known": (0.7, 0.7)})  # nothing was held out


def test_too_few_words_or_none_are_refused(library: Library, pictures: list[Path]) -> None:
    with pytest.raises(TuneError, match="no words are known for any picture"):
        train(library)
    bring(library, pictures[0].parent, {pictures[0].name: "one disc", pictures[1].name: "one box"})
    with pytest.raises(TuneError, match="2 pairs"):
        train(library)
    assert library.improver.candidates() == []
    assert library.improver.picture_words.live == ""


def test_broken_and_missing_pictures_are_passed_over_and_named(
    library: Library, pictures: list[Path], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, picture in (("gone.png", pictures[0]), ("changed.png", pictures[1]), ("whole.png", pictures[2])):
        (elsewhere / name).write_bytes(picture.read_bytes() + name.encode())
    (elsewhere / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    bring(library, elsewhere, {f"{name}.png": f"a {name} one" for name in ("gone", "changed", "whole", "broken")})
    (elsewhere / "gone.png").unlink()
    (elsewhere / "changed.png").write_bytes(b"something else")
    gathered = library.improver.picture_words.trainer().gathered()
    assert [pair.query for pair in gathered.pairs] == ["a whole one"]
    assert len(gathered.passed_over) == 3
    for name in ("gone", "changed", "broken"):
        assert any(f"{name}.png" in reason for reason in gathered.passed_over)


def test_what_people_chose_is_learnt_from(library: Library) -> None:
    """A picture without a word in it that was the right one for a query."""
    hits = library.search(SCENES[0].caption, k=3).hits
    chunks = [ShownChunk(hit.chunk.id, hit.chunk.document_id, hit.rank) for hit in hits]
    shown = library.feedback.show("my own words", "space", "", chunks)
    library.feedback.choose(shown, "this", hits[1].chunk.id)
    gathered = library.improver.picture_words.trainer().gathered()
    (pair,) = gathered.pairs
    assert (pair.query, pair.positive.id, pair.source) == ("my own words", hits[1].chunk.id, "feedback")
    assert pair.positive.document == hits[1].chunk.document_id
    vector = library._databases.store.vectors(IMAGE_SPACE, [pair.positive.id])[pair.positive.id]
    np.testing.assert_array_equal(gathered.vectors[pair.positive.id], vector)


def test_without_an_image_embedder_there_is_nothing_to_teach(tmp_path: Path) -> None:
    library = opened(tmp_path, "none")
    try:
        with pytest.raises(TuneError, match="no image embedder whose words"):
            library.improver.begin("image")
        assert library.improver.picture_words.live == ""
    finally:
        library.close()
