"""The door: who may talk to this server, which addresses exist, and what the browser may do with the answers.

Everything that Gradio offers and this program does not need (file and proxy routes, call-by-name endpoints,
monitoring, code editing, ...) is not found here, because only what is listed passes.
"""

import ipaddress
import re
import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.errors import ConfigError

_EXACT = frozenset(
    {
        "/",
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
    "/original/",
    "/page/",
    "/preview/",
    "/source/",
    "/static/",
    "/ui/",
    "/view/",
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# Gradio compiles its templates in the browser and writes styles into the page; what it may not do is load or send
# anything beyond this server, or run a script that the server did not sign with this page's nonce.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-src 'self'; manifest-src 'self'; "
    "media-src 'self' blob:; worker-src 'self' blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_SCRIPT = re.compile(rb"<script(?=[\s>])")


def check_host(host: str) -> None:
    """Refuse to listen where others on the network could reach the library.

    Raises:
        ConfigError: `host` is not this machine's own loopback address.
    """
    if not is_loopback(host):
        raise ConfigError(
            f"refusing to listen on {host!r}: there is no password yet, so everyone who can reach that address could "
            "read your library; use 127.0.0.1, and an SSH tunnel (ssh -L 7860:127.0.0.1:7860 …) from another machine"
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no address of this program is a web socket
        refusal = _refusal(scope["path"], scope["method"], Headers(scope=scope))
        if refusal is not None:
            await refusal(scope, receive, send)
        elif scope["path"] == "/":
            await self._page(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, {}))

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


def _refusal(path: str, method: str, headers: Headers) -> PlainTextResponse | None:
    host = headers.get("host", "")
    if not is_loopback(_name(host)):  # a name that was made to point here: DNS rebinding
        return PlainTextResponse(f"this server does not answer for {host!r}", 403)
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return PlainTextResponse("requests from other sites are refused", 403)
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return PlainTextResponse("requests from other sites are refused", 403)
    if path not in _EXACT and not path.startswith(_UNDER):
        return PlainTextResponse("not found", 404)
    if method not in ("GET", "HEAD", "POST"):
        return PlainTextResponse("method not allowed", 405)
    return None


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
