"""Each kind of server, recognised by what it answers, and what is asked of it and understood.

The answers here are written after the documentation of these programs: llama.cpp's tools/server/README.md, Ollama's
docs/api.md, LM Studio's REST API v1 and v0, vLLM's OpenAI-compatible server.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from rag.answer.openai_server import ServerGenerator
from rag.cli import app
from rag.embed.openai_server import ServerEmbedder
from rag.errors import ModelError, PromptTooLong
from rag.models.servers import FoundServer, find_servers
from rag.records import Message
from rag.servers.address import ServerAddress
from rag.servers.openai_style import parameters_of
from rag.servers.served import ServedModel
from rag.servers.tokens import most_tokens
from tests.answer.tiny_eyes import picture
from tests.servers.canned import (
    Answer,
    Asked,
    CannedServer,
    Talk,
    always,
    canned_server,
    dead_port,
    delta,
    plain,
    reply,
)

CHAT = "/v1/chat/completions"
QUESTION = [Message("system", "Be brief."), Message("user", "Is it so?")]
RED = picture(" red")

Routes = dict[str, Answer | Any]


def listed(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": [{"object": "model", "created": 1735142223, **entry} for entry in entries]}


def counts_words(key: str, told: Any) -> Answer:
    """A tokenizer for which words are tokens."""
    return lambda asked, talk: talk.json(told(asked.body[key].split()))


LLAMA_SERVER: Routes = {
    "/v1/models": listed(
        {
            "id": "../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf",
            "owned_by": "llamacpp",
            "meta": {"n_vocab": 128256, "n_ctx_train": 131072, "n_params": 8030261312, "size": 4912898304},
        }
    ),
    "/props": {
        "default_generation_settings": {"id": 0, "n_ctx": 1024, "params": {"repeat_penalty": 1.0}},
        "total_slots": 1,
        "modalities": {"vision": True, "audio": False},
    },
    "/tokenize": counts_words("content", lambda words: {"tokens": list(range(len(words)))}),
    CHAT: lambda asked, talk: (
        talk.events(delta("It is "), delta("so.", "stop"), {"choices": [], "usage": {"completion_tokens": 5}})
        if asked.body["stream"]
        else talk.json({"choices": [], "usage": {"prompt_tokens": 12 + 200 * str(asked.body).count("data:image")}})
    ),
}
LLAMA_SERVER_MODEL = ServedModel(
    "../models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", trained=131072, parameters=8030261312
)

VLLM: Routes = {
    "/v1/models": listed({"id": "Qwen/Qwen3-8B", "owned_by": "vllm", "root": "Qwen/Qwen3-8B", "max_model_len": 2048}),
    "/tokenize": counts_words("prompt", lambda words: {"count": len(words), "max_model_len": 2048, "tokens": []}),
    CHAT: reply("It is ", "so."),
}

LM_STUDIO_V1: Routes = {
    "/v1/models": listed({"id": "qwen/qwen3.5-9b", "owned_by": "organization_owner"}),
    "/api/v1/models": {
        "models": [
            {
                "type": "llm",
                "key": "qwen/qwen3.5-9b",
                "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
                "params_string": "9B",
                "loaded_instances": [{"id": "qwen/qwen3.5-9b", "config": {"context_length": 4096}}],
                "max_context_length": 262144,
                "capabilities": {"vision": True, "trained_for_tool_use": True},
            },
            {
                "type": "embedding",
                "key": "text-embedding-nomic-embed-text-v1.5",
                "quantization": {"name": "F16", "bits_per_weight": 16},
                "params_string": None,
                "loaded_instances": [],
                "max_context_length": 2048,
            },
        ]
    },
    CHAT: reply("It is ", "so."),
}

LM_STUDIO_V0: Routes = {
    "/v1/models": listed({"id": "meta-llama-3.1-8b-instruct", "owned_by": "organization_owner"}),
    "/api/v1/models": always({"error": "Unexpected endpoint or method. (GET /api/v1/models)"}),
    "/api/v0/models": listed(
        {"id": "qwen2-vl-7b-instruct", "type": "vlm", "state": "not-loaded", "max_context_length": 32768},
        {
            "id": "meta-llama-3.1-8b-instruct",
            "type": "llm",
            "quantization": "Q4_K_M",
            "state": "loaded",
            "max_context_length": 131072,
            "loaded_context_length": 8192,
        },
    ),
    CHAT: reply("It is ", "so."),
}


def ollama_chat(asked: Asked, talk: Talk) -> None:
    if not asked.body["stream"]:
        talk.json({"model": asked.body["model"], "message": {"role": "assistant", "content": ""}, "done": True})
        return
    told = {"model": asked.body["model"], "created_at": "2023-08-04T08:52:19.385406455-07:00"}
    talk.lines(
        {**told, "message": {"role": "assistant", "content": "It is "}, "done": False},
        {**told, "message": {"role": "assistant", "content": "so."}, "done": False},
        {**told, "message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 5},
    )


OLLAMA: Routes = {
    "/v1/models": listed({"id": "llava:latest", "owned_by": "library"}),
    "/api/version": {"version": "0.17.4"},
    "/api/ps": {"models": [{"name": "llava:latest", "model": "llava:latest", "context_length": 4096}]},
    "/api/tags": {
        "models": [
            {"name": "llava:latest", "details": {"parameter_size": "8.0B", "quantization_level": "Q4_0"}},
            {
                "name": "all-minilm:latest",
                "details": {"family": "bert", "parameter_size": "23M", "quantization_level": "F16"},
            },
        ]
    },
    "/api/show": lambda asked, talk: talk.json(
        {
            "model_info": {
                "general.architecture": "bert",
                "bert.context_length": 512,
                "general.parameter_count": 22_565_376,
            },
            "capabilities": ["embedding"],
        }
        if asked.body["model"] == "all-minilm:latest"
        else {
            "model_info": {
                "general.architecture": "llama",
                "llama.context_length": 8192,
                "general.parameter_count": 8030261248,
            },
            "capabilities": ["completion", "vision"],
        }
    ),
    "/api/chat": ollama_chat,
    "/api/embed": lambda asked, talk: talk.json({"embeddings": [[3.0, 4.0]] * len(asked.body["input"])}),
}


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[CannedServer]:
    with canned_server(request.param) as canned:
        yield canned


def generator(served: CannedServer, model: str = "", context: int = 4096) -> ServerGenerator:
    return ServerGenerator(ServerAddress.parse(f"{served.url}/v1#{model}"), context_tokens=context)


KINDS = [
    # routes, model, kind, context of 4,096 asked for and 16,384 asked for, parameters that it may be judged by, sees
    pytest.param(LLAMA_SERVER, "", "llama-server", 1024, 1024, 8030261312, True, id="llama-server"),
    pytest.param(VLLM, "", "vLLM", 2048, 2048, 0, False, id="vllm"),
    pytest.param(LM_STUDIO_V1, "qwen/qwen3.5-9b", "LM Studio", 4096, 4096, 0, True, id="lm-studio-v1"),
    pytest.param(LM_STUDIO_V0, "meta-llama-3.1-8b-instruct", "LM Studio", 4096, 8192, 0, False, id="lm-studio-v0"),
    pytest.param(OLLAMA, "llava", "Ollama", 4096, 8192, 0, True, id="ollama"),
    pytest.param(plain(), "model", "OpenAI-style server", 4096, 16384, 0, False, id="other"),
]


@pytest.mark.parametrize(
    ("served", "model", "kind", "small", "large", "parameters", "sees"), KINDS, indirect=["served"]
)
def test_what_a_server_tells_is_believed(
    served: CannedServer, model: str, kind: str, small: int, large: int, parameters: int, sees: bool
) -> None:
    asked = generator(served, model)
    assert asked.context_tokens == small
    assert generator(served, model, context=16384).context_tokens == large
    assert asked.parameters == parameters
    assert asked.sees is sees
    assert "".join(asked.stream(QUESTION, max_tokens=8)) in ("It is so.",)
    state = asked.state
    assert state.loaded
    assert state.device == "server"
    assert state.reason.startswith(f"{kind} at {served.url}; context of {small} tokens")
    assert ("; sees pictures" in state.reason) is sees


@pytest.mark.parametrize("served", [OLLAMA], indirect=True)
def test_ollama_is_told_how_much_room_a_prompt_needs(served: CannedServer) -> None:
    asked = generator(served, "llava:latest", context=6000)
    asked.load()
    (loading,) = served.bodies("/api/chat")
    assert loading["messages"] == []
    assert loading["options"]["num_ctx"] == 6000
    list(asked.stream(QUESTION, max_tokens=8, stop=("", "\nQ:"), seed=3))
    body = served.bodies("/api/chat")[-1]
    assert body["options"] | {"num_ctx": 6000, "num_predict": 8, "temperature": 0.0, "seed": 3} == body["options"]
    assert body["options"]["stop"] == ["\nQ:"]
    assert [body[key] for key in ("stream", "think", "truncate", "shift")] == [True, False, False, False]
    assert not served.bodies(CHAT)


@pytest.mark.parametrize("served", [OLLAMA], indirect=True)
def test_what_would_not_fit_ollama_is_refused_before_it_is_sent(served: CannedServer) -> None:
    with pytest.raises(PromptTooLong, match="has 512"):
        list(generator(served, "llava", context=512).stream([Message("user", "word " * 512)], max_tokens=8))
    assert not served.bodies("/api/chat")


def test_lm_studio_is_asked_for_its_room_once_the_model_is_loaded() -> None:
    loaded = False

    def models(_: Asked, talk: Talk) -> None:
        config = [{"id": "m", "config": {"context_length": 2048}}] if loaded else []
        talk.json({"models": [{"type": "llm", "key": "m", "loaded_instances": config, "max_context_length": 32768}]})

    def chat(asked: Asked, talk: Talk) -> None:
        nonlocal loaded
        loaded = True
        reply("Yes.")(asked, talk)

    with canned_server(LM_STUDIO_V1 | {"/api/v1/models": models, CHAT: chat}) as served:
        assert generator(served, "m").context_tokens == 2048
        assert len(served.bodies(CHAT)) == 1


@pytest.mark.parametrize("served", [LLAMA_SERVER, VLLM], indirect=True)
def test_tokens_are_counted_by_the_server(served: CannedServer) -> None:
    asked = generator(served)
    assert asked.count_tokens("") == 0
    assert asked.count_tokens("incomprehensibilities one two") == 3
    before = len(served.asked)
    assert asked.count_tokens("incomprehensibilities one two") == 3
    assert len(served.asked) == before  # remembered


@pytest.mark.parametrize("served", [LLAMA_SERVER, OLLAMA], indirect=True)
def test_a_reply_has_as_many_tokens_as_the_server_says(served: CannedServer) -> None:
    asked = generator(served, "llava" if "/api/chat" in served.routes else "")
    assert asked.count_tokens("".join(asked.stream(QUESTION, max_tokens=8))) == 5


@pytest.mark.parametrize("served", [LLAMA_SERVER], indirect=True)
def test_pictures_are_sent_to_one_that_sees_and_take_what_it_counts(served: CannedServer) -> None:
    asked = generator(served)
    assert asked.picture_tokens == 200 + 8
    list(asked.stream([Message("user", "What is it?", (RED,))], max_tokens=8))
    shown, said = served.bodies(CHAT)[-1]["messages"][0]["content"]
    assert shown["image_url"]["url"].startswith("data:image/jpeg;base64,/9j/")
    assert said == {"type": "text", "text": "What is it?"}
    with pytest.raises(PromptTooLong):
        list(asked.stream([Message("user", "What are they?", (RED,) * 5)], max_tokens=8))


@pytest.mark.parametrize("served", [VLLM], indirect=True)
def test_pictures_are_kept_from_one_that_does_not_see(served: CannedServer) -> None:
    list(generator(served).stream([Message("user", "What is it?", (RED,))], max_tokens=8))
    assert served.bodies(CHAT)[-1]["messages"] == [{"role": "user", "content": "What is it?"}]


@pytest.mark.parametrize("served", [OLLAMA], indirect=True)
def test_ollama_is_shown_pictures_in_its_own_form(served: CannedServer) -> None:
    list(generator(served, "llava").stream([Message("user", "What is it?", (RED,))], max_tokens=8))
    (message,) = served.bodies("/api/chat")[-1]["messages"]
    assert message["content"] == "What is it?"
    assert [code[:4] for code in message["images"]] == ["/9j/"]


@pytest.mark.parametrize("served", [VLLM], indirect=True)
def test_vllm_is_told_to_go_on_with_a_reply_that_was_begun(served: CannedServer) -> None:
    asked = generator(served)
    list(asked.stream([*QUESTION, Message("assistant", "It")], max_tokens=8))
    list(asked.stream(QUESTION, max_tokens=8))
    begun, new = served.bodies(CHAT)
    assert (begun["continue_final_message"], begun["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in new


@pytest.mark.parametrize("served", [OLLAMA], indirect=True)
def test_ollama_embeds(served: CannedServer) -> None:
    embedder = ServerEmbedder(ServerAddress.parse(f"{served.url}/v1#all-minilm"))
    assert embedder.embed(["a"] * 40, "passage").tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]] * 40
    assert [len(body["input"]) for body in served.bodies("/api/embed")] == [32, 8]
    assert embedder.dim == 2
    assert embedder.max_tokens == (512 - 4) // 2
    assert embedder.state.precision == "F16"
    embedder.embed(["x" * 9000], "passage")
    assert most_tokens(served.bodies("/api/embed")[-1]["input"][0]) <= 512


@pytest.mark.parametrize("served", [OLLAMA], indirect=True)
def test_a_model_that_only_embeds_is_no_generator(served: CannedServer) -> None:
    with pytest.raises(ModelError, match="makes vectors and no text"):
        generator(served, "all-minilm").load()


def test_servers_are_found_by_what_they_answer() -> None:
    web = {"/v1/models": lambda _, talk: talk.head("text/html", 404)}
    locked = {"/v1/models": always({"error": "Invalid API key"}, 401)}
    with (
        canned_server(OLLAMA) as ollama,
        canned_server(web) as page,
        canned_server(locked) as closed,
        canned_server(LLAMA_SERVER) as llama,
        dead_port() as dead,
    ):
        ports = [int(url.rpartition(":")[2]) for url in (ollama.url, page.url, closed.url, llama.url)]
        found = find_servers((dead, *ports), seconds=20.0)
        asked = [request for server in (ollama, page, closed, llama) for request in server.asked]
    assert found == (
        FoundServer(
            "Ollama",
            f"{ollama.url}/v1",
            (
                ServedModel("llava:latest", context=4096, parameters=8 * 10**9, precision="Q4_0", loaded=True),
                ServedModel("all-minilm:latest", embeds=True, parameters=23 * 10**6, precision="F16", loaded=False),
            ),
        ),
        FoundServer("model server", f"{closed.url}/v1", problem="it wants a key: set `server_api_key`"),
        FoundServer("llama-server", f"{llama.url}/v1", (LLAMA_SERVER_MODEL,)),
    )
    assert found[0].reference("llava:latest") == f"{ollama.url}/v1#llava:latest"
    assert {request.method for request in asked} == {"GET"}  # nothing is loaded or changed by looking
    assert not any("Authorization" in request.headers for request in asked)


def test_the_command_tells_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with canned_server(OLLAMA) as ollama:
        port = int(ollama.url.rpartition(":")[2])
        monkeypatch.setattr("rag.cli_servers.find_servers", lambda: find_servers((port,), seconds=20.0))
        told = json.loads(CliRunner().invoke(app, ["models", "servers", "--json"]).stdout)
    (server,) = told["servers"]
    assert (server["kind"], server["url"], server["problem"]) == ("Ollama", f"{ollama.url}/v1", "")
    assert [model["reference"] for model in server["models"]] == [
        f"{ollama.url}/v1#llava:latest",
        f"{ollama.url}/v1#all-minilm:latest",
    ]


def test_a_port_that_says_nothing_is_left_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert find_servers((silent.getsockname()[1],), seconds=0.2) == ()


@pytest.mark.parametrize(
    ("told", "count"),
    [("8.0B", 8 * 10**9), ("134.52M", 134_520_000), ("7b", 7 * 10**9), ("8x7B", 0), ("", 0), (None, 0), (7, 0)],
)
def test_sizes_in_words(told: object, count: int) -> None:
    assert parameters_of(told) == count
