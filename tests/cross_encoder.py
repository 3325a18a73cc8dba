"""A cross-encoder of two small layers with random weights, written as any other one is: none can be had on an index."""

import shutil
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from rag.models import starter


def write_cross_encoder(folder: Path, *, labels: int = 1, hidden: int = 32, layers: int = 2) -> Path:
    """A folder as `rag models pull` leaves one: weights as safetensors, configuration, and the starter's tokenizer."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=30522,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=4 * hidden,
        num_labels=labels,
        initializer_range=0.5,  # so that what differs in words differs in score
    )
    folder.mkdir(parents=True, exist_ok=True)
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        file = starter.embedder_folder() / name
        if file.is_file():
            shutil.copy(file, folder / name)
    return folder
