"""Ollama, by its own interface: the OpenAI-style one has no way to say how much room a prompt needs.

There the room is what the server was started with, often 4,096 tokens, and what does not fit is dropped in silence.
Here each request says `num_ctx`, and that nothing is to be cut (`truncate`, `shift`). From its docs/api.md and
api/types.go.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from rag.errors import ServerError
from rag.servers.http import ModelServer, told_error
from rag.servers.openai_style import AT_ONCE, OpenAIStyle, Pieces, not_understood, parameters_of, read_json
from rag.servers.served import Chat, Piece, Said, ServedModel, fields, number, records


class Ollama(OpenAIStyle):
    """Ollama: a model gets the room that is asked for, up to what it was trained on.

    Whether it continues a reply that was begun depends on the template of each model; 0.17.4 began anew.
    """

    kind = "Ollama"
    sizes_context = True

    @classmethod
    def recognise(cls, server: ModelServer, listed: Any) -> bool:
        try:
            return "version" in server.get("/api/version", seconds=AT_ONCE)
        except (ServerError, TypeError):
            return False

    def models(self) -> list[ServedModel]:
        running = {str(entry.get("name")): entry for entry in records(self._get("/api/ps"), "models")}
        return [_listed(entry, running) for entry in records(self._get("/api/tags"), "models")]

    def describe(self, model: ServedModel) -> ServedModel:
        shown = fields(self.server.post("/api/show", {"model": model.name}, seconds=AT_ONCE))
        facts, told = fields(shown.get("model_info")), shown.get("capabilities")
        able = told if isinstance(told, list) else []
        return dataclasses.replace(
            model,
            trained=number(facts.get(f"{facts.get('general.architecture')}.context_length")),
            sees="vision" in able if able else None,
            embeds="completion" not in able if able else None,
            parameters=number(facts.get("general.parameter_count")) or model.parameters,
        )

    def load(self, chat: Chat) -> None:
        """Without messages the model is loaded and says nothing."""
        self.server.post("/api/chat", self.request(dataclasses.replace(chat, messages=())) | {"stream": False})

    def chat(self, chat: Chat) -> Pieces:
        with closing(self.lines("/api/chat", chat)) as lines:
            for line in lines:
                yield self.piece(read_json(self.server, line))

    def count_prompt(self, chat: Chat) -> int | None:
        answer = self.server.post("/api/chat", self.request(chat) | {"stream": False})
        return number(fields(answer).get("prompt_eval_count"))

    def embed(self, model: str, texts: Sequence[str]) -> list[Any]:
        answer = self.server.post("/api/embed", {"model": model, "input": list(texts), "truncate": True})
        vectors = fields(answer).get("embeddings")
        return vectors if isinstance(vectors, list) else []

    def request(self, chat: Chat) -> dict[str, Any]:
        options = {
            "num_ctx": chat.context,
            "num_predict": chat.max_tokens,
            "temperature": 0.0,
            "repeat_penalty": 1.0,
            "seed": chat.seed,
            "stop": list(chat.stop),
        }
        messages = [_message(said) for said in chat.messages]
        asked = {"model": chat.model, "messages": messages, "stream": True, "options": options}
        return asked | {"think": False, "truncate": False, "shift": False}

    def piece(self, event: Any) -> Piece:
        if said := told_error({"error": fields(event).get("error")}):
            raise ServerError(f"the model server {self.server.url!r} failed: {said}; look at its own log", said=said)
        message = fields(event).get("message")
        if not isinstance(message, dict):
            raise not_understood(self.server, event)
        return Piece(
            text=str(message.get("content") or ""),
            thought=bool(message.get("thinking")),
            finish=str(event.get("done_reason") or "stop") if event.get("done") else "",
            reply_tokens=number(event.get("eval_count")),
        )

    def _get(self, path: str) -> Any:
        return self.server.get(path, seconds=AT_ONCE)


def _listed(entry: Mapping[str, Any], running: Mapping[str, Mapping[str, Any]]) -> ServedModel:
    name = str(entry.get("name", ""))
    details = fields(entry.get("details"))
    # Whether it embeds is only told of one model at a time; this is enough to name it rightly in a list.
    embeds = str(details.get("family", "")).endswith("bert") or "embed" in name
    return ServedModel(
        name,
        embeds=embeds or None,
        context=number(running[name].get("context_length")) if name in running else None,
        parameters=parameters_of(details.get("parameter_size")),
        precision=str(details.get("quantization_level") or ""),
        loaded=name in running,
    )


def _message(said: Said) -> dict[str, Any]:
    return {"role": said.role, "content": said.text, **({"images": list(said.pictures)} if said.pictures else {})}
