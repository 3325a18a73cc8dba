"""Showing the token: programs in a header, browsers once on a page of its own, which gives them a cookie.

The cookie holds when it ends and a seal over that, made with the token: nothing is kept on the server, and another
token ends all logins.
"""

import hashlib
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ui.controls import problem
from ui.html import Html, tag
from ui.source_page import page

LOGIN = "/login"
_COOKIE = "commonplace"
_SECONDS = 30 * 24 * 3600
_FORM = 4096  # bytes of what the page sends
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def shows(token: str, headers: Headers) -> bool:
    """Whether a request shows the token, or the cookie of somebody who did."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip().encode("latin-1"), token):
        return True
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return False
    return cookie is not None and _is_sealed(cookie.value, token)


def make_login(token: str) -> APIRouter:
    """The page that asks for the token."""
    routes = APIRouter()

    @routes.get(LOGIN)
    def ask() -> Response:
        return _page()

    @routes.post(LOGIN)
    async def take(request: Request) -> Response:
        form = bytearray()
        async for piece in request.stream():
            form += piece
            if len(form) > _FORM:
                return _page("That is too long to be the token.")
        given = parse_qs(form.decode("utf-8", "replace")).get("token", [""])[0]
        if not _same(given.strip().encode("utf-8", "replace"), token):
            return _page("That is not the token.")
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        value = _sealed(int(time.time()) + _SECONDS, token)
        answer.set_cookie(_COOKIE, value, _SECONDS, httponly=True, samesite="strict", secure=secure)
        return answer

    return routes


def _page(trouble: str = "") -> Response:
    body = tag(
        "article",
        tag("h1", "Commonplace"),
        tag("p", "This library is served with a token: the setting api_token of the machine that it is on."),
        problem(trouble) if trouble else None,
        _form(),
        class_="document",
    )
    return HTMLResponse(
        page("Log in", tag("main", body)),
        status_code=401 if trouble else 200,
        headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"},
    )


def _form() -> Html:
    return tag(
        "form",
        tag("input", type="text", name="username", value="commonplace", autocomplete="username", hidden=True),
        tag("p", tag("label", "Token", for_="token")),
        tag(
            "p",
            tag(
                "input",
                type="password",
                name="token",
                id="token",
                required=True,
                autofocus=True,
                autocomplete="current-password",
            ),
        ),
        tag("p", tag("button", "Log in", type="submit", class_="primary"), class_="actions"),
        method="post",
        action=LOGIN,
    )


def _sealed(until: int, token: str) -> str:
    return f"{until}.{hmac.new(token.encode(), f'login until {until}'.encode(), hashlib.sha256).hexdigest()}"


def _is_sealed(value: str, token: str) -> bool:
    until, _, _ = value.partition(".")
    if not (until.isascii() and until.isdecimal() and len(until) <= 12):
        return False
    return _same(value.encode("utf-8", "replace"), _sealed(int(until), token)) and int(until) > time.time()


def _same(given: bytes, expected: str) -> bool:
    """Compared in a time that tells nothing about how much of it is right."""
    return hmac.compare_digest(given, expected.encode())
