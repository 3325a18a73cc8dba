"""Runs compared: figures that were worked out by hand, what is said of them, and what is refused."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from eval.__main__ import app
from eval.compare import Run, compare
from eval.datasets import DatasetError
from eval.metrics import MEASURES
from rag.tune.statistics import bootstrap, detectable

Scores = Sequence[float]


def run(label: str, scores: Scores, dataset: str = "notes", bm25: Scores | None = None) -> Run:
    """A run whose every measure of a question is the score given for it."""
    lists: Mapping[str, Scores] = {"hybrid": scores, "bm25": bm25 or scores}
    result: dict[str, Any] = {
        "dataset": dataset,
        "documents": 50,
        "fused": "hybrid",
        "by_retriever": {name: {} for name in lists},
        "per_query": {
            f"q{number}": {name: dict.fromkeys(MEASURES, row[number]) for name, row in lists.items()}
            for number in range(len(scores))
        },
        "questions": {f"q{number}": {"text": f"question {number}", "right": ["d1"]} for number in range(len(scores))},
    }
    return Run(label, result)


HALF = [0.5] * 12
BETTER = [0.75, 0.75, 0.75, 0.75, 0.75, 0.75, 0.4, *[0.5] * 5]  # six up by .25, one down by .1


def test_figures_by_hand() -> None:
    found = compare([run("a", HALF), run("b", BETTER)])["compared"][0]
    row = found["measures"]["ndcg@10"]
    differences = [0.25] * 6 + [-0.1] + [0.0] * 5
    assert (row["first"], row["other"]) == (0.5, pytest.approx(0.5 + 1.4 / 12))
    assert row["difference"] == pytest.approx(1.4 / 12)
    assert row["interval"] == pytest.approx(bootstrap(differences))
    # Of the 128 patterns of signs of the seven that differ, 1.4 is reached by all up and by this one: 2, and as many
    # the other way round.
    assert row["sign_flip"] == 4 / 128
    assert row["detectable"] == pytest.approx(detectable(12, float(np.std(differences, ddof=1)), alpha=0.025))
    assert (row["better"], row["worse"], row["same"]) == (6, 1, 5)
    assert found["conclusion"].startswith(
        "notes, 12 questions: b is better than a by +11.7 points of ndcg@10 (95 % interval +"
    )
    assert [most["question"] for most in found["most"]] == ["q0", "q1", "q2", "q3", "q4"]
    assert found["most"][0] == {"question": "q0", "text": "question 0", "first": 0.5, "other": 0.75}


def test_the_other_way_round_it_is_worse() -> None:
    found = compare([run("b", BETTER), run("a", HALF)])["compared"][0]
    assert ": a is worse than b by -11.7 points" in found["conclusion"]


def test_several_runs_make_it_harder() -> None:
    runs = [run("a", HALF), run("b", BETTER), run("c", HALF)]
    b, c = compare(runs)["compared"]
    assert b["measures"]["ndcg@10"]["sign_flip_holm"] == 8 / 128  # twice 4/128: not below .05 any more
    assert "no evidence of a difference between a and b" in b["conclusion"]
    assert "after Holm over 2" in b["conclusion"]
    assert (
        f"could have shown one of {100 * b['measures']['ndcg@10']['detectable']:.1f} points or more" in b["conclusion"]
    )
    assert c["conclusion"] == "notes, 12 questions: c and a score the same on every question."
    assert c["measures"]["map@100"]["t_test_holm"] == 1.0


def test_several_data_sets_are_compared_each_with_its_own_first_run() -> None:
    runs = [run("a", HALF), run("a", HALF, "mails"), run("b", BETTER, "mails"), run("b", HALF)]
    found = compare(runs)["compared"]
    assert [(each["dataset"], each["first"], each["other"]) for each in found] == [
        ("notes", "a", "b"),
        ("mails", "a", "b"),
    ]
    assert found[1]["measures"]["mrr@10"]["sign_flip_holm"] == 8 / 128


def test_one_list_alone() -> None:
    found = compare([run("a", HALF), run("b", HALF, bm25=BETTER)], retriever="bm25")["compared"][0]
    assert found["measures"]["ndcg@10"]["difference"] == pytest.approx(1.4 / 12)


def changed(run: Run, **fields: Any) -> Run:
    return Run(run.label, {**deepcopy(dict(run.result)), **fields})


def judged(run: Run, right: str) -> Run:
    return changed(run, questions={name: {**row, "right": [right]} for name, row in run.result["questions"].items()})


@pytest.mark.parametrize(
    ("runs", "reason"),
    [
        ([run("a", HALF)], "'a' is the only run of 'notes', so there is nothing to compare it with$"),
        ([run("a", HALF), run("b", HALF, "mails")], "'a' is the only run of 'notes'.*; the others are 'b'"),
        ([run("a", HALF), run("b", HALF[:10])], "2 questions are in one of them only, such as 'q10'"),
        ([run("a", HALF), changed(run("b", HALF), documents=51)], "one has 50 documents and the other 51"),
        ([run("a", HALF), judged(run("b", HALF), "d2")], "other documents are right for 12 questions, such as 'q0'"),
        ([run("a", HALF), run("a", HALF)], "two runs of 'notes' are called 'a'"),
        ([run("a", []), run("b", [])], "'a' has no questions"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs: Sequence[Run], reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        compare(runs)


def test_names_that_are_not_there_are_refused() -> None:
    runs = [run("a", HALF), run("b", HALF)]
    with pytest.raises(DatasetError, match="by 'image'; it has hybrid, bm25"):
        compare(runs, retriever="image")
    with pytest.raises(DatasetError, match="there is no measure 'f1'"):
        compare(runs, measure="f1")
    old = deepcopy(dict(runs[1].result))
    del old["per_query"]["q3"]["hybrid"]["map@100"]
    with pytest.raises(DatasetError, match="'b' was not measured by 'map@100'"):
        compare([runs[0], Run("b", old)])


def test_the_command(tmp_path: Path) -> None:
    files = []
    for each in (run("first", HALF), run("second", BETTER)):
        files.append(str(tmp_path / f"{each.label}.json"))
        Path(files[-1]).write_text(json.dumps(each.result), "utf-8")
    told = CliRunner().invoke(app, ["compare", *files])
    assert told.exit_code == 0, told.output
    assert "second is better than first" in " ".join(told.output.split())
    assert "0.500 → 0.750  question 0" in told.output
    as_json = CliRunner().invoke(app, ["compare", *files, "--json", "--measure", "map@100"])
    assert json.loads(as_json.stdout)["compared"][0]["measures"]["map@100"]["better"] == 6


def test_two_configurations_in_one_file(tmp_path: Path) -> None:
    runs = [{**run("", scores).result, "configuration": name} for name, scores in (("", HALF), ("short", BETTER))]
    (tmp_path / "run.json").write_text(json.dumps(runs), "utf-8")
    told = CliRunner().invoke(app, ["compare", str(tmp_path / "run.json"), "--json"])
    assert json.loads(told.stdout)["compared"][0]["other"] == "run short"
