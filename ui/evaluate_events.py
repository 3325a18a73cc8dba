"""What each event of the Evaluate page does, and of the button below an answer that keeps a question."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from rag.errors import RagError
from ui import sent
from ui.controls import problem
from ui.desk import Desk
from ui.evaluate_page import Evaluated, render_asking, render_evaluate
from ui.html import Html, join
from ui.keeping import question_of, render_kept, right_for

Asked = tuple[Any, Any]  # what is going on, the page


class EvaluateEvents:
    """The handlers for one desk. A page names questions by id; they are looked up among those that are kept."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._own = desk.own
        self._shown: dict[str, int] = {}  # the page as each window has it

    def evaluate(self, _: gr.EventData, request: gr.Request) -> Asked:
        """The page as it stands."""
        return self._page(request)

    def evaluate_now(self, _: gr.EventData, request: gr.Request) -> Asked:
        return self._after(request, self._own.ask)

    def stop_evaluation(self, _: gr.EventData, request: gr.Request) -> Asked:
        return self._after(request, self._own.stop)

    def edit_question(self, event: gr.EventData, request: gr.Request) -> Asked:
        question, text = sent.word(event, "question"), sent.word(event, "text")
        return self._after(request, lambda: self._own.change(question, text))

    def wrong_document(self, event: gr.EventData, request: gr.Request) -> Asked:
        return self._after(
            request, lambda: self._own.leave_out(sent.word(event, "question"), sent.word(event, "document"))
        )

    def pin_question(self, event: gr.EventData, request: gr.Request) -> Asked:
        return self._after(
            request, lambda: self._own.pin(sent.word(event, "question"), sent.word(event, "pinned") == "yes")
        )

    def remove_question(self, event: gr.EventData, request: gr.Request) -> Asked:
        return self._after(request, lambda: self._own.remove(sent.word(event, "question")))

    def kept(self, _: gr.EventData) -> Html:
        """Which questions are kept, for the buttons below answers."""
        return self._kept()

    def keep_question(self, event: gr.EventData) -> Html:
        """Keep the question of a finished turn: the documents that its answer cites are the right ones."""
        conversation = self._desk.conversation(sent.word(event, "conversation"))
        at = sent.number(event, "turn")
        if conversation is None or not 0 <= at < len(conversation.turns):
            return self._kept("This answer is not there any more.")
        turn = conversation.turns[at]
        try:
            self._own.keep(question_of(turn), right_for(turn.answer))
        except RagError as error:
            return self._kept(str(error))
        return self._kept()

    def _kept(self, trouble: str = "") -> Html:
        try:
            return render_kept(self._own.all(), trouble)
        except RagError as error:  # the file cannot be read
            return render_kept((), str(error))

    def _after(self, request: gr.Request, work: Callable[[], object]) -> Asked:
        """Do it; the page then, with the reason where it could not be done."""
        try:
            work()
        except RagError as error:
            return self._page(request, problem(str(error)))
        return self._page(request)

    def _page(self, request: gr.Request, trouble: Html | None = None) -> Asked:
        """Only what is going on, where the page is as the window has it: nobody loses a button he is at."""
        own, session = self._own, request.session_hash or ""
        asking = own.now
        working = join([trouble, render_asking(asking)])
        try:
            documents = {info.id: info for info in self._desk.library.documents()}
            page = render_evaluate(Evaluated(own.all(), documents, own.history()), asking)
        except RagError as error:
            page = problem(str(error))
        is_new = self._shown.get(session) != hash(page)
        self._shown[session] = hash(page)
        return working, page if is_new else gr.skip()
