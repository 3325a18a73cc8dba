"""The starter embedder as a GGUF file, so that a real server of llama.cpp can embed with it.

Names and keys are those that llama.cpp reads for BERT; the vocabulary is turned as its converter does: words begin with
"▁", what goes on with a word loses its "##".
"""

import json
from pathlib import Path

from gguf import GGUFWriter, PoolingType, TokenType
from safetensors.numpy import load_file

_BLOCK = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_AROUND = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}


def write_minilm(path: Path, folder: Path) -> Path:
    """Write the sentence-transformers model in `folder`, a BERT with mean pooling, to `path`."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    writer = GGUFWriter(path, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(PoolingType.MEAN)
    _add_vocabulary(writer, (folder / "vocab.txt").read_text("utf-8").splitlines())
    for name, values in load_file(folder / "model.safetensors").items():
        if (new := _new_name(name)) is not None:
            writer.add_tensor(new, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: GGUFWriter, words: list[str]) -> None:
    special = {word for word in words if word.startswith("[") and word.endswith("]") and len(word) > 2}
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list([_turned(word) if word not in special else word for word in words])
    writer.add_token_types([TokenType.CONTROL if word in special else TokenType.NORMAL for word in words])
    writer.add_token_type_count(2)
    for add, word in (
        (writer.add_bos_token_id, "[CLS]"),
        (writer.add_eos_token_id, "[SEP]"),
        (writer.add_sep_token_id, "[SEP]"),
        (writer.add_unk_token_id, "[UNK]"),
        (writer.add_pad_token_id, "[PAD]"),
        (writer.add_mask_token_id, "[MASK]"),
    ):
        add(words.index(word))


def _turned(word: str) -> str:
    return word[2:] if word.startswith("##") else "▁" + word


def _new_name(name: str) -> str | None:
    """What llama.cpp calls a tensor; None for one that it does not read."""
    stem, _, kind = name.rpartition(".")
    if stem in _AROUND:
        return f"{_AROUND[stem]}.{kind}"
    parts = stem.split(".")
    if parts[:2] != ["encoder", "layer"]:
        return None  # the pooler, and the numbers of the positions
    return f"blk.{parts[2]}.{_BLOCK['.'.join(parts[3:])]}.{kind}"
