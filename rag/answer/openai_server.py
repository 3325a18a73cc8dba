"""A model server on this machine as a Generator: Ollama, LM Studio, llama-server, vLLM, or any with the same interface.

Context, eyes and size of the model are asked of the server, where it tells them.
"""

import base64
import io
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache

from rag.answer.control_tokens import disarmed
from rag.answer.thoughts import only_thoughts
from rag.errors import GenerationError, ModelError, PromptTooLong, ServerError, UnreadableFile
from rag.pictures import decode
from rag.records import Message, ModelState
from rag.servers.address import ServerAddress
from rag.servers.http import ModelServer
from rag.servers.kinds import chosen_model, recognised
from rag.servers.openai_style import OpenAIStyle
from rag.servers.served import Chat, Piece, Said, ServedModel, is_too_long, told_room
from rag.servers.tokens import most_tokens

log = logging.getLogger(__name__)

_PER_MESSAGE = 8  # tokens that a chat template puts around a message, at most
_AROUND = 16  # tokens that it puts before all of them; half of what `rag.answer.prompt` keeps free for that
_PER_PICTURE = 8  # tokens around a picture, at most, that depend on what stands beside it
_LONGEST = (
    896  # pixels of a side of a picture that is sent: 1,024 tokens where 28 of them make one, as in Qwen's models
)
_USUAL_PICTURE = 1024  # tokens, where a server does not count them
_QUALITY = 90  # of the JPEG that a picture is sent as
_WARM_UP = Message("user", "Say yes.")


@dataclass(frozen=True, slots=True)
class _Known:
    """The server as what it is, its model that is meant, and the names of its others."""

    spoken: OpenAIStyle
    model: ServedModel
    others: frozenset[str]

    @property
    def room(self) -> int | None:
        """The tokens that the model can have where the server gives what is asked for, and has where it does not."""
        return self.model.trained if self.spoken.sizes_context else self.model.context


@dataclass(slots=True)
class _Reply:
    """What has come of a reply; `tokens` are told by the server at the end, if at all."""

    text: str = ""
    pieces: int = 0
    finish: str = ""
    thought: bool = False
    tokens: int | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.pieces += bool(piece.text)
        self.finish = piece.finish or self.finish
        self.thought |= piece.thought
        self.tokens = piece.reply_tokens or self.tokens


class ServerGenerator:
    """The model at `address`, such as `http://127.0.0.1:11434/v1#qwen3:8b`. Safe to call from several threads.

    `context_tokens` is what is asked for: Ollama is told, any other server has what it was started with, and the
    smaller one counts. Where a server does not tell, what is asked for is believed until it refuses a prompt.
    `seconds` is its longest silence. `sees` says whether the model sees pictures, where the server does not tell.
    Nothing is sent before the first question about the model.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        context_tokens: int,
        api_key: str | None = None,
        seconds: float = 120.0,
        sees: bool = False,
    ) -> None:
        self._address = address
        self._asked_context = context_tokens
        self._sees = sees
        self._server = ModelServer(address.url, api_key=api_key, seconds=seconds)
        self._lock = threading.Lock()
        self._found: _Known | None = None
        self._refused_at: int | None = None  # the room that a refusal named
        self._per_picture = 0  # tokens, once they were measured
        self._loaded = False
        self._counts = True  # until a count fails, and again once it has replied
        self._exact: dict[str, int] = {}  # the last reply, which the server has counted
        self._count = lru_cache(maxsize=1024)(self._count_there)

    # --- what is known of the model ------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the server calls the model; the address, before it was asked, where that names none."""
        found = self._found
        return found.model.name if found else self._address.model or self._address.url

    @property
    def context_tokens(self) -> int:
        """What was asked for, or what the server has where that is less."""
        known = self._known()
        if known.room is None and known.model.loaded is False:
            self.load()
            known = self._known()
        return self._room(known)

    @property
    def parameters(self) -> int:
        """Weights of the model, where the server tells, and continues a reply that was begun for it: 0 otherwise."""
        known = self._known()
        return known.model.parameters if known.spoken.continues else 0

    @property
    def sees(self) -> bool:
        """Whether it looks at pictures; it does not while the server is not there."""
        try:
            return self._looks(self._known().model)
        except ModelError as exc:
            log.info("not known whether the model sees: %s", exc)
            return False

    @property
    def picture_tokens(self) -> int:
        """What a picture takes of the context at most: measured on a large square one, for no server says it."""
        if not self.sees:
            return 0
        self._per_picture = self._per_picture or self._measured()
        return self._per_picture or _USUAL_PICTURE

    def _measured(self) -> int:
        """The tokens of a large picture; 0 where that cannot be told."""
        with_one, without = (self._prompt_tokens(pictures) for pictures in ((_sample(),), ()))
        taken = with_one - without + _PER_PICTURE if with_one and without and with_one > without else 0
        log.info("a picture takes %d tokens of %s", taken, self.name)
        return taken

    @property
    def state(self) -> ModelState:
        found = self._found
        if found is None:
            reason = f"asked at first use: {self._address}"
            return ModelState("generator", self.name, "server", "as served", reason, loaded=False)
        told = "as told by the server" if found.model.context or self._refused_at else "which the server does not tell"
        told = "as asked for" if found.spoken.sizes_context else told
        reason = f"{found.spoken.kind} at {self._address.url}; context of {self._room(found)} tokens, {told}"
        reason += "; sees pictures" if self._looks(found.model) else ""
        precision = found.model.precision or "as served"
        return ModelState("generator", found.model.name, "server", precision, reason, self._loaded)

    def load(self) -> None:
        """Have the server load the model, and ask again what it is like then.

        Raises:
            ModelNotFound: the server does not have it.
            ServerError: it is not there, or cannot load it.
        """
        if not self._loaded:
            known = self._known()
            known.spoken.load(self._chat((_WARM_UP,), 1, known))
            with self._lock:
                self._found = None
            self._known()
            self._loaded = True

    def count_tokens(self, text: str) -> int:
        """As the server counts, or a careful estimate where it does not, or is not there."""
        exact = self._exact
        if not text or text in exact:
            return exact.get(text, 0)
        try:
            return self._count(text) if self._counts else most_tokens(text)
        except ModelError as exc:
            log.info("tokens are estimated: %s", exc)
            self._counts = False
            return most_tokens(text)

    # --- replies -------------------------------------------------------------------------------------------------

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int, stop: Sequence[str] = (), seed: int = 0
    ) -> Iterator[str]:
        """See `Generator.stream`. Greedy, so that the answer keeps to its sources.

        A last message of the assistant is the beginning of the reply, which llama-server and vLLM continue.
        The text of a message is text: what looks like a control token in it is broken up.
        """
        try:
            known = self._known()
            self._check_room(messages, max_tokens)
            chat = replace(self._chat(messages, max_tokens, known), stop=tuple(filter(None, stop)), seed=seed)
            yield from self._reply(chat, known)
        except ServerError as exc:
            raise self._failure(exc) from exc

    def _reply(self, chat: Chat, known: _Known) -> Iterator[str]:
        """The pieces of text of a reply that comes to its end."""
        reply = _Reply()
        with closing(known.spoken.chat(chat)) as pieces:
            for piece in pieces:
                self._check_model(piece, known)
                if piece.text and reply.pieces == chat.max_tokens:  # the server goes on beyond what it was told
                    reply.finish = "length"
                    break
                reply.add(piece)
                if piece.text:
                    yield piece.text
        self._check_end(reply)
        self._loaded = self._counts = True
        if reply.tokens:
            self._exact = {reply.text: reply.tokens}

    def _check_end(self, reply: "_Reply") -> None:
        if not reply.finish:
            raise GenerationError(f"the reply of {self.name!r} broke off; look at the log of {self._address.url!r}")
        if reply.thought and not reply.text:
            raise only_thoughts(self.name)

    def _check_model(self, piece: Piece, known: _Known) -> None:
        if piece.model in known.others:
            raise GenerationError(
                f"{self._address.url!r} answered with {piece.model!r} instead of {known.model.name!r}; load that there"
            )

    def _check_room(self, messages: Sequence[Message], max_tokens: int) -> None:
        shown = sum(len(message.pictures) for message in messages) if self.sees else 0
        size = sum(self.count_tokens(message.text) + _PER_MESSAGE for message in messages) + _AROUND
        size += shown * self.picture_tokens if shown else 0
        room = self.context_tokens
        if size + max_tokens > room:
            raise PromptTooLong(
                f"the prompt has about {size} tokens and the answer may have {max_tokens}, but the context of "
                f"{self.name!r} has {room}; ask for less, or give the model more at {self._address.url!r} and in "
                "`context_tokens`"
            )

    def _failure(self, exc: ServerError) -> GenerationError:
        """Our error for the server's; what is known of it may no longer be so."""
        with self._lock:
            self._found = None
        if not is_too_long(exc):
            return GenerationError(str(exc))
        self._refused_at = told_room(exc) or self._refused_at
        return PromptTooLong(
            f"the prompt does not fit the context of {self.name!r}: {exc.said}; ask for less, or give the model more "
            f"at {self._address.url!r}"
        )

    def _chat(self, messages: Sequence[Message], max_tokens: int, known: _Known) -> Chat:
        said = tuple(Said(m.role, disarmed(m.text), self._shown(m.pictures)) for m in messages)
        return Chat(known.model.name, said, max_tokens, self._room(known))

    def _shown(self, pictures: Sequence[bytes]) -> tuple[str, ...]:
        return tuple(map(_jpeg, pictures)) if pictures and self.sees else ()

    # --- asking the server ---------------------------------------------------------------------------------------

    def _known(self) -> _Known:
        with self._lock:
            if self._found is None:
                spoken = recognised(self._server)
                model, others = chosen_model(spoken, self._address.model)
                if model.embeds:
                    raise ModelError(f"{model.name!r} makes vectors and no text; choose another model as `generator`")
                self._found = _Known(spoken, model, others)
            return self._found

    def _looks(self, model: ServedModel) -> bool:
        return self._sees if model.sees is None else model.sees

    def _room(self, known: _Known) -> int:
        return min(room for room in (self._asked_context, known.room, self._refused_at) if room)

    def _count_there(self, text: str) -> int:
        known = self._known()
        counted = known.spoken.count_tokens(known.model.name, disarmed(text))
        return most_tokens(text) if counted is None else counted

    def _prompt_tokens(self, pictures: Sequence[bytes]) -> int | None:
        """How many tokens the server counts of a short question with `pictures`."""
        known = self._known()
        chat = self._chat((replace(_WARM_UP, pictures=tuple(pictures)),), 1, known)
        try:
            return known.spoken.count_prompt(chat)
        except ServerError as exc:
            log.info("a picture's tokens are not known: %s", exc)
            return None


def _jpeg(picture: bytes) -> str:
    """An encoded picture as servers take it: a JPEG, not too large, in base64.

    Raises:
        GenerationError: it cannot be decoded.
    """
    try:
        image = decode(picture).convert("RGB")
    except UnreadableFile as exc:
        raise GenerationError(f"a picture for the language model cannot be read: {exc.reason}") from exc
    image.thumbnail((_LONGEST, _LONGEST))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _sample() -> bytes:
    """A picture of the size that takes the most tokens."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (_LONGEST, _LONGEST), "white").save(buffer, "PNG")
    return buffer.getvalue()
