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


def writers(ours: float, plain: float) -> dict[str, Any]:
    def told(first: float, of_plain: float) -> dict[str, Any]:
        return {
            "first": 2 * first,
            "first_cpu": first,
            "first_ratio": of_plain,
            "rate": 30.0,
            "rate_cpu": 60.0,
            "rate_ratio": 1.0,
            "same_text": True,
        }

    return {"plain": told(plain, 1.0), "ours": told(ours, ours / plain)}


RANKS = {"r@1": 0.5, "r@5": 0.75, "r@10": 1.0, "mrr@10": 0.625, "ndcg@10": 0.7}
PICTURES = {
    **run_result(configuration=""),
    "dataset": "drawn",
    "by_retriever": dict.fromkeys(("text", "bm25", "hybrid"), RANKS),
    "by_direction": {"words to pictures": {"queries": 8, "by_retriever": {"hybrid": RANKS}}},
    "settings": {"image_embedder": {"name": "small"}},
}
OTHERS: dict[str, dict[str, Any]] = {
    "generation": {
        "model": "tiny",
        "threads": 1,
        "rounds": 3,
        "tokens": {"first": 400, "again": 400},
        "cases": {"first": writers(3.0, 2.0), "again": writers(0.5, 0.002)},
    },
    "receipts": {**PICTURES, "dataset": "slips", "by_kind": {"company": {"questions": 8, **RANKS}}},
    "labels": {
        "folder": "names",
        "pictures": 9,
        "labels": 3,
        "image_embedder": "small",
        "accuracy@1": 0.5,
        "accuracy@5": 1.0,
        "chance@1": 1 / 3,
    },
    "reading": {
        "folder": "slips",
        "with_truth": 4,
        "ms": {"ocr_cpu": {"median": 1350.0}},
        "character_error": 0.066,
        "word_error": 0.1,
        "character_recall": 0.98,
        "word_recall": 0.95,
    },
    "answers": {
        "dataset": "asked",
        "settings": {"generator": None},
        "ms": {"total": {"median": 32.4}},
        "metrics": {
            "questions": 5,
            "gold_in_answer": 0.8,
            "gold_in_either": 0.9,
            "citation_precision": 0.925,
            "abstention": {"precision": 1.0, "recall": 0.6},
        },
    },
    "grounding": {
        "dataset": "asked",
        "ms_per_sentence": 1.0,
        "kinds": {"another number": {"sentences": 7, "marked": 0.9, "unsupported": 0.6}},
    },
}


def test_pictures_scans_and_answers_are_told_apart_from_search(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for number, result in enumerate((PICTURES, *OTHERS.values())):
        (tmp_path / f"{number}.json").write_text(json.dumps({**result, **HOW}))
        keep(tmp_path / f"{number}.json", folder)
    assert {path.stem for path in folder.iterdir()} == {
        *("run-drawn", "generation-tiny-threads-1", "receipts-slips", "labels-names", "reading-slips"),
        *("answers-asked", "grounding-asked"),
    }
    found = kept_results(folder)
    assert all(len(found[kind]) == 1 for kind in OTHERS)
    page = benchmarks(found)
    for row in (
        "| first | 400 | 6.00 | 3.00 / 2.00 | 1.50 | 60 / 60 | 1.00 | yes |",
        "| again | 400 | 1.00 | 0.50 / 0.00 | plain reads nothing | 60 / 60 | 1.00 | yes |",
        "| drawn | words to pictures | 8 | 4 | small | .500 | .750 | 1.000 | .625 |",
        "| names | 9 | 3 | small | .500 | 1.000 | .333 |",
        "| slips, 4 scans | company | 8 | .500 | .750 | .700 |",
        "| slips, 4 scans | any of these, by words alone | 3 | .500 | .750 | .700 |",
        "| slips, 4 scans | .066 | .100 | .980 | .950 | 1.35 |",
        "| asked | none: passages are quoted | 5 | .800 / .900 | .925 | 1.000 / .600 | 32 |",
        "| asked | another number | 7 | .900 | .600 |",
    ):
        assert row in page, row
    assert "## Search\n" not in page
    assert "- other programs: nothing is kept" in page
    assert "names for pictures: nothing" not in page
    assert lines(found) == []


def test_every_kind_is_known_by_its_keys() -> None:
    assert kind_of(contest()) == "rivals"
    assert kind_of(run_result()) == "run"
    assert kind_of({"recall@10": 1, "stages": {}, "ms": {}}) == "latency"
    assert benchmarks(kept_results(Path("nowhere"))).startswith("# Benchmarks")
