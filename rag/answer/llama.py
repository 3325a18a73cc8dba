"""llama.cpp in this process: a GGUF file as a Generator. llama_cpp is imported at first use, not before."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rag.answer.chat_template import Turn, in_template
from rag.answer.devices import this_room
from rag.answer.eyes import Eyes, Glance
from rag.answer.kept import KeptPrompt, KeptPrompts, can_be_kept, common_prefix, put_back, state_of
from rag.answer.memory import Asked, Room
from rag.answer.model_file import ModelFile, look_at, stamp
from rag.answer.opening import Opened, open_model, precision
from rag.answer.pieces import text_of, until_stop
from rag.errors import GenerationError, ModelNotFound, PromptTooLong
from rag.records import Message, ModelState

if TYPE_CHECKING:
    import llama_cpp

log = logging.getLogger(__name__)

_MOST_KEPT = 512 << 20  # bytes of the KV caches of earlier prompts

Block = tuple[int, ...] | Glance
"""What is evaluated in one step: a batch of tokens of text, or a piece of a picture."""


class LlamaGenerator:
    """The language model in the GGUF file `path`. Safe to call from several threads; calls queue for the one model.

    `context_tokens` is what is asked for: the model gets no more than it was trained on. `gpu_layers` -1 puts as many
    layers on the GPU as fit its free memory, where llama-cpp-python was built for one. `threads` None means one per
    physical core, `name` None that of the file. The chat template is the one in the file. What a prompt begins with is
    not evaluated again where an earlier one that is kept began with it too. With an `mmproj`, the GGUF file of its
    eyes, it looks at the pictures of messages; they are on the GPU where any layer is. A file that is replaced while
    it is loaded is loaded again before the next reply. `room` tells what memory there is.

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
        room: Callable[[], Room] = this_room,
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
        self._threads = threads
        self._room = room
        self._lock = threading.Lock()
        self._file: ModelFile | None = None
        self._opened: Opened | None = None
        self._evaluated: Sequence[Block] = ()  # the last prompt, which is in the KV cache
        self._kept = KeptPrompts(0)  # those before it
        self.state = ModelState(
            "generator", self.name, "not chosen yet", "as in the file", "loaded at first use", False
        )

    @property
    def context_tokens(self) -> int:
        """What was asked for, or what the model was trained on where that is less."""
        return self._looked_at().context(self._asked_context)

    @property
    def parameters(self) -> int:
        """Weights of the model."""
        with self._lock:
            return int(self._loaded().llama._model.n_params())

    @property
    def sees(self) -> bool:
        """Whether it looks at pictures."""
        return self._mmproj is not None

    @property
    def picture_tokens(self) -> int:
        """What a picture takes of the context at most: measured, for no file says it."""
        with self._lock:
            eyes = self._loaded().eyes
            return eyes.picture_tokens if eyes else 0

    def load(self) -> None:
        """Load the weights now instead of at the first question.

        Raises:
            ModelCorrupt: a file is not a whole GGUF file.
            ModelError: it is another kind of model, there is no memory for it, or its eyes are another model's.
            ModelNotFound: its file is gone.
        """
        with self._lock:
            self._loaded()

    def count_tokens(self, text: str) -> int:
        with self._lock:
            return len(_text_tokens(self._loaded().llama, text))

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, stop: Sequence[str] = (), seed: int = 0
    ) -> Iterator[str]:
        """See `Generator.stream`. Greedy, so that the answer keeps to its sources; pieces are whole characters.

        A last message of the assistant is the beginning of the reply, which is continued.
        The text of a message is text: what looks like a control token in it is not one.
        """
        with self._lock:
            opened = self._loaded()
            blocks = _blocks(_prompt(opened, messages), opened.placement.batch)
            size = sum(map(_size, blocks))
            context = opened.file.context(self._asked_context)
            if size + max_tokens > context:
                raise PromptTooLong(
                    f"the prompt has {size} tokens and the answer may have {max_tokens}, but the context of "
                    f"{self.name!r} has {context}; ask for less or raise `context_tokens`"
                )
            opened.llama.set_seed(seed)
            tokens = self._tokens(opened, blocks, max_tokens)
            yield from until_stop(text_of(opened.llama, tokens), tuple(filter(None, stop)))

    def _tokens(self, opened: Opened, prompt: Sequence[Block], max_tokens: int) -> Iterator[int]:
        """Generated tokens, at most `max_tokens`, without the one that ends the reply."""
        from llama_cpp import llama_vocab_is_eog

        llama = opened.llama
        *before, last = prompt
        try:
            kept = self._go_back(llama, before)
            self._evaluated = prompt[:kept]
            self.evaluated_tokens = sum(map(_size, prompt[kept:]))
            for block in before[kept:]:
                self._check_unchanged(opened)
                _evaluate(opened, block)
            replied = llama.generate(cast(tuple[int, ...], last), temp=0.0, reset=False)
            for _, token in zip(range(max_tokens), replied, strict=False):
                self._evaluated = prompt
                if llama_vocab_is_eog(llama._model.vocab, token):
                    return
                yield token
                self._check_unchanged(opened)
        except (RuntimeError, ValueError) as exc:  # what llama_decode's return codes are raised as
            self._evaluated = ()  # the cache may be half written
            raise GenerationError(f"the language model {self.name!r} failed: {exc}; ask again") from exc

    def _go_back(self, llama: "llama_cpp.Llama", prompt: Sequence[Block]) -> int:
        """Have as much of the beginning of `prompt` in the KV cache as can be had; how many blocks that is."""
        common = common_prefix(self._evaluated, prompt)
        earlier = self._kept.take(prompt, longer_than=common)
        self._keep(llama, 0 if earlier else common)
        if earlier is not None:
            self._evaluated = cast(Sequence[Block], earlier.blocks) if put_back(llama, earlier.state) else ()
        return self._rewind(llama, common_prefix(self._evaluated, prompt))

    def _keep(self, llama: "llama_cpp.Llama", common: int) -> None:
        """Keep the prompt in the KV cache, where more than its last block would be lost beyond the `common` ones.

        One with pictures is not kept: their places, of which some models have two, are no part of llama.cpp's states.
        """
        whole, seen = len(self._evaluated), any(isinstance(block, Glance) for block in self._evaluated)
        if whole - 1 <= common or seen or not can_be_kept(llama):
            return
        if self._rewind(llama, whole) == whole:
            self._kept.put(KeptPrompt(self._evaluated, state_of(llama)))
        else:
            self._evaluated = ()

    def _rewind(self, llama: "llama_cpp.Llama", kept: int) -> int:
        """Go back to behind the first `kept` blocks of what was evaluated; how many are really there still."""
        llama.n_tokens = sum(b.positions if isinstance(b, Glance) else len(b) for b in self._evaluated[:kept])
        if llama._ctx.kv_cache_seq_rm(-1, llama.n_tokens, -1):
            return kept
        llama._ctx.kv_cache_clear()  # type: ignore[no-untyped-call]  # a recurrent model cannot go back half-way
        llama.n_tokens = 0
        return 0

    def _check_unchanged(self, opened: Opened) -> None:
        """Weights are read from the file as they are needed: where it was cut off, the next step would be the last.

        A file that is gone is still there for us.
        """
        if not opened.is_current():
            raise GenerationError(f"the file of the language model {self.name!r} was replaced; ask again")

    # --- loading -------------------------------------------------------------------------------------------------

    def _looked_at(self) -> ModelFile:
        if self._opened is not None:
            return self._opened.file
        if self._file is None or stamp(self._path) != self._file.stamp:
            self._file = look_at(self._path)
        return self._file

    def _loaded(self) -> Opened:
        if self._opened is not None and not self._opened.is_current():
            self._close(self._opened)
        if self._opened is None:
            self._opened = self._open(self._looked_at())
            self.state = self._described(self._opened)
            log.info("%s: %s, %s", self.name, self.state.precision, self.state.reason)
        return self._opened

    def _close(self, opened: Opened) -> None:
        log.info("%s: its file has changed", self.name)
        self._opened, self._evaluated, self._kept = None, (), KeptPrompts(0)
        self.state = replace(self.state, loaded=False, reason="its file has changed", footprint=None)
        opened.close()

    def _open(self, file: ModelFile) -> Opened:
        asked, room = Asked(file.context(self._asked_context), self._gpu_layers, self._threads), self._room()
        opened = open_model(file, asked, room, self._mmproj)
        self._kept = KeptPrompts(min(_MOST_KEPT, room.free // 16))
        return opened

    def _described(self, opened: Opened) -> ModelState:
        footprint = opened.placement.footprint
        device = "gpu" if footprint.layers == footprint.all_layers else "gpu and cpu" if footprint.layers else "cpu"
        reason = f"{opened.placement.reason}, context of {opened.file.context(self._asked_context)} tokens"
        reason += f"; sees with {self._mmproj.name!r}" if self._mmproj else ""
        return ModelState("generator", self.name, device, precision(opened.file), reason, True, footprint)


def _evaluate(opened: Opened, block: Block) -> None:
    if isinstance(block, Glance):
        cast(Eyes, opened.eyes).take_in(block)
    else:
        opened.llama.eval(block)


def _prompt(opened: Opened, messages: Sequence[Message]) -> list[int | Glance]:
    """The tokens of `messages` in the model's chat template, and the pieces of their pictures between them.

    Only what the template writes itself may be control tokens. The texts, which may come from documents, are never
    parsed for any, and no text can stand for a picture: there is no marker for one.
    """
    llama = opened.llama
    begun = messages[-1].text if messages and messages[-1].role == "assistant" else ""
    messages = messages[:-1] if begun else messages
    parts: list[str | bytes] = []
    turns: list[Turn] = []
    for message in messages:
        told: list[str | bytes] = [*(message.pictures if opened.eyes else ()), message.text]
        turns.append((message.role, range(len(parts), len(parts) + len(told))))
        parts += told
    prompt: list[int | Glance] = []
    template = partial(opened.template, enable_thinking=False)  # the name by which models know it; others ignore it
    for piece in in_template(lambda chat: str(template(messages=chat).prompt), turns):
        if isinstance(piece, str):
            prompt += llama.tokenize(piece.encode(), add_bos=False, special=True)
        else:
            prompt += _read(opened, parts[piece])
    bos = llama.token_bos()
    if llama._model.add_bos_token() and prompt[:1] != [bos]:
        prompt.insert(0, bos)
    return prompt + _text_tokens(llama, begun)


def _read(opened: Opened, part: str | bytes) -> Sequence[int | Glance]:
    """A text as tokens, or a picture as what the model makes of it."""
    if isinstance(part, str):
        return _text_tokens(opened.llama, part)
    return opened.eyes.look(part) if opened.eyes else ()


def _text_tokens(llama: "llama_cpp.Llama", text: str) -> list[int]:
    return llama.tokenize(text.encode("utf-8", "replace"), add_bos=False, special=False) if text else []


def _blocks(prompt: Sequence[int | Glance], size: int) -> list[Block]:
    """What is evaluated together: each piece of a picture, and each run of text in blocks of `size` tokens.

    Blocks are counted from the beginning of the prompt or from behind a picture, and only whole ones of an earlier
    prompt are reused. A token evaluated alone, as those of a reply are, takes another path through llama.cpp than one
    in a batch, and logits came out .46 apart; so a reply would depend on what was asked before it.
    """
    blocks: list[Block] = []
    for is_text, run in groupby(prompt, key=lambda piece: isinstance(piece, int)):
        pieces: list[Any] = list(run)
        blocks += (tuple(pieces[i : i + size]) for i in range(0, len(pieces), size)) if is_text else pieces
    return blocks


def _size(block: Block) -> int:
    """Tokens of the context that a block takes."""
    return block.tokens if isinstance(block, Glance) else len(block)
