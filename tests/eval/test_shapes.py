"""Drawn scenes: what the split promises, and that a model trained on one half finds the other through the program."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.cache import CachedEmbedder, CachedImageEmbedder
from eval.datasets import load
from eval.run import run
from eval.shapes import HELD_OUT, Group, Scene, draw, held_out_scenes, training_scenes, write_datasets, write_pictures
from rag.build import build_embedder, build_image_embedder, open_library
from rag.config import Settings
from tests.eval.made import command

CANDIDATES = 80  # chance finds the right one first in 1 of 80 = .0125 of the questions


def test_captions_say_what_is_drawn() -> None:
    two, one = Group(2, "red", "circle"), Group(1, "blue", "cross")
    assert Scene(two, "above", one).caption == "two red circles above a blue cross"
    assert Scene(Group(3, "green", "cross")).caption == "three green crosses"
    assert Scene(two, "below", one).turned == Scene(one, "above", two)


def test_no_training_scene_shows_what_is_held_out_and_every_other_one_does() -> None:
    seen = {(group.colour, group.shape) for scene in training_scenes(3000) for group in scene.groups}
    assert not seen & HELD_OUT
    assert len(seen) == 6 * 5 - len(HELD_OUT)  # all other pairs do come
    assert {colour for colour, _ in HELD_OUT} <= {colour for colour, _ in seen}
    asked = held_out_scenes(200)
    assert all(any(group.held_out for group in scene.groups) for scene in asked)
    assert len({scene.turned for scene in asked}) == len({scene.caption for scene in asked}) == 200


def test_the_seed_decides_the_drawing() -> None:
    scene = training_scenes(1)[0]
    assert draw(scene, 5).tobytes() == draw(scene, 5).tobytes() != draw(scene, 6).tobytes()


def test_above_is_above_and_left_is_left() -> None:
    for place, axis, expected in (("above", 0, -1), ("below", 0, 1), ("left of", 1, -1), ("right of", 1, 1)):
        pixels = np.asarray(draw(Scene(Group(1, "red", "circle"), place, Group(2, "blue", "square")), 3), float)
        red = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 2] < 80)).mean(axis=0)
        blue = np.argwhere((pixels[..., 2] > 200) & (pixels[..., 0] < 80)).mean(axis=0)
        assert np.sign(red[axis] - blue[axis]) == expected


@pytest.mark.slow
@pytest.mark.model
def test_held_out_compositions_are_found_through_the_whole_program(tmp_path: Path, small_clip: Path) -> None:
    scenes = held_out_scenes(CANDIDATES)
    paths = write_pictures(tmp_path / "pictures", scenes)
    library = open_library(Settings(home=tmp_path / "home", image_embedder=str(small_clip)))
    try:
        report = library.add([tmp_path / "pictures"])
        assert len(report.added) == CANDIDATES
        assert library.status().unseen == 0
        found = [library.search(scene.caption, k=1).hits for scene in scenes]
        right = [bool(hits) and hits[0].chunk.path == str(path) for hits, path in zip(found, paths, strict=True)]
        assert np.mean(right) >= 0.8
        assert all(by.retriever for hits in found for hit in hits for by in hit.found_by)
    finally:
        library.close()


@pytest.mark.slow
@pytest.mark.model
def test_both_directions_are_measured(tmp_path: Path, small_clip: Path) -> None:
    settings = Settings(home=tmp_path / "home", image_embedder=str(small_clip), embedder="hashing", ocr=False)
    results = {}
    for folder in write_datasets(tmp_path, held_out_scenes(CANDIDATES)):
        seeing = build_image_embedder(settings)
        assert seeing is not None
        looks = CachedImageEmbedder(seeing, None)
        vectors = CachedEmbedder(build_embedder(settings), None)
        results[folder.name] = run(load(folder), vectors, settings, image_embedder=looks)
    found, given = results["words-to-pictures"], results["pictures-to-words"]
    assert list(found["by_direction"]) == ["words to pictures"]
    assert list(given["by_direction"]) == ["pictures to words"]
    measured = found["by_direction"]["words to pictures"]
    assert measured["queries"] == CANDIDATES
    assert measured["by_retriever"]["image"]["r@1"] >= 0.8
    assert measured["by_retriever"]["hybrid"]["r@1"] >= 0.8
    assert measured["by_retriever"]["hybrid"]["r@5"] >= measured["by_retriever"]["hybrid"]["r@1"]
    assert given["by_direction"]["pictures to words"]["by_retriever"]["likeness"]["r@1"] >= 0.8
    assert any("vector of the image embedder" in note for note in given["notes"])
    assert found["notes"] == []
    assert found["settings"]["image_embedder"]["name"] == small_clip.name
    json.dumps(results)


def test_the_command_line_takes_a_data_set_of_pictures(tmp_path: Path, small_clip: Path) -> None:
    folder, _ = write_datasets(tmp_path, held_out_scenes(5))
    done = command(tmp_path, "run", str(folder), "--json", "--no-ocr", "--image-embedder", str(small_clip))
    assert done.status == 0, done
    assert json.loads(done.stdout)["by_retriever"]["image"]["r@10"] == 1
