"""The reports of the Improve page: the map of a candidate and that of the lab, each a static page of ours."""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from rag.errors import TuneError
from ui.source_page import render_problem
from ui.tune_tasks import Tuning

MAP, REPORT = "map.html", "report.html"  # as `rag tune map` and `rag lab digits` write them
# They bring their styles and pictures with them; no script of theirs runs, and nothing is loaded from anywhere.
_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def add_improve_routes(routes: APIRouter, tuning: Tuning) -> None:
    """Add both. A run is asked for by its name; no route takes a path."""

    @routes.get("/improve/lab")
    def lab() -> Response:
        return _report(tuning.lab / REPORT)

    @routes.get("/improve/{name}/map")
    def drawn(name: str) -> Response:
        try:
            return _report(tuning.improver.runs.folder(name) / MAP)
        except TuneError as error:
            return _problem(str(error))


def _report(path: Path) -> Response:
    try:
        return HTMLResponse(path.read_text("utf-8"), headers={"Content-Security-Policy": _POLICY})
    except OSError:
        return _problem("It was not made yet, or is gone; make it again on the Improve page.")


def _problem(words: str) -> Response:
    return HTMLResponse(render_problem("No such report", words), 404, {"Content-Security-Policy": "default-src 'none'"})
