"""Where a library is kept in tests that hold for the stub and for a real Weaviate server alike."""

from collections.abc import Iterator

import pytest

from tests.store.weaviate_server import server_url
from tests.store.weaviate_stub import running_stub


@pytest.fixture(params=["stub", pytest.param("server", marks=pytest.mark.weaviate)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the stub, and of a server where there is one."""
    if request.param == "server":
        yield server_url()
        return
    with running_stub() as stub:
        yield f"weaviate://127.0.0.1:{stub.port}?grpc={stub.grpc_port}"
