"""Results of `eval run` as one page that needs nothing else: no script, no font, no picture from anywhere.

What stands in questions and documents is only ever text in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from eval.insight import MEASURE, Insight, Judged, insight
from eval.markdown_report import SHOWN, title_of, told
from eval.svg_plots import Bar, bars, differences

_LISTED = 20  # questions in each short list
_STYLE = """
:root { color-scheme: light dark; --ground: #fbfaf7; --text: #22211f; --quiet: #6b675f; --rule: #dcd8cf;
  --mark: #8a8377; --strong: #1f5f8b; --good: #2f7d4f; --bad: #b4462f; }
@media (prefers-color-scheme: dark) { :root { --ground: #191a1c; --text: #e6e3dd; --quiet: #a39e94; --rule: #3a3b3e;
  --mark: #7d7a73; --strong: #74b3de; --good: #6cc08f; --bad: #e08a74; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { margin-top: 3rem; border-top: 1px solid var(--rule); padding-top: 1.5rem; }
p.quiet, .tick { color: var(--quiet); } nav a { margin-right: 1rem; } a { color: var(--strong); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); vertical-align: top; }
th:first-child, td:first-child { text-align: left; min-width: 6rem; overflow-wrap: break-word; }
details td:first-child { min-width: 15rem; max-width: 36rem; } tr.strong { font-weight: 600; }
.good { color: var(--good); fill: var(--good); } .bad { color: var(--bad); fill: var(--bad); }
svg { width: 100%; max-width: 44rem; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--text); }
svg .tick { fill: var(--quiet); } .bar { fill: var(--mark); } .bar.strong { fill: var(--strong); }
.grid { stroke: var(--rule); } .whisker { stroke: var(--text); } summary { cursor: pointer; padding: .4rem 0; }
code { font-size: .9em; overflow-wrap: anywhere; }
@media print { details > * { display: block; } }
"""


def html(results: Sequence[Mapping[str, Any]]) -> str:
    """The page: what is compared first, then each result with its plots and all its questions."""
    parts = [_section(number, result) for number, result in enumerate(results)]
    links = "".join(f'<a href="#r{number}">{escape(title_of(result))}</a>' for number, result in enumerate(results))
    compared = f"<nav>{links}</nav>{_compared(results)}" if len(results) > 1 else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>How well the program finds things</title><style>{_STYLE}</style></head><body>"
        f"<h1>How well the program finds things</h1>{compared}{''.join(parts)}</body></html>\n"
    )


def _compared(results: Sequence[Mapping[str, Any]]) -> str:
    """The one list of each result beside the others."""
    rows = []
    for result in results:
        fused = result.get("fused", "hybrid")
        low, high = result["intervals"][fused][MEASURE]
        rows.append(Bar(title_of(result), result["metrics"][MEASURE], low, high, strong=True))
    return "<h2>Side by side</h2>" + bars("nDCG@10 of each, with 95 % intervals", rows)


def _section(number: int, result: Mapping[str, Any]) -> str:
    seen = insight(result)
    helped, same, hurt = seen.counts
    notes = "".join(f"<p>{escape(note)}.</p>" for note in result["notes"])
    command = f" <code>{escape(result['command'])}</code>" if result.get("command") else ""
    gains = [question.gain for question in seen.questions]
    title = f"{title_of(result)}: {result['queries']} questions, {result['documents']} documents"
    return (
        f'<section id="r{number}"><h2>{escape(title)}</h2>'
        f'<p class="quiet">{escape(told(result))}.{command}</p>{notes}'
        f"{_by_retriever(result, seen)}"
        f"<h3>What fusion did</h3><p>Against <b>{escape(seen.single)}</b> alone, the best single retriever here, "
        f"fusion helped {helped} questions, left {same} as they were and hurt {hurt}.</p>"
        f"{differences('Differences in nDCG@10, one bar a question, the most helped first', gains)}"
        f"{_list('Hardest questions', seen, seen.hardest(_LISTED), opened=True)}"
        f"{_list('Where fusion helped most', seen, seen.helped(_LISTED))}"
        f"{_list('Where fusion hurt most', seen, seen.hurt(_LISTED))}"
        f"{_list('All questions', seen, seen.questions)}"
        "</section>"
    )


def _by_retriever(result: Mapping[str, Any], seen: Insight) -> str:
    rows, table = [], []
    for name, means in result["by_retriever"].items():
        low, high = result["intervals"][name][MEASURE]
        rows.append(Bar(name, means[MEASURE], low, high, strong=name == seen.fused))
        cells = [escape(name), *(f"{means[measure]:.3f}" for measure in SHOWN), f"{low:.3f} to {high:.3f}"]
        table.append((cells, "strong" if name == seen.fused else ""))
    plot = bars("nDCG@10 by retriever, with 95 % intervals", rows)
    return plot + _table(["", *SHOWN, "95 % of ndcg@10"], table)


def _list(heading: str, seen: Insight, questions: Sequence[Judged], *, opened: bool = False) -> str:
    if not questions:
        return f"<p>{escape(heading)}: none.</p>"
    places = [name for name in questions[0].ranks if name != seen.fused]
    head = ["question", f"{seen.fused} ndcg@10", "difference", f"place in {seen.fused}", *places]
    rows = [(_cells(question, seen, places), "") for question in questions]
    state = " open" if opened else ""
    return f"<details{state}><summary>{escape(heading)} ({len(questions)})</summary>{_table(head, rows)}</details>"


def _cells(question: Judged, seen: Insight, places: Sequence[str]) -> list[str]:
    kind = "good" if question.gain > 0 else "bad" if question.gain < 0 else ""
    first = f"<br><small>first: {escape(question.found[0])}</small>" if question.found and question.fused < 1 else ""
    right = f"<br><small>right: {escape(', '.join(question.right))}</small>" if question.right else ""
    return [
        escape(question.text) + right + first,
        f"{question.fused:.3f}",
        f'<span class="{kind}">{question.gain:+.3f}</span>',
        *(str(question.ranks.get(name) or "-") for name in (seen.fused, *places)),
    ]


def _table(head: Sequence[str], rows: Iterable[tuple[Sequence[str], str]]) -> str:
    """A table of cells that are HTML already, and a heading of words."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells, kind in rows
    )
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
