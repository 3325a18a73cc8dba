"""The open_clip adapter against open_clip's own code, in every precision, offline, and against hostile folders."""

import io
import json
import logging
import shutil
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from eval.shapes import draw, training_scenes
from rag.embed.clip import ClipEmbedder
from rag.embed.clip_files import CONFIG, WEIGHTS, clip_in, find_clip
from rag.embed.clip_model import load_clip
from rag.errors import ConfigError, ModelCorrupt, ModelNotFound, UnreadableFile
from rag.tune.new_clip import new_clip

TEXTS = ["a photo of a heron", "three crosses below a star", "", "漢字とかな", "word " * 200]
VISION = {"image_size": 32, "patch_size": 8, "layers": 2, "width": 64, "head_width": 16}
TEXT = {"context_length": 20, "width": 64, "heads": 4, "layers": 2}
KINDS: dict[str, dict[str, Any]] = {
    "CLIP with a vision transformer": {"vision_cfg": VISION, "text_cfg": {**TEXT, "vocab_size": 49408}},
    "CLIP with a ResNet": {
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "head_width": 32},
        "text_cfg": {**TEXT, "vocab_size": 49408},
    },
    "SigLIP with a timm tower": {
        "custom_text": True,
        "init_logit_bias": -10,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear"},
        "text_cfg": {**TEXT, "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "vocab_size": 49408},
    },
    "CoCa": {
        "custom_text": True,
        "vision_cfg": {**VISION, "attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
        "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True, "vocab_size": 49408},
        "multimodal_cfg": {**TEXT, "attn_pooler_heads": 4},
    },
}


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


IMAGES = [draw(scene, number, 40 + 30 * number) for number, scene in enumerate(training_scenes(5))]
IMAGES += [image.resize((200, 90)) for image in IMAGES[:2]]
PICTURES = [encoded(image) for image in IMAGES]


@pytest.fixture(scope="module", params=list(KINDS))
def untrained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of that kind with the weights that chance gave it, as open_clip itself would lay it down."""
    folder = tmp_path_factory.mktemp("clip")
    config = {"model_cfg": {"embed_dim": 32, **KINDS[request.param]}, "preprocess_cfg": {"mean": [0.5, 0.4, 0.3]}}
    (folder / CONFIG).write_text(json.dumps(config))
    torch.manual_seed(0)
    save_file(open_clip.create_model(f"local-dir:{folder}").state_dict(), folder / WEIGHTS)
    return folder


def by_open_clip(name: str, images: Sequence[Image.Image], weights: str | None = None) -> list[NDArray[np.float32]]:
    """Rows of `images` and of TEXTS by nothing but open_clip."""
    model, _, preprocess = open_clip.create_model_and_transforms(name, pretrained=weights)
    tokenizer = open_clip.get_tokenizer(name)
    with torch.no_grad():
        pictures = model.eval().encode_image(torch.stack([preprocess(image) for image in images]), normalize=True)
        texts = model.encode_text(tokenizer(TEXTS), normalize=True)
    return [pictures.numpy(), texts.numpy()]


def on_cpu(folder: Path, precision: str = "fp32") -> ClipEmbedder:
    return ClipEmbedder(clip_in(folder), device="cpu", precision=precision)


def test_the_same_rows_as_open_clip_s_own_code(untrained: Path) -> None:
    pictures, texts = by_open_clip(f"local-dir:{untrained}", IMAGES)
    ours = on_cpu(untrained)
    np.testing.assert_allclose(ours.embed_images(PICTURES), pictures, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.embed_texts(TEXTS), texts, rtol=0, atol=1e-5)


def test_the_same_rows_of_a_trained_model_with_its_own_tokenizer(small_clip: Path) -> None:
    pictures, texts = by_open_clip(f"local-dir:{small_clip}", IMAGES)
    ours = on_cpu(small_clip)
    np.testing.assert_allclose(ours.embed_images(PICTURES), pictures, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.embed_texts(TEXTS), texts, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_same_rows_of_an_architecture_with_weights(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    torch.manual_seed(0)
    save_file(open_clip.create_model("ViT-S-32-alt").state_dict(), weights)
    files = find_clip(f"ViT-S-32-alt@{weights}", tmp_path)
    assert files is not None
    pictures, texts = by_open_clip("ViT-S-32-alt", IMAGES[:3], str(weights))
    ours = ClipEmbedder(files, device="cpu", precision="fp32")
    np.testing.assert_allclose(ours.embed_images(PICTURES[:3]), pictures, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.embed_texts(TEXTS), texts, rtol=0, atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_keeps_the_cosines(untrained: Path, precision: str) -> None:
    full, half = on_cpu(untrained), on_cpu(untrained, precision)
    for ours, other in (
        (full.embed_images(PICTURES), half.embed_images(PICTURES)),
        (full.embed_texts(TEXTS), half.embed_texts(TEXTS)),
    ):
        assert np.sum(ours * other, axis=1).min() >= 0.998


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same_rows(small_clip: Path) -> None:
    gpu = ClipEmbedder(clip_in(small_clip), device="cuda")
    assert np.sum(gpu.embed_images(PICTURES) * on_cpu(small_clip).embed_images(PICTURES), axis=1).min() >= 0.998
    assert gpu.state.precision == "fp16"


def test_many_threads_share_one_model(small_clip: Path) -> None:
    ours = on_cpu(small_clip)
    alone = on_cpu(small_clip).embed_images(PICTURES)
    with ThreadPoolExecutor(6) as pool:
        for rows in pool.map(lambda _: ours.embed_images(PICTURES), range(12)):
            np.testing.assert_allclose(rows, alone, atol=1e-5)


def test_order_and_pixels_survive_many_batches(small_clip: Path) -> None:
    ours = on_cpu(small_clip)
    order = np.random.default_rng(0).integers(0, len(PICTURES), 100)
    rows = ours.embed_images([PICTURES[i] for i in order])
    np.testing.assert_allclose(rows, ours.embed_images(PICTURES)[order], atol=1e-5)


def test_large_pictures_are_looked_at_one_by_one_up_to_the_limit(small_clip: Path) -> None:
    large = [encoded(Image.new("RGB", (1500, 1000), colour)) for colour in ("teal", "navy", "olive")]
    ours = ClipEmbedder(clip_in(small_clip), device="cpu", precision="fp32", max_megapixels=2)
    np.testing.assert_allclose(ours.embed_images(large), on_cpu(small_clip).embed_images(large), atol=1e-5)
    with pytest.raises(UnreadableFile, match="more than the 2 million"):
        ours.embed_images([encoded(Image.new("RGB", (1500, 1500)))])


def test_loading_is_silent_and_leaves_no_logger_behind(
    small_clip: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    before = list(logging.getLogger().handlers)
    on_cpu(small_clip).load()
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == before


def test_a_device_that_is_not_there_is_named(small_clip: Path) -> None:
    if not torch.backends.mps.is_available():
        with pytest.raises(ConfigError, match="mps"):
            ClipEmbedder(clip_in(small_clip), device="mps").load()


@pytest.fixture
def copied(small_clip: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_clip, tmp_path / "copied"))


def changed(folder: Path, part: str, **values: Any) -> None:
    """Set `values` in "model_cfg" or in its "text_cfg" or "vision_cfg"."""
    config = json.loads((folder / CONFIG).read_text())
    (config["model_cfg"] if part == "model_cfg" else config["model_cfg"][part]).update(values)
    (folder / CONFIG).write_text(json.dumps(config))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a name is looked up."""

    def refused(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"asked for the network: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)


@pytest.mark.usefixtures("no_network")
def test_nothing_is_fetched(copied: Path, untrained: Path) -> None:
    for folder in (copied, untrained):
        assert len(on_cpu(folder).embed_texts(["a heron"])) == 1


@pytest.mark.usefixtures("no_network")
def test_a_text_tower_that_lies_on_the_hub_is_named_and_not_fetched(copied: Path) -> None:
    changed(copied, "text_cfg", hf_model_name="someone/absent", hf_proj_type="linear")
    with pytest.raises(ModelNotFound, match="someone/absent"):
        on_cpu(copied).load()


@pytest.mark.usefixtures("no_network")
def test_a_vision_tower_that_asks_for_its_pretrained_weights_gets_none(untrained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(untrained, tmp_path / "copied"))
    changed(folder, "vision_cfg", timm_model_pretrained=True)
    np.testing.assert_array_equal(on_cpu(folder).embed_images(PICTURES), on_cpu(untrained).embed_images(PICTURES))


def test_the_tokenizer_s_own_code_is_not_run(copied: Path, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    (copied / "mine.py").write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\nclass Mine: pass\n")
    settings = {"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", "mine.Mine"]}}
    (copied / "tokenizer_config.json").write_text(json.dumps(settings))
    changed(copied, "text_cfg", tokenizer_kwargs={"trust_remote_code": True})
    try:
        on_cpu(copied).load()
    except ModelCorrupt as exc:
        assert "install the model again" in str(exc)  # noqa: PT017  both ends are well: refused, or read without it
    assert not trace.exists()


@pytest.mark.parametrize("damage", ["cut", "garbage", "another model", "nothing"])
def test_damaged_weights_are_named(copied: Path, damage: str) -> None:
    weights = copied / WEIGHTS
    if damage == "another model":
        save_file({"visual.conv1.weight": torch.zeros(3)}, weights)
    else:
        data = weights.read_bytes()
        weights.write_bytes({"cut": data[:-1000], "garbage": b"\x80\x04" * 500, "nothing": b""}[damage])
    with pytest.raises(ModelCorrupt, match="install the model again"):
        on_cpu(copied).load()


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("vision_cfg", {"layers": 40}),
        ("vision_cfg", {"width": "wide"}),
        ("vision_cfg", {"colour": True}),
        ("vision_cfg", {"timm_model_name": "no such tower"}),
        ("model_cfg", {"embed_dim": 77}),
        ("text_cfg", {"vocab_size": 3}),
    ],
)
def test_a_configuration_that_does_not_fit_its_weights_is_named(
    copied: Path, part: str, values: dict[str, Any]
) -> None:
    changed(copied, part, **values)
    with pytest.raises(ModelCorrupt, match="copied"):
        on_cpu(copied).load()


def test_a_new_clip_begins_by_chance_and_says_so_nowhere(tmp_path: Path) -> None:
    new_clip(tmp_path / "new", {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}, {}, ["heron", "reed"])
    model = load_clip(clip_in(tmp_path / "new", trained=False))
    assert model.tokenize(["a Heron, in the reed!"]).tolist()[0][:7] == [2, 1, 3, 1, 1, 4, 5]
    assert model.read(["heron"]).shape == (1, 16)
