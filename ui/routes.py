"""What is served beside the application itself: sources, originals, pictures, the pulse, the styles and scripts."""

from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from rag.errors import DocumentNotFound, RagError
from ui.desk import Desk
from ui.improve_routes import add_improve_routes
from ui.links import is_document_id
from ui.picture_routes import add_picture_routes
from ui.source_page import render_problem, render_source

_HERE = Path(__file__).parent
SCRIPTS = ("dialogs.js", "files.js", "marks.js", "page.js")  # in the order in which they are run
_ASSETS = {
    "style.css": "text/css",
    "pictures.css": "text/css",
    "improve.css": "text/css",
    "icon.svg": "image/svg+xml",
    **dict.fromkeys(SCRIPTS, "text/javascript"),
}
_SHOWN = ("image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/avif")  # SVG is a document: not it
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'self'"
_PDF_POLICY = "frame-ancestors 'self'"  # a sandbox would stop the browser's own viewer, which is isolated already
_NOT_FOUND = "It is not in the library any more, or it never was."


def make_routes(desk: Desk) -> APIRouter:
    """The routes for one desk. Documents are asked for by id; no route takes a path."""
    routes = APIRouter()
    library = desk.library

    @routes.get("/source/{document}")
    def source(
        document: str,
        start: int | None = Query(None),
        end: int | None = Query(None),
        picture: int | None = Query(None),
        chunk: str = Query(""),
    ) -> Response:
        if not is_document_id(document):
            return _problem("No such document", _NOT_FOUND, 404)
        try:
            found = library.document(document)
            attachments = [info for info in library.documents() if info.parent == document]
        except DocumentNotFound:
            return _problem("No such document", _NOT_FOUND, 404)
        page = render_source(found, attachments, start, end, picture=picture, chunk=chunk)
        return HTMLResponse(page, headers=_policy(_PAGE_POLICY))

    @routes.get("/original/{document}")
    def original(document: str) -> Response:
        if not is_document_id(document):
            return _problem("No such document", _NOT_FOUND, 404)
        try:
            found = library.original(document)
        except DocumentNotFound:
            return _problem("No such document", _NOT_FOUND, 404)
        except (RagError, OSError) as error:
            return _problem("The original cannot be opened", str(error), 404)
        return _original(found.name, found.media_type, found.data)

    @routes.get("/pulse")
    def beat() -> Response:
        desk.warm()  # the first beat comes when a page is drawn: importing torch earlier would hold it up for seconds
        return JSONResponse({"version": desk.pulse.version, "busy": desk.pulse.busy})

    @routes.get("/ui/{name}")
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            return Response(status_code=404)
        return FileResponse(_HERE / name, media_type=_ASSETS[name], headers={"Cache-Control": "no-cache"})

    add_picture_routes(routes, library)
    add_improve_routes(routes, desk.tuning)
    return routes


def _original(name: str, media_type: str, data: bytes) -> Response:
    """The bytes of a file, shown by the browser only where that cannot run anything of the file's own."""
    if media_type == "application/pdf":
        kind, place, policy = media_type, "inline", _PDF_POLICY
    elif media_type in ("text/plain", "text/markdown"):
        kind, place, policy = "text/plain; charset=utf-8", "inline", _FILE_POLICY
    elif media_type in _SHOWN:
        kind, place, policy = media_type, "inline", _FILE_POLICY
    else:
        kind, place, policy = "application/octet-stream", "attachment", _FILE_POLICY
    disposition = f"{place}; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return Response(data, media_type=kind, headers={"Content-Disposition": disposition, **_policy(policy)})


def _problem(title: str, words: str, status: int) -> Response:
    return HTMLResponse(render_problem(title, words), status_code=status, headers=_policy(_PAGE_POLICY))


def _policy(policy: str) -> dict[str, str]:
    return {"Content-Security-Policy": policy}
