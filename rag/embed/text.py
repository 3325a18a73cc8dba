"""Text vectors by sentence-transformers, or by torch alone where `rag.embed.bert` computes the same on a CPU.

Both are imported when the first text is embedded, not before.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag.errors import ModelCorrupt, ModelNotFound
from rag.protocols import TEXT_SPACE
from rag.records import Footprint, ModelState

if TYPE_CHECKING:
    from rag.embed.device import DeviceSetting, Placement, PrecisionSetting

_NOT_OF_THE_MODEL = "manifest.json"  # where it was pulled from, and when
_SPECIAL_TOKENS = 2  # [CLS] and [SEP] around a BERT-like model's text

Kind = Literal["query", "passage"]
Encode = Callable[[Sequence[str], Kind], NDArray[Any]]  # N texts to [N, dim], unit rows or not


class TextEmbedder:
    """A sentence-transformers model in a local folder, as an Embedder. Safe to call from several threads.

    `folder` holds `modules.json`, `model.safetensors`, `tokenizer.json` and what else the library writes. With
    `sha256` the weights must have that checksum. Nothing is ever downloaded.
    """

    space = TEXT_SPACE

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        sha256: str | None = None,
        device: "DeviceSetting" = "auto",
        precision: "PrecisionSetting" = "auto",
    ) -> None:
        self._weights = folder / "model.safetensors"
        self.tokenizer_file = folder / "tokenizer.json"
        for needed in (self._weights, self.tokenizer_file, folder / "modules.json"):
            if not needed.is_file():
                raise ModelNotFound(f"the embedder {name!r} lacks {needed.name!r} in {str(folder)!r}; install it again")
        self.folder = folder
        self._expected = sha256
        self._device: DeviceSetting = device
        self._precision: PrecisionSetting = precision
        self._lock = threading.Lock()
        self._encode: Encode | None = None
        self.state = ModelState("embedder", name, "not chosen yet", precision, "loaded at first use", loaded=False)

    @cached_property
    def dim(self) -> int:
        size = self._config("1_Pooling/config.json").get("word_embedding_dimension")
        return int(size or self._config("config.json")["hidden_size"])

    @cached_property
    def max_tokens(self) -> int:
        if length := self._config("sentence_bert_config.json").get("max_seq_length"):
            return int(length) - _SPECIAL_TOKENS
        positions = self._config("config.json")["max_position_embeddings"]
        # Where sentence-transformers 6 writes a limit. A tokenizer without one says 1e30.
        return (
            int(min(positions, self._config("tokenizer_config.json").get("model_max_length") or positions))
            - _SPECIAL_TOKENS
        )

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the weights and every file that shapes a vector: modules, pooling, prompts, tokenizer."""
        digest = hashlib.sha256(self._checksum.encode())
        for path in sorted(set(self.folder.rglob("*.json")) - {self.folder / _NOT_OF_THE_MODEL}):
            digest.update(path.relative_to(self.folder).as_posix().encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def embed(self, texts: Sequence[str], kind: Kind) -> NDArray[np.float32]:
        """See `Embedder.embed`: float32[N, dim], unit rows. `kind` chooses the model's own prompt where it has one."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        with self._lock:
            rows = np.asarray(self._loaded()(texts, kind), np.float32)
        # Again in fp32: a row normalised in half precision is off by up to 1e-3, and stores demand unit rows.
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def load(self) -> None:
        """Load the weights now instead of at the first text."""
        with self._lock:
            self._loaded()

    def _loaded(self) -> Encode:
        if self._encode is None:
            self._verify()
            from rag.embed.bert import is_bert
            from rag.embed.device import place

            placement = place(self._device, self._precision)
            is_plain = placement.device == "cpu" and is_bert(self.folder)
            self._encode, taken, how = self._plain_bert(placement) if is_plain else self._library_model(placement)
            reason = f"{placement.reason}; {how}"
            self.state = ModelState(
                "embedder", self.state.name, placement.device, placement.precision, reason, True, taken
            )
        return self._encode

    def _plain_bert(self, placement: "Placement") -> tuple[Encode, Footprint, str]:
        """How to encode, what it takes, and in words how much at a time."""
        from rag.embed.bert import BATCH_TOKENS, BertEncoder

        encoder = BertEncoder(self.folder, placement.dtype, self.max_tokens + _SPECIAL_TOKENS)
        return lambda texts, kind: encoder.encode(texts), Footprint(encoder.bytes), f"{BATCH_TOKENS} tokens at a time"

    def _library_model(self, placement: "Placement") -> tuple[Encode, Footprint, str]:
        """The same by sentence-transformers, which knows every kind of model."""
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        from rag.embed.device import footprint

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for 0.1 s of reading a local file is noise
        model = SentenceTransformer(
            str(self.folder),
            device=placement.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": placement.dtype, "use_safetensors": True},
        )

        def encode(texts: Sequence[str], kind: Kind) -> NDArray[Any]:
            by_kind = model.encode_query if kind == "query" else model.encode_document
            rows = by_kind(list(texts), batch_size=placement.batch, show_progress_bar=False, convert_to_numpy=True)
            return np.asarray(rows)

        return encode, footprint(model), f"{placement.batch} texts at a time"

    def _verify(self) -> None:
        if self._expected is not None and self._checksum != self._expected:
            raise ModelCorrupt(
                f"{str(self._weights)!r} has sha256 {self._checksum}, expected {self._expected}; "
                "install the model again"
            )

    @cached_property
    def _checksum(self) -> str:
        with self._weights.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = Tokenizer.from_file(str(self.tokenizer_file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def _config(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}
