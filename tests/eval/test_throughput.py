"""What taking in costs: the baseline embeds the program's own passages, processes are measured, ratios are right."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eval import throughput as module
from eval.datasets import DatasetError, load
from eval.throughput import Ran, print_throughput, throughput
from tests.eval.made import beir, tiny


def test_a_process_is_measured_with_its_children() -> None:
    code = "import subprocess, sys; held = bytearray(60 << 20); held[::4096] = b'x' * len(held[::4096]);"
    code += "work = sum(range(2_000_000)); print(subprocess.run([sys.executable, '-c', '1']).returncode)"
    ran = module._ran(["-c", code], said=b"")
    assert ran.output.strip() == b"0"
    assert ran.seconds > 0
    assert ran.peak_mib >= 0  # a process may be over before anybody looks
    assert sys.platform == "win32" or ran.cpu_seconds > 0


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(DatasetError, match="no such luck"):
        module._ran(["-c", "raise SystemExit('no such luck')"])


@pytest.mark.model
def test_ratios_are_of_the_same_passages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes are played: adding takes 6 s (3 of processor), sentence-transformers 2 + 1 s (1 + 1)."""
    asked: list[dict[str, Any]] = []

    def played(arguments: Sequence[str], *, home: Path | None = None, said: bytes = b"") -> Ran:
        if home is None:
            asked.append(json.loads(said))
            part = {"load": {"seconds": 2.0, "cpu_seconds": 1.0}, "embed": {"seconds": 1.0, "cpu_seconds": 1.0}}
            return Ran(3.0, 2.0, 50.0, json.dumps({**part, "question_ms": [4.0, 4.0]}).encode())
        if arguments[2] == "add":
            home.mkdir()
            (home / "index").write_bytes(b"x" * 9216)
            return Ran(6.0, 3.0, 70.0, b'{"chunks": 3}')
        return Ran(4.0, 1.0, 60.0, b"{}")

    monkeypatch.setattr(module, "_ran", played)
    found = throughput(load(tiny(tmp_path / "tiny")), limit=3)
    assert asked[0]["passages"] == [
        "000000\nThe kettle whistles when the water boils.",  # a text file without a title has its name
        "000001\nBees swarm in May when the hive is full.",
        "000002\nA bicycle chain wants oil after rain.",
    ]
    assert len(asked[0]["questions"]) == 3
    assert found["add"]["documents_per_second"] == 3 / 6
    assert found["disk"] == {"bytes_per_chunk": 9216 / 3, "vector_bytes": 4 * 384}
    ratios = found["ratios"]
    assert (ratios["add, clock"], ratios["add, processor"], ratios["first search, clock"]) == (6 / 3, 3 / 2, 4 / 2)
    assert ratios["disk of vectors"] == 2
    assert ratios["embedding a question"] == pytest.approx(found["question_ms"]["ours"]["p50"] / 4)
    console = Console(record=True, width=200)
    print_throughput(found, console)
    assert "add, processor" in console.export_text()


def test_only_texts_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    folder = beir(tmp_path, [{"_id": "p", "image": "a.png"}], [{"_id": "q", "text": "?"}], [("q", "p", 1)])
    with pytest.raises(DatasetError, match="files or pictures"):
        throughput(load(folder))
