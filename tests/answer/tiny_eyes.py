"""Eyes for the starter language model, made here: an mmproj in which the colour of a patch becomes the word for it.

A LLaVA-style projector (a patch embedding, transformer blocks that pass on what they are given, a perceptron of two
layers) whose last weights are the starter's own embeddings of " red", " green" and " blue". So llama.cpp's whole path
from pixels to words is the real one, and what the model sees is known: a red patch is the word " red".
"""

import io
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter, dequantize
from llama_cpp import Llama
from numpy.typing import NDArray
from PIL import Image

COLOURS = {" red": (255, 0, 0), " green": (0, 255, 0), " blue": (0, 0, 255)}
PATCHES = 2  # along each side: a picture is 4 tokens
_PATCH = 14  # pixels
_WIDTH = 32  # of the vision model
_SHARP = 16.0  # so that GELU is as good as zero for the colours that a patch has not


def write_eyes(path: Path, words: NDArray[np.float32]) -> Path:
    """Write an mmproj to `path` for a model in which the words for COLOURS are `words`: float32[3, D]."""
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("mlp")
    writer.add_vision_image_size(PATCHES * _PATCH)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_WIDTH)
    writer.add_vision_feed_forward_length(_WIDTH)
    writer.add_vision_block_count(2)
    writer.add_vision_head_count(2)
    writer.add_vision_projection_dim(words.shape[1])
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_image_mean([0.0, 0.0, 0.0])
    writer.add_vision_image_std([1.0, 1.0, 1.0])
    for name, values in _tensors(words).items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def colour_words(model: Path) -> NDArray[np.float32]:
    """How a GGUF language model embeds the words for COLOURS: float32[3, D]."""
    llama = Llama(str(model), vocab_only=True, verbose=False)
    tokens = [llama.tokenize(word.encode(), add_bos=False)[0] for word in COLOURS]
    tensor = next(t for t in GGUFReader(model).tensors if t.name == "token_embd.weight")
    return np.asarray(dequantize(tensor.data[tokens], tensor.tensor_type), np.float32)


def picture(colour: str, *, size: tuple[int, int] = (64, 48), form: str = "PNG") -> bytes:
    """An encoded picture of one colour, e.g. " red"."""
    buffer = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(buffer, form, **({"lossless": True} if form == "WEBP" else {}))
    return buffer.getvalue()


def _tensors(words: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The weights by name. A block whose output layers are zero passes on what it is given."""
    dim = words.shape[1]
    found = {
        "v.patch_embd.weight": _patch_embedding(),
        "v.position_embd.weight": np.zeros((PATCHES**2, _WIDTH), np.float32),
        "mm.0.weight": np.pad(np.eye(3, dtype=np.float32), ((0, dim - 3), (0, _WIDTH - 3))),
        "mm.0.bias": np.zeros(dim, np.float32),
        "mm.2.weight": np.pad(words.T / _SHARP, ((0, 0), (0, dim - 3))),
        "mm.2.bias": np.zeros(dim, np.float32),
    }
    for block in range(2):
        for layer in ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"):
            found[f"v.blk.{block}.{layer}.weight"] = np.zeros((_WIDTH, _WIDTH), np.float32)
        for norm in ("ln1", "ln2"):
            found[f"v.blk.{block}.{norm}.weight"] = np.ones(_WIDTH, np.float32)
            found[f"v.blk.{block}.{norm}.bias"] = np.zeros(_WIDTH, np.float32)
    return {name: np.ascontiguousarray(values) for name, values in found.items()}


def _patch_embedding() -> NDArray[np.float32]:
    """float32[WIDTH, 3, 14, 14]: the first three values are how much a patch is red, green, blue and nothing else."""
    mixed = _SHARP * (2 * np.eye(3, dtype=np.float32) - 1)
    kernel = np.zeros((_WIDTH, 3, _PATCH, _PATCH), np.float32)
    kernel[:3] = mixed[:, :, None, None] / _PATCH**2
    return kernel
