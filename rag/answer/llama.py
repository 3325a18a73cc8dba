"""llama.cpp in this process: a GGUF file as a Generator. llama_cpp is imported at first use, not before."""

import codecs
import ctypes
import logging
import os
import re
import secrets
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from rag.errors import GenerationError, ModelCorrupt, ModelError, ModelNotFound, PromptTooLong
from rag.records import Message, ModelState

if TYPE_CHECKING:
    import llama_cpp

log = logging.getLogger(__name__)

# Prompts are evaluated in blocks of this many tokens that begin at multiples of it, and only whole blocks of an earlier
# prompt are reused. A token evaluated alone, as those of a reply are, takes another path through llama.cpp than one in
# a batch, and logits came out .46 apart; so a reply would depend on what was asked before it.
_BLOCK = 128
_PIECE_BYTES = 512  # longest token is far shorter


class LlamaGenerator:
    """The language model in the GGUF file `path`. Safe to call from several threads; calls queue for the one model.

    `context_tokens` is what is asked for: the model gets no more than it was trained on. `gpu_layers` -1 puts all
    layers on the GPU where llama-cpp-python was built for one, fewer where they do not fit. `threads` None means one
    per physical core, `name` None that of the file. The chat template is the one in the file. What a prompt begins
    with is not evaluated again where the last prompt began with it too.

    Raises:
        ModelNotFound: there is no such file.
    """

    def __init__(
        self,
        path: Path,
        *,
        context_tokens: int,
        gpu_layers: int,
        name: str | None = None,
        threads: int | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelNotFound(f"no language model at {str(path)!r}; set `generator` to the path of a GGUF file")
        self.name = name or path.stem
        self.evaluated_tokens = 0  # of the last prompt; the rest came from the KV cache
        self._path = path
        self._asked_context = context_tokens
        self._gpu_layers = gpu_layers
        self._threads = threads or psutil.cpu_count(logical=False) or 1
        self._lock = threading.Lock()
        self._llama: llama_cpp.Llama | None = None
        self._evaluated: Sequence[int] = ()  # the last prompt, which is in the KV cache
        self.state = ModelState(
            "generator", self.name, "not chosen yet", "as in the file", "loaded at first use", False
        )

    @cached_property
    def context_tokens(self) -> int:
        """What was asked for, or what the model was trained on where that is less."""
        trained = self._metadata.get(f"{self._metadata.get('general.architecture')}.context_length", "")
        return min(self._asked_context, int(trained)) if trained.isdecimal() else self._asked_context

    @cached_property
    def parameters(self) -> int:
        """Weights of the model."""
        with self._lock:
            return int(self._loaded()._model.n_params())

    @property
    def sees(self) -> bool:
        """Whether it looks at pictures."""
        return False

    @property
    def picture_tokens(self) -> int:
        """What a picture takes of the context at most."""
        return 0

    def load(self) -> None:
        """Load the weights now instead of at the first question.

        Raises:
            ModelCorrupt: the file is not a whole GGUF file of an architecture that llama.cpp knows.
            ModelError: it has no chat template, or there is no memory for it.
        """
        with self._lock:
            self._loaded()

    def count_tokens(self, text: str) -> int:
        with self._lock:
            return len(_text_tokens(self._loaded(), text))

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, stop: Sequence[str] = (), seed: int = 0
    ) -> Iterator[str]:
        """See `Generator.stream`. Greedy, so that the answer keeps to its sources; pieces are whole characters.

        A last message of the assistant is the beginning of the reply, which is continued.
        The text of a message is text: what looks like a control token in it is not one.
        """
        with self._lock:
            llama = self._loaded()
            tokens = self._prompt(llama, messages)
            if len(tokens) + max_tokens > self.context_tokens:
                raise PromptTooLong(
                    f"the prompt has {len(tokens)} tokens and the answer may have {max_tokens}, but the context of "
                    f"{self.name!r} has {self.context_tokens}; ask for less or raise `context_tokens`"
                )
            llama.set_seed(seed)
            yield from _until_stop(_text(llama, self._tokens(llama, tokens, max_tokens)), tuple(filter(None, stop)))

    def _tokens(self, llama: "llama_cpp.Llama", prompt: Sequence[int], max_tokens: int) -> Iterator[int]:
        """Generated tokens, at most `max_tokens`, without the one that ends the reply."""
        from llama_cpp import llama_vocab_is_eog

        kept = _common_prefix(self._evaluated, prompt[:-1]) // _BLOCK * _BLOCK
        llama.n_tokens = kept
        self._evaluated = prompt[:kept]
        self.evaluated_tokens = len(prompt) - kept
        try:
            for _, token in zip(range(max_tokens), llama.generate(prompt, temp=0.0), strict=False):
                self._evaluated = prompt
                if llama_vocab_is_eog(llama._model.vocab, token):
                    return
                yield token
        except (RuntimeError, ValueError) as exc:  # what llama_decode's return codes are raised as
            self._evaluated = ()  # the cache may be half written
            raise GenerationError(f"the language model {self.name!r} failed: {exc}; ask again") from exc

    def _prompt(self, llama: "llama_cpp.Llama", messages: Sequence[Message]) -> list[int]:
        """The tokens of `messages` in the model's chat template.

        The template is rendered with marks in place of the texts: its own control tokens are parsed as such, the
        texts, which may come from documents, never.
        """
        begun = messages[-1].text if messages and messages[-1].role == "assistant" else ""
        messages = messages[:-1] if begun else messages
        mark = secrets.token_hex(8)
        rendered = self._render([{"role": m.role, "content": f"{mark}{i}."} for i, m in enumerate(messages)])
        tokens: list[int] = []
        for i, part in enumerate(re.split(rf"{mark}(\d+)\.", rendered)):
            if i % 2:
                tokens += _text_tokens(llama, messages[int(part)].text)
            elif part:
                tokens += llama.tokenize(part.encode(), add_bos=False, special=True)
        return self._with_bos(llama, tokens) + _text_tokens(llama, begun)

    def _with_bos(self, llama: "llama_cpp.Llama", tokens: list[int]) -> list[int]:
        bos = llama.token_bos()
        return [bos, *tokens] if llama._model.add_bos_token() and tokens[:1] != [bos] else tokens

    def _render(self, messages: list[dict[str, str]]) -> str:
        """The chat template's text; where it refuses a system message, that one begins the first question instead."""
        try:
            return str(self._template(messages=messages).prompt)
        except Exception as exc:
            if [m["role"] for m in messages[:2]] != ["system", "user"]:
                raise GenerationError(f"the chat template of {self.name!r} refuses the conversation: {exc}") from exc
        first = {"role": "user", "content": f"{messages[0]['content']}\n\n{messages[1]['content']}"}
        return self._render([first, *messages[2:]])

    # --- loading -------------------------------------------------------------------------------------------------

    def _loaded(self) -> "llama_cpp.Llama":
        if self._llama is None:
            llama, layers = self._open()
            self._template = self._chat_template(llama)
            self._llama = llama
            self.state = self._described(layers)
            log.info("%s: %s, %s", self.name, self.state.precision, self.state.reason)
        return self._llama

    def _open(self) -> "tuple[llama_cpp.Llama, int]":
        """The model with as many layers on the GPU as were asked for, halved until they fit."""
        layers = self._wanted_layers
        while True:
            try:
                return self._llama_with(layers), layers
            except (ValueError, RuntimeError, MemoryError) as exc:
                if layers == 0:
                    raise self._refused(exc) from exc
                layers //= 2

    def _llama_with(self, layers: int) -> "llama_cpp.Llama":
        llama: llama_cpp.Llama = _library().Llama(
            str(self._path),
            n_ctx=self.context_tokens,
            n_batch=_BLOCK,
            n_ubatch=_BLOCK,
            n_gpu_layers=layers,
            n_threads=self._threads,
            n_threads_batch=self._threads,
            verbose=False,
        )
        return llama

    def _refused(self, exc: Exception) -> ModelError:
        reason = "; ".join(_errors) or str(exc)
        _errors.clear()
        if re.search(r"alloc|out of memory|KV cache|context", reason):
            return ModelError(f"no memory for {str(self._path)!r}: {reason}; use a smaller model or context_tokens")
        return ModelCorrupt(f"{str(self._path)!r} is not a whole GGUF model: {reason}; install the model again")

    def _chat_template(self, llama: "llama_cpp.Llama") -> Any:
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        template = self._metadata.get("tokenizer.chat_template")
        if template is None:
            raise ModelError(f"{str(self._path)!r} has no chat template; use an instruction-tuned model")
        bos, eos = (_token_text(llama, token) for token in (llama.token_bos(), llama.token_eos()))
        return Jinja2ChatFormatter(template, eos_token=eos, bos_token=bos)

    @cached_property
    def _metadata(self) -> dict[str, str]:
        """The key-value pairs of the GGUF header; the weights are not read."""
        library = _library()
        params = library.llama_model_default_params()
        params.vocab_only = True
        try:
            model = library._internals.LlamaModel(path_model=str(self._path), params=params, verbose=False)
        except ValueError as exc:
            raise self._refused(exc) from exc
        found: dict[str, str] = model.metadata()
        model.close()
        return found

    @property
    def _layers(self) -> int:
        """Layers that can be offloaded: the blocks and the output layer."""
        return int(self._metadata.get(f"{self._metadata.get('general.architecture')}.block_count", 0)) + 1

    @property
    def _wanted_layers(self) -> int:
        if not _library().llama_supports_gpu_offload():
            return 0
        return self._layers if self._gpu_layers < 0 else min(self._gpu_layers, self._layers)

    def _described(self, layers: int) -> ModelState:
        if layers:
            reason = f"{layers} of {self._layers} layers on the GPU"
        elif _library().llama_supports_gpu_offload():
            reason = f"0 of {self._layers} layers on the GPU: " + (
                "gpu_layers is 0" if self._gpu_layers == 0 else "they do not fit its memory"
            )
        else:
            reason = f"0 of {self._layers} layers on a GPU: llama-cpp-python was built without GPU support"
        device = "gpu" if layers == self._layers else "gpu and cpu" if layers else "cpu"
        reason += f"; {self._threads} threads, context of {self.context_tokens} tokens"
        return ModelState("generator", self.name, device, self._precision, reason, loaded=True)

    @property
    def _precision(self) -> str:
        """The name of the file's quantisation, e.g. Q4_1, as llama.h lists them."""
        number = self._metadata.get("general.file_type", "")
        names = {str(v): k for k, v in vars(_library()).items() if k.startswith("LLAMA_FTYPE_")}
        return re.sub(r"^LLAMA_FTYPE_(ALL_|MOSTLY_)?", "", names.get(number, "")) or "unknown"


_ERROR = 4  # GGML_LOG_LEVEL_ERROR in ggml.h, which llama_cpp does not name
_errors: deque[str] = deque(maxlen=8)  # what llama.cpp said last, to be told in our errors
_callbacks: list[Any] = []


def _keep_log(level: int, text: bytes, _: object) -> None:
    """llama.cpp's log goes to ours, and never to the screen."""
    line = text.decode("utf-8", "replace").strip()
    if level >= _ERROR:
        _errors.append(line)
    log.debug(line)


@cache
def _library() -> Any:
    """llama_cpp, imported so that its threads sleep while they wait.

    By default OpenMP's threads spin, which on a machine whose cores are busy made a reply ten times slower here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import llama_cpp

    callback = llama_cpp.llama_log_callback(_keep_log)
    _callbacks.append(callback)  # C holds no reference to it
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    return llama_cpp


def _text_tokens(llama: "llama_cpp.Llama", text: str) -> list[int]:
    return llama.tokenize(text.encode("utf-8", "replace"), add_bos=False, special=False) if text else []


def _token_text(llama: "llama_cpp.Llama", token: int) -> str:
    return llama._model.token_get_text(token) if token >= 0 else ""


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _text(llama: "llama_cpp.Llama", tokens: Iterator[int]) -> Iterator[str]:
    """The text of `tokens` as it becomes whole: a character may be spread over several tokens."""
    from llama_cpp import llama_token_to_piece

    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    buffer = ctypes.create_string_buffer(_PIECE_BYTES)
    for token in tokens:
        size = llama_token_to_piece(llama._model.vocab, token, buffer, _PIECE_BYTES, 0, False)
        piece = decoder.decode(buffer.raw[: max(size, 0)])
        if piece:
            yield piece


def _until_stop(pieces: Iterator[str], stop: tuple[str, ...]) -> Iterator[str]:
    """`pieces` up to the first of the `stop` strings; what could be the beginning of one is held back."""
    held = ""
    for piece in pieces:
        held += piece
        at = min((i for i in map(held.find, stop) if i >= 0), default=-1)
        if at >= 0:
            if at:
                yield held[:at]
            return
        keep = max((n for s in stop for n in range(1, len(s)) if held.endswith(s[:n])), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held
