"""Answers measured: by hand, and a tiny set from end to end with a scripted model and a run that was cut off."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from eval.answer_metrics import Gold, abstention, answer_row, holds, normalised, summary, times, token_f1
from eval.answers import Asking, answers
from eval.answers_report import print_answers
from eval.cache import CachedEmbedder
from eval.datasets import DatasetError
from rag.config import load_settings
from rag.embed.hashing import HashingEmbedder
from rag.errors import ModelError
from rag.records import Answer, Citation, Evidence, GroundedSentence
from tests.answer.passages import passages
from tests.eval.made import tiny
from tests.fakes import OverlapReranker, ScriptedGenerator


def test_the_normalisation_is_squads() -> None:
    assert normalised("The  Cat, an OWL\nand “a” dog!") == "cat owl and dog"


def test_token_f1_counts_words_as_often_as_they_are() -> None:
    # Three words of ours, two of theirs, two the same: precision 2/3, recall 2/2, so 2 * 2 / (3 + 2).
    assert token_f1("the red red boat", "red boat") == pytest.approx(2 * 2 / 5)
    assert token_f1("blue", "red") == token_f1("", "red") == 0.0


def test_a_gold_string_is_held_in_whole_words() -> None:
    assert holds("It was 24, they say.", Gold(("24",), frozenset()))
    assert not holds("It was 1924.", Gold(("24",), frozenset()))


def row(**changed: Any) -> dict[str, Any]:
    (passage, other) = passages("The boat is blue. It left at noon.", "Bees swarm.")
    passage = replace(passage, evidence=(Evidence(0, 17, 0.9),))
    cites = [
        Citation(1, "chunk-1", "document-1", "", None, 0, 17, "The boat is blue.", True),
        Citation(1, "chunk-1", "document-1", "", None, 18, 34, "It left at noon.", True),
        Citation(2, "chunk-2", "document-2", "", None, 0, 11, "Bees swarm.", False),
    ]
    text = "The boat is blue [1]. It left quietly [1]. Bees sing [2]."
    judged = (
        GroundedSentence(0, 21, "supported"),
        GroundedSentence(22, 42, "supported"),  # wrongly: "quietly" stands nowhere
        GroundedSentence(43, 57, "unsupported", ("no",)),
    )
    told = Answer("What is the boat?", text, tuple(cites), (passage, other), "stop", "m", sentences=judged)
    gold = Gold(("blue",), frozenset({"document-1"}))
    return answer_row(told, gold, True, 5.0, 9.0) | changed


def test_what_is_measured_of_one_answer() -> None:
    found = row()
    assert (found["in_answer"], found["in_evidence"], found["retrieved"], found["exact"]) == (True, True, True, False)
    assert (found["citations"], found["citations_right"], found["citations_exact"]) == (3, 2, 1)
    assert (found["sentences"], found["unsupported"], found["partly"], found["unmarked"]) == (3, 1, 0, 1)
    assert found["f1"] == pytest.approx(2 * 1 / (8 + 1))  # boat is blue it left quietly bees sing


def test_the_summary_is_over_the_answerable_questions_and_abstention_over_all() -> None:
    rows = [row(), row(abstained=True, in_answer=False), row(answerable=False), row(answerable=False, abstained=True)]
    found = summary(rows)
    assert (found["questions"], found["gold_in_answer"], found["gold_in_either"]) == (2, 0.5, 1.0)
    assert found["citation_precision"] == pytest.approx(2 / 3)  # of the one that was answered
    assert found["citation_recall"] == 1.0
    assert found["unsupported_unmarked"] == pytest.approx(4 / 12)
    assert found["abstention"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert abstention([row()]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert times(rows)["total"] == {"median": 9.0, "p95": 9.0}


# --- from end to end ---


def dataset(folder: Path) -> Path:
    tiny(folder)
    rows = [("q1", "d2", "May"), ("q2", "d3", "oil"), ("q3", "d1", "kettle")]
    lines = [json.dumps({"query-id": q, "corpus-id": d, "answers": [{"text": text}]}) for q, d, text in rows]
    (folder / "answers.jsonl").write_text("\n".join(lines), "utf-8")
    return folder


def asking(reply: str = "Bees swarm in May [1].") -> tuple[Asking, ScriptedGenerator]:
    generator = ScriptedGenerator(reply)
    settings = load_settings(home=Path("unused"), embedder="hashing", ocr=False, image_embedder="none")
    return Asking(settings, CachedEmbedder(HashingEmbedder(), None), generator), generator


def test_each_question_is_asked_with_its_document_and_without(tmp_path: Path) -> None:
    how, generator = asking()
    found = answers(dataset(tmp_path), how)
    assert [(r["query"], r["answerable"]) for r in found["per_query"]] == [
        (q, answerable) for q in ("q1", "q2", "q3") for answerable in (True, False)
    ]
    first = found["per_query"][0]
    assert (first["in_answer"], first["abstained"], first["citations_right"]) == (True, False, 1)
    assert found["metrics"]["abstention"]["recall"] == 1.0  # nothing else is about bees, chains or kettles
    assert len(generator.asked) == sum(not r["abstained"] for r in found["per_query"])
    console = Console(record=True, width=120)
    print_answers(found, console)
    assert "abstention, recall" in console.export_text()


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    folder, kept = dataset(tmp_path / "data"), tmp_path / "kept"
    how, first = asking()
    whole = answers(folder, how, kept=kept)
    (file,) = kept.glob("answers-*.jsonl")
    lines = file.read_text("utf-8").splitlines()
    file.write_text("\n".join(lines[:1]) + "\n" + lines[1][:20], "utf-8")
    how, second = asking()
    again = answers(folder, how, kept=kept)
    assert again["metrics"] == whole["metrics"]
    assert whole["per_query"][0] == again["per_query"][0]  # with its times, to the last digit
    assert len(second.asked) == len(first.asked) - 1


def test_another_model_does_not_take_what_the_first_one_said(tmp_path: Path) -> None:
    folder, kept = dataset(tmp_path / "data"), tmp_path / "kept"
    answers(folder, asking()[0], kept=kept)
    answers(folder, replace(asking()[0], generator=None), kept=kept)
    assert len(list(kept.glob("answers-*.jsonl"))) == 2


def test_as_many_as_are_wanted_always_the_same_ones(tmp_path: Path) -> None:
    folder = dataset(tmp_path)
    drawn = [answers(folder, asking()[0], limit=2, seed=3)["per_query"] for _ in range(2)]
    names = [[r["query"] for r in each] for each in drawn]
    assert names[0] == names[1]
    assert len(set(names[0])) == 2


def test_a_reranker_takes_part(tmp_path: Path) -> None:
    with_it = answers(dataset(tmp_path), replace(asking()[0], reranker=OverlapReranker()))
    assert with_it["settings"]["reranker"] == "overlap"
    broken = answers(dataset(tmp_path), replace(asking()[0], reranker=OverlapReranker(ModelError("asked"))))
    assert broken["metrics"]["questions"] == 3


def test_files_with_an_answer_in_each_question(tmp_path: Path) -> None:
    (tmp_path / "bees.md").write_text("Bees swarm in May when the hive is full.", "utf-8")
    line = {"question": "When do bees swarm?", "source": "bees.md", "answer": "May"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(line), "utf-8")
    found = answers(tmp_path, asking()[0])
    assert [(r["in_answer"], r["answerable"]) for r in found["per_query"]] == [(True, True), (False, False)]


def test_without_answers_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no answers"):
        answers(tiny(tmp_path), asking()[0])


def test_a_broken_answer_is_named_with_its_line(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder / "answers.jsonl").write_text('{"query-id": "q1", "answers": ["May"]}', "utf-8")
    with pytest.raises(DatasetError, match="line 1: expected a list of answers"):
        answers(folder, asking()[0])
