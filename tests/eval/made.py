"""Tiny data sets written to disk, and the command that is given them."""

import json
import runpy
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.calling import Said, call

_PROGRAM = Path(__file__).resolve().parents[2] / "eval" / "__main__.py"


def beir(
    folder: Path,
    corpus: Sequence[Mapping[str, object]],
    queries: Sequence[Mapping[str, object]],
    qrels: Sequence[tuple[str, str, int]],
    split: str = "test",
) -> Path:
    """A folder in BEIR layout."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    _write(folder / "corpus.jsonl", corpus)
    _write(folder / "queries.jsonl", queries)
    lines = ["query-id\tcorpus-id\tscore", *(f"{q}\t{d}\t{grade}" for q, d, grade in qrels)]
    (folder / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def tiny(folder: Path) -> Path:
    """Four documents and three questions, each with one right document."""
    texts = {
        "d1": "The kettle whistles when the water boils.",
        "d2": "Bees swarm in May when the hive is full.",
        "d3": "A bicycle chain wants oil after rain.",
        "d4": "Tomatoes need water every morning.",
    }
    questions = {"q1": "When do bees swarm?", "q2": "What does a bicycle chain want?", "q3": "Who whistles?"}
    return beir(
        folder,
        [{"_id": name, "title": "", "text": text} for name, text in texts.items()],
        [{"_id": name, "text": text} for name, text in questions.items()],
        [("q1", "d2", 1), ("q2", "d3", 1), ("q3", "d1", 1)],
    )


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


def command(home: Path, *arguments: str) -> Said:
    """What `python -m eval` says with the model-free embedder."""

    def program() -> None:
        runpy.run_path(str(_PROGRAM), run_name="__main__")

    return call(program, *arguments, env={"RAG_HOME": str(home), "RAG_EMBEDDER": "hashing"})
