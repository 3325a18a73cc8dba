"""What a program is told when something is wrong: a status, and one JSON object in the style of the address asked.

`/v1` speaks as OpenAI does, `{"error": {"message", "type", "param", "code"}}`; all else is `{"error": {"type",
"message"}}`. Neither ever holds a traceback, or what was sent.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from rag.errors import (
    DocumentNotFound,
    GenerationError,
    InvalidQuery,
    ModelError,
    PromptTooLong,
    RagError,
    StoreError,
    TooBusy,
    TuneError,
    UnreadableFile,
)

_RETRY = "5"  # seconds; clients that know the header wait that long and ask again by themselves
_STATUS: tuple[tuple[type[RagError], int], ...] = (  # the first that fits
    (InvalidQuery, 400),
    (PromptTooLong, 400),
    (UnreadableFile, 400),
    (TuneError, 400),
    (DocumentNotFound, 404),
    (TooBusy, 429),
    (GenerationError, 503),
    (ModelError, 503),
    (StoreError, 503),
)
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Problem(BaseModel):
    """What is wrong: a word for programs and a sentence for people."""

    type: str
    message: str


class ProblemBody(BaseModel):
    """The answer to a call that failed."""

    error: Problem


class OpenAIProblem(BaseModel):
    """What is wrong, as the OpenAI API tells it."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblemBody(BaseModel):
    """The answer to a call of `/v1` that failed."""

    error: OpenAIProblem


class Json(JSONResponse):
    """JSON in ASCII: paths may hold what UTF-8 cannot. Dates are written as ISO 8601."""

    def render(self, content: Any) -> bytes:
        return json_text(content).encode("ascii")


def json_text(content: object) -> str:
    """`content` as `--json` would print it, in ASCII."""
    return json.dumps(content, allow_nan=False, separators=(",", ":"), default=_plain)


def problem(
    path: str, status: int, message: str, *, code: str = "", param: str | None = None, headers: Mapping[str, str] = {}
) -> Response:
    """The answer that says so, in the style of `path`."""
    content = problem_content("openai" if path.startswith("/v1") else "ours", status, message, code, param)
    more = {"Retry-After": _RETRY} if status in (429, 503) else {}
    return Json(content, status, headers={"Cache-Control": "no-store", **more, **headers})


def problem_content(
    style: Literal["openai", "ours"], status: int, message: str, code: str = "", param: str | None = None
) -> dict[str, object]:
    """The JSON object of a problem."""
    if style == "ours":
        return {"error": {"type": code or _WORDS.get(status, "problem"), "message": message}}
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code or None}}


_WORDS = {
    400: "invalid_request",
    401: "unauthorised",
    403: "refused",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    429: "too_busy",
    500: "unexpected",
    503: "unavailable",
}


def status_of(error: RagError) -> int:
    """The HTTP status that an error of ours is told with."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def handle_problems(app: FastAPI) -> None:
    """Make every error of ours, or of the call, that leaves a route of `app` such an answer."""

    @app.exception_handler(RagError)
    async def ours(request: Request, error: RagError) -> Response:
        return problem(request.url.path, status_of(error), str(error), code=_snake(type(error).__name__))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = error.errors()
        return problem(request.url.path, 400, _told(errors), param=_place(errors[0]["loc"]) or None)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        return problem(request.url.path, error.status_code, str(error.detail), headers=error.headers or {})


def _told(errors: Sequence[Any]) -> str:
    """What pydantic found wrong, without what was sent: `messages.0.role: Input should be …`."""
    return "; ".join(f"{_place(error['loc']) or 'the body'}: {error['msg']}" for error in errors[:5])


def _place(location: Sequence[int | str]) -> str:
    """`("body", "messages", 0, "role")` -> `messages.0.role`."""
    return ".".join(str(part) for part in location[1:])


def _snake(name: str) -> str:
    """`InvalidQuery` -> `invalid_query`."""
    return re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower()


def _plain(value: Any) -> object:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
