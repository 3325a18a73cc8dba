"""The server: puts the page, the routes and the guard together, and runs them on this machine only."""

import os
import shutil
import socket
import threading
import webbrowser
from contextlib import suppress

import gradio as gr
import uvicorn
from fastapi import FastAPI
from rich.console import Console
from starlette.types import ASGIApp, Receive, Scope, Send

from rag.api.app import build_api, is_api
from rag.config import Settings
from rag.errors import ConfigError
from rag.library import Library
from ui.api_page import make_api_page
from ui.blocks import build_blocks
from ui.desk import Desk
from ui.guard import Guard, check_host
from ui.login import make_login
from ui.routes import make_routes

_STYLE = (
    '<link rel="stylesheet" href="/ui/style.css"><link rel="stylesheet" href="/ui/pictures.css">'
    '<link rel="stylesheet" href="/ui/improve.css">'
    '<link rel="icon" href="/ui/icon.svg">'
)


def build_app(library: Library) -> FastAPI:
    """The whole application for one library: the browser UI, and the API beside it.

    The models start loading when a first page is there to show it, or at the first call of the API.
    """
    uploads = library.settings.home / "uploads"
    shutil.rmtree(uploads, ignore_errors=True)  # what was taken in has been copied; the rest nobody asked for
    uploads.mkdir(parents=True)
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # Gradio reads it when the page is mounted; uploads stay in our home
    desk = Desk(library, uploads)
    api = build_api(library, desk.answers)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.router.lifespan_context = api.router.lifespan_context
    app.include_router(make_routes(desk))
    app.include_router(make_api_page(api))
    token = _token(library.settings)
    if token:
        app.include_router(make_login(token))
    app.add_middleware(_Beside, api=api)
    app.add_middleware(Guard, token=token)
    app.state.desk = desk
    gr.mount_gradio_app(
        app,
        build_blocks(desk),
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=library.settings.max_file_mb * 2**20,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=_theme(),
        head=_STYLE,
    )
    return app


def serve(library: Library, *, open_browser: bool = True) -> None:
    """Serve the page until Ctrl-C, on the address and port of the settings.

    Raises:
        ConfigError: the address is not this machine's own and there is no token, or the port is taken.
    """
    settings = library.settings
    check_host(settings.host, _token(settings))
    listening = _listen(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{listening.getsockname()[1]}"
    app = build_app(library)
    Console(stderr=True).print(f"Commonplace is at [bold]{address}[/bold] (Ctrl-C ends it)")
    if open_browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    config = uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=2)
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it is ended
        uvicorn.Server(config).run(sockets=[listening])
    app.state.desk.close()


class _Beside:
    """ASGI middleware that hands what is the API's to it, and everything else on."""

    def __init__(self, app: ASGIApp, api: ASGIApp) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        its = scope["type"] == "http" and is_api(scope["path"])
        await (self._api if its else self._app)(scope, receive, send)


def _token(settings: Settings) -> str:
    return settings.api_token.get_secret_value() if settings.api_token else ""


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let two servers share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(f"cannot listen on port {port}: {error.strerror}; choose another with --port") from error
    listening.listen()
    return listening


def _theme() -> gr.themes.Base:
    """Gradio's own parts in system fonts; it would otherwise ask for fonts from elsewhere."""
    return gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
