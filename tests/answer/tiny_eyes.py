"""Eyes for the starter language model, made here: an mmproj in which the colour of a patch becomes the word for it.

A patch embedding, transformer blocks that pass on what they are given, and a perceptron of two layers whose last
weights are the starter's own embeddings of " red", " green" and " blue". So llama.cpp's whole path from pixels to words
is the real one, and what the model sees is known: a red patch is the word " red".

There are two kinds. Those like LLaVA's see every picture as 2 x 2 patches. Those like Qwen2-VL's see large pictures in
more patches than small ones, and belong to a language model in which a picture takes fewer positions than tokens
(M-RoPE): `write_mrope_model` makes one of the starter that speaks as the starter does.
"""

import io
from pathlib import Path
from typing import Literal

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, dequantize
from llama_cpp import Llama
from numpy.typing import NDArray
from PIL import Image

Weights = dict[str, NDArray[np.float32]]

COLOURS = {" red": (255, 0, 0), " green": (0, 255, 0), " blue": (0, 0, 255)}
PATCHES = 2  # along each side, for LLaVA's kind: a picture is 4 tokens
_PATCH = 14  # pixels
_WIDTH = 32  # of the vision model
_BLOCKS = 2
_MERGED = 4  # patches in a token of Qwen's kind
_SHARP = 16.0  # so that GELU is as good as zero for the colours that a patch has not


def write_eyes(path: Path, words: NDArray[np.float32], kind: Literal["mlp", "qwen2vl_merger"] = "mlp") -> Path:
    """Write an mmproj to `path` for a model in which the words for COLOURS are `words`: float32[3, D]."""
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(kind)
    writer.add_vision_image_size(PATCHES * _PATCH)
    writer.add_vision_patch_size(_PATCH)
    writer.add_vision_embedding_length(_WIDTH)
    writer.add_vision_feed_forward_length(_WIDTH)
    writer.add_vision_block_count(_BLOCKS)
    writer.add_vision_head_count(2)
    writer.add_vision_projection_dim(words.shape[1])
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_image_mean([0.0, 0.0, 0.0])
    writer.add_vision_image_std([1.0, 1.0, 1.0])
    first = _like_llava(words.shape[1]) if kind == "mlp" else _like_qwen(words.shape[1])
    last = {"mm.2.weight": np.pad(words.T / _SHARP, ((0, 0), (0, words.shape[1] - 3)))}
    for name, values in (first | _idle_blocks() | last | _zeros(words.shape[1], "mm.0.bias", "mm.2.bias")).items():
        writer.add_tensor(name, np.ascontiguousarray(values))
    return _written(writer, path)


def write_mrope_model(path: Path, model: Path) -> Path:
    """Write the llama model `model` to `path` as one of Qwen2-VL's architecture, which says the same."""
    reader, writer = GGUFReader(model), GGUFWriter(path, "qwen2vl")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            inner = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
            writer.add_key_value(name.replace("llama.", "qwen2vl."), field.contents(), field.types[0], inner)
    writer.add_rope_dimension_sections([8, 12, 12, 0])  # half of the 64 dimensions of a head
    heads = {kind: int(reader.fields[f"llama.attention.{kind}"].contents()) for kind in ("head_count", "head_count_kv")}
    for tensor in reader.tensors:
        data = tensor.data
        if ".attn_q." in tensor.name or ".attn_k." in tensor.name:
            data = _unpaired(data, heads["head_count" if ".attn_q." in tensor.name else "head_count_kv"])
        writer.add_tensor(tensor.name, data, raw_dtype=tensor.tensor_type)
    return _written(writer, path)


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


def _like_llava(dim: int) -> Weights:
    return {
        "v.patch_embd.weight": _patch_embedding(),
        "v.position_embd.weight": np.zeros((PATCHES**2, _WIDTH), np.float32),
        "mm.0.weight": _colours(dim),
    }


def _like_qwen(dim: int) -> Weights:
    """Two frames are added up, and the patches of a token come behind each other."""
    return {
        "v.patch_embd.weight": _patch_embedding() / 2,
        "v.patch_embd.weight.1": _patch_embedding() / 2,
        "mm.0.weight": np.tile(_colours(dim) / _MERGED, (1, _MERGED)),
    }


def _colours(dim: int) -> NDArray[np.float32]:
    """float32[D, WIDTH]: the first three values of a patch, and nothing else."""
    return np.pad(np.eye(3, dtype=np.float32), ((0, dim - 3), (0, _WIDTH - 3)))


def _patch_embedding() -> NDArray[np.float32]:
    """float32[WIDTH, 3, 14, 14]: the first three values are how much a patch is red, green, blue and nothing else."""
    mixed = _SHARP * (2 * np.eye(3, dtype=np.float32) - 1)
    kernel = np.zeros((_WIDTH, 3, _PATCH, _PATCH), np.float32)
    kernel[:3] = mixed[:, :, None, None] / _PATCH**2
    return kernel


def _idle_blocks() -> Weights:
    """Blocks whose layers are zero: they pass on what they are given."""
    found: Weights = {}
    for block in range(_BLOCKS):
        for layer in ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"):
            found[f"v.blk.{block}.{layer}.weight"] = np.zeros((_WIDTH, _WIDTH), np.float32)
            found |= _zeros(_WIDTH, f"v.blk.{block}.{layer}.bias")
        for norm in ("ln1", "ln2"):
            found[f"v.blk.{block}.{norm}.weight"] = np.ones(_WIDTH, np.float32)
            found |= _zeros(_WIDTH, f"v.blk.{block}.{norm}.bias")
    return found


def _zeros(dim: int, *names: str) -> Weights:
    return {name: np.zeros(dim, np.float32) for name in names}


def _unpaired(rows: NDArray[np.generic], heads: int) -> NDArray[np.generic]:
    """The rows of queries or keys, of which llama's files put the two halves of a head beside each other, put back."""
    half = len(rows) // heads // 2
    return np.ascontiguousarray(rows.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(rows.shape))


def _written(writer: GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
