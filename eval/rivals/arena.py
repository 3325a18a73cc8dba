"""The same folders to every program, one after the other: how well it finds things, how fast, and in how much memory.

Each rival is installed into an environment of its own from the package index, with the same torch, and gets the same
weights by their path. It is set up as its own documentation sets up hybrid search; `settings` of a result says how.
Where a rival is better than we are, `better` says so.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from eval import metrics
from eval.ask import without_itself
from eval.datasets import Dataset, DatasetError
from eval.latency import percentiles
from rag.errors import RagError
from rag.tune.statistics import ALPHA, holm, sign_flip

OURS = "commonplace"
HITS = 30  # passages asked for, so that long documents leave room for ten
_ROOT = Path(__file__).resolve().parents[2]
_QUIET = {  # nobody is told that a benchmark runs, and nothing is downloaded
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "ANONYMIZED_TELEMETRY": "False",
    "LANGCHAIN_TRACING_V2": "false",
}

Told = Callable[[str], None]


class RivalError(RagError):
    """A rival that cannot be installed; the message has what the installer said."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A module of this package that competes, and what it needs from the package index."""

    module: str
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


CONTESTANTS: Mapping[str, Contestant] = {
    OURS: Contestant("with_commonplace"),
    f"{OURS}, fp32": Contestant("with_commonplace", environment={"CONTEST_PRECISION": "fp32"}),
    "txtai": Contestant("with_txtai", ("txtai",)),
    "LlamaIndex": Contestant(
        "with_llama_index",
        ("llama-index-core", "llama-index-embeddings-huggingface", "llama-index-retrievers-bm25"),
    ),
    "Haystack": Contestant("with_haystack", ("haystack-ai", "sentence-transformers-haystack")),
    "LangChain": Contestant(
        "with_langchain",
        (
            *("langchain", "langchain-classic", "langchain-community", "langchain-huggingface"),
            *("sentence-transformers", "faiss-cpu", "rank_bm25"),
        ),
    ),
}


def contest(
    dataset: Dataset, names: Sequence[str], model: Path, environments: Path, told: Told = lambda line: None
) -> dict[str, Any]:
    """Every one of `names` on `dataset` with the weights in `model`; one that fails is told with the reason.

    `environments` is the folder that keeps what was installed; `told` hears what is going on.

    Raises:
        DatasetError: the data set is not of texts.
    """
    if dataset.folder is not None or dataset.pictures or any(entry.image for entry in dataset.entries):
        raise DatasetError(f"{dataset.name!r} holds files or pictures; rivals are compared on texts in BEIR layout")
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        told(f"{dataset.name}: {name}")
        try:
            python = _python(name, environments, told)
            rows[name] = _scored(dataset, _competed(CONTESTANTS[name], python, dataset, model))
        except RivalError as exc:
            rows[name] = {"failed": str(exc)}
            told(f"{name} failed: {exc}")
    result = {
        "dataset": dataset.name,
        "queries": len(dataset.queries),
        "documents": len(dataset.entries),
        "contestants": rows,
    }
    return {**result, "compared": compared(rows), "better": better(rows)}


def compared(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Ours less each rival: the difference in nDCG@10 and its p (two-sided sign flips, Holm over the rivals)."""
    if "failed" in rows.get(OURS, {"failed": ""}):
        return {}
    ours = rows[OURS]["per_query"]
    others = {name: row["per_query"] for name, row in rows.items() if name != OURS and "failed" not in row}
    differences = {name: [ours[query] - scores[query] for query in ours] for name, scores in others.items()}
    ps = holm([sign_flip(values, "two-sided") for values in differences.values()])
    return {
        name: {"ndcg@10": sum(values) / len(values), "p": p}
        for (name, values), p in zip(differences.items(), ps, strict=True)
    }


def better(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In words, every measure in which a rival is better than we are."""
    if "failed" in rows.get(OURS, {"failed": ""}):
        return []
    ours, said = rows[OURS], []
    significance = compared(rows)
    for name, row in rows.items():
        if name.startswith(OURS) or "failed" in row:
            continue
        ahead = row["ndcg@10"] - ours["ndcg@10"]
        if ahead > 0:
            sure = "" if significance[name]["p"] < ALPHA else ", which may be chance"
            said.append(f"{name} finds more: nDCG@10 higher by {ahead:.3f}{sure}")
        for measure, what in (("ingest", "takes documents in faster"), ("ask", "answers faster")):
            if row["cpu_seconds"][measure] < ours["cpu_seconds"][measure]:
                ratio = ours["cpu_seconds"][measure] / max(row["cpu_seconds"][measure], 1e-9)
                said.append(f"{name} {what}: {ratio:.1f} times less processor time")
        if row["mib"]["peak"] and ours["mib"]["peak"] and row["mib"]["peak"] < ours["mib"]["peak"]:
            said.append(f"{name} needs less memory: {row['mib']['peak']:.0f} MiB to {ours['mib']['peak']:.0f}")
    return said


def _scored(dataset: Dataset, raw: Mapping[str, Any]) -> dict[str, Any]:
    """What a contestant sent, with its measures."""
    ranking = {
        query: without_itself(query, raw["found"].get(query, ()), grades)
        for query, grades in dataset.judgements.items()
    }
    scores = metrics.per_query(dataset.judgements, ranking)
    return {
        "ndcg@10": metrics.mean(scores)["ndcg@10"],
        "interval": metrics.interval(scores),
        "recall@10": metrics.mean(scores)["recall@10"],
        "documents_per_second": len(dataset.entries) / raw["seconds"]["ingest"],
        "ms": {**percentiles(raw["ms"]), "median": median(raw["ms"])},
        **{key: raw[key] for key in ("seconds", "cpu_seconds", "mib", "versions", "python", "settings")},
        "per_query": {query: found["ndcg@10"] for query, found in scores.items()},
    }


def _competed(contestant: Contestant, python: Path, dataset: Dataset, model: Path) -> Mapping[str, Any]:
    """What the contestant's process wrote."""
    with TemporaryDirectory(prefix="commonplace-rivals-") as folder:
        result = Path(folder) / "result.json"
        job = {
            "model": str(model),
            "result": str(result),
            "hits": HITS,
            "documents": [{"id": e.id, "title": e.title, "text": e.text} for e in dataset.entries],
            "questions": dict(dataset.queries),
        }
        done = subprocess.run(
            [python, "-m", f"eval.rivals.{contestant.module}"],
            cwd=_ROOT,
            env={**os.environ, **_QUIET, **contestant.environment},
            input=json.dumps(job).encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise RivalError(_last_line(done.stderr) or f"it ended with status {done.returncode}")
        found: Mapping[str, Any] = json.loads(result.read_text("utf-8"))
        return found


def _python(name: str, environments: Path, told: Told) -> Path:
    """The interpreter that the contestant runs in; what it needs is installed the first time."""
    needs = CONTESTANTS[name].needs
    if not needs:
        return Path(sys.executable)
    folder = environments / name.lower()
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    wanted = [f"torch=={version('torch').partition('+')[0]}", *needs]
    installed = folder / "installed.json"
    if not (installed.is_file() and json.loads(installed.read_text("utf-8")) == wanted):
        told(f"installing {name} into {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, python, wanted)
        installed.write_text(json.dumps(wanted), "utf-8")
    return python


def _install(folder: Path, python: Path, wanted: Sequence[str]) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    copied = ("--link-mode", "copy")  # the nltk of LlamaIndex refuses to read files that have several links
    steps: list[list[str | Path]] = (
        [[uv, "venv", "--python", sys.executable, folder], [uv, "pip", "install", *copied, "--python", python, *wanted]]
        if uv
        else [[sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", *wanted]]
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise RivalError(f"cannot install {', '.join(wanted)}: {_last_line(done.stderr)}")


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
