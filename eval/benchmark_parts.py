"""The parts of docs/benchmarks.md: a table or more for each kind of result."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eval.printing import short
from eval.results import Result, name_of
from eval.rivals.arena import OURS

_ANY_READING = 0.05  # seconds of processor to the first token, below which nothing was read for it

_MEASURED_BY = {
    "run": "quality of search",
    "receipts": "finding receipts",
    "rivals": "other programs",
    "throughput": "taking documents in",
    "latency": "searching as a library grows",
    "documents": "PDFs, web pages and mails",
    "generation": "answers against plain llama.cpp",
    "labels": "names for pictures",
    "reading": "the text in scans",
    "answers": "what is said, cited and held back",
    "grounding": "sentences that the sources do not bear out",
}
_LIMITS = (
    "other languages than English, and collections of more than a few thousand documents",
    "other embedders and language models than the starters, which are among the smallest there are",
    "graphics cards, where the last table does not name one",
)


def quality(runs: Sequence[Result]) -> str:
    """nDCG@10 by retriever, and other measures of the one list."""
    if not runs:
        return ""
    rows = []
    for run in runs:
        means, fused = run["by_retriever"], run.get("fused", "hybrid")
        low, high = run["intervals"][fused]["ndcg@10"]
        single = [short(means[name]["ndcg@10"]) if name in means else "" for name in ("bm25", "text")]
        rest = [short(means[fused][name]) for name in ("recall@10", "recall@100", "mrr@10", "map@100")]
        name = run["dataset"] + (f", {run['configuration']}" if run.get("configuration") else "")
        bold = f"**{short(means[fused]['ndcg@10'])}**"
        rows.append([name, str(run["queries"]), *single, bold, f"{short(low)} to {short(high)}", *rest])
    head = ["", "questions", "BM25", "vectors", "one list", "95 %", "recall@10", "recall@100", "MRR@10", "MAP@100"]
    return "## Search\n\nnDCG@10 by retriever and of the one list, and other measures of the one list.\n\n" + _table(
        head, rows
    )


def rivals(contests: Sequence[Result]) -> str:
    """Ours beside other programs, on each data set."""
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
                    short(row["ndcg@10"]),
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


def throughput(found: Sequence[Result]) -> str:
    """What taking documents in costs."""
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


def latency(found: Sequence[Result]) -> str:
    """What searching costs, by the size of the library."""
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


def generation(found: Sequence[Result]) -> str:
    """Time to the first token and speed after it, ours beside plain calls."""
    head = [
        *("prompt", "tokens", "first token s", "processor s to it, ours / plain", "times plain"),
        *("tokens per processor s, ours / plain", "times plain", "same text"),
    ]
    told = []
    for one in found:
        rows = []
        for case, writers in one["cases"].items():
            ours, plain = writers["ours"], writers["plain"]
            times = f"{ours['first_ratio']:.2f}" if plain["first_cpu"] >= _ANY_READING else "plain reads nothing"
            rows.append(
                [
                    *(case, one["tokens"][case], f"{ours['first']:.2f}"),
                    *(f"{ours['first_cpu']:.2f} / {plain['first_cpu']:.2f}", times),
                    *(f"{ours['rate_cpu']:.0f} / {plain['rate_cpu']:.0f}", f"{ours['rate_ratio']:.2f}"),
                    "yes" if ours["same_text"] else "no",
                ]
            )
        threads = f"{one['threads']} thread(s) each" if one["threads"] else "as many threads as each comes with"
        told.append(f"{one['model']}, {threads}, medians of {one['rounds']} rounds.\n\n{_table(head, rows)}")
    intro = (
        "Of what an earlier prompt began with too, ours skips whole blocks (of 128 tokens on a CPU) and never the last "
        "one, so that a reply does not depend on what was asked before; a plain call skips every token that is the "
        "same, of the last prompt alone.\n\n"
    )
    return f"## Answers, against a plain llama.cpp call\n\n{intro}" + "\n".join(told) if told else ""


def answers(asked: Sequence[Result], judged: Sequence[Result]) -> str:
    """What is said, cited and held back, and which wrong sentences are marked."""
    rows = [
        [
            *(one["dataset"], one["settings"]["generator"] or "none: passages are quoted", one["metrics"]["questions"]),
            " / ".join(short(one["metrics"][name]) for name in ("gold_in_answer", "gold_in_either")),
            short(one["metrics"]["citation_precision"]),
            " / ".join(short(one["metrics"]["abstention"][name]) for name in ("precision", "recall")),
            f"{one['ms']['total']['median']:.0f}",
        ]
        for one in asked
    ]
    marked = [
        [one["dataset"], kind, shares["sentences"], *(short(shares[name]) for name in ("marked", "unsupported"))]
        for one in judged
        for kind, shares in one["kinds"].items()
    ]
    parts = []
    if rows:
        head = [
            *("", "model", "questions", "right words in the answer / in it or its highlighted evidence"),
            *("citations of the right document", "held back: precision / recall", "ms"),
        ]
        parts.append("Each question is asked with its document in the index and without it.\n\n" + _table(head, rows))
    if marked:
        parts.append(
            "Sentences made from the sources, and made wrong: of the former none should be marked, of the latter all."
            "\n\n" + _table(["", "sentences", "how many", "marked", "of them as unsupported"], marked)
        )
    return "## What is answered\n\n" + "\n".join(parts) if parts else ""


def documents(found: Sequence[Result]) -> str:
    """Right pages, bodies of web pages, fields of mails."""
    rows: list[list[str]] = []
    for one in found:
        pages, web, mail = one["pages"], one["web"], one["mail"]
        if pages:
            hits = " / ".join(short(pages[f"page_hit@{k}"]) for k in (1, 5, 10))
            rows.append([one["folder"], f"right page of a PDF among the first 1 / 5 / 10 ({pages['questions']})", hits])
            rows.append([one["folder"], "answers that cite the right page", short(pages["answers"] * pages["cited"])])
            rows.append([one["folder"], "citations, of all, that point to it", short(pages["citations"])])
        if web:
            values = " / ".join(short(web[name]) for name in ("precision", "recall", "f1"))
            rows.append([one["folder"], f"bodies of {web['pages']} web pages: precision / recall / F1", values])
        if mail:
            worst = min(mail["fields"].values())
            rows.append([one["folder"], f"fields of {mail['mails']} mails: the worst of them", short(worst)])
    intro = (
        "The set `made` is made by the program: notes set as PDFs, one a page, web pages round them and mails. It is "
        "there to see a break, too easy to tell programs that read web pages and mails apart.\n\n"
    )
    return f"## Documents\n\n{intro}" + _table(["", "", ""], rows) if rows else ""


def seen(run: Result) -> bool:
    """Whether a run is about what pictures show."""
    return "by_direction" in run


def pictures(runs: Sequence[Result], labels: Sequence[Result]) -> str:
    """Words to pictures, pictures to words, and names for pictures."""
    found = [
        [
            *(run["dataset"], direction, way["queries"], run["documents"], run["settings"]["image_embedder"]["name"]),
            *(short(way["by_retriever"][run["fused"]][name]) for name in ("r@1", "r@5", "r@10", "mrr@10")),
        ]
        for run in runs
        for direction, way in run["by_direction"].items()
    ]
    named = [
        [
            *(one["folder"], one["pictures"], one["labels"], one["image_embedder"]),
            *(short(one[name]) for name in ("accuracy@1", "accuracy@5", "chance@1")),
        ]
        for one in labels
    ]
    parts = []
    if found:
        head = ["", "from what to what", "questions", "of", "model", "R@1", "R@5", "R@10", "MRR@10"]
        parts.append(_table(head, found))
    if named:
        head = ["labels", "pictures", "labels to choose from", "model", "right", "among five", "right by chance"]
        parts.append(_table(head, named))
    intro = (
        "The sets of `python -m eval shapes` are drawn, and its CLIP of 600,000 weights is trained on drawings alone: "
        "they show that measuring and searching work, not how well a CLIP of full size sees photographs.\n\n"
    )
    return f"## Pictures\n\n{intro}" + "\n".join(parts) if parts else ""


def scans(receipts: Sequence[Result], reading: Sequence[Result]) -> str:
    """Receipts that are asked for, and how well the text in pictures is read."""
    asked = []
    for one in receipts:
        ways = [(kind, way["questions"], way) for kind, way in one["by_kind"].items()]
        names = (("words alone", "bm25"), ("vectors alone", "text"))
        ways += [(f"any of these, by {said}", one["queries"], one["by_retriever"][name]) for said, name in names]
        asked += [
            [
                *(f"{one['dataset']}, {one['documents']} scans", kind, count),
                *(short(found[name]) for name in ("r@1", "r@5", "ndcg@10")),
            ]
            for kind, count, found in ways
        ]
    read = [
        [
            f"{one['folder']}, {one['with_truth']} scans",
            *(short(one[name]) for name in ("character_error", "word_error", "character_recall", "word_recall")),
            f"{one['ms']['ocr_cpu']['median'] / 1000:.2f}",
        ]
        for one in reading
        if one["with_truth"]
    ]
    parts = []
    if asked:
        head = ["find the receipt", "asked by", "questions", "right one first", "among five", "nDCG@10"]
        parts.append(_table(head, asked))
    if read:
        parts.append(
            "Edits to the truth in its order (CER, WER: capitals are small letters), and the share of it that was read "
            "in whatever order.\n\n"
            + _table(["", "CER", "WER", "characters read", "words read", "processor s a scan"], read)
        )
    intro = "Few scans are easily told apart: with them it is seen whether receipts are found, not how many more.\n\n"
    return f"## Scans\n\n{intro}" + "\n".join(parts) if parts else ""


def missing(results: Mapping[str, Sequence[Result]]) -> str:
    """What nothing is kept of, and how far what is kept reaches."""
    said = [f"{_MEASURED_BY[kind]}: nothing is kept" for kind, found in results.items() if not found]
    if results["latency"]:
        most = max(one["chunks"] for one in results["latency"])
        said.append(f"libraries of more than {most:,} chunks")
    said += _LIMITS
    return "## What is not measured here\n\n" + "".join(f"- {line}\n" for line in said)


def how(results: Iterable[Result]) -> str:
    """Command, date and machine of each result."""
    rows = []
    for one in results:
        where = one["circumstances"]
        machine = f"{where['processor']}, {where['cores']} cores, {where['memory_gib']} GiB, {where['system']}"
        machine += f", Python {where['python']}, load {where['load']}"
        rows.append([name_of(one), f"`{one['command']}`", where["date"], machine])
    return "## How it was measured\n\n" + _table(["result", "command", "date", "machine"], rows)


def _percentiles(times: Mapping[str, float]) -> str:
    return " / ".join(f"{times[key]:.1f}" for key in ("p50", "p95", "p99"))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in cells)
