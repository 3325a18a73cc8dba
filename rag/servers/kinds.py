"""Which kind of server is it, and which of its models is meant?"""

from rag.errors import ModelNotFound, ServerError
from rag.servers.http import ModelServer
from rag.servers.ollama import Ollama
from rag.servers.openai_style import AT_ONCE, VLLM, LlamaCppPython, LlamaServer, LMStudio, OpenAIStyle
from rag.servers.served import ServedModel

_KINDS: tuple[type[OpenAIStyle], ...] = (LlamaServer, VLLM, LMStudio, LlamaCppPython, Ollama, OpenAIStyle)


def recognised(server: ModelServer) -> OpenAIStyle:
    """The server as what it is, by what it answers and not by its port.

    Raises:
        ServerError: it is not there, wants a key, or is no model server.
    """
    listed = server.get("/v1/models", seconds=AT_ONCE)
    for kind in _KINDS:
        if kind.recognise(server, listed):
            return kind(server)
    raise ServerError(f"{server.url!r} offers no models; load one there, or set the address of a model server")


def chosen_model(spoken: OpenAIStyle, name: str) -> tuple[ServedModel, frozenset[str]]:
    """The model called `name`, or the only one where that is "", with all that is told of it; and the others' names.

    Raises:
        ModelNotFound: the server has none of that name, or several and none was named.
        ServerError: it does not answer as it should.
    """
    models = spoken.models()
    named = [model for model in models if name in (model.name, model.name.removesuffix(":latest"))]
    found = named if name else models
    if len(found) != 1:
        names = ", ".join(repr(model.name) for model in models[:20]) or "none"
        wanted = f"has no model {name!r}" if name else "has several models, and the address names none"
        raise ModelNotFound(
            f"the {spoken.kind} at {spoken.server.url!r} {wanted}; write #NAME behind the address. It has: {names}"
        )
    return spoken.describe(found[0]), frozenset(model.name for model in models) - {found[0].name}
