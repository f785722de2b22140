"""Fixtures for all tests: stock peers and real processes. See `processes` and `stock` for what they give."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import PYRONYM, NameServers, StockDaemons, stopping
from stock import PYRO4, PYRO5
from tls_files import Certificates, make

for _variable in [name for name in os.environ if name.startswith("PYRO_")]:
    del os.environ[_variable]  # whoever runs the tests may have configured Pyro for other work
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored, also by all that is started here


@pytest.fixture(scope="session")
def stock4_python() -> Path:
    """The interpreter of an environment with stock Pyro4."""
    return PYRO4.ensure()


@pytest.fixture(scope="session")
def stock5_python() -> Path:
    """The interpreter of an environment with stock Pyro5."""
    return PYRO5.ensure()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA, a server and a client certificate from ``pyronym certs``."""
    return make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach: ``tmp_path`` belongs to the user who runs the tests."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def serve() -> Iterator[NameServers]:
    """Start pyronym name servers. At the end of the test each must obey SIGTERM with exit status 0.

    Ending one within the test (``server.process.kill()``) is allowed.
    """
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        yield servers
        for process in servers.processes:
            if process.returncode is None:
                status = process.terminate()
                assert status == 0, f"exit status {status} after SIGTERM:\n{process.output}"


# Stock servers run with -u, because Pyro4 does not flush the line that says where it runs.


@pytest.fixture
def serve_stock4(stock4_python: Path) -> Iterator[NameServers]:
    """Start stock Pyro4 name servers that accept every serializer."""
    accepted = {"PYRO_SERIALIZERS_ACCEPTED": "serpent,json,marshal,msgpack,pickle,dill,cloudpickle"}
    servers = NameServers([stock4_python, "-u", "-W", "ignore", "-m", "Pyro4.naming"], accepted)
    with stopping(servers.processes):
        yield servers


@pytest.fixture
def serve_stock5(stock5_python: Path) -> Iterator[NameServers]:
    """Start stock Pyro5 name servers."""
    servers = NameServers([stock5_python, "-u", "-W", "ignore", "-m", "Pyro5.nameserver"])
    with stopping(servers.processes):
        yield servers


@pytest.fixture
def stock4_daemon(stock4_python: Path) -> Iterator[StockDaemons]:
    """Start stock Pyro4 daemons that host small objects."""
    daemons = StockDaemons(stock4_python)
    with stopping(daemons.processes):
        yield daemons


@pytest.fixture
def stock5_daemon(stock5_python: Path) -> Iterator[StockDaemons]:
    """Start stock Pyro5 daemons that host small objects."""
    daemons = StockDaemons(stock5_python)
    with stopping(daemons.processes):
        yield daemons
