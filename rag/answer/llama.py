"""llama.cpp in this process: a GGUF file as a Generator. llama_cpp is imported at first use, not before."""

import codecs
import ctypes
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psutil

from rag.answer.chat_template import Turn, in_template
from rag.answer.eyes import MOST_TOKENS, Eyes, Glance
from rag.answer.llama_library import last_errors, library, read_header
from rag.errors import GenerationError, ModelCorrupt, ModelError, ModelNotFound, PromptTooLong
from rag.records import Message, ModelState

if TYPE_CHECKING:
    import llama_cpp

log = logging.getLogger(__name__)

# Texts are evaluated in blocks of this many tokens, counted from the beginning of the prompt or from behind a picture,
# and only whole blocks of an earlier prompt are reused. A token evaluated alone, as those of a reply are, takes another
# path through llama.cpp than one in a batch, and logits came out .46 apart; so a reply would depend on what was asked
# before it.
_BLOCK = 128
_PIECE_BYTES = 512  # longest token is far shorter

Block = tuple[int, ...] | Glance
"""What is evaluated in one step: up to _BLOCK tokens of text, or a piece of a picture."""


class LlamaGenerator:
    """The language model in the GGUF file `path`. Safe to call from several threads; calls queue for the one model.

    `context_tokens` is what is asked for: the model gets no more than it was trained on. `gpu_layers` -1 puts all
    layers on the GPU where llama-cpp-python was built for one, fewer where they do not fit. `threads` None means one
    per physical core, `name` None that of the file. The chat template is the one in the file. What a prompt begins
    with is not evaluated again where the last prompt began with it too. With an `mmproj`, the GGUF file of its eyes,
    it looks at the pictures of messages; they are on the GPU where any layer is.

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
        mmproj: Path | None = None,
    ) -> None:
        if not path.is_file():
            raise ModelNotFound(f"no language model at {str(path)!r}; set `generator` to the path of a GGUF file")
        if mmproj is not None and not mmproj.is_file():
            raise ModelNotFound(f"no eyes at {str(mmproj)!r}; set `mmproj` to the path of a GGUF file")
        self.name = name or path.stem
        self.evaluated_tokens = 0  # of the last prompt; the rest came from the KV cache
        self._path = path
        self._mmproj = mmproj
        self._asked_context = context_tokens
        self._gpu_layers = gpu_layers
        self._threads = threads or psutil.cpu_count(logical=False) or 1
        self._lock = threading.Lock()
        self._llama: llama_cpp.Llama | None = None
        self._eyes: Eyes | None = None
        self._evaluated: Sequence[Block] = ()  # the last prompt, which is in the KV cache
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
        return self._mmproj is not None

    @cached_property
    def picture_tokens(self) -> int:
        """What a picture takes of the context at most: measured, for no file says it."""
        with self._lock:
            self._loaded()
            return self._eyes.picture_tokens if self._eyes else 0

    def load(self) -> None:
        """Load the weights now instead of at the first question.

        Raises:
            ModelCorrupt: a file is not a whole GGUF file of an architecture that llama.cpp knows.
            ModelError: it has no chat template, there is no memory for it, or its eyes are another model's.
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
            blocks = _blocks(self._prompt(llama, messages))
            size = sum(map(_size, blocks))
            if size + max_tokens > self.context_tokens:
                raise PromptTooLong(
                    f"the prompt has {size} tokens and the answer may have {max_tokens}, but the context of "
                    f"{self.name!r} has {self.context_tokens}; ask for less or raise `context_tokens`"
                )
            llama.set_seed(seed)
            yield from _until_stop(_text(llama, self._tokens(llama, blocks, max_tokens)), tuple(filter(None, stop)))

    def _tokens(self, llama: "llama_cpp.Llama", prompt: Sequence[Block], max_tokens: int) -> Iterator[int]:
        """Generated tokens, at most `max_tokens`, without the one that ends the reply."""
        from llama_cpp import llama_vocab_is_eog

        *before, last = prompt
        try:
            kept = self._rewind(llama, _common_prefix(self._evaluated, before))
            self._evaluated = prompt[:kept]
            self.evaluated_tokens = sum(map(_size, prompt[kept:]))
            for block in before[kept:]:
                self._evaluate(llama, block)
            replied = llama.generate(cast(tuple[int, ...], last), temp=0.0, reset=False)
            for _, token in zip(range(max_tokens), replied, strict=False):
                self._evaluated = prompt
                if llama_vocab_is_eog(llama._model.vocab, token):
                    return
                yield token
        except (RuntimeError, ValueError) as exc:  # what llama_decode's return codes are raised as
            self._evaluated = ()  # the cache may be half written
            raise GenerationError(f"the language model {self.name!r} failed: {exc}; ask again") from exc

    def _rewind(self, llama: "llama_cpp.Llama", kept: int) -> int:
        """Go back to behind the first `kept` blocks of what was evaluated; how many are really there still."""
        llama.n_tokens = sum(b.positions if isinstance(b, Glance) else len(b) for b in self._evaluated[:kept])
        if llama._ctx.kv_cache_seq_rm(-1, llama.n_tokens, -1):
            return kept
        llama._ctx.kv_cache_clear()  # type: ignore[no-untyped-call]  # a recurrent model cannot go back half-way
        llama.n_tokens = 0
        return 0

    def _evaluate(self, llama: "llama_cpp.Llama", block: Block) -> None:
        if isinstance(block, Glance):
            cast(Eyes, self._eyes).take_in(block)
        else:
            llama.eval(block)

    def _prompt(self, llama: "llama_cpp.Llama", messages: Sequence[Message]) -> list[int | Glance]:
        """The tokens of `messages` in the model's chat template, and the pieces of their pictures between them.

        Only what the template writes itself may be control tokens. The texts, which may come from documents, are
        never parsed for any, and no text can stand for a picture: there is no marker for one.
        """
        begun = messages[-1].text if messages and messages[-1].role == "assistant" else ""
        messages = messages[:-1] if begun else messages
        parts: list[str | bytes] = []
        turns: list[Turn] = []
        for message in messages:
            told: list[str | bytes] = [*(message.pictures if self._eyes else ()), message.text]
            turns.append((message.role, range(len(parts), len(parts) + len(told))))
            parts += told
        prompt: list[int | Glance] = []
        for piece in in_template(lambda chat: str(self._template(messages=chat).prompt), turns):
            if isinstance(piece, str):
                prompt += llama.tokenize(piece.encode(), add_bos=False, special=True)
            else:
                prompt += self._read(llama, parts[piece])
        bos = llama.token_bos()
        if llama._model.add_bos_token() and prompt[:1] != [bos]:
            prompt.insert(0, bos)
        return prompt + _text_tokens(llama, begun)

    def _read(self, llama: "llama_cpp.Llama", part: str | bytes) -> Sequence[int | Glance]:
        """A text as tokens, or a picture as what the model makes of it."""
        if isinstance(part, str):
            return _text_tokens(llama, part)
        return self._eyes.look(part) if self._eyes else ()

    # --- loading -------------------------------------------------------------------------------------------------

    def _loaded(self) -> "llama_cpp.Llama":
        if self._llama is None:
            llama, layers = self._open()
            self._template = self._chat_template(llama)
            if self._mmproj:
                self._eyes = Eyes(self._mmproj, llama, gpu=layers > 0, threads=self._threads)
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
        batch = max(_BLOCK, MOST_TOKENS) if self._mmproj else _BLOCK  # some models look at a picture in one batch only
        llama: llama_cpp.Llama = library().Llama(
            str(self._path),
            n_ctx=self.context_tokens,
            n_batch=batch,
            n_ubatch=batch,
            n_gpu_layers=layers,
            n_threads=self._threads,
            n_threads_batch=self._threads,
            verbose=False,
        )
        return llama

    def _refused(self, exc: Exception) -> ModelError:
        reason = last_errors() or str(exc)
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
        header = read_header(self._path)
        if header and header.architecture == "clip":  # llama.cpp would abort
            raise ModelError(f"{str(self._path)!r} is not a language model but the eyes of one; set `mmproj` to it")
        params = library().llama_model_default_params()
        params.vocab_only = True
        try:
            model = library()._internals.LlamaModel(path_model=str(self._path), params=params, verbose=False)
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
        if not library().llama_supports_gpu_offload():
            return 0
        return self._layers if self._gpu_layers < 0 else min(self._gpu_layers, self._layers)

    def _described(self, layers: int) -> ModelState:
        if layers:
            reason = f"{layers} of {self._layers} layers on the GPU"
        elif library().llama_supports_gpu_offload():
            reason = f"0 of {self._layers} layers on the GPU: " + (
                "gpu_layers is 0" if self._gpu_layers == 0 else "they do not fit its memory"
            )
        else:
            reason = f"0 of {self._layers} layers on a GPU: llama-cpp-python was built without GPU support"
        device = "gpu" if layers == self._layers else "gpu and cpu" if layers else "cpu"
        reason += f"; {self._threads} threads, context of {self.context_tokens} tokens"
        reason += f"; sees with {self._mmproj.name!r}" if self._mmproj else ""
        return ModelState("generator", self.name, device, self._precision, reason, loaded=True)

    @property
    def _precision(self) -> str:
        """The name of the file's quantisation, e.g. Q4_1, as llama.h lists them."""
        number = self._metadata.get("general.file_type", "")
        names = {str(v): k for k, v in vars(library()).items() if k.startswith("LLAMA_FTYPE_")}
        return re.sub(r"^LLAMA_FTYPE_(ALL_|MOSTLY_)?", "", names.get(number, "")) or "unknown"


def _text_tokens(llama: "llama_cpp.Llama", text: str) -> list[int]:
    return llama.tokenize(text.encode("utf-8", "replace"), add_bos=False, special=False) if text else []


def _token_text(llama: "llama_cpp.Llama", token: int) -> str:
    return llama._model.token_get_text(token) if token >= 0 else ""


def _blocks(prompt: Sequence[int | Glance]) -> list[Block]:
    """What is evaluated together: each piece of a picture, and each run of text in blocks."""
    blocks: list[Block] = []
    for is_text, run in groupby(prompt, key=lambda piece: isinstance(piece, int)):
        pieces: list[Any] = list(run)
        blocks += (tuple(pieces[i : i + _BLOCK]) for i in range(0, len(pieces), _BLOCK)) if is_text else pieces
    return blocks


def _size(block: Block) -> int:
    """Tokens of the context that a block takes."""
    return block.tokens if isinstance(block, Glance) else len(block)


def _common_prefix(a: Sequence[Block], b: Sequence[Block]) -> int:
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
