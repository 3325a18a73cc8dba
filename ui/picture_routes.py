"""How are pictures served? As WebP that the library made, off the event loop, and kept by the browser.

Documents are asked for by id, pictures and pages by number, pictures that were asked with by digest. The bytes of a
file as it came are never served here: whatever it was, an SVG too, it has been decoded and encoded again.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response

from rag.errors import DocumentNotFound, RagError
from rag.library import Library
from ui.links import is_digest, is_document_id

_TOGETHER = 2  # pictures that are made at once: one of 100 megapixels takes 300 MB while it is decoded
_FOR_GOOD = "private, max-age=31536000, immutable"  # an address that names what it shows
_ASK_AGAIN = "private, no-cache"  # the browser keeps it and asks whether it is still the one
_POLICY = {"Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'self'"}
_PLACEHOLDER = (Path(__file__).parent / "no-picture.svg").read_bytes()


def add_picture_routes(routes: APIRouter, library: Library) -> None:
    """Previews, full views, drawn pages, and pictures that were asked with."""
    making = CapacityLimiter(_TOGETHER)

    async def answer(request: Request, make: Callable[[], bytes], *, for_good: bool) -> Response:
        try:
            data = await to_thread.run_sync(make, limiter=making)
        except (RagError, OSError):
            return _nothing()
        return _picture(request, data, for_good=for_good)

    @routes.get("/preview/{document}/{number:int}")
    async def preview(request: Request, document: str, number: int) -> Response:
        return await answer(
            request, lambda: library.preview(_known(document), number), for_good="v" in request.query_params
        )

    @routes.get("/view/{document}/{number:int}")
    async def view(request: Request, document: str, number: int) -> Response:
        return await answer(
            request, lambda: library.view(_known(document), number), for_good="v" in request.query_params
        )

    @routes.get("/page/{document}/{page:int}")
    async def drawn(request: Request, document: str, page: int) -> Response:
        return await answer(
            request, lambda: library.page_view(_known(document), page), for_good="v" in request.query_params
        )

    @routes.get("/asked/{digest}")
    async def asked(request: Request, digest: str) -> Response:
        if not is_digest(digest):
            return _nothing()
        return await answer(request, lambda: library.kept_picture(digest), for_good=True)


def _known(document: str) -> str:
    if not is_document_id(document):
        raise DocumentNotFound(f"no document {document!r}")
    return document


def _picture(request: Request, data: bytes, *, for_good: bool) -> Response:
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": _FOR_GOOD if for_good else _ASK_AGAIN, **_POLICY}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/webp", headers=headers)


def _nothing() -> Response:
    """A calm drawing of ours where a picture should be: its file is gone, or it cannot be read any more."""
    return Response(
        _PLACEHOLDER, status_code=404, media_type="image/svg+xml", headers={"Cache-Control": "no-store", **_POLICY}
    )
