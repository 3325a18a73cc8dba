"""The model hub: what a repository holds, and its files. The only module of this program that goes out for models.

Everything else stays offline: the hub's library asks our client for every request, and the client refuses all but
those of the thread that is inside `online()`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx2
from huggingface_hub import HfApi, get_session, hf_hub_url, set_client_factory
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

from rag.errors import ModelError, ModelNotFound
from rag.models.origin import HUB, OfferedFile, Stopped, no_room

_PATIENCE = 20.0  # seconds without a byte
_PAUSE = 1.0  # seconds before another attempt
_TRIES = 5  # attempts that bring nothing, before it is given up
_LATER = (408, 425, 429, 500, 502, 503, 504)  # statuses that may pass

_AGAIN = "what came is kept: run the same command again to go on"

_is_online = ContextVar("is_online", default=False)


class _Later(Exception):
    """A status that may pass."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A repository at one commit."""

    source: str
    repository: str
    revision: str
    licence: str
    files: tuple[OfferedFile, ...]

    def fetch(self, file: OfferedFile, to: Path, on_bytes: Callable[[int], None], stop: Event) -> None:
        """See `Origin.fetch`. What is cut, hangs or is refused for a while is taken up again where it was."""
        url = hf_hub_url(self.repository, file.name, revision=self.revision, endpoint=_endpoint())
        failed = 0
        while not (to.exists() and _size(to) == file.bytes):
            before = _size(to)
            try:
                _append(url, to, file.bytes, on_bytes, stop)
                problem = "it sent less than it said"
            except (httpx2.TransportError, _Later) as exc:
                problem = _told(exc)
            except HfHubHTTPError as exc:
                raise _refused(exc, self.repository, file.name) from exc
            except OSError as exc:
                raise no_room(exc, to) from exc
            failed = 0 if _size(to) > before else failed + 1
            if failed == _TRIES:
                raise ModelError(f"{_host()} does not go on sending {file.name!r} ({problem}); {_AGAIN}")
            if _size(to) != file.bytes and stop.wait(_PAUSE):
                raise Stopped


@contextmanager
def online() -> Iterator[None]:
    """Let this thread, and only this one, make requests to the hub until the block ends."""
    set_client_factory(_client)
    token = _is_online.set(True)
    try:
        yield
    finally:
        _is_online.reset(token)


def look_up(repository: str, revision: str) -> RemoteModel:
    """What `repository` ("owner/name") holds at `revision`: a branch, a tag or a commit.

    Raises:
        ModelNotFound: there is no such repository or revision.
        ModelError: it may not be had without asking for it, or the hub does not answer.
    """
    try:
        found = HfApi(endpoint=_endpoint()).model_info(
            repository, revision=revision, files_metadata=True, timeout=_PATIENCE
        )
    except HFValidationError as exc:
        raise ModelNotFound(f"{repository!r} is not a name on the model hub: write hf:owner/name") from exc
    except HfHubHTTPError as exc:
        raise _refused(exc, repository, revision) from exc
    except httpx2.HTTPError as exc:
        raise ModelError(f"{_host()} does not answer ({_told(exc)}); is this machine online?") from exc
    except (ValueError, TypeError, KeyError) as exc:  # a page of a proxy or of a hotel, in place of an answer
        raise ModelError(f"{_host()} does not answer as a model hub does ({_told(exc)})") from exc
    files = tuple(
        OfferedFile(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else "", one.blob_id or "")
        for one in found.siblings or ()
    )
    licence = next((tag.removeprefix("license:") for tag in found.tags or () if tag.startswith("license:")), "")
    return RemoteModel(HUB + repository, repository, found.sha or revision, licence, files)


def _append(url: str, to: Path, size: int, on_bytes: Callable[[int], None], stop: Event) -> None:
    """One request for what is missing of a file of `size` bytes, from the end of what is there."""
    have = _size(to)
    if have > size:
        to.unlink()
        have = 0
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with get_session().stream("GET", url, headers=headers, timeout=_PATIENCE) as response:
        if response.status_code in _LATER:
            raise _Later(f"status {response.status_code}")
        hf_raise_for_status(response)
        goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        with to.open("ab" if goes_on else "wb") as file:
            room = size - (have if goes_on else 0)
            for piece in response.iter_bytes():
                if stop.is_set():
                    raise Stopped
                file.write(piece[:room])
                on_bytes(min(len(piece), room))
                room -= len(piece)
                if room < 0:
                    break


def _client() -> httpx2.Client:
    return httpx2.Client(event_hooks={"request": [_allow]}, follow_redirects=True, timeout=_PATIENCE)


def _allow(request: httpx2.Request) -> None:
    if not _is_online.get():
        raise OfflineModeIsEnabled(f"nothing may go out to {request.url.host!r}: only `rag models pull` does")


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _host() -> str:
    return httpx2.URL(_endpoint()).host


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _told(exc: BaseException) -> str:
    return str(exc).splitlines()[0] if str(exc) else type(exc).__name__


def _refused(exc: HfHubHTTPError, repository: str, what: str) -> ModelError:
    """What a status of the hub means, and what to do about it."""
    page = f"{_endpoint()}/{repository}"
    status = exc.response.status_code
    if isinstance(exc, GatedRepoError) or status == 403:
        return ModelError(
            f"{repository!r} is given only to those who accept its licence: do that at {page}, then log in with "
            "`hf auth login` and run the command again"
        )
    if isinstance(exc, RevisionNotFoundError):
        return ModelNotFound(f"{repository!r} has no revision {what!r}; see {page}")
    if isinstance(exc, EntryNotFoundError):
        return ModelNotFound(f"{repository!r} has no file {what!r} any more; run the command again")
    if isinstance(exc, RepositoryNotFoundError) or status in (401, 404):
        return ModelNotFound(
            f"there is no {repository!r} on {_host()}, or it is private; see `rag models list` for names that are known"
        )
    return ModelError(f"{_host()} refuses {what!r} of {repository!r} (status {status}); try again later")
