"""A sentence-transformers model while it is trained: opened, adapted, asked for vectors, written."""

import json
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers.utils import logging

from rag.embed.device import DeviceSetting, place
from rag.tune.checkpoints import full_disk_named

Kind = Literal["query", "passage"]
WEIGHTS = "*.safetensors"
_NOT_OF_THE_MODEL = ("manifest.json", "README.md")  # where the base was pulled from, and what its card says of it
_OTHER_WEIGHTS = ("onnx", "openvino", "*.bin", "*.h5", "*.ot", "*.msgpack")  # of the base, in forms that others read
_PROMPTS: dict[Kind, tuple[str, ...]] = {"query": ("query",), "passage": ("document", "passage", "corpus")}


class TextModel:
    """The model of the folder `base` in fp32, with the precision that it computes in.

    `texts_at_once` go through it together: the fastest number for the device.
    """

    def __init__(self, base: Path, device: DeviceSetting = "auto", precision: str = "auto") -> None:
        placement = place(device, "auto")
        self.base = base
        self.device = placement.device
        self.texts_at_once = placement.batch
        self.precision = _precision(placement.device, placement.precision) if precision == "auto" else precision
        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # of reading and writing a local file
        self.network = SentenceTransformer(
            str(base),
            device=self.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch.float32, "use_safetensors": True},
        )

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")

    def features(self, texts: Sequence[str], kind: Kind, max_tokens: int) -> dict[str, Any]:
        """What the network takes: token ids with the model's own prompt before each text, cut to `max_tokens`."""
        longest = min(max_tokens, self.network.max_seq_length or max_tokens)
        task = "query" if kind == "query" else "document"
        features = self.network.preprocess(list(texts), prompt=self._prompt(kind), task=task, max_length=longest)
        return {key: value.to(self.device) if isinstance(value, Tensor) else value for key, value in features.items()}

    def embed(self, texts: Sequence[str], kind: Kind) -> NDArray[np.float32]:
        """float32[N, D], unit rows, by the weights as they are now; see `TextEmbedderLike`."""
        if not texts:
            return np.zeros((0, self.network.get_embedding_dimension() or 0), np.float32)
        encode = self.network.encode_query if kind == "query" else self.network.encode_document
        with self.autocast():
            rows = encode(list(texts), batch_size=self.texts_at_once, show_progress_bar=False, convert_to_numpy=True)
        rows = np.asarray(rows, np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def add_lora(self, rank: int, seed: int) -> Any:
        """Freeze all weights and train matrices of `rank` beside those of every linear layer.

        The result merges them: `merge_and_unload()`.
        """
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel

        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")
        for weights in self.network.parameters():
            weights.requires_grad_(False)
        return LoraModel(self.network[0].auto_model, config, "default")

    def trainable(self) -> dict[str, torch.nn.Parameter]:
        return {name: weights for name, weights in self.network.named_parameters() if weights.requires_grad}

    def save(self, to: Path) -> None:
        """See `save_like`."""
        save_like(self.base, self.network, to)

    def _prompt(self, kind: Kind) -> str | None:
        prompts = self.network.prompts
        return next((prompts[name] for name in _PROMPTS[kind] if prompts.get(name)), None)


def save_like(base: Path, network: SentenceTransformer, to: Path) -> None:
    """Write `network` as the folder `to`: every file of `base` as it is, but for the weights; whole or not at all.

    Raises:
        DiskFull: there is no room.
    """
    library, part = to.with_name(to.name + ".library"), to.with_name(to.name + ".part")
    try:
        with full_disk_named(to):
            shutil.rmtree(part, ignore_errors=True)
            network.save_pretrained(str(library), create_model_card=False)
            shutil.copytree(base, part, ignore=shutil.ignore_patterns(WEIGHTS, *_OTHER_WEIGHTS, *_NOT_OF_THE_MODEL))
            for written, wanted in zip(_modules(library), _modules(base), strict=True):
                for weights in (library / written).glob(WEIGHTS):
                    shutil.move(weights, part / wanted / weights.name)
            shutil.rmtree(to, ignore_errors=True)
            part.rename(to)
    finally:
        shutil.rmtree(library, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)


def _modules(folder: Path) -> list[str]:
    """The folders of a model's parts, in their order."""
    return [part["path"] for part in json.loads((folder / "modules.json").read_text("utf-8"))]


def _precision(device: str, embedding: str) -> str:
    """What training computes in: bf16 where the device has instructions for it, else fp32.

    fp16, which embedding may use, would need its losses scaled lest small gradients vanish.
    """
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return embedding if embedding == "bf16" else "fp32"
