"""llama-cpp-python's own server in a process of its own, with the starter models."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

CONTEXT = 512
_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


@pytest.fixture(scope="session")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the starter models: "smollm2", "smollm2-sees" with the eyes made for tests, and "minilm"."""
    from rag.models import starter
    from tests.answer.tiny_eyes import colour_words, write_eyes
    from tests.servers.minilm_gguf import write_minilm

    folder, chat = tmp_path_factory.mktemp("model-server"), starter.generator_file()
    eyes = write_eyes(folder / "mmproj.gguf", colour_words(chat))
    embedder = write_minilm(folder / "minilm.gguf", starter.embedder_folder())
    # Threads that wait for each other are slow on a busy machine.
    common = {"logits_all": False, "verbose": False, "n_threads": 1, "n_threads_batch": 1}
    talks = common | {"model": str(chat), "n_ctx": CONTEXT}
    models = [
        talks | {"model_alias": "smollm2"},
        talks | {"model_alias": "smollm2-sees", "chat_format": "llava-1-5", "clip_model_path": str(eyes)},
        common | {"model": str(embedder), "model_alias": "minilm", "embedding": True, "n_ctx": 128, "n_batch": 128},
    ]
    with llama_cpp_server(folder, models) as url:
        yield url


@contextmanager
def llama_cpp_server(folder: Path, models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The address of a server with `models`, as in its configuration file, on a port that is free."""
    config = folder / "server.json"
    # By default it ends a reply in the middle when another question comes.
    server = {"host": "127.0.0.1", "port": 0, "interrupt_requests": False, "models": list(models)}
    config.write_text(json.dumps(server), "utf-8")
    command = [sys.executable, "-m", "llama_cpp.server", "--config_file", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, encoding="utf-8")
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.wait(30)


def _address(process: "subprocess.Popen[str]") -> str:
    """Where the server says that it listens; what it says later is read too, so that it never waits for us."""
    log = []
    assert process.stderr is not None
    for line in process.stderr:
        log.append(line)
        if found := _RUNNING.search(line):
            Thread(target=process.stderr.read, daemon=True).start()
            return found[1]
    raise RuntimeError(f"the server did not start: {''.join(log)[-2000:]}")
