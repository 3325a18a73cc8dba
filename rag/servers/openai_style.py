"""The OpenAI-style interface, as any server has it, and the servers that tell or want a little more than that.

Each class knows one kind of server. What is asked here and understood of the answers is from their documentation:
llama.cpp's tools/server/README.md, LM Studio's REST API v1 and v0, vLLM's "OpenAI-Compatible Server"; that of
llama-cpp-python from its source.
"""

import json
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from rag.errors import ServerError
from rag.servers.http import Lines, ModelServer, told_error
from rag.servers.served import Chat, Piece, Said, ServedModel, fields, number, records

AT_ONCE = 5.0  # seconds, for what a server need not think about: a list of models, a count of tokens
_BYTES_PER_TOKEN = 4096  # of a stream, at most: what is around each token
_BYTES_AROUND = 1024**2

Pieces = Generator[Piece, None, None]


class OpenAIStyle:
    """A server of which no more is known than its interface."""

    kind = "OpenAI-style server"
    continues = False  # a last message of the assistant, instead of answering it
    sizes_context = False  # gives a model the room that is asked for, instead of what it was started with
    longest_embedded = 2048  # tokens
    extras: Mapping[str, Any] = {}
    """What its chat requests have beyond the common ones."""

    def __init__(self, server: ModelServer) -> None:
        self.server = server

    @classmethod
    def recognise(cls, server: ModelServer, listed: Any) -> bool:
        """Whether the server is of this kind; `listed` is what it has at /v1/models, None where nothing."""
        return bool(records(listed, "data"))

    def models(self) -> list[ServedModel]:
        """Every model that it offers, in its order."""
        return [self.read(entry) for entry in self.entries()]

    def describe(self, model: ServedModel) -> ServedModel:
        """`model` of the list with all that can be found out about it."""
        return model

    def count_tokens(self, model: str, text: str) -> int | None:
        """As the model counts; None where the server does not."""
        return None

    def load(self, chat: Chat) -> None:
        """Have the model loaded, with room for `chat`. There is no other way than to ask it something."""
        with closing(self.chat(chat)) as pieces:
            for _ in pieces:
                pass

    def chat(self, chat: Chat) -> Pieces:
        """The reply to `chat` as it comes.

        Raises:
            ServerError: the server failed, or what it sends is not understood.
        """
        with closing(self.lines("/v1/chat/completions", chat)) as lines:
            for line in lines:
                # An error, or a page, may come where a stream belongs.
                name, _, value = line.partition(":") if line[0] not in "{<" else ("data", ":", line)
                if value.strip() == "[DONE]":
                    return
                if name in ("data", "error"):
                    yield self.piece(read_json(self.server, value))

    def count_prompt(self, chat: Chat) -> int | None:
        """The tokens of a whole prompt with its pictures, as the server counts them when it replies."""
        body = {key: value for key, value in self.request(chat).items() if key != "stream_options"}
        answer = self.server.post("/v1/chat/completions", body | {"stream": False})
        return number(fields(fields(answer).get("usage")).get("prompt_tokens"))

    def embed(self, model: str, texts: Sequence[str]) -> list[Any]:
        """What the server gives for a vector of each text, in their order; checked by who asks."""
        answer = self.server.post("/v1/embeddings", {"model": model, "input": list(texts), "encoding_format": "float"})
        entries = sorted(records(answer, "data"), key=lambda entry: number(entry.get("index")) or 0)
        return [entry.get("embedding") for entry in entries]

    def entries(self) -> list[dict[str, Any]]:
        """The entries of /v1/models."""
        return records(self.server.get("/v1/models", seconds=AT_ONCE), "data")

    def read(self, entry: Mapping[str, Any]) -> ServedModel:
        """An entry of the list as a model."""
        return ServedModel(str(entry.get("id", "")), context=number(entry.get("max_model_len")))

    def request(self, chat: Chat) -> dict[str, Any]:
        """The body of a request; greedy, so that the answer keeps to its sources."""
        return {
            "model": chat.model,
            "messages": [_message(said) for said in chat.messages],
            "max_tokens": chat.max_tokens,
            "temperature": 0.0,
            "seed": chat.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"stop": list(chat.stop)} if chat.stop else {}),
            **self.extras,
        }

    def lines(self, path: str, chat: Chat) -> Lines:
        """What is answered to `chat` at `path`, of a length that fits it."""
        most = _BYTES_AROUND + _BYTES_PER_TOKEN * chat.max_tokens
        return self.server.lines(path, self.request(chat), most_bytes=most)

    def piece(self, event: Any) -> Piece:
        """An event of the stream as a piece of the reply."""
        if said := told_error(event):
            raise ServerError(f"the model server {self.server.url!r} failed: {said}; look at its own log", said=said)
        if not isinstance(event, dict):
            raise not_understood(self.server, event)
        choice = next(iter(records(event, "choices")), {})
        delta = fields(choice.get("delta"))
        return Piece(
            text=str(delta.get("content") or ""),
            thought=bool(delta.get("reasoning_content") or delta.get("reasoning")),
            finish=str(choice.get("finish_reason") or ""),
            model=str(event.get("model") or ""),
            reply_tokens=number(fields(event.get("usage")).get("completion_tokens")),
        )


class LlamaServer(OpenAIStyle):
    """llama-server of llama.cpp: it tells everything about its model."""

    kind = "llama-server"
    continues = True
    longest_embedded = 512  # its physical batch (-ub), unless it was started with a larger one
    extras: Mapping[str, Any] = {"repeat_penalty": 1.0, "chat_template_kwargs": {"enable_thinking": False}}

    @classmethod
    def recognise(cls, server: ModelServer, listed: Any) -> bool:
        return any(entry.get("owned_by") == "llamacpp" for entry in records(listed, "data"))

    def describe(self, model: ServedModel) -> ServedModel:
        # The name is for one that has several models, a router; any other takes no notice of it.
        props = fields(self.server.get(f"/props?model={quote(model.name, safe='')}", seconds=AT_ONCE))
        return replace(
            model,
            context=number(fields(props.get("default_generation_settings")).get("n_ctx")) or model.context,
            sees=bool(fields(props["modalities"]).get("vision")) if "modalities" in props else None,
            loaded=True,
        )

    def count_tokens(self, model: str, text: str) -> int | None:
        body = {"model": model, "content": text, "add_special": False, "parse_special": False}
        return counted(self.server, "/tokenize", body, lambda answer: len(answer["tokens"]))

    def read(self, entry: Mapping[str, Any]) -> ServedModel:
        meta = fields(entry.get("meta"))
        return ServedModel(
            str(entry.get("id", "")),
            context=number(meta.get("n_ctx")),
            trained=number(meta.get("n_ctx_train")),
            parameters=number(meta.get("n_params")) or 0,
        )


class VLLM(OpenAIStyle):
    """vLLM: its list has the room of each model; whether one sees is not told."""

    kind = "vLLM"
    continues = True
    extras: Mapping[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}

    @classmethod
    def recognise(cls, server: ModelServer, listed: Any) -> bool:
        return any(entry.get("owned_by") == "vllm" for entry in records(listed, "data"))

    def count_tokens(self, model: str, text: str) -> int | None:
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        return counted(self.server, "/tokenize", body, lambda answer: answer["count"])

    def request(self, chat: Chat) -> dict[str, Any]:
        begun = bool(chat.messages) and chat.messages[-1].role == "assistant"
        return super().request(chat) | (
            {"continue_final_message": True, "add_generation_prompt": False} if begun else {}
        )


class LMStudio(OpenAIStyle):
    """LM Studio: its own list tells which models see, embed and are loaded, and with how much room."""

    kind = "LM Studio"
    extras: Mapping[str, Any] = {"repeat_penalty": 1.0}

    @classmethod
    def recognise(cls, server: ModelServer, listed: Any) -> bool:
        return any(entry.get("owned_by") == "organization_owner" for entry in records(listed, "data"))

    def models(self) -> list[ServedModel]:
        """From interface v1, since 0.4, or v0; versions without either answer unknown paths with an error."""
        newer = records(self._native("/api/v1/models"), "models")
        if newer:
            return [_of_lm_studio(entry) for entry in newer]
        older = records(self._native("/api/v0/models"), "data")
        return [_of_older_lm_studio(entry) for entry in older] or super().models()

    def _native(self, path: str) -> Any:
        try:
            return self.server.get(path, seconds=AT_ONCE)
        except ServerError as exc:
            if exc.status not in (400, 404, 405):
                raise
            return None

    def describe(self, model: ServedModel) -> ServedModel:
        return next((found for found in self.models() if found.name == model.name), model)


class LlamaCppPython(OpenAIStyle):
    """The server of llama-cpp-python: it counts tokens, and tells neither room nor eyes."""

    kind = "llama-cpp-python"
    extras: Mapping[str, Any] = {"repeat_penalty": 1.0}

    @classmethod
    def recognise(cls, server: ModelServer, listed: Any) -> bool:
        return any(entry.get("owned_by") == "me" and "permissions" in entry for entry in records(listed, "data"))

    def count_tokens(self, model: str, text: str) -> int | None:
        """Without what the server puts before every text, which it counts with it."""
        whole, empty = (
            counted(self.server, "/extras/tokenize/count", {"model": model, "input": each}, lambda told: told["count"])
            for each in (text, "")
        )
        return None if whole is None or empty is None else whole - empty


def counted(server: ModelServer, path: str, body: Mapping[str, Any], read: Any) -> int | None:
    """What `read` makes of the answer, where that is a count."""
    try:
        found = read(server.post(path, body, seconds=AT_ONCE))
    except (KeyError, TypeError, IndexError):
        return None
    return found if isinstance(found, int) and found >= 0 else None


def read_json(server: ModelServer, text: str) -> Any:
    """The JSON of one line of a stream.

    Raises:
        ServerError: it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise not_understood(server, text) from exc


def not_understood(server: ModelServer, what: object) -> ServerError:
    """The error for a piece of a stream that is not one."""
    return ServerError(f"the model server {server.url!r} sent {str(what)[:80]!r} in a reply; is it a model server?")


def parameters_of(told: Any) -> int:
    """A number of weights from words such as "7B" or "134.52M"; 0 where it is told otherwise."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMBT])\s*", str(told), re.I)
    return round(float(found[1]) * {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[found[2].upper()]) if found else 0


def _message(said: Said) -> dict[str, Any]:
    """A message, with its pictures before its text, as both are read."""
    if not said.pictures:
        return {"role": said.role, "content": said.text}
    shown = [{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{code}"}} for code in said.pictures]
    return {"role": said.role, "content": [*shown, {"type": "text", "text": said.text}]}


def _of_lm_studio(entry: Mapping[str, Any]) -> ServedModel:
    """A model as interface v1 tells it; where it is loaded twice, the first counts."""
    loaded = records(entry, "loaded_instances")
    config = fields(loaded[0].get("config")) if loaded else {}
    return ServedModel(
        str(entry.get("key", "")),
        context=number(config.get("context_length")),
        trained=number(entry.get("max_context_length")),
        sees=bool(fields(entry.get("capabilities")).get("vision")),
        embeds=entry.get("type") == "embedding",
        parameters=parameters_of(entry.get("params_string")),
        precision=str(fields(entry.get("quantization")).get("name") or ""),
        loaded=bool(loaded),
    )


def _of_older_lm_studio(entry: Mapping[str, Any]) -> ServedModel:
    """A model as interface v0 tells it."""
    return ServedModel(
        str(entry.get("id", "")),
        context=number(entry.get("loaded_context_length")),
        trained=number(entry.get("max_context_length")),
        sees=entry.get("type") == "vlm",
        embeds=entry.get("type") == "embeddings",
        precision=str(entry.get("quantization") or ""),
        loaded=entry.get("state") == "loaded",
    )
