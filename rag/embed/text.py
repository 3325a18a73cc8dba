"""Text vectors by sentence-transformers. torch is imported when the first text is embedded, not before."""

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag.errors import ModelCorrupt, ModelNotFound
from rag.protocols import TEXT_SPACE
from rag.records import ModelState

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from rag.embed.device import DeviceSetting, PrecisionSetting

_NOT_OF_THE_MODEL = "manifest.json"  # where it was pulled from, and when
_SPECIAL_TOKENS = 2  # [CLS] and [SEP] around a BERT-like model's text


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
        self._model: SentenceTransformer | None = None
        self._batch = 1
        self.state = ModelState("embedder", name, "not chosen yet", precision, "loaded at first use", loaded=False)

    @cached_property
    def dim(self) -> int:
        size = self._config("1_Pooling/config.json").get("word_embedding_dimension")
        return int(size or self._config("config.json")["hidden_size"])

    @cached_property
    def max_tokens(self) -> int:
        length = self._config("sentence_bert_config.json").get("max_seq_length")
        return int(length or self._config("config.json")["max_position_embeddings"]) - _SPECIAL_TOKENS

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the weights and every file that shapes a vector: modules, pooling, prompts, tokenizer."""
        digest = hashlib.sha256(self._checksum.encode())
        for path in sorted(set(self.folder.rglob("*.json")) - {self.folder / _NOT_OF_THE_MODEL}):
            digest.update(path.relative_to(self.folder).as_posix().encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """See `Embedder.embed`: float32[N, dim], unit rows. `kind` chooses the model's own prompt where it has one."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        with self._lock:
            model = self._loaded()
            encode = model.encode_query if kind == "query" else model.encode_document
            rows = encode(list(texts), batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True)
        rows = np.asarray(rows, np.float32)
        # Again in fp32: a row normalised in half precision is off by up to 1e-3, and stores demand unit rows.
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def load(self) -> None:
        """Load the weights now instead of at the first text."""
        with self._lock:
            self._loaded()

    def _loaded(self) -> "SentenceTransformer":
        if self._model is None:
            self._verify()
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging

            from rag.embed.device import footprint, place

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar for 0.1 s of reading a local file is noise
            placement = place(self._device, self._precision)
            self._model = SentenceTransformer(
                str(self.folder),
                device=placement.device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"dtype": placement.dtype, "use_safetensors": True},
            )
            self._batch = placement.batch
            taken, reason = footprint(self._model), f"{placement.reason}; {placement.batch} texts at a time"
            self.state = ModelState(
                "embedder", self.state.name, placement.device, placement.precision, reason, True, taken
            )
        return self._model

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
