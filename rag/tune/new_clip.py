"""A small CLIP to be trained from chance: its configuration, and a vocabulary of whole words."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from rag.embed.clip_files import CONFIG

_PAD, _UNKNOWN, _START, _END = "<pad>", "<unknown>", "<start>", "<end>"


def new_clip(folder: Path, model: Mapping[str, Any], preprocess: Mapping[str, Any], words: Iterable[str]) -> None:
    """Write a folder to start `train_clip` from: open_clip's configuration and a tokenizer that knows `words`.

    `model` is open_clip's `model_cfg` without `vocab_size` and `hf_tokenizer_name`, which follow from the words; what
    is no word of them becomes one and the same token. The end token has the highest number, which is where
    open_clip's text tower reads its result.
    """
    vocabulary = [_PAD, _UNKNOWN, _START, *sorted({word.lower() for word in words}), _END]
    folder.mkdir(parents=True, exist_ok=True)
    _word_tokenizer(vocabulary).save(str(folder / "tokenizer.json"))
    special = {"pad_token": _PAD, "unk_token": _UNKNOWN, "bos_token": _START, "eos_token": _END}
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **special})
    text = {**model["text_cfg"], "vocab_size": len(vocabulary), "hf_tokenizer_name": "words"}
    _write(folder / CONFIG, {"model_cfg": {**model, "text_cfg": text}, "preprocess_cfg": dict(preprocess)})


def _word_tokenizer(vocabulary: list[str]) -> Tokenizer:
    numbers = {word: number for number, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_START} $A {_END}", special_tokens=[(_START, numbers[_START]), (_END, numbers[_END])]
    )
    return tokenizer


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2), "utf-8")
