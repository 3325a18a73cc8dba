"""Throughput of pictures: every stage is measured, and the figures fit together."""

from pathlib import Path

import pytest

from eval.datasets import DatasetError
from eval.pictures import throughput
from eval.shapes import training_scenes, write_pictures
from rag.config import Settings


@pytest.mark.slow
def test_every_stage_is_measured(tmp_path: Path, small_clip: Path) -> None:
    folder = tmp_path / "mine"
    write_pictures(folder / "deep", training_scenes(2))
    (folder / "notes.txt").write_text("no picture")
    settings = Settings(home=tmp_path / "home", embedder="hashing", image_embedder=str(small_clip))
    result = throughput(folder, settings, copies=2)
    assert result["pictures"] == 4
    assert result["image_embedder"] == small_clip.name
    seconds = result["seconds_per_picture"]
    assert list(seconds) == ["decode", "ocr", "clip", "add"]
    assert all(value > 0 for value in seconds.values())
    assert result["ratio"]["wall"] == pytest.approx(seconds["add"] / (seconds["ocr"] + seconds["clip"]))
    assert not (tmp_path / "home").exists()  # what it indexes is its own


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no picture"):
        throughput(tmp_path, Settings(home=tmp_path / "home"))
