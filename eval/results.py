"""The runs that `docs/benchmarks.md` is made of: small JSON files in `eval/results/`, one for each thing measured."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.datasets import DatasetError
from eval.saved import write_json

RESULTS = Path(__file__).with_name("results")
_KINDS = {  # kind: the keys by which its results are known, the first that fits
    "receipts": {"by_kind", "by_retriever"},
    "run": {"by_retriever", "intervals"},
    "rivals": {"contestants"},
    "throughput": {"add", "ratios"},
    "latency": {"recall@10", "stages"},
    "documents": {"pages", "web", "mail"},
    "generation": {"cases", "rounds"},
    "labels": {"accuracy@1"},
    "reading": {"character_error"},
    "answers": {"metrics", "ms"},
    "grounding": {"kinds", "ms_per_sentence"},
}
_SINGLE = {"per_query", "questions", "question_ms"}  # what is as long as there are questions, where it is not a number
_PLAIN = re.compile(r"[^a-z0-9]+")

Result = Mapping[str, Any]


def kind_of(result: Result) -> str:
    """What was measured.

    Raises:
        DatasetError: it is the result of nothing that is shown.
    """
    for kind, keys in _KINDS.items():
        if keys <= set(result):
            return kind
    raise DatasetError(f"a result with {', '.join(sorted(result)[:6])} is none of {', '.join(_KINDS)}")


def keep(path: Path, folder: Path = RESULTS) -> list[Path]:
    """Keep the result in `path`, or each of the list there, without its single questions; a later one replaces it.

    Raises:
        DatasetError: it cannot be read, is no result, or does not say where and when it was measured.
    """
    try:
        found = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as exc:
        raise DatasetError(f"cannot read the result {str(path)!r}: {exc}") from exc
    kept = []
    for result in found if isinstance(found, list) else [found]:
        if not isinstance(result, dict) or not {"command", "circumstances"} <= set(result):
            raise DatasetError(f"{str(path)!r} does not say how and where it was measured; give what --to wrote")
        kept.append(folder / f"{name_of(result)}.json")
        write_json(kept[-1], _small(result))
        kept[-1].chmod(0o644)
    return kept


def kept_results(folder: Path = RESULTS) -> dict[str, list[dict[str, Any]]]:
    """Every kept result by kind, in the order of their names."""
    results: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text("utf-8"))
        results[kind_of(result)].append(result)
    return results


def name_of(result: Result) -> str:
    """What tells a result from others of its kind."""
    told = [kind_of(result), result.get("dataset") or result.get("folder") or result.get("store") or ""]
    told += [result.get("configuration") or "", str(result["chunks"]) if kind_of(result) == "latency" else ""]
    if kind_of(result) == "generation":
        told += [result["model"], f"threads {result['threads']}" if result["threads"] else ""]
    return _PLAIN.sub("-", " ".join(told).lower()).strip("-")


def _small(value: Any) -> Any:
    """Rounded, and without what is told of each question."""
    if isinstance(value, dict):
        return {key: _small(each) for key, each in value.items() if key not in _SINGLE or isinstance(each, int)}
    if isinstance(value, list | tuple):
        return [_small(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value
