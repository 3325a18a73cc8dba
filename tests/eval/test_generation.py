"""The benchmark of generation on a tiny model: every case is asked, by everyone, and the same is written."""

from pathlib import Path

from rich.console import Console

from eval.generation import generation, print_generation
from tests.answer.tiny_llama import write_llama


def test_every_case_is_measured_against_a_plain_call(tmp_path: Path) -> None:
    shown: list[tuple[int, int]] = []
    model = write_llama(tmp_path / "tiny.gguf", trained=4096)
    result = generation(model, 1, 1, 1, lambda done, total: shown.append((done, total)))
    cases = result["cases"]
    assert shown == [(n, len(cases)) for n in range(1, len(cases) + 1)]
    assert set(cases["first question"]) == {"plain", "guessing", "ours"}
    for writers in cases.values():
        assert {"plain", "ours"} <= set(writers)
        assert writers["plain"]["first_ratio"] == writers["plain"]["rate_ratio"] == 1
        assert all(told["first_cpu"] >= 0 for told in writers.values())
    assert result["tokens"]["asked again"] == result["tokens"]["first question"] > 0
    out = Console(record=True, width=200)
    print_generation(result, out)
    assert "second question, same sources" in out.export_text()
