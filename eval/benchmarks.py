"""`docs/benchmarks.md` and three lines of the README, made from the kept results and from nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
        _quality(results["run"]),
        _rivals(results["rivals"]),
        _throughput(results["throughput"]),
        _latency(results["latency"]),
        _generation(results["generation"]),
        _documents(results["documents"]),
        _pictures(results["reading"], results["labels"]),
        _how(result for kind in results.values() for result in kind),
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
    default = [result for result in results["run"] if not result.get("configuration")]
    if default:
        scores = ", ".join(f"{one['dataset']} {_short(one['metrics']['ndcg@10'])}" for one in default)
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
            ours, theirs = _short(rows[OURS]["ndcg@10"]), _short(others[best]["ndcg@10"])
            told.append(f"{contest['dataset']} {ours} ({best} {theirs})")
    return [f"Against the best of the other programs, with the same weights: {', '.join(told)}."] if told else []


# --- the parts ---------------------------------------------------------------------------------------------------


def _quality(runs: Sequence[Result]) -> str:
    if not runs:
        return ""
    rows = []
    for run in runs:
        means, fused = run["by_retriever"], run.get("fused", "hybrid")
        low, high = run["intervals"][fused]["ndcg@10"]
        single = [_short(means[name]["ndcg@10"]) if name in means else "" for name in ("bm25", "text")]
        rest = [_short(means[fused][name]) for name in ("recall@10", "recall@100", "mrr@10", "map@100")]
        name = run["dataset"] + (f", {run['configuration']}" if run.get("configuration") else "")
        bold = f"**{_short(means[fused]['ndcg@10'])}**"
        rows.append([name, str(run["queries"]), *single, bold, f"{_short(low)} to {_short(high)}", *rest])
    head = ["", "questions", "BM25", "vectors", "one list", "95 %", "recall@10", "recall@100", "MRR@10", "MAP@100"]
    return "## Search\n\nnDCG@10 by retriever and of the one list, and other measures of the one list.\n\n" + _table(
        head, rows
    )


def _rivals(contests: Sequence[Result]) -> str:
    parts = []
    for contest in contests:
        rows = []
        for name, row in contest["contestants"].items():
            if "failed" in row:
                rows.append([name, f"failed: {row['failed']}", *[""] * 7])
                continue
            against = contest["compared"].get(name)
            cpu, questions = row["cpu_seconds"], contest["queries"]
            rows.append(
                [
                    f"**{name}**" if name == OURS else name,
                    _short(row["ndcg@10"]),
                    f"{against['ndcg@10']:+.3f}, p {against['p']:.3f}" if against else "",
                    f"{row['seconds']['ingest']:.1f}",
                    f"{cpu['ingest']:.1f}",
                    f"{row['ms']['p50']:.1f} / {row['ms']['p95']:.1f}",
                    f"{1000 * cpu['ask'] / questions:.1f}",
                    f"{row['mib']['peak']:.0f}" if row["mib"]["peak"] else "?",
                ]
            )
        head = [
            "",
            "nDCG@10",
            "ours less it",
            "ingest s",
            "processor s",
            "question ms, p50 / p95",
            "processor ms",
            "MiB",
        ]
        better = "\n".join(f"- {line}" for line in contest["better"]) or "- nowhere"
        parts.append(f"### {contest['dataset']}\n\n{_table(head, rows)}\nWhere others are better:\n\n{better}\n")
    if not parts:
        return ""
    settings = _settings(contests[-1])
    intro = (
        "Each program has an environment of its own, gets the same weights by their path, and is set up for hybrid "
        "search as its own documentation shows (`eval/rivals/`).\n\n"
    )
    return f"## Against other programs\n\n{intro}" + "\n".join(parts) + settings


def _settings(contest: Result) -> str:
    """How each was set up, and in which versions."""
    rows = []
    for name, row in contest["contestants"].items():
        if "failed" not in row:
            how = "; ".join(f"{key}: {value}" for key, value in row["settings"].items())
            rows.append([name, how, ", ".join(f"{package} {number}" for package, number in row["versions"].items())])
    return "\n### How they were set up\n\n" + _table(["", "settings", "versions"], rows)


def _throughput(found: Sequence[Result]) -> str:
    if not found:
        return ""
    rows = []
    for one in found:
        add, ratios = one["add"], one["ratios"]
        rows.append(
            [
                f"{one['dataset']}, {one['documents']} documents",
                f"{add['documents_per_second']:.1f}",
                f"{add['chunks_per_second']:.0f}",
                f"{ratios['add, clock']:.2f} / {ratios['add, processor']:.2f}",
                f"{add['peak_mib']:.0f}",
                f"{one['disk']['bytes_per_chunk']:.0f}",
                f"{one['start']['seconds']:.1f}",
                f"{ratios['embedding a question']:.2f}",
            ]
        )
    head = [
        *("", "documents/s", "chunks/s", "times sentence-transformers alone, clock / processor", "peak MiB"),
        *("bytes of disk a chunk", "first search s", "a question's vector, times plain"),
    ]
    return "## Taking documents in\n\n" + _table(head, rows)


def _latency(found: Sequence[Result]) -> str:
    if not found:
        return ""
    rows = []
    for one in sorted(found, key=lambda one: (one["store"], one["chunks"])):
        times = [_percentiles(one["ms"][name]) for name in ("vector", "words", "hybrid", "numpy")]
        ratio = one["ratio"]["vector"]
        rows.append([one["store"], f"{one['chunks']:,}", *times, f"{ratio:.2f}", f"{one['recall@10']:.3f}"])
    head = ["store", "chunks", "vectors", "words", "hybrid", "exact numpy", "vectors, times numpy", "recall@10"]
    return (
        "## Searching as a library grows\n\nMilliseconds at the percentiles 50 / 95 / 99, by made-up chunks that have "
        "neighbours as real ones have; without the time to embed a question.\n\n" + _table(head, rows)
    )


def _generation(found: Sequence[Result]) -> str:
    if not found:
        return ""
    rows = []
    for one in found:
        for case, writers in one["cases"].items():
            ours = writers["ours"]
            rows.append([case, f"{ours['first']:.2f}", f"{ours['first_ratio']:.2f}", f"{ours['rate_ratio']:.2f}"])
    head = ["prompt", "first token s", "processor time to it, times plain", "tokens per processor second, times plain"]
    return "## Answers, against a plain llama.cpp call\n\n" + _table(head, rows)


def _documents(found: Sequence[Result]) -> str:
    rows: list[list[str]] = []
    for one in found:
        pages, web, mail = one["pages"], one["web"], one["mail"]
        if pages:
            hits = " / ".join(_short(pages[f"page_hit@{k}"]) for k in (1, 5, 10))
            rows.append([one["folder"], f"right page of a PDF among the first 1 / 5 / 10 ({pages['questions']})", hits])
            rows.append([one["folder"], "citations that point to the right page", _short(pages["citations"])])
        if web:
            values = " / ".join(_short(web[name]) for name in ("precision", "recall", "f1"))
            rows.append([one["folder"], f"bodies of {web['pages']} web pages: precision / recall / F1", values])
        if mail:
            worst = min(mail["fields"].values())
            rows.append([one["folder"], f"fields of {mail['mails']} mails: the worst of them", _short(worst)])
    return "## Documents\n\n" + _table(["", "", ""], rows) if rows else ""


def _pictures(reading: Sequence[Result], labels: Sequence[Result]) -> str:
    rows = [
        [
            one["folder"],
            f"text in {one['with_truth']} scans: characters / words wrong",
            f"{_short(one['character_error'])} / {_short(one['word_error'])}",
        ]
        for one in reading
    ]
    rows += [
        [one["folder"], f"{one['labels']} labels, {one['image_embedder']}", _short(one["accuracy@1"])] for one in labels
    ]
    return "## Pictures\n\n" + _table(["", "", ""], rows) if rows else ""


def _how(results: Iterable[Result]) -> str:
    rows = []
    for one in results:
        where = one["circumstances"]
        machine = f"{where['processor']}, {where['cores']} cores, {where['memory_gib']} GiB, {where['system']}"
        rows.append(
            [f"`{one['command']}`", where["date"], f"{machine}, Python {where['python']}, load {where['load']}"]
        )
    return "## How it was measured\n\n" + _table(["command", "date", "machine"], rows)


def _percentiles(times: Mapping[str, float]) -> str:
    return " / ".join(f"{times[key]:.1f}" for key in ("p50", "p95", "p99"))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in cells)


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
