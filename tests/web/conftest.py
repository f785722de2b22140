from __future__ import annotations

from collections.abc import Iterator

import pytest

from http_client import Http
from processes import PYRONYM, NameServer, NameServers, stopping


@pytest.fixture
def http(serve: NameServers) -> Http:
    """A client of a name server in memory."""
    return Http(serve("--http", "127.0.0.1:0"))


@pytest.fixture
def both(serve: NameServers) -> tuple[NameServer, Http]:
    """The same, with the server."""
    server = serve("--http", ":0")
    return server, Http(server)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NameServer, Http]]:
    """A server with a file and a client, for the tests of a module that leave nothing behind."""
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        server = servers("--http", ":0", storage=f"sql:{tmp_path_factory.mktemp('names') / 'names.sqlite'}")
        yield server, Http(server)
