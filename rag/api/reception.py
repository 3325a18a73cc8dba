"""What happens to a request before any route sees it: its body is read within a limit, and its end is watched for.

A client that goes away cancels the work on its request, so that no model writes for nobody. An error that nobody
expected is told without its text.
"""

import logging
from collections.abc import Callable

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.api.problems import problem

log = logging.getLogger(__name__)


class Reception:
    """ASGI middleware around the whole API. `limit` gives the longest body, in bytes, of an address."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int]) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope["path"])
        body = await _read(receive, limit)
        if body is None:
            words = f"the body of the request is longer than {limit} bytes"
            refusal = problem(scope["path"], 413, words, headers={"Connection": "close"})
            await refusal(scope, receive, send)
            return
        async with anyio.create_task_group() as tasks:
            gone = anyio.Event()

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                gone.set()
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            await self._work(scope, _replayed(body, gone), send)
            tasks.cancel_scope.cancel()

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def outward(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, outward)
        except Exception as error:  # a fault of ours: the terminal is told all of it, the client that there is one
            log.exception("unexpected error at %s", scope["path"])
            if not begun:  # what has begun is cut off, which says it too
                words = f"unexpected {type(error).__name__}; the server's terminal says more"
                await problem(scope["path"], 500, words)(scope, receive, send)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None as soon as it is longer than `limit`, whatever length was announced."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, gone: anyio.Event) -> Receive:
    """`receive` as the application sees it: the body at once, then nothing until the client has gone."""
    message: Message | None = {"type": "http.request", "body": body, "more_body": False}

    async def receive() -> Message:
        nonlocal message
        if message is not None:
            ready, message = message, None
            return ready
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive
