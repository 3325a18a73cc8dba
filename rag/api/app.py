"""The API as one application, without the door in front of it: who may ask is for the server to say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.responses import Response

from rag.api.chat import make_chat
from rag.api.feedback import make_feedback
from rag.api.gate import Gate
from rag.api.problems import Json, handle_problems
from rag.api.reading import make_reading
from rag.api.reception import Reception
from rag.api.service import VERSION, Service
from rag.api.tools import make_tools, mcp_routes
from rag.library import Library

OPENAPI = "/api/openapi.json"
_UNDER = ("/v1/", "/api/")
_MCP = "/mcp"
_WORDS = 1 << 20  # bytes of a body besides a picture: a long conversation
_ABOUT = """Search a library and ask it questions, from programs on the same machine.

`/v1` is the OpenAI chat API: point a client's base URL at it. `/api` gives searches and documents, and takes feedback.
`/mcp` has the tools `search`, `read_document` and `ask` for agents (Model Context Protocol, streamable HTTP).
Where the server was given a token, send it as `Authorization: Bearer …`."""


def is_api(path: str) -> bool:
    """Whether an address is answered here, rather than by the browser UI."""
    return path == _MCP or path.startswith(_UNDER)


def build_api(library: Library, answers: Gate | None = None) -> FastAPI:
    """Everything under `/v1`, `/api` and `/mcp` for one library. `answers` is the gate shared with the browser UI."""
    service = Service(library, answers)
    tools = make_tools(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tools.session_manager.run():
            yield

    api = FastAPI(
        title="Commonplace",
        description=_ABOUT,
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    api.include_router(make_chat(service))
    api.include_router(make_reading(service))
    api.include_router(make_feedback(service))
    api.router.routes.extend(mcp_routes(tools))
    handle_problems(api)
    picture = (library.settings.max_file_mb << 20) * 4 // 3  # as base64
    api.add_middleware(Reception, limit=lambda path: _WORDS + (0 if path == _MCP else picture))

    @api.get(OPENAPI, include_in_schema=False)
    def openapi() -> Response:
        return Json(api.openapi())

    return api
