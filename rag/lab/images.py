"""Small grey pictures with a label each: scikit-learn's own digits, or MNIST from files that a person has."""

import gzip
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import LabError

_IMAGES, _LABELS = 0x0803, 0x0801  # the first four bytes of IDX files of unsigned bytes with three and one dimensions
_FILES = {"train": ("train-images", "train-labels"), "test": ("t10k-images", "t10k-labels")}
_LARGEST = 1 << 30  # bytes of one file, unpacked: MNIST's are 47 MB, Kaggle's 77


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """`pixels` is float32[N, 1, H, W] in [0, 1], `labels` int64[N]."""

    pixels: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: NDArray[np.int64]) -> "Images":
        return Images(self.pixels[rows], self.labels[rows])


def load_images(data: Path | None, seed: int, held_out: float = 0.2) -> tuple[Images, Images]:
    """Images to learn from and others to test on: scikit-learn's digits, or those in `data`.

    Args:
        data: a `.csv` with a heading, where a row is a label and its pixels in [0, 255], as Kaggle has MNIST; or a
            folder with MNIST's IDX files, packed or not. None: the 1,797 digits of 8 by 8 pixels in scikit-learn.
        seed: of the split, where the data has none of its own.
        held_out: the share to test on, in (0, 1).

    Raises:
        LabError: the files are not there, damaged, or hold too little.
    """
    if data is None:
        return _split(_bundled(), seed, held_out)
    if data.is_dir():
        return _from_folder(data, seed, held_out)
    if data.suffix == ".csv":
        return _split(_read_csv(data), seed, held_out)
    raise LabError(f"{str(data)!r} is neither a .csv file nor a folder with MNIST's IDX files")


def _bundled() -> Images:
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Images((digits.images[:, None] / 16).astype(np.float32), digits.target.astype(np.int64))


def _split(images: Images, seed: int, held_out: float) -> tuple[Images, Images]:
    order = np.random.default_rng(seed).permutation(len(images))
    tested = round(len(images) * held_out)
    return _enough(images[order[tested:]]), images[order[:tested]]


def _enough(images: Images) -> Images:
    counts = np.unique(images.labels, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 2:
        raise LabError("there must be two labels at least, and two images of each, to make pairs")
    return images


def _read_csv(path: Path) -> Images:
    try:
        with warnings.catch_warnings(action="ignore"):  # that there is nothing in it is said below
            table = np.loadtxt(path, dtype=np.float32, delimiter=",", skiprows=1, ndmin=2)
    except OSError as exc:
        raise LabError(f"cannot read {str(path)!r}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise LabError(f"{str(path)!r} is not a table of numbers with a heading: {exc}") from exc
    side = int(max(table.shape[1] - 1, 0) ** 0.5)
    if not len(table) or side < 4 or side * side != table.shape[1] - 1:
        raise LabError(f"{str(path)!r} must have a label and the pixels of a square image in each row")
    return Images(_scaled(table[:, 1:], path).reshape(-1, 1, side, side), table[:, 0].astype(np.int64))


def _scaled(pixels: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
        raise LabError(f"{str(path)!r} has pixels that are not in 0 to 255")
    return pixels / np.float32(255)


def _from_folder(folder: Path, seed: int, held_out: float) -> tuple[Images, Images]:
    train = _read_idx_pair(folder, *_FILES["train"])
    if train is None:
        raise LabError(f"{str(folder)!r} has no train-images-idx3-ubyte and train-labels-idx1-ubyte, packed or not")
    test = _read_idx_pair(folder, *_FILES["test"])
    return _split(train, seed, held_out) if test is None else (_enough(train), test)


def _read_idx_pair(folder: Path, images: str, labels: str) -> Images | None:
    found = [sorted(folder.glob(f"{name}[-.]idx*")) for name in (images, labels)]
    if not all(found):
        return None
    pixels, names = _read_idx(found[0][0], _IMAGES), _read_idx(found[1][0], _LABELS)
    if len(pixels) != len(names):
        raise LabError(f"{str(folder)!r} has {len(pixels)} images in {images!r} and {len(names)} labels in {labels!r}")
    return Images(pixels[:, None].astype(np.float32) / np.float32(255), names.astype(np.int64))


def _read_idx(path: Path, magic: int) -> NDArray[np.uint8]:
    """An IDX file: four bytes that say what it is, the size of each dimension in four more, then the values."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_LARGEST)
    except (OSError, EOFError) as exc:
        raise LabError(f"cannot read {str(path)!r}: {exc}") from exc
    dimensions = magic & 0xFF
    head = np.frombuffer(data[: 4 * (1 + dimensions)], dtype=">u4")
    if len(head) != 1 + dimensions or head[0] != magic:
        raise LabError(f"{str(path)!r} is not an IDX file of {dimensions} dimensions of bytes")
    shape = tuple(int(size) for size in head[1:])
    values = np.frombuffer(data, dtype=np.uint8, offset=4 * (1 + dimensions))
    if len(values) != int(np.prod(shape)):
        raise LabError(f"{str(path)!r} says that it holds {shape} values and holds {len(values)}; it is damaged")
    return values.reshape(shape)
