"""The door: who may talk to this server, which addresses exist, and what the browser may do with the answers.

Without a token only this machine is answered, by its own names. With one, whoever shows it is, on every address but
that of the page which asks for it. Pages of other sites are refused in both cases, and no answer is shared with them.
Everything that Gradio offers and this program does not need (file and proxy routes, call-by-name endpoints,
monitoring, code editing, ...) is not found here, because only what is listed passes.
"""

import ipaddress
import re
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.api.app import is_api
from rag.api.problems import problem
from rag.errors import ConfigError
from ui.login import LOGIN, shows

_EXACT = frozenset(
    {
        "/",
        "/api",
        "/config",
        "/favicon.ico",
        "/manifest.json",
        "/pulse",
        "/theme.css",
        "/gradio_api/cancel",
        "/gradio_api/queue/data",
        "/gradio_api/queue/join",
        "/gradio_api/startup-events",
        "/gradio_api/theme.css",
        "/gradio_api/upload",
    }
)
_UNDER = (
    "/asked/",
    "/assets/",
    "/gradio_api/heartbeat/",
    "/improve/",
    "/original/",
    "/page/",
    "/preview/",
    "/source/",
    "/static/",
    "/ui/",
    "/view/",
)
_OPEN = frozenset({LOGIN, "/ui/icon.svg", "/ui/pictures.css", "/ui/style.css"})  # what the page asking for it needs
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_OF_LOGIN = {"Referrer-Policy": "same-origin"}  # without any referrer a browser sends a form as from nowhere
# Gradio compiles its templates in the browser and writes styles into the page; what it may not do is load or send
# anything beyond this server, or run a script that the server did not sign with this page's nonce.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-src 'self'; manifest-src 'self'; "
    "media-src 'self' blob:; worker-src 'self' blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_SCRIPT = re.compile(rb"<script(?=[\s>])")


def check_host(host: str, token: str = "") -> None:
    """Refuse to listen where others on the network could reach the library without a token.

    Raises:
        ConfigError: there is no token, and `host` is not this machine's own loopback address.
    """
    if not token and not is_loopback(host):
        raise ConfigError(
            f"refusing to listen on {host!r}: there is no token, so everyone who can reach that address could read "
            "your library; set api_token (RAG_API_TOKEN) to a secret of 16 characters or more, or use 127.0.0.1 and an "
            "SSH tunnel (ssh -L 7860:127.0.0.1:7860 …) from another machine"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware around the whole application; "" as `token` means that there is none."""

    def __init__(self, app: ASGIApp, token: str = "") -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no address of this program is a web socket
        refusal = self._refusal(scope["path"], scope["method"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send, {}))
        elif scope["path"] == "/":
            await self._page(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, _OF_LOGIN if scope["path"] == LOGIN else {}))

    def _refusal(self, path: str, method: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._token and not is_loopback(_name(host)):  # a name that was made to point here: DNS rebinding
            return _refuse(path, 403, f"this server does not answer for {host!r}")
        if _is_foreign(headers, host, path):
            return _refuse(path, 403, "requests from other sites are refused")
        if not self._is_address(path):
            return _refuse(path, 404, "not found")
        if method not in ("GET", "HEAD", "POST"):
            return _refuse(path, 405, "method not allowed")
        if self._token and path not in _OPEN and not shows(self._token, headers):
            if "text/html" in headers.get("accept", "") and not is_api(path):  # a browser that opens a page
                return RedirectResponse(LOGIN, 303)
            words = "show the token: Authorization: Bearer …, or log in at /login"
            return _refuse(path, 401, words, {"WWW-Authenticate": "Bearer"})
        return None

    def _is_address(self, path: str) -> bool:
        if path == LOGIN:
            return bool(self._token)
        return path in _EXACT or path.startswith(_UNDER) or is_api(path)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's page: its own scripts are signed with a nonce, all others are refused by the browser."""
        nonce = secrets.token_urlsafe(16)
        plain = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]}
        start: MutableMapping[str, Any] = {}
        body = bytearray()

        async def collect(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            if message["type"] != "http.response.body":
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            signed = _SCRIPT.sub(b'<script nonce="%s"' % nonce.encode(), bytes(body))
            headers = MutableHeaders(raw=list(start["headers"]))
            headers["content-length"] = str(len(signed))
            headers["cache-control"] = "no-store"
            start["headers"] = headers.raw
            await outward(start)
            await outward({"type": "http.response.body", "body": signed})

        outward = _with_headers(send, {"Content-Security-Policy": _POLICY.format(nonce=nonce)})
        await self._app(plain, receive, collect)


def _refuse(path: str, status: int, words: str, headers: Mapping[str, str] = {}) -> Response:
    if is_api(path):
        return problem(path, status, words, headers=headers)
    return PlainTextResponse(words, status, headers)


def _is_foreign(headers: Headers, host: str, path: str) -> bool:
    """Whether a page of another site, or of another port of this machine, sent this. Programs say nothing of it."""
    origin = headers.get("origin")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return True
    elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    return elsewhere and (is_api(path) or headers.get("sec-fetch-mode") != "navigate")  # others may link to the page


def _name(host: str) -> str:
    """`[::1]:7860` -> `::1`, `127.0.0.1:7860` -> `127.0.0.1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _with_headers(send: Send, more: dict[str, str]) -> Send:
    """`send` with our headers on every response; a policy that a route set for itself stays."""

    async def outward(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            for name, value in {**_HEADERS, **more}.items():
                headers[name] = value
            message = {**message, "headers": headers.raw}
        await send(message)

    return outward
