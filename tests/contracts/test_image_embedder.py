"""What every ImageEmbedder promises, on a small CLIP that was trained for it, in each precision."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.shapes import draw, training_scenes
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import clip_in
from rag.embed.clip_words import CLIP_TEXT_FILE, TunedWordsEmbedder
from rag.errors import UnreadableFile
from rag.protocols import IMAGE_SPACE, ImageEmbedder
from rag.tune.clip_fit import Training
from rag.tune.train_clip_words import Described, train_words

SCENES = training_scenes(9)
TEXTS = ["a red circle", "two red circles above a blue square", "漢字とかな", "", "x " * 5000]


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


PICTURES = [encoded(draw(scene, number, 64 + number)) for number, scene in enumerate(SCENES)]


@pytest.fixture(scope="module", params=["fp32", "bf16", "fp16", "fp32, words tuned", "bf16, words tuned"])
def embedder(
    request: pytest.FixtureRequest, small_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> ImageEmbedder:
    precision, _, tuned = request.param.partition(", ")
    base = ClipEmbedder(clip_in(small_clip), device="cpu", precision=precision)
    if not tuned:
        return base
    captions = tuple(scene.caption for scene in training_scenes(12, seed=5))
    pictures = base.embed_images([encoded(draw(scene, n)) for n, scene in enumerate(training_scenes(12, seed=5))])
    words = tmp_path_factory.mktemp("words") / CLIP_TEXT_FILE
    pairs = Described(captions, tuple(map(str, range(12))), pictures)
    train_words(base.files, pairs, words, Training(epochs=1, batch=12, learning_rate=1e-4))
    return TunedWordsEmbedder(base, words)


def test_is_an_image_embedder(embedder: ImageEmbedder) -> None:
    assert isinstance(embedder, ImageEmbedder)
    assert embedder.space == IMAGE_SPACE


def test_rows_are_unit_and_in_order(embedder: ImageEmbedder) -> None:
    for rows, backwards in (
        (embedder.embed_images(PICTURES), embedder.embed_images(PICTURES[::-1])),
        (embedder.embed_texts(TEXTS), embedder.embed_texts(TEXTS[::-1])),
    ):
        assert rows.dtype == np.float32
        assert rows.shape == (len(backwards), embedder.dim)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
        assert (np.sum(rows * backwards[::-1], axis=1) > 0.999).all()


def test_nothing_in_nothing_out(embedder: ImageEmbedder) -> None:
    assert embedder.embed_images([]).shape == (0, embedder.dim)
    assert embedder.embed_texts([]).shape == (0, embedder.dim)


def test_the_batch_does_not_change_a_row(embedder: ImageEmbedder) -> None:
    alone = np.concatenate([embedder.embed_images([picture]) for picture in PICTURES])
    together = embedder.embed_images(PICTURES * 8)
    for start in range(0, len(together), len(PICTURES)):
        assert (np.sum(alone * together[start : start + len(PICTURES)], axis=1) > 0.999).all()
    alone = np.concatenate([embedder.embed_texts([text]) for text in TEXTS])
    assert (np.sum(alone * embedder.embed_texts(TEXTS * 20)[: len(TEXTS)], axis=1) > 0.999).all()


def test_a_picture_lies_nearest_to_its_caption(embedder: ImageEmbedder) -> None:
    captions = [scene.caption for scene in SCENES]
    cosines = embedder.embed_texts(captions) @ embedder.embed_images(PICTURES).T
    assert (cosines.argmax(axis=1) == np.arange(len(SCENES))).mean() >= 0.8


@pytest.mark.parametrize("data", [b"", b"no picture", PICTURES[0][:20], b"GIF89a"])
def test_a_picture_that_cannot_be_decoded_is_named(embedder: ImageEmbedder, data: bytes) -> None:
    with pytest.raises(UnreadableFile, match="picture 2 of 3"):
        embedder.embed_images([PICTURES[0], data, PICTURES[1]])
    assert embedder.embed_images(PICTURES[:1]).shape == (1, embedder.dim)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_the_format_hardly_matters(embedder: ImageEmbedder, kind: str) -> None:
    image = draw(SCENES[0], 0, 200)
    png, other = embedder.embed_images([encoded(image), encoded(image, kind)])
    assert float(png @ other) > 0.9


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3000, 20)])
def test_any_size_will_do(embedder: ImageEmbedder, size: tuple[int, int]) -> None:
    assert np.isfinite(embedder.embed_images([encoded(Image.new("RGB", size, "teal"))])).all()


def test_fingerprint_and_dim_are_known_without_loading_and_are_of_the_model(small_clip: Path) -> None:
    one, other = (ClipEmbedder(clip_in(small_clip), device="cpu", precision=p) for p in ("fp32", "bf16"))
    assert one.fingerprint == other.fingerprint
    assert not one.state.loaded
    assert one.dim == one.embed_texts(["x"]).shape[1]
    assert one.state.loaded
    assert (one.state.role, one.state.device, one.state.precision) == ("image embedder", "cpu", "fp32")
