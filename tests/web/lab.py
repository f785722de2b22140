"""A name server with a small laboratory among as many names as one likes, for tests that share it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from http_client import Http
from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.client.proxy import Proxy
from pyronym.directory.record import Change, Record
from pyronym.storage.sqlite import SqliteStore

IN_THE_LAB = ("lab", "lab.camera", *(f"lab.sensor.{number}" for number in range(1, 7)), "office.printer")
"""With the name server's own they are ten, and on the first page of the table, however many others there are."""

PASSING = "new."
"""What the names begin with that tests register. They are removed after each test."""


@dataclass(frozen=True)
class Lab:
    """A server with `size` names, for tests that leave nothing behind but history. `config`: its configuration file."""

    size: int
    server: NameServer
    http: Http
    config: Path

    @property
    def total(self) -> str:
        """How many names there are, as the dashboard writes it."""
        return f"{self.size:,}"

    @property
    def first_page(self) -> str:
        """What the table says of the first page of all names."""
        return f"1 to {min(self.size, 50)} of {self.total}"

    @contextmanager
    def configured(self, line: str) -> Iterator[None]:
        """With a line in the configuration file."""
        self._configure(line)
        try:
            yield
        finally:
            self._configure("")

    def _configure(self, line: str) -> None:
        self.config.write_text(line)
        seen = len(self.server.process.lines)
        self.server.process.signal(signal.SIGHUP)
        self.server.process.wait_for_line("SIGHUP: read again: .*keys and permissions", since=seen)

    def clear(self) -> None:
        """Remove what a test has registered."""
        with Proxy(self.server.uri) as proxy:
            proxy.remove(prefix=PASSING)


@contextmanager
def a_lab(folder: Path, size: int, stored: Path) -> Iterator[Lab]:
    """A server with a copy of a file from `file_with`.

    The objects are probed: the hall is alive, the printer is unknown, the sensors are unreachable.
    """
    config = folder / "pyronym.toml"
    config.touch()
    servers = NameServers([PYRONYM, "serve"])
    with stopping(servers.processes):
        options = ["--http", ":0", "--config", str(config), "--probe", "10", "--probe-grace", "3600"]
        server = servers(*options, storage=f"sql:{shutil.copy(stored, folder)}")
        http = Http(server)
        http.put("lab", f"PYRO:Pyro.NameServer@{server.location}")
        http.put("office.printer", f"PYRO:printer@{server.location}")
        http.put("lab.camera", "PYRO:camera@127.0.0.1:1", tags=["indoor"], lease=3600)
        yield Lab(size, server, http, config)


def file_with(path: Path, size: int) -> Path:
    """A file for a server that has `size` names: the laboratory, and others in groups of a hundred, ``rack000.unit.00``
    and so on, which stand for names, so that nobody probes them.
    """
    lab = [Record(name, f"PYRO:{name}@127.0.0.1:1", frozenset(name.split(".")[:1])) for name in IN_THE_LAB]
    others = [f"rack{number // 100:03}.unit.{number % 100:02}" for number in range(size - 1 - len(IN_THE_LAB))]
    tags = frozenset({"unit"})
    racks = [Record(name, f"PYRONAME:{name}@127.0.0.1", tags) for name in others]
    store = SqliteStore(str(path))
    list(store.load())
    store.commit([Change(record.name, record) for record in (*lab, *racks)])
    store.close()
    return path
