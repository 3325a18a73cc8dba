"""HTTP to one model server: JSON and lines, within limits of time and size, and every failure one of ours.

Nothing is tried twice and no redirect is followed. A proxy that the environment names is not asked for this machine.
"""

import json
import ssl
from collections.abc import Generator, Mapping
from contextlib import closing
from functools import cached_property
from time import monotonic
from typing import Any

import httpx

from rag.errors import ServerError
from rag.servers.address import is_loopback
from rag.text import one_line

_CONNECT_SECONDS = 3.0
_MOST_BYTES = 64 * 1024**2  # of an answer that is no stream: 128 vectors of 8,192 numbers are about 20 MiB
_SAID = 300  # characters of what a server says that are passed on
_REFUSED_BYTES, _REFUSED_SECONDS = 65536, 5.0  # of an answer that is a refusal
_HTML = ("<!doctype", "<html", "<head", "<body")

Chunks = Generator[bytes, None, None]
Lines = Generator[str, None, None]


class ModelServer:
    """The server at `url`, which has no trailing slash. Safe to use from several threads.

    `seconds` is the longest silence: an answer, or the next line of a stream, must come within it.
    """

    def __init__(self, url: str, *, api_key: str | None = None, seconds: float = 120.0) -> None:
        self.url = url
        self.seconds = seconds
        self._api_key = api_key

    def get(self, path: str, *, seconds: float | None = None) -> Any:
        """The JSON at `path`.

        Raises:
            ServerError: there is none; the message says why and what to do.
        """
        return self._json("GET", path, None, seconds)

    def post(self, path: str, body: Mapping[str, Any], *, seconds: float | None = None) -> Any:
        """The JSON that the server answers `body` with. Raises as `get` does."""
        return self._json("POST", path, body, seconds)

    def lines(self, path: str, body: Mapping[str, Any], *, most_bytes: int) -> Lines:
        """What the server answers `body` with, line by line as it comes, without empty lines and comments.

        Closing the iterator closes the connection. Raises as `get` does.
        """
        heard, begun = monotonic(), b""
        with closing(self._chunks("POST", path, body, self.seconds, most_bytes)) as chunks:
            for chunk in chunks:
                *whole, begun = (begun + chunk).split(b"\n")
                for line in whole:
                    if line.strip() and not line.startswith(b":"):
                        yield line.decode("utf-8", "replace").strip()
                        heard = monotonic()
                if monotonic() - heard > self.seconds:  # comments alone are sent by one that waits for its model
                    raise self._silent(self.seconds)
        if begun.strip():
            yield begun.decode("utf-8", "replace").strip()

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float | None) -> Any:
        seconds = seconds or self.seconds
        end, read = monotonic() + seconds, bytearray()
        with closing(self._chunks(method, path, body, seconds, _MOST_BYTES)) as chunks:
            for chunk in chunks:
                read += chunk
                if monotonic() > end:
                    raise self._silent(seconds)
        try:
            return json.loads(read)
        except (ValueError, RecursionError) as exc:
            raise ServerError(
                f"{self.url + path!r} answered with {_kind(read)} where JSON belongs; is a model server there?"
            ) from exc

    def _chunks(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float, most: int) -> Chunks:
        """The body of an answer that is no refusal, as it comes."""
        timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
        sent = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        try:
            with self._client.stream(method, self.url + path, content=sent, timeout=timeout) as response:
                if not response.is_success:
                    raise self._refusal(response)
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise ServerError(f"{self.url!r} sent a packed answer that nobody asked for; is it a model server?")
                received = 0
                for chunk in response.iter_raw():
                    received += len(chunk)
                    if received > most:
                        raise ServerError(f"{self.url!r} sent more than {most} bytes; it is out of order, restart it")
                    yield chunk
        except httpx.ConnectError as exc:
            raise ServerError(
                f"no model server answers at {self.url!r}: {exc}; start it, or choose another model"
            ) from exc
        except httpx.TimeoutException as exc:
            raise self._silent(seconds) from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise ServerError(
                f"the connection to the model server {self.url!r} broke off: {one_line(str(exc), _SAID)}; look at its "
                "own log and ask again"
            ) from exc

    @cached_property
    def _client(self) -> httpx.Client:
        here = is_loopback(httpx.URL(self.url).host)
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        # Reading the certificates of the world's authorities takes longer than asking a server that has none.
        verify = True if self.url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.Client(headers=headers, follow_redirects=False, trust_env=not here, verify=verify)

    def _refusal(self, response: httpx.Response) -> ServerError:
        status = response.status_code
        if response.is_redirect:
            target = one_line(response.headers.get("location", ""), _SAID)
            return ServerError(
                f"{self.url!r} sends the question on to {target!r}, which is not followed; set the right address",
                status,
            )
        said = _said(_beginning(response))
        if status in (401, 403):
            remedy = "set its key as RAG_SERVER_API_KEY (`server_api_key`)"
        elif status in (429, 503):
            remedy = "it is busy or still loads its model; ask again in a moment"
        elif status == 404:
            remedy = "is the address right, and does the server have this model?"
        else:
            remedy = "look at the server's own log"
        return ServerError(f"the model server {self.url!r} answered {status}: {said}; {remedy}", status, said)

    def _silent(self, seconds: float) -> ServerError:
        return ServerError(
            f"the model server {self.url!r} was silent for {seconds:g} seconds; look at its own log, or give it longer "
            "with RAG_SERVER_SECONDS (`server_seconds`)"
        )


def told_error(answer: Any) -> str:
    """The message of an answer that tells of an error, as each kind of server words it; "" where it is none."""
    if not isinstance(answer, dict):
        return ""
    for key in ("error", "detail", "message"):
        told = answer.get(key)
        if isinstance(told, dict):
            told = " ".join(str(told[part]) for part in ("code", "type", "message") if told.get(part))
        if told:
            return one_line(str(told), _SAID)
    return ""


def _beginning(response: httpx.Response) -> bytes:
    """Of the body of a refusal, however long it is."""
    end, read = monotonic() + _REFUSED_SECONDS, bytearray()
    for chunk in response.iter_raw():
        read += chunk
        if len(read) > _REFUSED_BYTES or monotonic() > end:
            break
    return bytes(read)


def _said(body: bytes) -> str:
    """What a refusal says for itself, in one line."""
    try:
        told = told_error(json.loads(body))
    except (ValueError, RecursionError):
        told = ""
    return told or _kind(body)


def _kind(body: bytes | bytearray) -> str:
    """What was sent, in words, where it is not what belongs there."""
    text = one_line(bytes(body[:_REFUSED_BYTES]).decode("utf-8", "replace"), 120)
    if not text:
        return "nothing"
    return "a web page" if text.lower().startswith(_HTML) else f"{text!r}"
