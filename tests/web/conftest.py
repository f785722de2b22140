from __future__ import annotations

import pytest

from http_client import Http
from processes import NameServer, NameServers


@pytest.fixture
def http(serve: NameServers) -> Http:
    """A client of a name server in memory."""
    return Http(serve("--http", "127.0.0.1:0"))


@pytest.fixture
def both(serve: NameServers) -> tuple[NameServer, Http]:
    """The same, with the server."""
    server = serve("--http", ":0")
    return server, Http(server)
