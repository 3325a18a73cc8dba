"""The reports of the Improve page: the map of a candidate and that of the lab, each a static page of ours."""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from rag.errors import TuneError
from ui.source_page import render_problem
from ui.tune_tasks import Tuning

# They bring their styles, pictures and, for the map, one script with them. As pages of no site at all they can reach
# nothing, and the map names that script by its digest in a policy of its own, which no other script gets past.
_POLICY = (
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_POLICY_OF_LAB = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"


def add_improve_routes(routes: APIRouter, tuning: Tuning) -> None:
    """Add both. A run is asked for by its name; no route takes a path."""

    @routes.get("/improve/lab")
    def lab() -> Response:
        return _report(tuning.report, _POLICY_OF_LAB)

    @routes.get("/improve/{name}/map")
    def drawn(name: str) -> Response:
        try:
            return _report(tuning.map_of(name), _POLICY)
        except TuneError as error:
            return _problem(str(error))


def _report(path: Path | None, policy: str) -> Response:
    try:
        if path is not None:
            return HTMLResponse(path.read_text("utf-8"), headers={"Content-Security-Policy": policy})
    except OSError:
        pass
    return _problem("It was not made yet, or is gone; make it again on the Improve page.")


def _problem(words: str) -> Response:
    return HTMLResponse(render_problem("No such report", words), 404, {"Content-Security-Policy": _POLICY_OF_LAB})
