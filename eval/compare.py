"""Is one run better than another, or is that luck? Paired tests over the questions that both asked.

For each measure: the mean difference with its bootstrap interval, and the p of the sign-flip test and of Student's t
test, both two-sided, by themselves and after Holm's correction over all runs and data sets compared. What is said in
words rests on the sign-flip test of one measure, named beforehand, after Holm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.datasets import DatasetError
from eval.metrics import MEASURES
from rag.tune.statistics import ALPHA, Floats, bootstrap, detectable, holm, sign_flip, spread_of, t_test

NDCG = "ndcg@10"
SHOWN = 5  # questions that differ most

Result = Mapping[str, Any]  # of `eval run`


@dataclass(frozen=True, slots=True)
class Run:
    """A result of `eval run`, under the name by which it is told from others."""

    label: str
    result: Result

    @property
    def dataset(self) -> str:
        return str(self.result["dataset"])

    @property
    def fused(self) -> str:
        """The one list that the result is about."""
        return str(self.result.get("fused", "hybrid"))


def compare(runs: Sequence[Run], retriever: str | None = None, measure: str = NDCG, seed: int = 0) -> dict[str, Any]:
    """Every run with the first one of its data set.

    Args:
        runs: of one data set or several, two of each at least.
        retriever: whose list is compared, such as "text" or "bm25"; None: the one list of each.
        measure: the one of which it is said in words which run is better.
        seed: of the draws.

    Raises:
        DatasetError: what is to be compared was not measured on the same documents and questions, or not at all.
    """
    if measure not in MEASURES:
        raise DatasetError(f"there is no measure {measure!r}; there is {', '.join(MEASURES)}")
    by_dataset: dict[str, list[Run]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset, []).append(run)
    _check_alone(by_dataset)
    pairs = [(first, other) for first, *others in by_dataset.values() for other in others]
    for first, other in pairs:
        _check_same(first, other)
    compared = [_compared(first, other, retriever, measure, seed) for first, other in pairs]
    for name in MEASURES:
        for test in ("sign_flip", "t_test"):
            rows = [each["measures"][name] for each in compared]
            for row, p in zip(rows, holm([row[test] for row in rows]), strict=True):
                row[f"{test}_holm"] = p
    return {
        "measure": measure,
        "compared": [{**each, "conclusion": _conclusion(each, measure, len(pairs))} for each in compared],
    }


def _compared(first: Run, other: Run, retriever: str | None, measure: str, seed: int) -> dict[str, Any]:
    before, after = _rows(first, retriever), _rows(other, retriever)
    scores = {name: np.array([(before[query][name], after[query][name]) for query in before]) for name in MEASURES}
    return {
        "dataset": first.dataset,
        "first": first.label,
        "other": other.label,
        "questions": len(before),
        "measures": {name: _tested(values, seed) for name, values in scores.items()},
        "most": _most(first, list(before), scores[measure]),
    }


def _tested(scores: Floats, seed: int) -> dict[str, Any]:
    """What is said of one measure; `scores` is float64[N, 2]: before and after."""
    differences = scores[:, 1] - scores[:, 0]
    signs = np.sign(differences)
    return {
        "first": float(scores[:, 0].mean()),
        "other": float(scores[:, 1].mean()),
        "difference": float(differences.mean()),
        "interval": list(bootstrap(differences, seed=seed)),
        "sign_flip": sign_flip(differences, "two-sided", seed),
        "t_test": t_test(differences, "two-sided"),
        "detectable": detectable(len(differences), spread_of(differences), alpha=ALPHA / 2),
        "better": int(np.sum(signs > 0)),
        "worse": int(np.sum(signs < 0)),
        "same": int(np.sum(signs == 0)),
    }


def _conclusion(compared: Mapping[str, Any], measure: str, tests: int) -> str:
    """In words what the sign-flip test of one measure says."""
    row = compared["measures"][measure]
    low, high = row["interval"]
    figures = f"{_points(row['difference'])} points of {measure} (95 % interval {_points(low)} to {_points(high)}"
    corrected = f" after Holm over {tests}" if tests > 1 else ""
    figures += f", p {row['sign_flip_holm']:.2g}{corrected})"
    about = f"{compared['dataset']}, {compared['questions']} questions"
    if row["sign_flip_holm"] < ALPHA:
        better = "better" if row["difference"] > 0 else "worse"
        return f"{about}: {compared['other']} is {better} than {compared['first']} by {figures}."
    if row["same"] == compared["questions"]:
        return f"{about}: {compared['other']} and {compared['first']} score the same on every question."
    return (
        f"{about}: no evidence of a difference between {compared['first']} and {compared['other']}: {figures}. So many "
        f"questions could have shown one of {100 * row['detectable']:.1f} points or more."
    )


def _rows(run: Run, retriever: str | None) -> dict[str, Mapping[str, float]]:
    """The measures of each question."""
    name = retriever or run.fused
    rows = {str(query): found.get(name, {}) for query, found in run.result["per_query"].items()}
    if not rows:
        raise DatasetError(f"{run.label!r} has no questions, so there is nothing to compare")
    if not all(rows.values()):
        known = ", ".join(run.result["by_retriever"])
        raise DatasetError(f"{run.label!r} does not have all its questions by {name!r}; it has {known}")
    if lacking := [measure for measure in MEASURES if not all(measure in row for row in rows.values())]:
        raise DatasetError(f"{run.label!r} was not measured by {lacking[0]!r}; run it again with this program")
    return rows


def _check_alone(by_dataset: Mapping[str, Sequence[Run]]) -> None:
    """Whether there is something to compare each run with, and no two are called the same."""
    alone = [runs[0] for runs in by_dataset.values() if len(runs) == 1]
    if alone:
        others = ", ".join(repr(run.label) for runs in by_dataset.values() for run in runs if run is not alone[0])
        more = f"; the others are {others}" if others else ""
        raise DatasetError(
            f"{alone[0].label!r} is the only run of {alone[0].dataset!r}, so there is nothing to compare it with{more}"
        )
    for runs in by_dataset.values():
        labels = [run.label for run in runs]
        if len(set(labels)) < len(labels):
            raise DatasetError(
                f"two runs of {runs[0].dataset!r} are called {max(labels, key=labels.count)!r}; rename one"
            )


def _check_same(first: Run, other: Run) -> None:
    """Whether both were measured on the same documents, questions and judgements, as far as results tell."""
    names = f"{first.label!r} and {other.label!r} were not measured on the same data"
    ours, theirs = set(first.result["per_query"]), set(other.result["per_query"])
    if ours != theirs:
        odd = sorted(map(str, ours ^ theirs))
        raise DatasetError(
            f"{names}: {len(odd)} questions are in one of them only, such as {odd[0]!r}; run both on the same folder"
        )
    documents = first.result.get("documents"), other.result.get("documents")
    if documents[0] != documents[1]:
        raise DatasetError(f"{names}: one has {documents[0]} documents and the other {documents[1]}; run both again")
    told, said = first.result.get("questions", {}), other.result.get("questions", {})
    changed = [query for query in told.keys() & said.keys() if told[query]["right"] != said[query]["right"]]
    if changed:
        raise DatasetError(f"{names}: other documents are right for {len(changed)} questions, such as {min(changed)!r}")


def _most(first: Run, questions: Sequence[str], scores: Floats) -> list[dict[str, Any]]:
    """The questions that differ most either way, of two alike the first; none that does not differ."""
    sizes, told = np.abs(scores[:, 1] - scores[:, 0]), first.result.get("questions", {})
    return [
        {
            "question": questions[at],
            "text": told.get(questions[at], {}).get("text", ""),
            "first": float(scores[at, 0]),
            "other": float(scores[at, 1]),
        }
        for at in np.argsort(-sizes, kind="stable")[:SHOWN]
        if sizes[at]
    ]


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}"
