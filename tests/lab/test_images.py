"""Digits from the package, from a table, from IDX files; and files that are none of these."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from rag.errors import LabError
from rag.lab.images import load_images

PIXELS = (np.arange(6 * 28 * 28) % 256).reshape(6, 28, 28).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 1, 0], np.uint8)


def idx(array: np.ndarray) -> bytes:
    head = np.array([0x0800 + array.ndim, *array.shape], ">u4")
    return head.tobytes() + array.tobytes()


def test_the_bundled_digits_are_split_by_the_seed() -> None:
    known, asked = load_images(None, 0)
    assert (len(known), len(asked)) == (1438, 359)
    assert known.pixels.shape[1:] == (1, 8, 8)
    assert known.pixels.dtype == np.float32
    assert (known.pixels.min(), known.pixels.max()) == (0, 1)
    again, other = load_images(None, 0)[0], load_images(None, 1)[0]
    assert np.array_equal(known.labels, again.labels)
    assert not np.array_equal(known.labels, other.labels)


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files(tmp_path: Path, packed: bool) -> None:
    for name, array in (
        ("train-images-idx3-ubyte", PIXELS),
        ("train-labels-idx1-ubyte", LABELS),
        ("t10k-images-idx3-ubyte", PIXELS[:2]),
        ("t10k-labels-idx1-ubyte", LABELS[:2]),
    ):
        data = gzip.compress(idx(array)) if packed else idx(array)
        (tmp_path / (name + ".gz" if packed else name)).write_bytes(data)
    known, asked = load_images(tmp_path, 0)
    assert np.array_equal(known.labels, LABELS)  # MNIST's own split
    assert known.pixels[3, 0, 5, 7] == np.float32(PIXELS[3, 5, 7]) / np.float32(255)
    assert len(asked) == 2


def test_a_table_as_kaggle_has_it(tmp_path: Path) -> None:
    rows = ["label," + ",".join(f"pixel{i}" for i in range(784))]
    rows += [",".join(map(str, [label, *image.ravel()])) for label, image in zip(LABELS, PIXELS, strict=True)]
    path = tmp_path / "train.csv"
    path.write_text("\r\n".join(rows) + "\r\n")
    known, asked = load_images(path, 0, held_out=1 / 6)
    assert (len(known), len(asked)) == (5, 1)
    assert sorted([*known.labels, *asked.labels]) == sorted(LABELS)
    assert known.pixels.shape == (5, 1, 28, 28)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "label and the pixels|heading"),
        ("label,a,b\n", "square"),
        ("label,a,b\n1,2,3\n", "square"),
        ("label," + "p," * 16 + "\n1," + "x," * 15 + "x\n", "table of numbers"),
        ("l" + ",p" * 16 + "\n" + "1" + ",256" * 16 + "\n", "0 to 255"),
        ("l" + ",p" * 16 + "\n" + "1" + ",nan" * 16 + "\n", "0 to 255"),
        ("l" + ",p" * 16 + "\n" + ("1" + ",9" * 16 + "\n") * 9, "two labels"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(LabError, match=reason):
        load_images(path, 0)


def test_damaged_idx_files(tmp_path: Path) -> None:
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    with pytest.raises(LabError, match="has no train-images"):
        load_images(tmp_path, 0)
    images.write_bytes(idx(PIXELS))
    for wrong, reason in (
        (b"", "not an IDX file"),
        (idx(PIXELS), "not an IDX file of 1 dimensions"),
        (idx(LABELS)[:-1], "holds 5"),
        (idx(LABELS[:4]), "6 images"),
    ):
        labels.write_bytes(wrong)
        with pytest.raises(LabError, match=reason):
            load_images(tmp_path, 0)
    labels.write_bytes(idx(LABELS))
    images.unlink()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS))[:-20])
    with pytest.raises(LabError, match="cannot read"):
        load_images(tmp_path, 0)
    with pytest.raises(LabError, match="neither"):
        load_images(tmp_path / "digits.zip", 0)
    with pytest.raises(LabError, match="cannot read"):
        load_images(tmp_path / "missing.csv", 0)
