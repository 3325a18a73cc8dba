"""Results of `eval run` as Markdown, for a log or a change that is proposed."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.insight import Insight, Judged, insight
from eval.metrics import MEASURES

SHOWN = tuple(name for name in MEASURES if not name.startswith("r@"))
_LISTED = 10  # questions in each list
_LONGEST = 100  # characters of a question


def markdown(results: Sequence[Mapping[str, Any]]) -> str:
    """Every result with its table by retriever, its hardest questions, and where fusion helped and hurt."""
    return "# How well the program finds things\n\n" + "\n".join(_result(result) for result in results)


def title_of(result: Mapping[str, Any]) -> str:
    """The data set, and the configuration where it has a name of its own."""
    name = result.get("configuration")
    return str(result["dataset"]) + (f", {name}" if name else "")


def told(result: Mapping[str, Any]) -> str:
    """One line of how, where and when it was measured."""
    settings, where = result["settings"], result.get("circumstances", {})
    how = f"{settings['embedder']} on {settings['device']} in {settings['precision']}"
    how += f", {settings['store']}, chunks of {settings['chunk_tokens']} tokens"
    how += f", reranked by {settings['reranker']}" if settings.get("reranker") else ""
    if where:
        how += f"; {where['processor']}, {where['cores']} cores, Python {where['python']}, {where['date']}"
    return how


def _result(result: Mapping[str, Any]) -> str:
    seen = insight(result)
    head = ["", *SHOWN, "95 % of ndcg@10"]
    lines = [
        f"## {title_of(result)}: {result['queries']} questions, {result['documents']} documents",
        "",
        f"{told(result)}. `{result['command']}`" if result.get("command") else f"{told(result)}.",
        "",
        _row(head),
        _row(["---", *["---:"] * (len(head) - 1)]),
    ]
    for name, means in result["by_retriever"].items():
        low, high = result["intervals"][name]["ndcg@10"]
        bold = "**" if name == seen.fused else ""
        lines.append(_row([f"{bold}{name}{bold}", *(f"{means[m]:.3f}" for m in SHOWN), f"{low:.3f} to {high:.3f}"]))
    lines += ["", *(f"{note}.\n" for note in result["notes"]), _fusion(seen)]
    for heading, questions in (
        ("Hardest", seen.hardest(_LISTED)),
        ("Fusion helped most", seen.helped(_LISTED)),
        ("Fusion hurt most", seen.hurt(_LISTED)),
    ):
        lines += [f"### {heading}", "", *_questions(seen, questions), ""]
    return "\n".join(lines)


def _fusion(seen: Insight) -> str:
    helped, same, hurt = seen.counts
    return (
        f"Against {seen.single} alone, the best single retriever here, fusion helped {helped} questions, left {same} "
        f"as they were and hurt {hurt}.\n"
    )


def _questions(seen: Insight, questions: Sequence[Judged]) -> list[str]:
    if not questions:
        return ["None."]
    rows = [_row(["question", f"{seen.fused} ndcg@10", f"{seen.single} ndcg@10", "first right one at"])]
    rows.append(_row(["---", "---:", "---:", "---:"]))
    for question in questions:
        place = question.ranks.get(seen.fused)
        rows.append(_row([_short(question.text), f"{question.fused:.3f}", f"{question.single:.3f}", str(place or "-")]))
    return rows


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _short(text: str) -> str:
    """A question on one line that Markdown takes as it is."""
    line = " ".join(text.split())
    line = line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in line)
