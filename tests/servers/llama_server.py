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

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


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
