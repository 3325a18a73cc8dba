"""A model server on this machine as an Embedder: Ollama, LM Studio, llama-server, vLLM, or any with /v1/embeddings."""

import hashlib
import re
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rag.embed.prompts import prompt_for
from rag.errors import ServerError
from rag.protocols import TEXT_SPACE
from rag.records import ModelState
from rag.servers.address import ServerAddress
from rag.servers.http import ModelServer
from rag.servers.kinds import chosen_model, recognised
from rag.servers.openai_style import OpenAIStyle
from rag.servers.served import ServedModel
from rag.servers.tokens import most_tokens

_BATCH = 32  # texts of one request
_USUAL_CONTEXT = 512  # tokens, of a model whose server does not tell
_SPECIAL_TOKENS = 4
_WORDS = re.compile(r"\w+|[^\w\s]")
_NOTHING = "."  # instead of a text without words, which some servers refuse
_PROBES = ("The survey found nine beds of beans.", "Wer hat das Licht ausgemacht?", "x = [n * n for n in range(7)]")


class ServerEmbedder:
    """The model at `address`, such as `http://127.0.0.1:11434/v1#nomic-embed-text`. Safe to call from several threads.

    `seconds` is the server's longest silence. Nothing is sent before the first question about the model.
    """

    space = TEXT_SPACE
    tokenizer_file: Path | None = None

    def __init__(self, address: ServerAddress, *, api_key: str | None = None, seconds: float = 120.0) -> None:
        self._address = address
        self._server = ModelServer(address.url, api_key=api_key, seconds=seconds)
        self._lock = threading.Lock()
        self._found: tuple[OpenAIStyle, ServedModel] | None = None
        self._width = 0  # numbers in a vector; 0 until there was one

    @property
    def dim(self) -> int:
        return int(self._probed.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the model's name, its prompts, and what it makes of three texts.

        Of each of their vectors only its largest component counts, which one and its sign: enough to tell models
        apart, and the same on another device or at another precision.
        """
        name = self._known()[1].name
        largest = np.abs(self._probed).argmax(axis=1)
        signs = np.sign(self._probed[np.arange(len(largest)), largest])
        told = [name, self._probed.shape[1], [prompt_for(name, "query"), prompt_for(name, "passage")]]
        told += [largest.tolist(), signs.tolist()]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    @cached_property
    def max_tokens(self) -> int:
        """Of half the model's context: a text's words and signs are counted, and a word may be several tokens."""
        return (self._context - _SPECIAL_TOKENS) // 2

    @property
    def state(self) -> ModelState:
        found = self._found
        if found is None:
            name = self._address.model or self._address.url
            return ModelState("embedder", name, "server", "as served", f"asked at first use: {self._address}", False)
        spoken, model = found
        reason = f"{spoken.kind} at {self._address.url}"
        return ModelState("embedder", model.name, "server", model.precision or "as served", reason, self._width > 0)

    def load(self) -> None:
        """Have the server load the model.

        Raises:
            ModelNotFound: the server does not have it.
            ServerError: it is not there, or makes no vectors of it.
        """
        self._rows(_PROBES[:1], "passage")

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        """See `Embedder.embed`: float32[N, dim], unit rows. The prompts that a known model wants are put before texts.

        Raises:
            ModelNotFound: the server does not have the model.
            ServerError: it is not there, or what it sends are no vectors of this model.
        """
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        batches = (texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH))
        return np.concatenate([self._rows(batch, kind) for batch in batches])

    def count_tokens(self, text: str) -> int:
        """Words and signs, as those who cut texts count them where there is no tokenizer."""
        return len(_WORDS.findall(text))

    def _rows(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> NDArray[np.float32]:
        spoken, model = self._known()
        prompt = prompt_for(model.name, kind)
        asked = [prompt + self._cut(text if text.strip() else _NOTHING, prompt) for text in texts]
        rows = _checked(spoken.embed(model.name, asked), len(texts), self._address)
        self._width = self._width or rows.shape[1]
        if rows.shape[1] != self._width:
            raise ServerError(
                f"{str(self._address)!r} makes vectors of {rows.shape[1]} numbers now, not {self._width}: another "
                "model is loaded there; load the former one"
            )
        return rows

    def _cut(self, text: str, prompt: str) -> str:
        """`text` down to what surely fits the context behind `prompt`: some servers refuse what does not."""
        room = self._context - _SPECIAL_TOKENS - most_tokens(prompt)
        while (size := most_tokens(text)) > room:
            text = text[: min(len(text) - 1, len(text) * room // size)]
        return text

    @cached_property
    def _probed(self) -> NDArray[np.float32]:
        return self._rows(_PROBES, "passage")

    @cached_property
    def _context(self) -> int:
        spoken, model = self._known()
        told = [tokens for tokens in (model.context, model.trained) if tokens] or [_USUAL_CONTEXT]
        return min(*told, spoken.longest_embedded)

    def _known(self) -> tuple[OpenAIStyle, ServedModel]:
        with self._lock:
            if self._found is None:
                spoken = recognised(self._server)
                self._found = spoken, chosen_model(spoken, self._address.model)[0]
            return self._found


def _checked(vectors: list[Any], count: int, address: ServerAddress) -> NDArray[np.float32]:
    """What a server gave for vectors as unit rows: float32[N, D].

    Raises:
        ServerError: they are not `count` vectors of one length, finite and not zero.
    """
    try:
        rows = np.asarray(vectors, np.float64)
    except (TypeError, ValueError):
        rows = np.zeros(0)
    if rows.ndim != 2 or len(rows) != count or not rows.shape[1] or not np.isfinite(rows).all():
        raise ServerError(
            f"the model at {str(address)!r} made no vectors of {count} texts; choose one for embeddings as `embedder`"
        )
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise ServerError(f"the model at {str(address)!r} made a vector of length 0; restart the server")
    return np.asarray(rows / lengths, np.float32)
