"""The Models page: getting, using, removing models and going back, over a library in memory and a hub on loopback."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rag.config import load_settings
from rag.errors import ConfigError
from rag.models import hub as hub_adapter
from rag.models.catalogue import find_entry
from rag.models.choice import choose_model
from rag.models.machine import Machine
from rag.models.overview import overview
from rag.models.pull import Transfer
from rag.models.servers import FoundServer
from rag.records import IndexVersion, Progress, SwitchReport
from rag.servers.served import ServedModel
from tests.browser import Screen
from tests.hub_server import Hub, serving_hub
from tests.ui.fakes import FakeLibrary
from tests.ui.test_page import serving
from ui import events
from ui import machine as machine_page
from ui.machine import models_of
from ui.model_tasks import ModelTasks, Task
from ui.models_page import Models, render_models, render_tasks, task_line
from ui.pulse import Pulse
from ui.servers import Servers, render_servers
from ui.status import Warmth

GB = 10**9
LAPTOP = Machine(memory=16 * GB, card=0, card_name="")
WINDOW = Callable[..., Screen]


@pytest.fixture(autouse=True)
def laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_page, "this_machine", lambda: LAPTOP)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model of the catalogue; its bytes are not those that the catalogue knows."""
    monkeypatch.setattr(hub_adapter, "_PAUSE", 0.0)
    entry = find_entry("ms-marco-minilm-l6-v2")
    assert entry is not None
    config = b'{"architectures": ["BertForSequenceClassification"]}'
    with serving_hub() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        served.add(
            entry.repository, {"config.json": config, "tokenizer.json": b"{}", "model.safetensors": bytes(1 << 20)}
        )
        yield served


def install(home: Path, name: str, *files: str) -> None:
    folder = home / "models" / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(b"GGUF" if file.endswith(".gguf") else b"[]")


def version(state: str, embedder: str, missing: int = 0) -> IndexVersion:
    return IndexVersion(f"of-{embedder}", state, embedder, embedder, 384, "2025-03-02", 40, missing)  # type: ignore[arg-type]


def models_page(library: FakeLibrary, tasks: tuple[Task, ...] = ()) -> str:
    return render_models(models_of(library, Warmth(loading=False), tasks))  # type: ignore[arg-type]


# --- what it shows ---


def test_what_suits_the_machine_can_be_got_and_what_is_too_large_cannot(library: FakeLibrary) -> None:
    page = models_page(library)
    assert 'data-do="pull-model" data-model="gemma-4-e2b"' in page
    assert "suggested" in page
    assert 'data-model="gemma-4-26b-a4b"' not in page
    assert "too large for this machine" in page
    assert "4.3 GB to get · about 5.3 GB of memory · runs on the processor" in page  # 4.34 * 1.1 + .5 = 5.274


def test_what_is_installed_can_be_used_and_removed(library: FakeLibrary) -> None:
    install(library.settings.home, "chat", "chat-Q8_0.gguf")
    page = models_page(library)
    assert 'data-do="use-model" data-model="chat"' in page
    assert 'data-do="remove-model" data-model="chat"' in page
    assert "next start" not in page
    choose_model("generator", "chat", library.settings.home)
    page = models_page(library)
    assert "chat will be used from the next start of the program." in page
    assert ">from the next start</span>" in page
    assert 'data-model="chat"' not in page


def test_the_embedder_of_the_live_index_is_in_use_and_one_that_is_kept_cannot_be_removed(library: FakeLibrary) -> None:
    install(library.settings.home, "new", "modules.json")
    install(library.settings.home, "old", "modules.json")
    library.index = (version("live", "new"), version("kept", "old", missing=3))
    page = models_page(library)
    assert "in use" in page
    assert "an index of it is kept" in page
    assert 'data-do="use-model" data-model="old"' in page
    assert 'data-do="remove-model"' not in page
    assert "searched with old. Its index is kept; 3 documents changed since" in page
    assert 'data-do="roll-back" data-model="old"' in page
    assert 'data-do="roll-back"' not in models_page(library, (Task(1, "use", "old", "running"),))


def test_while_a_model_comes_it_has_no_buttons(library: FakeLibrary) -> None:
    assert 'data-model="clip-vit-b-32"' in models_page(library)
    assert 'data-model="clip-vit-b-32"' not in models_page(library, (Task(1, "pull", "clip-vit-b-32"),))


def test_names_of_folders_are_inert(library: FakeLibrary) -> None:
    rows = overview([], LAPTOP)
    hostile = replace(rows[0], name="<img src=x onerror=alert(1)>", installed=True)
    page = Models(library.status(), Warmth(), [hostile])
    assert "<img" not in render_models(page)


TRANSFER = Transfer("m", "m.gguf", 1_200_000_000, 4_300_000_000, 23_100_000.0, 134.0)
SWITCH = Progress(1200, 4000, "", 1200, 60.0, 140.0, "switch")


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (Task(1, "pull", "m"), "Waiting: m"),
        (Task(1, "pull", "m", "running"), "Getting m"),
        (Task(1, "pull", "m", "running", TRANSFER), "Getting m · 1.2 GB of 4.3 GB · 23.1 MB/s · 2 min 14 s left"),
        (Task(1, "pull", "m", "stopped", TRANSFER), "Stopped getting m; 1.2 GB are kept, and Pull goes on."),
        (Task(1, "pull", "m", "done", TRANSFER), "m is installed."),
        (Task(1, "pull", "m", "failed", error="no room"), "No room."),
        (
            Task(1, "use", "m", "running", SWITCH),
            "Embedding the library with m · 1,200 of 4,000 passages · 2 min 20 s left · "
            "searching goes on with the old one",
        ),
        (Task(1, "use", "m", "done", report=SwitchReport("v", "M", True, 9, 9, 0, 1.0)), "M searches the library now."),
        (Task(1, "back", "", "waiting"), "Waiting: to embed the library with the model before"),
    ],
)
def test_a_task_says_where_it_stands(task: Task, line: str) -> None:
    assert task_line(task) == line
    assert line in render_tasks([task])


OLLAMA = FoundServer(
    "Ollama",
    "http://127.0.0.1:11434/v1",
    (ServedModel("gemma4:12b", context=8192, sees=True), ServedModel("bge-m3", embeds=True)),
)


def test_servers_are_offered_once_they_were_looked_for() -> None:
    assert "Look for servers" in render_servers(Servers())
    assert "None was found." in render_servers(Servers(()))
    page = render_servers(Servers((OLLAMA,), {"http://127.0.0.1:11434/v1#bge-m3"}))
    assert "Ollama at http://127.0.0.1:11434/v1" in page
    assert "writes answers · looks at pictures too · room for 8,192 tokens" in page
    assert 'data-model="http://127.0.0.1:11434/v1#gemma4:12b"' in page
    assert 'data-model="http://127.0.0.1:11434/v1#bge-m3"' not in page  # it is chosen already
    locked = FoundServer("model server", "http://127.0.0.1:8000/v1", problem="it wants a key: set `server_api_key`")
    assert "it wants a key" in render_servers(Servers((locked,)))


def test_a_page_can_name_only_the_models_of_servers_that_were_found() -> None:
    servers = Servers((OLLAMA,))
    assert servers.offers("http://127.0.0.1:11434/v1#gemma4:12b")
    assert not servers.offers("http://10.0.0.9:11434/v1#gemma4:12b")
    assert not servers.offers("http://127.0.0.1:11434/v1#other")
    assert not Servers().offers("http://127.0.0.1:11434/v1#gemma4:12b")
    assert servers.embeds("http://127.0.0.1:11434/v1#bge-m3")
    assert not servers.embeds("http://127.0.0.1:11434/v1#gemma4:12b")


# --- what it does ---


class Told(Pulse):
    """A pulse that lets a test wait for a state instead of for a time."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def touch(self) -> None:
        super().touch()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(is_so, timeout=120)


@pytest.fixture
def pulse() -> Told:
    return Told()


@pytest.fixture
def tasks(library: FakeLibrary, pulse: Told) -> Iterator[ModelTasks]:
    made = ModelTasks(library, library.settings.home, pulse)
    yield made
    made.close(10)


def ended(tasks: ModelTasks, number: int = 0) -> Callable[[], bool]:
    return lambda: len(tasks.all()) > number and not tasks.all()[number].live


def test_a_model_is_got_in_the_background(hub: Hub, tasks: ModelTasks, pulse: Told, library: FakeLibrary) -> None:
    tasks.pull("ms-marco-minilm-l6-v2")
    pulse.wait_for(ended(tasks))
    done = tasks.all()[0]
    assert (done.state, done.error) == ("done", None)
    assert isinstance(done.told, Transfer)
    assert 'data-do="use-model" data-model="ms-marco-minilm-l6-v2" data-kind="reranker"' in models_page(library)
    assert 'data-do="remove-model" data-model="ms-marco-minilm-l6-v2"' in models_page(library)
    tasks.dismiss(done.number)
    assert tasks.all() == []


def test_what_goes_wrong_is_said(hub: Hub, tasks: ModelTasks, pulse: Told) -> None:
    tasks.pull("clip-vit-b-32")  # the hub has no such repository
    pulse.wait_for(ended(tasks))
    assert tasks.all()[0].state == "failed"
    assert "there is no 'laion/CLIP-ViT-B-32-laion2B-s34B-b79K'" in (tasks.all()[0].error or "")


def test_the_same_is_not_queued_twice(tasks: ModelTasks, library: FakeLibrary, pulse: Told) -> None:
    library.may_switch.clear()
    tasks.use("new")
    tasks.use("new")
    assert len(tasks.all()) == 1
    library.may_switch.set()
    pulse.wait_for(ended(tasks))
    tasks.use("new")  # again, after it ended
    assert len(tasks.all()) == 2


def test_a_switch_can_be_stopped_before_it_began(tasks: ModelTasks, library: FakeLibrary, pulse: Told) -> None:
    library.may_switch.clear()
    tasks.use("first")
    tasks.use("second")
    tasks.stop(2)
    library.may_switch.set()
    pulse.wait_for(ended(tasks))
    assert [task.state for task in tasks.all()] == ["stopped", "done"]
    assert library.index[0].reference == "first"


def test_going_back_where_there_is_nothing_to_go_back_to(tasks: ModelTasks, pulse: Told) -> None:
    tasks.roll_back()
    pulse.wait_for(ended(tasks))
    assert tasks.all()[0].error == "there is no older version of the index to go back to"


def test_a_defect_in_one_task_does_not_end_the_queue(
    tasks: ModelTasks, library: FakeLibrary, pulse: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(library, "switch_embedder", lambda *_: 1 / 0)
        tasks.use("new")
        pulse.wait_for(ended(tasks))
    assert tasks.all()[0].error == "unexpected ZeroDivisionError: division by zero"
    tasks.use("new")
    pulse.wait_for(lambda: len(tasks.all()) == 2 and ended(tasks)())
    assert tasks.all()[0].state == "done"


# --- choosing for the next start ---


def test_a_choice_is_written_beside_what_stood_there(own_home: Path) -> None:
    (own_home / "rag.toml").write_text('# mine\nport = 7000  # high\nmmproj = "/old/eyes.gguf"\n', "utf-8")
    choose_model("generator", "chat", own_home)
    choose_model("reranker", "again", own_home)
    text = (own_home / "rag.toml").read_text("utf-8")
    assert "# mine\nport = 7000  # high\n" in text
    settings = load_settings()
    assert (settings.generator, settings.reranker, settings.port, settings.mmproj) == ("chat", "again", 7000, None)


def test_a_choice_that_would_not_hold_is_refused(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_GENERATOR", "starter")
    with pytest.raises(ConfigError, match="RAG_GENERATOR insists on 'starter'"):
        choose_model("generator", "chat", own_home)
    with pytest.raises(ConfigError, match="embedder is not chosen in the settings"):
        choose_model("embedder", "m", own_home)
    (own_home / "rag.toml").write_text("port = = 1", "utf-8")
    with pytest.raises(ConfigError, match="cannot write the setting 'image_embedder'"):
        choose_model("image embedder", "clip", own_home)


# --- in a browser ---


@pytest.mark.browser
def test_get_stop_go_on_use_and_go_back(hub: Hub, library: FakeLibrary, window: WINDOW) -> None:
    home = library.settings.home
    install(home, "chat", "chat-Q8_0.gguf")
    install(home, "new", "modules.json")
    hub.hanging.add("model.safetensors")
    with serving(library) as address:
        screen = window(address).open("#models")
        page = screen.page
        page.click("[aria-label='ms-marco-minilm-l6-v2'] [data-do=pull-model]")
        page.wait_for_selector("#model-tasks .job-running")
        page.click("details[data-fold='image embedder'] summary")
        hub.hanging.clear()
        hub.released.set()  # what hung is cut off now, and taken up again
        page.wait_for_selector("#model-tasks .job-done:has-text('is installed')")
        page.wait_for_selector("[aria-label='ms-marco-minilm-l6-v2'] [data-do=remove-model]")
        assert page.locator("details[data-fold='image embedder'][open]").count() == 1  # it was drawn again meanwhile

        page.click("[aria-label=new] [data-do=use-model]")
        page.click("dialog.inquiry[open] button:has-text('Use')")
        screen.matches("#model-tasks", "new searches the library now")
        page.click("[data-do=roll-back]")
        page.click("dialog.inquiry[open] button:has-text('Roll back')")
        screen.matches("#model-tasks", "starter searches the library now")

        page.click("[aria-label=chat] [data-do=use-model]")
        page.click("dialog.inquiry[open] button:has-text('Use')")
        screen.matches("[aria-label=chat]", "from the next start")
        assert load_settings(home=home).generator == "chat"

        page.click("[aria-label='ms-marco-minilm-l6-v2'] [data-do=remove-model]")
        page.click("dialog.inquiry[open] button:has-text('Remove')")
        page.wait_for_selector("[aria-label='ms-marco-minilm-l6-v2'] [data-do=pull-model]")
        assert screen.elsewhere == []
        assert screen.problems == []


@pytest.mark.browser
def test_the_models_of_a_server_can_be_used(
    library: FakeLibrary, window: WINDOW, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "find_servers", lambda: (OLLAMA,))
    with serving(library) as address:
        screen = window(address).open("#models")
        screen.page.click("[data-do=find-servers]")
        screen.page.click("[aria-label='gemma4:12b'] [data-do=use-model]")
        screen.page.click("dialog.inquiry[open] button:has-text('Use')")
        screen.matches("[aria-label='gemma4:12b']", "chosen")
        screen.matches("#model-list", r"gemma4:12b will be used from the next start")
        assert load_settings(home=library.settings.home).generator == "http://127.0.0.1:11434/v1#gemma4:12b"
        screen.page.click("[aria-label=bge-m3] [data-do=use-model]")
        screen.page.click("dialog.inquiry[open] button:has-text('Use')")
        screen.matches("#model-tasks", "searches the library now")
        assert library.index[0].reference == "http://127.0.0.1:11434/v1#bge-m3"
        assert screen.problems == []


@pytest.mark.browser
def test_it_fits_a_telephone(library: FakeLibrary, window: WINDOW, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "find_servers", lambda: (OLLAMA,))
    with serving(library) as address:
        screen = window(address, width=390, height=844, scheme="dark").open("#models")
        screen.page.wait_for_selector(".offer")
        for fold in screen.page.locator("details[data-fold] summary").all():
            fold.click()
        screen.page.click("[data-do=find-servers]")
        screen.page.wait_for_selector("[aria-label=bge-m3]")
        assert screen.page.evaluate("document.documentElement.scrollWidth") == 390
        assert screen.problems == []
