"""The Improve page: what it says of every state, and in a browser from the first training to the way back."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rag.errors import TuneError
from rag.tune.process import Run, at_work, end
from rag.tune.records import Step
from tests.api.serving import served
from tests.browser import Screen
from tests.patience import until
from tests.ui.fake_improver import NOTHING, SOME, FakeImprover, candidate, verdict
from tests.ui.fakes import FakeLibrary
from ui.app import build_app
from ui.improve_page import Improvement, Made, render_improve
from ui.improve_runs import pace, render_curves, render_runs, run_line
from ui.pulse import Pulse
from ui.tune_tasks import Change, Tuning
from ui.verdict import render_verdict

WORKER = (sys.executable, "-m", "tests.ui.tuning_worker")
NAME = candidate().name


def run(state: str = "running", *steps: Step, **more: object) -> Run:
    return Run(Path("runs") / NAME, "train", state, 0.0, steps, **more)  # type: ignore[arg-type]


# --- what it says --------------------------------------------------------------------------------------------------


def test_before_anything_it_teaches_what_thumbs_are_for() -> None:
    page = render_improve(Improvement(NOTHING))
    assert "It has not learnt anything yet" in page
    assert "What thumbs are for" in page
    assert "no gain could be proven" in page
    assert "It needs 30 pairs of your own, there are 0." in page
    assert 'data-do="train"' not in page
    assert 'data-do="train-anyway" data-tier="0"' in page


def test_what_it_knows_and_could_prove() -> None:
    page = render_improve(Improvement(SOME))
    assert "180 pairs of question and passage to learn from about 41 documents" in page  # 62 + 118
    assert "62 from your thumbs, pins and corrections" in page
    assert "What thumbs are for" not in page
    assert "that could prove a gain of .085 nDCG@10 or more" in page
    assert 'class="primary" data-do="train" data-tier="1a"' in page
    assert 'class="plain" data-do="train" data-tier="0"' in page


def test_while_something_works_nothing_else_is_begun() -> None:
    page = render_improve(Improvement(SOME, [Made(candidate())], busy=True))
    for action in ("train", "train-anyway", "judge", "swap", "run-lab", "draw-map"):
        assert f'data-do="{action}"' not in page


@pytest.mark.parametrize(
    ("outcome", "offered", "not_offered"),
    [("PASS", "swap", "swap-anyway"), ("FAIL", "swap-anyway", "swap"), ("INCONCLUSIVE", "swap-anyway", "swap")],
)
def test_only_what_passed_is_offered_for_use(outcome: str, offered: str, not_offered: str) -> None:
    made = Made(candidate(), verdict(outcome=outcome))  # type: ignore[arg-type]
    page = render_improve(Improvement(SOME, [made]))
    assert f'data-do="{offered}"' in page
    assert f'data-do="{not_offered}"' not in page


def test_one_that_was_not_judged_can_be_and_can_be_forced() -> None:
    page = render_improve(Improvement(SOME, [Made(candidate())]))
    assert "not judged" in page
    assert 'data-do="judge"' in page
    assert 'data-do="swap-anyway"' in page


def test_what_searches_is_told_with_the_way_back() -> None:
    status = replace(SOME, live=candidate(), before="")
    page = render_improve(Improvement(status, [Made(candidate(), verdict())], proposal="fewer thumbs up"))
    assert f"A turn of the questions ({NAME})" in page
    assert "Roll back to the model as it came" in page
    assert "Fewer thumbs up." in page
    assert 'data-do="swap"' not in page  # it searches already


def test_a_change_that_did_not_go_says_why() -> None:
    assert "The disk is full." in render_improve(Improvement(SOME, change=Change(NAME, error="the disk is full")))
    assert "searches from now on" in render_improve(Improvement(SOME, change=Change(NAME)))


def test_a_verdict_in_plain_words() -> None:
    told = render_verdict(verdict(), "figures")
    assert "It is better, and worse at nothing that counts." in told
    assert "place 7 → place 1" in told
    assert "not found → place 3" in told
    assert "place 1 → place 2" in told
    assert "+.091, 95 % interval +.030 to +.150, p = 0.004" in told
    assert "-.001, at worst -.006" in told
    assert "Which berth?" in render_verdict(verdict(outcome="FAIL"), "figures")


def test_questions_and_reasons_are_inert() -> None:
    hostile = replace(verdict(), reasons=("<img src=x>",), lost=("<script>",))
    told = render_verdict(hostile, "figures")
    assert "<img" not in told
    assert "<script" not in told


def test_pace() -> None:
    steps = [Step("train", done, 100, float(done), loss=1.0) for done in (10, 20, 30)]
    assert pace(steps) == ["learning", "30 of 100", "1.0/s", "1 min 10 s left", "loss 1.000"]  # 70 left at 1 a second
    assert pace([]) == ["starting"]
    assert pace([Step("mine", 0, 0, 0.0)]) == ["looking for near misses"]


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (run("failed", trouble="3 pairs are too few"), "3 pairs are too few."),
        (run("killed", trouble="Killed"), "ended from outside, or ran out of memory. The last it said: Killed."),
        (run("stopped"), "stopped. What searches is untouched."),
        (run("running", stopping=True), "stopping after the step in work"),
        (run("running"), "starting"),
    ],
)
def test_how_a_run_stands(what: Run, line: str) -> None:
    assert line in run_line(what)


def test_runs_that_are_done_are_not_listed_and_others_can_be_gone_on_with() -> None:
    assert "job" not in render_runs([run("done")]).replace('class="jobs"', "")
    assert 'data-do="go-on"' in render_runs([run("killed")])
    assert "Delete" in render_runs([run("killed")])
    assert 'aria-label="Dismiss"' in render_runs([replace(run("killed"), work="map")])
    assert 'data-do="go-on"' not in render_runs([run("failed")])
    assert "End it now" in render_runs([run("running", stopping=True)])


def test_curves_need_two_points() -> None:
    assert render_curves([Step("train", 1, 2, 0.0, loss=1.0)], "Learning") is None
    drawn = render_curves([Step("train", n, 2, float(n), loss=1.0 / n) for n in (1, 2)], "Learning")
    assert drawn is not None
    assert "Learning: Loss ends at 0.5" in drawn


# --- what it does --------------------------------------------------------------------------------------------------


@pytest.fixture
def tuning(library: FakeLibrary) -> Iterator[Tuning]:
    library.improver.standing = SOME
    made = Tuning(library, Pulse())
    made.program = WORKER
    yield made
    for each in made.runs():
        end(each.folder)


def test_a_training_goes_on_to_its_verdict(tuning: Tuning, library: FakeLibrary) -> None:
    (library.settings.home / "tuning").mkdir(parents=True)
    (library.settings.home / "tuning" / "go").touch()
    before = tuning._pulse.version
    tuning.train("1a")
    assert tuning._pulse.busy
    name = tuning.runs()[0].name
    until(lambda: tuning.improver.verdict(name) is not None)
    until(lambda: not tuning._pulse.busy)
    assert tuning._pulse.version > before
    assert [each.state for each in tuning.runs()] == ["done"]


def test_one_at_a_time_and_the_second_stop_ends_it(tuning: Tuning) -> None:
    tuning.train("0")
    with pytest.raises(TuneError, match="is at work"):
        tuning.train("1a")
    with pytest.raises(TuneError, match="is at work"):
        tuning.run_lab()
    name = tuning.runs()[0].name
    until(lambda: len(tuning.runs()[0].steps) == 5)
    tuning.stop(name)
    until(lambda: not tuning.runs()[0].live)
    assert tuning.runs()[0].state == "stopped"
    assert tuning.improver.candidates() == []
    tuning.delete(name)
    assert tuning.runs() == []


def test_a_server_that_was_started_again_finds_what_works(tuning: Tuning, library: FakeLibrary) -> None:
    tuning.train("0")
    again = Tuning(library, Pulse())
    again.follow()
    assert again._pulse.busy
    assert again.runs()[0].live
    again.stop(again.runs()[0].name)
    until(lambda: not again._pulse.busy)


def test_what_did_not_pass_is_only_used_where_that_is_wanted(tuning: Tuning, library: FakeLibrary) -> None:
    library.improver.keep(candidate(), verdict(outcome="INCONCLUSIVE"))
    tuning.swap(NAME)
    until(lambda: tuning.change is not None and not tuning.change.running)
    assert tuning.change is not None
    assert "did not let" in tuning.change.error
    tuning.swap(NAME, force=True)
    until(lambda: tuning.change is not None and not tuning.change.running)
    assert library.improver.live() == candidate()


def test_a_run_with_a_candidate_is_not_deleted(tuning: Tuning, library: FakeLibrary) -> None:
    library.improver.keep(candidate())
    with at_work(library.improver.runs.root / NAME, "judge"):
        pass
    assert [each.name for each in tuning.runs()] == [NAME]
    tuning.delete(NAME)
    assert tuning.runs() == []  # its record is dismissed
    assert library.improver.candidates() == [candidate()]
    tuning.delete("../../conversations")  # names nothing


# --- the reports ---------------------------------------------------------------------------------------------------


def test_reports_are_pages_of_no_site(library: FakeLibrary) -> None:
    home = library.settings.home
    for path, words in ((f"tuning/maps/v1--{NAME}.html", "a map"), ("lab/digits/report.html", "digits")):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(words)
    asked = TestClient(build_app(library), base_url="http://127.0.0.1")  # type: ignore[arg-type]
    drawn, lab = asked.get(f"/improve/{NAME}/map"), asked.get("/improve/lab")
    assert (drawn.text, lab.text) == ("a map", "digits")
    assert drawn.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert lab.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "allow-same-origin" not in drawn.headers["content-security-policy"]
    assert asked.get("/improve/1a-none/map").status_code == 404
    assert asked.get("/improve/%2e%2e/map").status_code == 404


# --- in a browser --------------------------------------------------------------------------------------------------


@contextmanager
def serving(library: FakeLibrary) -> Iterator[str]:
    """The application on a free port, whose work is done by the worker above."""
    app = build_app(library)  # type: ignore[arg-type]
    app.state.desk.tuning.program = WORKER
    with served(app) as address:
        yield address


@pytest.mark.browser
def test_train_reload_verdict_use_roll_back(library: FakeLibrary, window: Callable[..., Screen]) -> None:
    library.improver = FakeImprover(library.settings.home, SOME)
    with serving(library) as address:
        screen = window(address, 390, 844, "dark").open("#improve")
        page = screen.page
        page.click("[data-do=train][data-tier='1a']")
        page.wait_for_selector(".job-running svg[aria-label^='Learning: Loss']")  # live, with its curve
        assert page.locator("[data-do=train]").count() == 0
        screen.reload()
        page.wait_for_selector(".job-running svg[aria-label^='Learning: Loss']")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        (library.settings.home / "tuning" / "go").touch()
        page.wait_for_selector(".verdict-pass:has-text('place 7 → place 1')")
        page.focus("[data-do=swap]")
        page.keyboard.press("Enter")
        page.wait_for_selector("#improve-page :text('searches from now on')")
        page.wait_for_selector("h3:has-text('searches now')")
        page.click("[data-do='roll-back-tuned']")
        page.click("dialog .primary")
        page.wait_for_selector("h2:has-text('as it came')")
        assert screen.elsewhere == []
        assert screen.problems == []


@pytest.mark.browser
def test_used_anyway_only_after_a_question(library: FakeLibrary, window: Callable[..., Screen]) -> None:
    library.improver = FakeImprover(library.settings.home, SOME)
    library.improver.keep(candidate(), verdict(outcome="FAIL"))
    with serving(library) as address:
        screen = window(address).open("#improve")
        page = screen.page
        page.click("[data-do='swap-anyway']")
        page.wait_for_selector("dialog:has-text('did not pass')")
        page.click("dialog .plain")
        assert library.improver.live() is None
        page.click("[data-do='swap-anyway']")
        page.click("dialog .primary")
        page.wait_for_selector("h3:has-text('searches now')")
        assert screen.problems == []
