from __future__ import annotations

from collections.abc import Iterator

import pytest

from http_client import Http
from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.client.proxy import Proxy


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NameServer, Http]]:
    """A server with a file and a client, for the tests of a module that leave nothing behind."""
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        server = servers("--http", ":0", storage=f"sql:{tmp_path_factory.mktemp('names') / 'names.sqlite'}")
        yield server, Http(server)


@pytest.fixture
def both(shared: tuple[NameServer, Http]) -> Iterator[tuple[NameServer, Http]]:
    """The same, for tests that may leave names behind."""
    yield shared
    with Proxy(shared[0].uri) as proxy:
        proxy.remove(regex=".*")


@pytest.fixture
def http(both: tuple[NameServer, Http]) -> Http:
    """Its client, for these."""
    return both[1]
