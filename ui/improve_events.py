"""What each event of the Improve page does: HTML for what is going on, and for the rest where it has changed."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.errors import RagError
from rag.tune.process import read_steps
from rag.tune.records import Candidate
from ui import sent
from ui.controls import problem
from ui.desk import Desk
from ui.html import Html, join
from ui.improve_page import Improvement, Made, render_improve, tier_of
from ui.improve_runs import render_runs

Improved = tuple[Any, Any]  # what is going on, the page


class ImproveEvents:
    """The handlers for one desk. A page names runs and tiers; they are looked up by the improver."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tuning = desk.tuning
        self._shown: dict[str, int] = {}  # the page as each window has it

    def improve(self, _: gr.EventData, request: gr.Request) -> Improved:
        """The page as it stands."""
        self._tuning.follow()
        return self._page(request)

    def train(self, event: gr.EventData, request: gr.Request) -> Improved:
        tier = tier_of(sent.word(event, "tier"))
        return self._after(request, lambda: self._tuning.train(tier) if tier else None)

    def go_on(self, event: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, lambda: self._tuning.go_on(sent.word(event, "run")))

    def judge(self, event: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, lambda: self._tuning.judge(sent.word(event, "name")))

    def draw_map(self, event: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, lambda: self._tuning.draw_map(sent.word(event, "name")))

    def run_lab(self, _: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, self._tuning.run_lab)

    def stop_run(self, event: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, lambda: self._tuning.stop(sent.word(event, "run")))

    def delete_run(self, event: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, lambda: self._tuning.delete(sent.word(event, "run")))

    def swap(self, event: gr.EventData, request: gr.Request) -> Improved:
        """Put a candidate to use; one that did not pass only where that was said to be wanted (`anyway`)."""
        name, anyway = sent.word(event, "name"), sent.word(event, "anyway") == "yes"
        return self._after(request, lambda: self._tuning.swap(name, force=anyway))

    def roll_back_tuned(self, _: gr.EventData, request: gr.Request) -> Improved:
        return self._after(request, self._tuning.roll_back)

    def _after(self, request: gr.Request, work: Callable[[], object]) -> Improved:
        """Do it; the page then, with the reason where it could not be done."""
        try:
            work()
        except RagError as error:
            return self._page(request, problem(str(error)))
        return self._page(request)

    def _page(self, request: gr.Request, trouble: Html | None = None) -> Improved:
        """Only what is going on, where the page is as the window has it: nobody loses a button he is at."""
        tuning, session = self._tuning, request.session_hash or ""
        runs = tuning.runs()
        working = join([trouble, render_runs(runs, trouble=tuning.trouble)])
        try:
            page = render_improve(self._improvement(busy=any(run.live for run in runs)))
        except RagError as error:  # a file of ours cannot be read
            page = problem(str(error))
        is_new = self._shown.get(session) != hash(page)
        self._shown[session] = hash(page)
        return working, page if is_new else gr.skip()

    def _improvement(self, *, busy: bool) -> Improvement:
        tuning = self._tuning
        status, proposal = tuning.standing()
        return Improvement(
            status=status,
            made=[self._made(candidate) for candidate in tuning.improver.candidates()],
            proposal=proposal,
            change=tuning.change,
            busy=busy,
            lab=tuning.report.exists(),
        )

    def _made(self, candidate: Candidate) -> Made:
        folder = self._tuning.improver.runs.folder(candidate.name)
        verdict = self._tuning.improver.verdict(candidate.name)
        return Made(candidate, verdict, read_steps(folder), self._tuning.map_of(candidate.name) is not None)
