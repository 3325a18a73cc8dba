"""Receipts that are asked for by what stands in them, and labels that nobody trained."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from typer.testing import CliRunner

from eval.__main__ import app
from eval.datasets import DatasetError
from eval.labels import labels, write_labels
from eval.metrics import MEASURES
from eval.receipts import by_kind, receipts
from eval.results import kind_of
from eval.shapes import HELD_OUT
from rag.records import ModelState


def made(folder: Path, keys: dict[str, dict[str, str]]) -> Path:
    for name in ("img", "key"):
        (folder / name).mkdir(parents=True)
    for name, key in keys.items():
        (folder / "img" / f"{name}.png").write_bytes(b"")
        (folder / "key" / f"{name}.json").write_text(json.dumps(key), "utf-8")
    return folder


def test_every_receipt_that_fits_is_right(tmp_path: Path) -> None:
    keys = {
        "1": {"company": "Hobb", "date": "1 May", "total": "4.20"},
        "2": {"company": "Hobb", "date": "2 May", "total": "4.20"},
        "3": {"company": "Brackley", "date": "1 May"},
    }
    dataset = receipts(made(tmp_path / "some", keys))
    assert dataset.name == "some"
    assert [entry.id for entry in dataset.entries] == ["1", "2", "3"]
    assert dataset.queries["1, company and total"] == "receipt from Hobb total 4.20"
    assert dataset.judgements["1, company"] == {"1": 1, "2": 1}
    assert [query for query in dataset.queries if query.endswith("company")] == ["1, company", "3, company"]
    assert dataset.judgements["1, company and date"] == {"1": 1}
    assert dataset.judgements["1, company and total"] == {"1": 1, "2": 1}
    assert "3, company and total" not in dataset.queries


def test_capitals_marks_and_currency_do_not_part_what_is_the_same(tmp_path: Path) -> None:
    keys = {
        "1": {"company": "HOBB & SON S/B", "date": "03-02-16", "total": "$1,008.20"},
        "2": {"company": "Hobb & Son S/B.", "date": "03/02/16", "total": "RM1008.20"},
        "3": {"company": "Hobb & Son", "date": "03/02/16", "total": "100.820"},
    }
    dataset = receipts(made(tmp_path / "some", keys))
    assert [dataset.judgements[f"1, {kind}"] for kind in ("company", "company and date", "company and total")] == [
        {"1": 1, "2": 1}
    ] * 3
    assert len(dataset.queries) == 6
    assert dataset.queries["1, company and total"] == "receipt from HOBB & SON S/B total $1,008.20"


def test_each_kind_of_question_has_its_measures() -> None:
    def scored(first: float) -> dict[str, dict[str, float]]:
        return {"hybrid": dict.fromkeys(MEASURES, first), "bm25": dict.fromkeys(MEASURES, 0.0)}

    rows = {"1, company": scored(1.0), "2, company": scored(0.0), "1, company and date": scored(0.5)}
    found = by_kind({"fused": "hybrid", "per_query": rows})
    assert [(kind, one["questions"], one["r@1"]) for kind, one in found.items()] == [
        ("company", 2, 0.5),
        ("company and date", 1, 0.5),
    ]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'img' and 'key'"):
        receipts(tmp_path)
    folder = made(tmp_path / "some", {"1": {"date": "1 May"}})
    with pytest.raises(DatasetError, match="no key with a company"):
        receipts(folder)
    (folder / "key" / "1.json").write_text("[")
    with pytest.raises(DatasetError, match="not JSON"):
        receipts(folder)
    (folder / "key" / "1.json").unlink()
    with pytest.raises(DatasetError, match="every scan needs a key"):
        receipts(folder)


class Colours:
    """An ImageEmbedder that sees the mean colour of a picture, and reads the names of three."""

    space, dim, fingerprint = "image", 3, "colours"
    state = ModelState("image embedder", "colours", "none", "fp32", "a fake", loaded=True)

    def load(self) -> None: ...

    def embed_images(self, pictures: Sequence[bytes]) -> NDArray[np.float32]:
        import io

        rows = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32).mean((0, 1)) for data in pictures]
        return np.stack([row / np.linalg.norm(row) for row in rows])

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        names = ("deep red", "green", "blue")
        return np.stack([np.eye(3, dtype=np.float32)[next(i for i, n in enumerate(names) if n in t)] for t in texts])


def test_labels_are_the_names_of_folders(tmp_path: Path) -> None:
    for label, colours in {
        "deep_red": [(200, 20, 10), (10, 200, 20)],
        "green": [(0, 90, 10)],
        "blue": [(1, 2, 9)],
    }.items():
        (tmp_path / label).mkdir()
        (tmp_path / label / "notes.txt").write_text("no picture")
        for number, colour in enumerate(colours):
            Image.new("RGB", (4, 4), colour).save(tmp_path / label / f"{number}.png")
    (tmp_path / "empty").mkdir()
    shown: list[tuple[int, int]] = []
    found = labels(tmp_path, Colours(), lambda done, total: shown.append((done, total)))
    assert shown == [(1, 4), (3, 4), (4, 4)]
    assert (found["pictures"], found["labels"], found["accuracy@1"], found["accuracy@5"]) == (4, 3, 3 / 4, 1.0)
    assert found["by_label"] == {"blue": 1.0, "deep red": 0.5, "green": 1.0}
    with pytest.raises(DatasetError, match="two folders"):
        labels(tmp_path / "green", Colours())


def call(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "--json")])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.model
def test_the_command_finds_receipts_by_what_was_read_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    shops = {"1": ("HOBB & SON", "4.20"), "2": ("BRACKLEY MILL", "9.99"), "3": ("HARBOUR CAFE", "1.50")}
    folder = made(tmp_path / "some", {name: {"company": shop, "total": total} for name, (shop, total) in shops.items()})
    for name, (shop, total) in shops.items():
        image = Image.new("RGB", (420, 120), "white")
        for line, text in enumerate((shop, f"TOTAL {total}")):
            ImageDraw.Draw(image).text((20, 15 + 50 * line), text, fill="black", font=ImageFont.load_default(30))
        image.save(folder / "img" / f"{name}.png")
    found = call("receipts", folder, "--embedder", "hashing", "--to", tmp_path / "result.json")
    assert {kind: (one["questions"], one["r@1"]) for kind, one in found["by_kind"].items()} == {
        "company": (3, 1.0),
        "company and total": (3, 1.0),
    }
    assert json.loads((tmp_path / "result.json").read_text()) == found
    assert kind_of(found) == "receipts"


def test_the_command_names_pictures(tmp_path: Path, small_clip: Path) -> None:
    folder = write_labels(tmp_path / "labels", each=3)
    found = call("labels", folder, "--image-embedder", small_clip, "--to", tmp_path / "result.json")
    assert (found["pictures"], found["labels"], found["image_embedder"]) == (24, 8, small_clip.name)
    assert found["accuracy@1"] > 0.6  # measured: .915 of 200; by chance it is 1 / 8
    assert json.loads((tmp_path / "result.json").read_text()) == found
    assert kind_of(found) == "labels"


def test_drawn_labels_are_what_the_small_clip_was_never_shown(tmp_path: Path) -> None:
    folder = write_labels(tmp_path / "labels", each=2)
    assert {path.name for path in folder.iterdir()} == {f"a_{colour}_{shape}" for colour, shape in HELD_OUT}
    found = [path.read_bytes() for path in sorted(folder.rglob("*.png"))]
    assert len(set(found)) == len(found) == 2 * len(HELD_OUT)  # no two drawings are the same
