"""`python -m eval run`, end to end, with the model-free embedder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from eval.cache import CachedEmbedder
from eval.datasets import load
from eval.run import run
from rag.config import Settings
from rag.embed.hashing import HashingEmbedder
from tests.eval.made import beir, command, tiny

ROOT = Path(__file__).resolve().parents[2]


def result(folder: Path, tmp_path: Path, **chosen: Any) -> dict[str, Any]:
    settings = Settings(home=tmp_path / "home")
    return run(load(folder), CachedEmbedder(HashingEmbedder(), None), settings, store="memory", **chosen)


def test_the_contract(tmp_path: Path) -> None:
    found = result(tiny(tmp_path / "tiny"), tmp_path)
    assert (found["dataset"], found["queries"], found["documents"], found["chunks"]) == ("tiny", 3, 4, 4)
    assert found["metrics"] == found["by_retriever"]["hybrid"]
    assert set(found["by_retriever"]) == {"text", "bm25", "hybrid"}
    assert {"ndcg@10", "recall@10", "recall@100", "mrr@10"} <= set(found["metrics"])
    assert found["by_retriever"]["bm25"]["ndcg@10"] == 1  # each question has a word that only its document has
    assert set(found["per_query"]) == {"q1", "q2", "q3"}
    assert found["per_query"]["q1"]["bm25"]["mrr@10"] == 1
    assert found["settings"]["store"] == "memory"
    assert found["seconds"] >= found["index"]["seconds"] > 0
    assert {"embed", "text", "bm25", "fuse", "total"} <= set(found["ms"])
    json.dumps(found)


def test_a_long_document_counts_once_at_its_best_chunk(tmp_path: Path) -> None:
    long = "\n\n".join(f"Paragraph {i} on kettles. " + "Steam rises from the spout again. " * 12 for i in range(30))
    folder = beir(
        tmp_path / "long",
        [{"_id": "long", "text": long}, {"_id": "short", "text": "Fish in a kettle."}, {"_id": "x", "text": "Bees."}],
        [{"_id": "q", "text": "steam from the spout of paragraph 17"}],
        [("q", "long", 1)],
    )
    found = result(folder, tmp_path)
    assert found["chunks"] > 10
    assert all(found["by_retriever"][name]["mrr@10"] == 1 for name in ("text", "bm25", "hybrid"))
    assert found["metrics"]["recall@100"] == 1


def test_a_question_does_not_find_itself_unless_it_is_right(tmp_path: Path) -> None:
    corpus = [{"_id": "a", "text": "tea is better than coffee"}, {"_id": "b", "text": "coffee is better than tea"}]
    queries = [{"_id": "a", "text": "tea is better than coffee"}]
    other = beir(tmp_path / "other", corpus, queries, [("a", "b", 1)])
    assert result(other, tmp_path)["metrics"]["mrr@10"] == 1
    itself = beir(tmp_path / "itself", corpus, queries, [("a", "a", 1)])
    assert result(itself, tmp_path)["metrics"]["mrr@10"] == 1


def test_titles_are_read_and_ids_are_not(tmp_path: Path) -> None:
    corpus = [
        {"_id": "zebra", "title": "", "text": "It eats grass and has stripes."},
        {"_id": "x", "title": "The zebra", "text": "It eats grass and is striped."},
        {"_id": "y", "title": "", "text": "It eats leaves and has a long neck."},
    ]
    folder = beir(tmp_path / "titles", corpus, [{"_id": "q", "text": "zebra"}], [("q", "x", 1)])
    found = result(folder, tmp_path)
    assert found["by_retriever"]["bm25"]["mrr@10"] == 1
    assert found["by_retriever"]["text"]["mrr@10"] == 1


def test_files_with_questions(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nThey swarm in May when the hive is full.\n", "utf-8")
    (folder / "tea.txt").write_text("The kettle whistles when the water boils.\n", "utf-8")
    questions = [("When do they swarm?", "bees.md"), ("What whistles?", "tea.txt")]
    lines = [json.dumps({"question": question, "source": source}) for question, source in questions]
    (folder / "questions.jsonl").write_text("\n".join(lines), "utf-8")
    found = result(folder, tmp_path)
    assert found["queries"] == 2
    assert found["by_retriever"]["bm25"]["recall@10"] == 1


def test_the_sample_collection_is_a_data_set(tmp_path: Path) -> None:
    """What the starter models find in it is looked at in tests/corpus/test_search.py."""
    settings = Settings(home=tmp_path / "home", ocr=False)
    found = run(load(ROOT / "corpus"), CachedEmbedder(HashingEmbedder(), None), settings, store="memory")
    asked = map(json.loads, (ROOT / "corpus" / "questions.jsonl").read_text("utf-8").splitlines())
    assert found["queries"] == sum(row.get("picture") != "shown" for row in asked)  # nothing looks at pictures here
    assert found["by_retriever"]["bm25"]["recall@100"] > 0.8


def test_empty_and_very_long_documents(tmp_path: Path) -> None:
    """Documents without a word are in no list; of one of 200,000 characters the last sentence is found as well."""
    long = "The same sentence about nothing at all. " * 5_000 + "The walrus sleeps here."
    corpus = [{"_id": "empty", "text": ""}, {"_id": "blank", "text": " \n\t"}, {"_id": "long", "text": long}]
    folder = beir(tmp_path / "odd", corpus, [{"_id": "q", "text": "walrus"}], [("q", "long", 1), ("q", "empty", 1)])
    found = result(folder, tmp_path, fusion="rrf")
    assert found["documents"] == 3
    assert found["metrics"]["mrr@10"] == 1
    assert found["metrics"]["recall@100"] == 0.5


def test_other_fusions_stand_beside_ours_on_demand(tmp_path: Path) -> None:
    found = result(tiny(tmp_path / "tiny"), tmp_path, fusions=("rrf", "relative.7"))
    assert list(found["by_retriever"]) == ["text", "bm25", "hybrid", "rrf", "relative.7"]
    assert 0 < found["by_retriever"]["rrf"]["ndcg@10"] <= 1


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}

    def progress(stage: str) -> Any:
        return lambda done, total: seen.setdefault(stage, []).append((done, total))

    result(tiny(tmp_path / "tiny"), tmp_path, progress=progress)
    assert (seen["index"][-1], seen["ask"][-1]) == ((4, 4), (3, 3))


# --- the command -------------------------------------------------------------------------------------------------


def test_json_is_the_only_output(tmp_path: Path) -> None:
    folder = str(tiny(tmp_path / "tiny"))
    environment = {"RAG_HOME": str(tmp_path / "home"), "RAG_EMBEDDER": "hashing", "PATH": "", "SYSTEMROOT": ""}
    alone = [sys.executable, "-m", "eval", "run", folder, "--json"]  # a process in which no other test has been
    done = subprocess.run(alone, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["settings"]["store"] == "lance"
    assert found["by_retriever"]["bm25"]["ndcg@10"] == 1
    again = json.loads(command(tmp_path / "home", "run", folder, folder, "--json", "--store", "memory").stdout)
    assert [each["index"]["vectors_from_cache"] for each in again] == [4, 4]
    assert [each["by_retriever"] for each in again] == [found["by_retriever"]] * 2


def test_table_and_wrong_calls(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "tiny")
    done = command(tmp_path / "home", "run", str(folder), "--store", "memory")
    assert done.status == 0, done
    assert "hybrid" in done.stdout
    assert "1.000" in done.stdout
    for wrong, said in (
        ((str(tmp_path / "nothing"),), "not a folder"),
        ((str(folder), "--split", "dev"), "dev.tsv"),
        ((str(folder), "--chunk-tokens", "1"), "chunk_tokens"),
        ((str(folder), "--store", "cupboard"), "cupboard"),
        ((), "DIR"),
    ):
        failed = command(tmp_path / "home", "run", *wrong)
        assert (failed.status, said in failed.stderr, failed.stdout) == (2, True, ""), failed
