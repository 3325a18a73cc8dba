"""Sentence vectors of a BERT on a CPU, in plain torch: what most small embedding models are.

sentence-transformers computes the same and remains what reads every other model. Importing it takes 4.5 s of processor,
three times what torch takes, it pads texts to the longest of their batch, and a question takes it 1.7 times as long
(eval/LOG.md). Here texts lie one behind the other without padding, and attention is taken over those of equal length
together.

The network is that of Devlin et al. 2018, "BERT", section 3, with the names that its weights have in
https://github.com/huggingface/transformers; the vector of a text is the mean over its tokens (Reimers and Gurevych
2019, "Sentence-BERT", section 3).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional

BATCH_TOKENS = 2048  # that go through the network together, or one text of more
_EMBEDDED = ("word", "position", "token_type")

Matrix = tuple[torch.Tensor, torch.Tensor]  # weights [out, in] or [D], and bias [out] or [D]


def is_bert(folder: Path) -> bool:
    """Whether the sentence-transformers model in `folder` is a BERT whose vectors `BertEncoder` computes."""
    modules = [module["type"].rpartition(".")[2] for module in _json(folder / "modules.json")]
    config, pooling = _json(folder / "config.json"), _json(folder / "1_Pooling/config.json")
    prompts = _json(folder / "config_sentence_transformers.json").get("prompts") or {}
    modes = {mode for mode, is_on in pooling.items() if mode.startswith("pooling_mode_") and is_on is True}
    return (
        modules in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
        and (config.get("model_type"), config.get("hidden_act")) == ("bert", "gelu")
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
        and (modes == {"pooling_mode_mean_tokens"} or pooling.get("pooling_mode") == "mean")
        and not any(prompts.values())
        and not _json(folder / "sentence_bert_config.json").get("do_lower_case")
    )


class BertEncoder:
    """The model in `folder`, for which `is_bert` holds, with numbers of `dtype`; it reads `max_tokens` of a text.

    `bytes` is what its weights take.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, max_tokens: int) -> None:
        config = _json(folder / "config.json")
        self._heads, self._epsilon = int(config["num_attention_heads"]), float(config["layer_norm_eps"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        loaded = load_file(folder / "model.safetensors")
        weights = {name.removeprefix("bert."): value.to(dtype) for name, value in loaded.items()}
        self._embeddings = _embeddings(weights)
        self._layers = [_layer(weights, f"encoder.layer.{number}") for number in range(config["num_hidden_layers"])]
        kept = [*self._embeddings[:3], *self._embeddings.norm, *chain.from_iterable(chain.from_iterable(self._layers))]
        self.bytes = sum(value.numel() * value.element_size() for value in kept)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32[N, D]: the mean over the tokens of each text, not normalised."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        shortest_first = sorted(range(len(tokens)), key=lambda number: len(tokens[number]))
        rows = np.empty((len(tokens), self._embeddings.words.shape[1]), np.float32)
        for batch in _batches(shortest_first, tokens):
            rows[batch] = self._means([tokens[number] for number in batch]).numpy()
        return rows

    def _means(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """fp32[N, D] of texts that are sorted by length."""
        lengths = [len(text) for text in texts]
        states = self._embedded(texts, lengths)
        for layer in self._layers:
            seen = self._attention(functional.linear(states, *layer.attention), lengths)
            states = self._normal(states + functional.linear(seen, *layer.seen), layer.seen_norm)
            inner = functional.gelu(functional.linear(states, *layer.inner))
            states = self._normal(states + functional.linear(inner, *layer.outer), layer.outer_norm)
        return torch.stack([text.float().mean(0) for text in torch.split(states, lengths)])

    def _embedded(self, texts: Sequence[Sequence[int]], lengths: Sequence[int]) -> torch.Tensor:
        """[all tokens, D]: what stands for each token and its place before the first layer."""
        words, places, kinds, norm = self._embeddings
        numbers = torch.tensor([number for text in texts for number in text])
        at = torch.cat([torch.arange(length) for length in lengths])
        return self._normal(words[numbers] + places[at] + kinds[0], norm)

    def _attention(self, projected: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """[all tokens, D] from queries, keys and values side by side, [all tokens, 3 D]."""
        seen, start = [], 0
        for length, same in groupby(lengths):
            count = len(list(same))
            part = projected[start : start + count * length].view(count, length, 3, self._heads, -1)
            query, key, value = part.permute(2, 0, 3, 1, 4)
            heads = functional.scaled_dot_product_attention(query, key, value)
            seen.append(heads.transpose(1, 2).reshape(count * length, -1))
            start += count * length
        return torch.cat(seen)

    def _normal(self, states: torch.Tensor, pair: Matrix) -> torch.Tensor:
        return functional.layer_norm(states, pair[1].shape, *pair, self._epsilon)


class _Embeddings(NamedTuple):
    """What stands for each word, place and kind of text, each [how many, D], before the first layer."""

    words: torch.Tensor
    places: torch.Tensor
    kinds: torch.Tensor
    norm: Matrix


class _Layer(NamedTuple):
    """One layer's weights, in the order in which they are used; `attention` makes queries, keys and values in one."""

    attention: Matrix
    seen: Matrix
    seen_norm: Matrix
    inner: Matrix
    outer: Matrix
    outer_norm: Matrix


def _embeddings(weights: Mapping[str, torch.Tensor]) -> _Embeddings:
    words, places, kinds = (weights[f"embeddings.{name}_embeddings.weight"] for name in _EMBEDDED)
    return _Embeddings(words, places, kinds, _pair(weights, "embeddings.LayerNorm"))


def _layer(weights: Mapping[str, torch.Tensor], name: str) -> _Layer:
    projections = [_pair(weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    return _Layer(
        (torch.cat([weight for weight, _ in projections]), torch.cat([bias for _, bias in projections])),
        _pair(weights, f"{name}.attention.output.dense"),
        _pair(weights, f"{name}.attention.output.LayerNorm"),
        _pair(weights, f"{name}.intermediate.dense"),
        _pair(weights, f"{name}.output.dense"),
        _pair(weights, f"{name}.output.LayerNorm"),
    )


def _pair(weights: Mapping[str, torch.Tensor], name: str) -> Matrix:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _batches(order: Sequence[int], tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """`order` cut so that no batch of several texts has more than `BATCH_TOKENS` tokens."""
    batch: list[int] = []
    size = 0
    for number in order:
        if batch and size + len(tokens[number]) > BATCH_TOKENS:
            yield batch
            batch, size = [], 0
        batch.append(number)
        size += len(tokens[number])
    if batch:
        yield batch


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
