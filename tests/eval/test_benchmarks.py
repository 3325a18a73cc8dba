"""docs/benchmarks.md is what the kept results say, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from eval.benchmarks import PAGE, README, benchmarks, lines, with_lines, write
from eval.datasets import DatasetError
from eval.results import keep, kept_results, kind_of
from tests.eval.test_reports import result as run_result
from tests.eval.test_rivals import row as rival_row

WHERE = {
    "date": "2026-11-21",
    "system": "Linux",
    "processor": "Some CPU",
    "cores": 2,
    "memory_gib": 8,
    "python": "3.11.7",
    "load": 0.5,
}
HOW = {"command": "python -m eval run tiny", "circumstances": WHERE}


def contest() -> dict[str, Any]:
    def contestant(score: float) -> dict[str, Any]:
        return {
            **rival_row([score] * 4),
            "seconds": {"ingest": 2.0},
            "cpu_seconds": {"ingest": 3.0, "ask": 0.4},
            "ms": {"p50": 5.0, "p95": 9.0},
            "settings": {"index": "a|b"},
            "versions": {"torch": "2"},
        }

    return {
        "dataset": "tiny",
        "queries": 4,
        "documents": 4,
        "better": ["other answers faster"],
        "contestants": {"commonplace": contestant(0.75), "other": contestant(0.5), "gone": {"failed": "no module"}},
        "compared": {"other": {"ndcg@10": 0.25, "p": 0.01}},
        **HOW,
    }


def test_the_page_and_the_readme_are_made_of_what_is_kept() -> None:
    results = kept_results()
    assert PAGE.read_text("utf-8") == benchmarks(results), "run `make benchmarks`"
    text = README.read_text("utf-8")
    assert text == with_lines(text, lines(results)), "run `make benchmarks`"


def test_results_are_kept_without_their_single_questions(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps([{**run_result(configuration=""), **HOW}, {**run_result(), **HOW}]))
    (tmp_path / "rivals.json").write_text(json.dumps(contest()))
    folder = tmp_path / "kept"
    assert [path.name for path in keep(tmp_path / "run.json", folder)] == ["run-tiny.json", "run-tiny-plain.json"]
    assert [path.name for path in keep(tmp_path / "rivals.json", folder)] == ["rivals-tiny.json"]
    found = kept_results(folder)
    assert "per_query" not in found["run"][0]
    assert "questions" not in found["run"][0]
    assert "per_query" not in found["rivals"][0]["contestants"]["other"]
    assert found["run"][0]["metrics"]["ndcg@10"] == pytest.approx(1.63 / 3, abs=1e-4)

    page, readme = tmp_path / "page.md", tmp_path / "README.md"
    readme.write_text("before\n<!-- benchmarks: made by `make benchmarks` -->\nold\n<!-- /benchmarks -->\nafter\n")
    write(found, page, readme)
    text = page.read_text()
    assert "| tiny | 3 | .083 | .500 | **.543** | .100 to .900 |" in text
    assert "| **commonplace** | .750 |" in text
    assert "| other | .500 | +0.250, p 0.010 | 2.0 | 3.0 | 5.0 / 9.0 | 100.0 | 100 |" in text
    assert "| gone | failed: no module |" in text
    assert "- other answers faster" in text
    assert "index: a\\|b" in text
    assert "`python -m eval run tiny` | 2026-11-21 | Some CPU, 2 cores, 8 GiB, Linux, Python 3.11.7, load 0.5" in text
    assert readme.read_text() == (
        "before\n<!-- benchmarks: made by `make benchmarks` -->\n"
        "- nDCG@10 with the starter embedder: tiny .543.\n"
        "- Against the best of the other programs, with the same weights: tiny .750 (other .500).\n"
        "<!-- /benchmarks -->\nafter\n"
    )


@pytest.mark.parametrize("content", ["", "[{}]", '{"command": "x", "circumstances": {}}', "[1]"])
def test_what_is_no_result_is_not_kept(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(DatasetError):
        keep(tmp_path / "bad.json", tmp_path / "kept")
    with pytest.raises(DatasetError):
        keep(tmp_path / "none.json", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_every_kind_is_known_by_its_keys() -> None:
    assert kind_of(contest()) == "rivals"
    assert kind_of(run_result()) == "run"
    assert kind_of({"recall@10": 1, "stages": {}, "ms": {}}) == "latency"
    assert benchmarks(kept_results(Path("nowhere"))).startswith("# Benchmarks")
