"""The contest with other programs: what each process sends, how it is scored, and where a rival wins."""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import DatasetError, load
from eval.rivals import arena
from eval.rivals.contest import compete, peak_mib, whole
from tests.eval.made import beir, tiny


class WordMatch:
    """A contestant without a model: documents with the most words of the question first, each named twice."""

    modules = ("string",)
    packages = ("pytest",)
    settings: Mapping[str, Any] = {"index": "none"}

    def load(self, model: str) -> None:
        assert model == "weights"

    def ingest(self, documents: Sequence[Mapping[str, str]]) -> None:
        self._words = {one["id"]: set(whole(one).lower().split()) for one in documents}

    def search(self, question: str, hits: int) -> Sequence[str]:
        asked = set(question.lower().split())
        best = sorted(self._words, key=lambda name: (-len(asked & self._words[name]), name))
        return [name for name in best for _ in range(2)][:hits]


def test_a_contestant_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = {
        "model": "weights",
        "result": str(tmp_path / "result.json"),
        "hits": 6,
        "documents": [{"id": "a", "title": "Tea", "text": "hot"}, {"id": "b", "title": "", "text": "cold water"}],
        "questions": {"1": "cold tea water", "2": "hot"},
    }
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(job).encode())))
    compete(WordMatch())
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["found"] == {"1": ["b", "a"], "2": ["a", "b"]}
    assert len(found["ms"]) == 2
    assert set(found["versions"]) == {"pytest"}
    assert set(found["seconds"]) == set(found["cpu_seconds"]) == {"load", "ingest", "ask"}
    assert found["mib"]["peak"] is None or found["mib"]["peak"] >= found["mib"]["loaded"] > 1
    assert (peak_mib() is None) == (found["mib"]["peak"] is None)


def row(scores: Sequence[float], *, cpu: float = 1.0, mib: float = 100.0) -> dict[str, Any]:
    return {
        "ndcg@10": sum(scores) / len(scores),
        "per_query": {str(number): score for number, score in enumerate(scores)},
        "cpu_seconds": {"ingest": cpu, "ask": cpu},
        "mib": {"peak": mib},
    }


def test_where_a_rival_wins_is_said() -> None:
    rows = {
        "commonplace": row([0.5] * 20),
        "commonplace, fp32": row([1.0] * 20, cpu=0.1),
        "sure": row([0.75] * 20, cpu=0.5),
        "lucky": row([1.0] + [0.5] * 19, cpu=2.0, mib=60.0),
        "worse": row([0.25] * 20, cpu=3.0, mib=300.0),
        "broken": {"failed": "no module"},
    }
    against = arena.compared(rows)
    assert against["sure"]["ndcg@10"] == pytest.approx(-0.25)
    assert against["sure"]["p"] < 0.05 < against["lucky"]["p"]
    assert "broken" not in against
    assert arena.better(rows) == [
        "sure finds more: nDCG@10 higher by 0.250",
        "sure takes documents in faster: 2.0 times less processor time",
        "sure answers faster: 2.0 times less processor time",
        "lucky finds more: nDCG@10 higher by 0.025, which may be chance",
        "lucky needs less memory: 60 MiB to 100",
    ]
    assert arena.better({"sure": row([1.0])}) == []


def test_what_fails_is_told_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = arena.Contestant("no_such_module")
    monkeypatch.setattr(arena, "CONTESTANTS", {"commonplace": broken, "other": broken})
    heard: list[str] = []
    found = arena.contest(load(tiny(tmp_path / "tiny")), ["commonplace", "other"], tmp_path, tmp_path, heard.append)
    assert "no_such_module" in found["contestants"]["commonplace"]["failed"]
    assert found["better"] == []
    assert found["compared"] == {}
    assert heard[0] == "tiny: commonplace"


def test_rivals_are_compared_on_texts(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    folder = beir(tmp_path, [{"_id": "p", "image": "a.png"}], [{"_id": "q", "text": "?"}], [("q", "p", 1)])
    with pytest.raises(DatasetError, match="files or pictures"):
        arena.contest(load(folder), ["commonplace"], tmp_path, tmp_path)
