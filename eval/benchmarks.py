"""`docs/benchmarks.md` and three lines of the README, made from the kept results and from nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.benchmark_parts import (
    answers,
    documents,
    generation,
    how,
    latency,
    missing,
    pictures,
    quality,
    rivals,
    scans,
    seen,
    throughput,
)
from eval.printing import short
from eval.results import Result, kept_results
from eval.rivals.arena import OURS

ROOT = Path(__file__).resolve().parent.parent
PAGE, README = ROOT / "docs" / "benchmarks.md", ROOT / "README.md"
_BEGIN, _END = "<!-- benchmarks: made by `make benchmarks` -->", "<!-- /benchmarks -->"
_HEAD = """# Benchmarks

Made by `make benchmarks` from the runs in `eval/results/`; do not edit it. Every figure has its command, machine and
date at the end. Times on a machine that does other work too mean little by themselves: ratios within one run do, and
those of processor seconds most. What was tried and did not help is in [the log](../eval/LOG.md).
"""

Results = Mapping[str, Sequence[Result]]


def write(results: Results | None = None, page: Path = PAGE, readme: Path = README) -> None:
    """Write the page, and the lines between the marks of the README where it has them."""
    results = kept_results() if results is None else results
    page.write_text(benchmarks(results), "utf-8")
    text = readme.read_text("utf-8")
    if _BEGIN in text:
        readme.write_text(with_lines(text, lines(results)), "utf-8")


def benchmarks(results: Results) -> str:
    """The whole page; a part that nothing was measured for is left out."""
    parts = [
        quality([run for run in results["run"] if not seen(run)]),
        rivals(results["rivals"]),
        throughput(results["throughput"]),
        latency(results["latency"]),
        generation(results["generation"]),
        answers(results["answers"], results["grounding"]),
        documents(results["documents"]),
        pictures([run for run in results["run"] if seen(run)], results["labels"]),
        scans(results["receipts"], results["reading"]),
        missing(results),
        how(result for kind in results.values() for result in kind),
    ]
    return "\n".join([_HEAD, *filter(None, parts)])


def with_lines(readme: str, said: Sequence[str]) -> str:
    """`readme` with `said` between its marks."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n" + "".join(f"- {line}\n" for line in said) + f"{_END}{after}"


def lines(results: Results) -> list[str]:
    """What the README says of it: quality, rivals, cost; a line each, as far as it was measured."""
    said = []
    default = [result for result in results["run"] if not result.get("configuration") and not seen(result)]
    if default:
        scores = ", ".join(f"{one['dataset']} {short(one['metrics']['ndcg@10'])}" for one in default)
        said.append(f"nDCG@10 with the starter embedder: {scores}.")
    said += _against(results["rivals"])
    for one in results["throughput"]:
        ratio = one["ratios"]["add, processor"]
        said.append(
            f"Taking documents in costs {ratio:.2f} times the processor time of embedding them with "
            "sentence-transformers alone."
        )
        break
    return said


def _against(contests: Sequence[Result]) -> list[str]:
    """Our nDCG@10 beside the best rival's on each data set."""
    told = []
    for contest in contests:
        rows = {name: row for name, row in contest["contestants"].items() if "failed" not in row}
        others = {name: row for name, row in rows.items() if not name.startswith(OURS)}
        if OURS in rows and others:
            best = max(others, key=lambda name: others[name]["ndcg@10"])
            ours, theirs = short(rows[OURS]["ndcg@10"]), short(others[best]["ndcg@10"])
            told.append(f"{contest['dataset']} {ours} ({best} {theirs})")
    return [f"Against the best of the other programs, with the same weights: {', '.join(told)}."] if told else []
