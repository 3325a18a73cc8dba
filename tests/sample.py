"""The program as `make run` starts it, and the home that its first start on the sample collection leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from rag.errors import ModelNotFound
from rag.models import starter

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "corpus"
_PATIENCE = 600.0  # seconds: the first start reads the sample collection, its pictures too
_COMPLAINTS = re.compile(r"^(failed|note|gone)\b.*", re.MULTILINE)  # see rag.terminal.print_report


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the sample collection in it, read with the starter models only; whoever uses it copies it.

    It is made once for a run of the tests, by the worker that needs it first: reading the pictures takes its time.
    """
    try:
        starter.embedder_folder()
        starter.generator_file()
    except ModelNotFound as missing:
        pytest.skip(str(missing))
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    made, making = shared / "sample" / "home", shared / "sample" / "making"
    with FileLock(shared / "sample.lock"):
        if not made.is_dir():
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(parents=True)
            with serving(making, read_seconds=str(int(_PATIENCE))):
                pass
            complaints = _COMPLAINTS.findall(making.with_suffix(".log").read_text())
            assert complaints == []
            making.rename(made)
    return made


@contextmanager
def serving(home: Path, sample: Path = SAMPLE, **settings: str) -> Iterator[str]:
    """`rag serve` in a process of its own on a free port, with `sample` where the library is empty; gives its address.

    What it prints is in a file beside `home`, which ends with .log.
    """
    environment = {**os.environ, "RAG_HOME": str(home), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "200"}
    environment |= {f"RAG_{name.upper()}": value for name, value in settings.items()}
    command = (sys.executable, "-m", "rag.cli", "serve", "--port", "0", "--no-browser", "--sample", str(sample))
    log = home.with_suffix(".log")
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=ROOT)
        try:
            yield _address(server, log)
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(_PATIENCE) == 0, log.read_text()


def _address(server: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        said = re.search(r"Commonplace is at (http://127\.0\.0\.1:\d+)", log.read_text())
        if said:
            return said[1]
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(f"the server did not start: {log.read_text()}")
