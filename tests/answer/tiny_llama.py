"""Tiny language models made here, whole and wrong: GGUF files of 150 KiB, whose words are letters and make no sense."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter, TokenType
from llama_cpp.llama_chat_format import Jinja2ChatFormatter

from rag.answer.llama import LlamaGenerator

TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}<|assistant|>"
BLOCKS, DIM, HEADS, KV_HEADS, FEED_FORWARD = 2, 32, 4, 2, 64
WORDS = [
    b"<unk>",
    b"<s>",
    b"</s>",
    *(f"<0x{byte:02X}>".encode() for byte in range(256)),
    *map(bytes, zip(range(32, 127))),
]
_KINDS = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL, *[TokenType.BYTE] * 256, *[TokenType.NORMAL] * 95]


def write_llama(
    path: Path,
    *,
    architecture: str = "llama",
    trained: int = 2048,
    template: str | None = TEMPLATE,
    kind: str = "model",
    causal: bool = True,
    pooling: int | None = None,
    without: Collection[str] = (),
    seed: int = 0,
) -> Path:
    """Write a model of random weights to `path`, trained on `trained` tokens, `without` some of its tensors."""
    writer = GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.add_file_type(0)
    writer.add_context_length(trained)
    writer.add_embedding_length(DIM)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(DIM // HEADS)
    if not causal:
        writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_uint32(f"{architecture}.pooling_type", pooling)
    if template is not None:
        writer.add_chat_template(template)
    _add_words(writer)
    random = np.random.default_rng(seed)
    for name, shape in _shapes().items():
        weights = random.standard_normal(shape).astype(np.float32) / 4
        if name not in without:
            writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def alter(path: Path, key: str, value: int) -> Path:
    """Put another number at `key` of the header, in place."""
    reader = GGUFReader(path, "r+")
    found = reader.fields[key]
    found.parts[found.data[0]][0] = value
    return path


def use_template(generator: LlamaGenerator, template: str) -> None:
    """Give a model that is loaded another chat template than its file's."""
    generator.load()
    formatter = Jinja2ChatFormatter(template, eos_token="", bos_token="")
    generator._opened = replace(generator._loaded(), template=formatter)


def _add_words(writer: GGUFWriter) -> None:
    writer.add_tokenizer_model("llama")
    writer.add_token_list(WORDS)
    writer.add_token_scores([0.0] * len(WORDS))
    writer.add_token_types(_KINDS)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(False)


def _shapes() -> dict[str, tuple[int, ...]]:
    shared = DIM * KV_HEADS // HEADS
    block = {
        "attn_norm": (DIM,),
        "ffn_norm": (DIM,),
        "attn_q": (DIM, DIM),
        "attn_k": (shared, DIM),
        "attn_v": (shared, DIM),
        "attn_output": (DIM, DIM),
        "ffn_gate": (FEED_FORWARD, DIM),
        "ffn_up": (FEED_FORWARD, DIM),
        "ffn_down": (DIM, FEED_FORWARD),
    }
    blocks = {f"blk.{i}.{name}.weight": shape for i in range(BLOCKS) for name, shape in block.items()}
    words = len(WORDS)
    return {"token_embd.weight": (words, DIM), "output_norm.weight": (DIM,), "output.weight": (words, DIM), **blocks}
