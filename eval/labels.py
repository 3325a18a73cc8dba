"""Zero-shot labels: which of the names of the folders is said of a picture, by an image embedder that was never told.

A folder of folders: each is named by what its pictures show. A label's vector is the mean of those of a few ways to
say it (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 3.1.4).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from eval.datasets import DatasetError
from eval.index import OnProgress
from eval.shapes import HELD_OUT, Group, Scene, write_pictures
from rag.ingest import media
from rag.protocols import ImageEmbedder

WAYS = ("{}", "a photo of {}", "a picture of {}")
_BATCH = 32


def write_labels(folder: Path, each: int) -> Path:
    """Draw `each` pictures of every pair of a colour and a shape that the small CLIP was never shown together."""
    for colour, shape in sorted(HELD_OUT):
        group = Group(1, colour, shape)
        write_pictures(folder / group.caption.replace(" ", "_"), [Scene(group)] * each)
    return folder


def labels(folder: Path, embedder: ImageEmbedder, show: OnProgress = lambda done, total: None) -> dict[str, Any]:
    """Accuracy at 1 and at 5, and for each label how many of its pictures were named right.

    Raises:
        DatasetError: there are not two folders with pictures.
    """
    pictures = _by_label(folder)
    total = sum(map(len, pictures.values()))
    names = list(pictures)
    said = np.stack([_label(name, embedder) for name in names])
    ranks: list[tuple[int, int]] = []
    for number, files in enumerate(pictures.values()):
        for start in range(0, len(files), _BATCH):
            seen = embedder.embed_images([path.read_bytes() for path in files[start : start + _BATCH]])
            order = np.argsort(-(seen @ said.T), axis=1, kind="stable")
            ranks += [(number, int(np.flatnonzero(row == number)[0]) + 1) for row in order]
            show(len(ranks), total)
    return {
        "folder": folder.resolve().name,
        "image_embedder": embedder.state.name,
        "pictures": len(ranks),
        "labels": len(names),
        "accuracy@1": float(np.mean([rank <= 1 for _, rank in ranks])),
        "accuracy@5": float(np.mean([rank <= 5 for _, rank in ranks])),
        "chance@1": 1 / len(names),
        "by_label": {
            name: float(np.mean([rank == 1 for label, rank in ranks if label == number]))
            for number, name in enumerate(names)
        },
    }


def print_labels(result: dict[str, Any], console: Console) -> None:
    """The accuracies, and the labels from the one named worst to the one named best."""
    console.print(
        f"{result['pictures']} pictures, {result['labels']} labels, {result['image_embedder']}: right at once "
        f"{result['accuracy@1']:.3f} (chance {result['chance@1']:.3f}), among five {result['accuracy@5']:.3f}"
    )
    table = Table("label", "named right")
    for name, share in sorted(result["by_label"].items(), key=lambda item: item[1]):
        table.add_row(name, f"{share:.3f}")
    console.print(table)


def _by_label(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each folder in `folder` that has any, by what its name says."""
    found = {
        one.name.replace("_", " "): [
            path for path in sorted(one.iterdir()) if media.media_type_of_name(path.name) in media.IMAGES
        ]
        for one in sorted(folder.iterdir() if folder.is_dir() else ())
        if one.is_dir()
    }
    pictures = {name: files for name, files in found.items() if files}
    if len(pictures) < 2:
        raise DatasetError(f"{str(folder)!r} needs two folders of pictures at least, each named by what they show")
    return pictures


def _label(name: str, embedder: ImageEmbedder) -> NDArray[np.float32]:
    mean = embedder.embed_texts([way.format(name) for way in WAYS]).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)
