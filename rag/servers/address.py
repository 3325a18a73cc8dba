"""Which server, and which of its models, does a setting name? And may it be asked at all?"""

from dataclasses import dataclass
from ipaddress import ip_address

import httpx

from rag.errors import ConfigError

_LAST_PORT = 65535
_FORM = "write it as http://127.0.0.1:PORT/v1#model"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens, and the model that is meant; "" for the only one that it has.

    `url` is the address without "/v1", as other interfaces of a server lie beside that one.
    """

    url: str
    model: str

    @classmethod
    def parse(cls, reference: str, *, allow_remote: bool = False) -> "ServerAddress":
        """Read `http://127.0.0.1:PORT/v1#model`. Parsed by the library that connects, so that both mean one host.

        Raises:
            ConfigError: it is no such address, or one of another machine and those are not allowed.
        """
        before, _, model = reference.partition("#")
        try:
            url = httpx.URL(before)
        except httpx.InvalidURL as exc:
            raise ConfigError(f"{reference!r} is not the address of a model server: {exc}; {_FORM}") from exc
        wrong = url.scheme not in ("http", "https") or not url.host or (url.port or 0) > _LAST_PORT
        if wrong or url.userinfo or url.query:
            raise ConfigError(f"{reference!r} is not the address of a model server; {_FORM}")
        if not (allow_remote or is_loopback(url.host)):
            raise ConfigError(
                f"the model server {url.host!r} is not on this machine: questions, passages of your documents and "
                "pictures would be sent there. Use a server on this machine, or set `allow_remote_servers` "
                "(RAG_ALLOW_REMOTE_SERVERS=true) if that is what you want"
            )
        return cls(str(url).rstrip("/").removesuffix("/v1").rstrip("/"), model)

    def __str__(self) -> str:
        return f"{self.url}/v1" + (f"#{self.model}" if self.model else "")


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL names it, can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3
