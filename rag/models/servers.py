"""Which model servers run on this machine? Asked on the ports that they use when nobody chose another."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from threading import Thread

import httpcore  # noqa: F401  # which httpx loads at its first use, and that is when the clock runs here

from rag.errors import ServerError
from rag.servers.http import ModelServer
from rag.servers.kinds import recognised
from rag.servers.served import ServedModel

# Ollama, LM Studio, llama-server (until and since it has a port of its own), vLLM and llama-cpp-python, Jan, KoboldCpp,
# SGLang.
PORTS = (11434, 1234, 8080, 9931, 8000, 1337, 5001, 30000)
_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server on this machine. `url` with "#" and a model's name behind it is what settings take.

    `problem` says in words why its models are not known, such as that it wants a key; "" where they are.
    """

    kind: str
    url: str
    models: tuple[ServedModel, ...] = ()
    problem: str = ""

    def reference(self, model: str) -> str:
        """What names `model` of this server in the settings."""
        return f"{self.url}#{model}"


def find_servers(ports: Sequence[int] = PORTS, seconds: float = _SECONDS) -> tuple[FoundServer, ...]:
    """The servers that answer within `seconds`, in the order of `ports`. No key is sent, and no other machine asked."""
    asked = [_in_a_thread(partial(_found, f"http://127.0.0.1:{port}", seconds)) for port in ports]
    done = wait(asked, seconds).done
    return tuple(found for future in asked if future in done and (found := future.result()) is not None)


def _found(url: str, seconds: float) -> FoundServer | None:
    """The model server at `url`; None where nothing is, or something else."""
    try:
        spoken = recognised(ModelServer(url, seconds=seconds))
        return FoundServer(spoken.kind, f"{url}/v1", tuple(spoken.models()))
    except ServerError as exc:
        if exc.status in (401, 403):
            return FoundServer("model server", f"{url}/v1", problem="it wants a key: set `server_api_key`")
        return None


def _in_a_thread(work: Callable[[], FoundServer | None]) -> "Future[FoundServer | None]":
    """Its outcome; a thread that still waits for a server keeps nobody else waiting, not even at the end."""
    outcome: Future[FoundServer | None] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as exc:  # noqa: BLE001  # it is raised where the outcome is asked for
            outcome.set_exception(exc)

    Thread(target=run, daemon=True).start()
    return outcome
