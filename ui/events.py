"""What each event of the page does. Handlers take what the page sent and give HTML for the parts that change.

A page sends names and words only; everything it names (a conversation, a document, a job) is looked up here.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast, get_args

import gradio as gr

from rag.errors import RagError
from rag.models.catalogue import find_entry
from rag.models.choice import choose_model
from rag.models.installed import ModelKind, installed_model
from rag.models.pull import remove
from rag.models.servers import find_servers
from rag.records import Answer, Kind
from rag.tune.records import Act
from ui import sent
from ui.asked import Where, render_alike, render_asked, render_refused
from ui.chat import render_conversations, render_run, render_thread
from ui.controls import problem
from ui.desk import Desk
from ui.doctor import render_doctor
from ui.figures import name_of
from ui.html import Html, join, tag
from ui.library import render_failures, render_jobs, render_table, sort_documents
from ui.links import is_like
from ui.machine import models_of, references_in_use
from ui.models_page import render_models, render_tasks
from ui.runs import Run
from ui.search import render_results, where_kinds
from ui.servers import Servers, render_servers
from ui.sources import render_sources
from ui.status import render_off, status_line
from ui.welcome import render_welcome
from ui.words import sentence

_FRAME = 0.08  # seconds between two pictures of an answer in the making
_SEARCHED = 20
_PICTURES = 60  # of a search for pictures only, which a gallery shows
_ALL = 1_000_000

_NOTHING_NEW = (gr.skip(), gr.skip(), gr.skip(), gr.skip())

Chat = tuple[Any, Any, Any, Any]  # conversations, thread, live, sources
Tiles = tuple[Any, Any]  # beside the question, beside the search field
Shelf = tuple[Any, Any]  # what is going on with models, the models
Around = tuple[Any, Any, Any, Any, Any]  # status, jobs beside the chat, jobs in the library, and the shelf


class Events:
    """The handlers for one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._last: dict[tuple[str, str], int] = {}
        self._shelves: dict[str, int] = {}  # the models as each page has them

    # --- chat ---

    def open(self, event: gr.EventData, request: gr.Request) -> Iterator[Chat]:
        """Show a conversation, and go on showing it while an answer is being written there."""
        yield from self._follow(sent.word(event, "conversation"), event, request)

    def ask(self, event: gr.EventData, request: gr.Request) -> Iterator[Chat]:
        """Begin an answer and show it as it comes."""
        question, picture = sent.word(event, "question").strip(), sent.word(event, "picture")
        if not question and not picture:
            yield _NOTHING_NEW
            return
        try:
            run = self._desk.ask(sent.word(event, "conversation"), question, picture)
        except RagError as error:  # of the picture: what goes wrong later is told by the run
            yield gr.skip(), gr.skip(), problem(str(error)), gr.skip()
            return
        yield from self._follow(run.conversation, event, request)

    def attach(self, event: gr.EventData, request: gr.Request) -> Tiles:
        """Take a picture to ask or to search with, and show it beside the words; or say why it cannot be.

        Not a generator: Gradio sends the last piece of one again when it ends, over a tile that may be gone by then.
        """
        where = _where(event)
        is_latest = self._latest(f"tile-{where}", event, request)
        tile = self._tile(event, where)
        return _tiles(where, tile) if is_latest() else (gr.skip(), gr.skip())

    def detach(self, event: gr.EventData, request: gr.Request) -> Tiles:
        """Leave the picture out."""
        where = _where(event)
        self._latest(f"tile-{where}", event, request)
        return _tiles(where, Html(""))

    def _tile(self, event: gr.EventData, where: Where) -> Html:
        document, number, like = sent.word(event, "document"), sent.number(event, "number"), sent.word(event, "like")
        try:
            if not like:
                return render_asked(self._desk.pictures.take(sent.word(event, "file")), where)
            found = self._desk.library.document(document)
            picture = next((p for p in found.pictures if p.number == number), None)
            if picture is None or not is_like(like):
                return render_refused("That picture is not in the library any more", where)
            return render_alike(document, number, name_of(found, picture), like)
        except RagError as error:
            return render_refused(str(error), where)

    def stop(self, event: gr.EventData) -> None:
        self._desk.runs.stop(sent.word(event, "conversation"))

    def sources(self, event: gr.EventData) -> Html:
        """The cards of an earlier answer."""
        conversation = self._desk.conversation(sent.word(event, "conversation"))
        number = sent.number(event, "turn")
        if conversation is None or not 0 <= number < len(conversation.turns):
            return render_sources(())
        return self._sources_of(conversation.turns[number].answer)

    def find(self, event: gr.EventData, request: gr.Request) -> Any:
        """The conversations that hold the words looked for."""
        is_latest = self._latest("find", event, request)
        found = self._list(sent.word(event, "conversation"), sent.word(event, "find"))
        return found if is_latest() else gr.skip()

    def rename(self, event: gr.EventData) -> Html:
        title, conversation = sent.word(event, "title").strip(), sent.word(event, "conversation")
        if title and self._desk.conversation(conversation) is not None:
            self._desk.library.conversations.rename(conversation, title)
        return self._list(sent.word(event, "current"), sent.word(event, "find"))

    def delete(self, event: gr.EventData) -> Html:
        """Delete a conversation, with what was logged of its answers."""
        desk, conversation = self._desk, sent.word(event, "conversation")
        desk.runs.forget(conversation)
        kept = desk.conversation(conversation)
        shown = [turn.answer.shown for turn in kept.turns if turn.answer.shown] if kept else []
        desk.library.conversations.delete(conversation)
        trouble = _trouble(lambda: desk.library.feedback.forget_lists(shown))
        return join([trouble, self._list(sent.word(event, "current"), sent.word(event, "find"))])

    # --- feedback ---

    def mark(self, event: gr.EventData) -> Html:
        """Log what was done with a list or one of its sources; what is wrong with it, for the page to say."""
        act = sent.word(event, "act")
        if act not in get_args(Act):
            return Html("")
        shown, chunk, back = sent.word(event, "shown"), sent.word(event, "chunk"), bool(sent.value(event, "back"))
        try:
            self._desk.library.feedback.choose(shown, cast(Act, act), chunk, taken_back=back)
        except RagError as error:
            if act in ("open", "copy"):  # nobody asked for that to be kept
                return Html("")
            return tag("p", sentence(str(error)), data_refused=sent.number(event, "order"))
        return Html("")

    def _follow(self, name: str, event: gr.EventData, request: gr.Request) -> Iterator[Chat]:
        """The conversation at once, then its answer in the making, until it is done or the page looks elsewhere."""
        is_latest = self._latest("view", event, request)
        words = sent.word(event, "find")
        run = shown = self._desk.runs.get(name)
        yield self._whole(name, words) if is_latest() else _NOTHING_NEW
        while run is not None and run.live and is_latest():
            time.sleep(_FRAME)
            run = self._desk.runs.get(name)
            if run is not None and run is not shown:
                same = shown is not None and shown.passages is run.passages
                cards = gr.skip() if same else self._sources_being_read(run)
                yield gr.skip(), gr.skip(), render_run(run), cards
                shown = run
        if shown is not None and run is None and is_latest():
            yield self._whole(name, words)

    def _whole(self, name: str, words: str) -> Chat:
        """Every part of the chat as it stands."""
        desk = self._desk
        status = desk.library.status()
        conversation = desk.conversation(name)
        run = desk.runs.get(name)
        if conversation is None or (not conversation.turns and run is None):
            welcome = render_welcome(status, desk.questions())
            return self._list("", words), welcome, Html(""), Html("")
        last = conversation.turns[-1].answer if conversation.turns else None
        if run is not None:
            cards = self._sources_being_read(run)
        elif last is not None:
            cards = self._sources_of(last)
        live = render_run(run) if run is not None else Html("")
        thread = render_thread(conversation, status, desk.library.feedback.marks)
        return self._list(name, words), thread, live, cards

    def _sources_of(self, answer: Answer) -> Html:
        cited, shown = (citation.number for citation in answer.citations), answer.shown
        return render_sources(answer.passages, cited, shown=shown, marks=self._desk.library.feedback.marks(shown))

    def _sources_being_read(self, run: Run) -> Html:
        marks = self._desk.library.feedback.marks(run.shown)
        return render_sources(run.passages, searching=run.live, shown=run.shown, marks=marks)

    def _list(self, current: str, words: str) -> Html:
        found = self._desk.library.conversations.list(words.strip())
        return render_conversations(found, current, searched=bool(words.strip()))

    # --- library ---

    def table(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """The documents that the filter leaves, and the failures."""
        is_latest = self._latest("table", event, request)
        library = self._desk.library
        found = library.documents(sent.word(event, "text").strip(), _kinds(event))
        column, down = sent.word(event, "column") or "title", bool(sent.value(event, "down"))
        rows = _ALL if sent.value(event, "all") else 200
        table = render_table(
            sort_documents(found, column, down=down), library.status().documents, column, down=down, rows=rows
        )
        return (table, render_failures(library.failures())) if is_latest() else (gr.skip(), gr.skip())

    def adopt(self, event: gr.EventData) -> tuple[Html, Html]:
        """Queue files that were dropped, pasted or chosen."""
        files = sent.value(event, "files")
        self._desk.adopt([path for path in files if isinstance(path, str)] if isinstance(files, list) else [])
        return self._jobs()

    def reread(self, event: gr.EventData) -> tuple[Html, Html]:
        self._desk.reread(sent.word(event, "file"))
        return self._jobs()

    def stop_job(self, event: gr.EventData) -> tuple[Html, Html]:
        self._desk.jobs.stop(sent.number(event, "job"))
        return self._jobs()

    def dismiss(self, event: gr.EventData) -> tuple[Html, Html]:
        self._desk.jobs.dismiss(sent.number(event, "job"))
        return self._jobs()

    def remove(self, event: gr.EventData) -> Html:
        """Take documents out of the library; what came of it is said beside the table."""
        ids = sent.value(event, "ids")
        try:
            removed = self._desk.library.remove([str(one) for one in ids] if isinstance(ids, list) else [])
        except RagError as error:
            return problem(str(error))
        self._desk.pulse.touch()
        return tag("p", f"Removed {removed:,}. The files themselves were not touched.", class_="notice", role="status")

    def _jobs(self) -> tuple[Html, Html]:
        jobs = self._desk.jobs.all()
        return render_jobs(jobs[:3]), render_jobs(jobs)

    # --- models ---

    def pull_model(self, event: gr.EventData, request: gr.Request) -> Shelf:
        """Get a model of the catalogue; a page can name no other."""
        model = sent.word(event, "model")
        if find_entry(model) is not None:
            self._desk.model_tasks.pull(model)
        return self._models(request)

    def use_model(self, event: gr.EventData, request: gr.Request) -> tuple[Any, Any, Any]:
        """Embed the library with an embedder, or choose a model of another kind for the next start.

        A page can name what is installed, and the models of the servers that were found.
        """
        name, desk, servers = sent.word(event, "model"), self._desk, self._servers()
        model = installed_model(name, desk.library.settings.home)
        kind: ModelKind | None = model.kind if model else None
        if servers.offers(name):
            kind = "embedder" if servers.embeds(name) else "generator"
        trouble = None
        if kind == "embedder":
            desk.model_tasks.use(name)
        elif kind is not None:
            trouble = _trouble(partial(choose_model, kind, name, desk.library.settings.home))
        return *self._models(request, trouble), render_servers(self._servers())

    def find_servers(self, _: gr.EventData) -> Html:
        """Look for model servers on this machine."""
        self._desk.servers = find_servers()
        return render_servers(self._servers())

    def _servers(self) -> Servers:
        return Servers(self._desk.servers, references_in_use(self._desk.library))

    def remove_model(self, event: gr.EventData, request: gr.Request) -> Shelf:
        """Delete an installed model that nothing uses."""
        name, desk = sent.word(event, "model"), self._desk
        rows = models_of(desk.library, desk.warmth).rows
        may_go = any(row.name == name and row.installed and not row.used for row in rows)
        trouble = _trouble(lambda: remove(name, desk.library.settings.home)) if may_go else None
        return self._models(request, trouble)

    def roll_back(self, _: gr.EventData, request: gr.Request) -> Shelf:
        """Go back to the embedder before."""
        self._desk.model_tasks.roll_back()
        return self._models(request)

    def stop_task(self, event: gr.EventData, request: gr.Request) -> Shelf:
        self._desk.model_tasks.stop(sent.number(event, "task"))
        return self._models(request)

    def dismiss_task(self, event: gr.EventData, request: gr.Request) -> Shelf:
        self._desk.model_tasks.dismiss(sent.number(event, "task"))
        return self._models(request)

    def _models(self, request: gr.Request, trouble: Html | None = None) -> Shelf:
        """What is going on, and the models where they are not as this page has them: nobody loses a button he is at."""
        desk, session = self._desk, request.session_hash or ""
        tasks = desk.model_tasks.all()
        page = render_models(models_of(desk.library, desk.warmth, tasks))
        is_new = self._shelves.get(session) != hash(page)
        self._shelves[session] = hash(page)
        return join([trouble, render_tasks(tasks)]), page if is_new else gr.skip()

    def examine(self, _: gr.EventData) -> Iterator[Html]:
        """Find out what every model runs on and how fast, and show it as it comes."""
        for examined in self._desk.examination.follow():
            yield render_doctor(examined)

    # --- search, and what surrounds everything ---

    def search(self, event: gr.EventData, request: gr.Request) -> Iterator[tuple[Any, Any]]:
        """The ranked list for what stands in the field, and a word that it is coming."""
        is_latest = self._latest("search", event, request)
        yield tag("p", "Looking through your library…", class_="waiting late", role="status"), gr.skip()
        found = self._found(event)
        yield (Html(""), found) if is_latest() else (gr.skip(), gr.skip())

    def _found(self, event: gr.EventData) -> Html:
        words, like, kinds = sent.word(event, "text").strip(), sent.word(event, "like"), _kinds(event)
        library = self._desk.library
        off = render_off(library.status())
        try:
            asked = self._desk.pictures.get(sent.word(event, "picture"))
            if not (words or like or asked):
                return render_results(None, off)
            result = library.search(
                words,
                picture=asked.data if asked else None,
                like=like,
                k=_PICTURES if kinds == ("image",) else _SEARCHED,
                where=where_kinds(kinds),
                audience="person" if sent.value(event, "settled") else "typist",
            )
        except RagError as error:
            return problem(str(error))
        marks = library.feedback.marks(result.shown)
        return render_results(result, off if asked or like or "image" in kinds else None, marks)

    def refresh(self, _: gr.EventData, request: gr.Request) -> Around:
        """The status line, the jobs and the models, after something changed."""
        desk = self._desk
        status = desk.library.status()
        line = tag("p", status_line(status, desk.warmth, desk.jobs.looking()), class_="status", role="status")
        return line, *self._jobs(), *self._models(request)

    def _latest(self, name: str, event: gr.EventData, request: gr.Request) -> Callable[[], bool]:
        """Says, whenever asked, whether this is the last request of its name that the page has made.

        Requests of fast typing, and their answers, may overtake one another; those that come too late are not shown.
        """
        key, number = (request.session_hash or "", name), sent.number(event, "order")
        self._last[key] = max(number, self._last.get(key, 0))
        return lambda: self._last[key] == number


def _trouble(work: Callable[[], object]) -> Html | None:
    """Do it; what is wrong with it, if anything."""
    try:
        work()
    except RagError as error:
        return problem(str(error))
    return None


def _where(event: gr.EventData) -> Where:
    return "search" if sent.word(event, "where") == "search" else "chat"


def _tiles(where: Where, tile: Html) -> Tiles:
    return (tile, gr.skip()) if where == "chat" else (gr.skip(), tile)


def _kinds(event: gr.EventData) -> tuple[Kind, ...]:
    value = sent.value(event, "kinds")
    known = get_args(Kind)
    return tuple(cast(Kind, kind) for kind in value if kind in known) if isinstance(value, list) else ()
