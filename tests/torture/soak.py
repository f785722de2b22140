"""A long time under mixed load: ``make soak``, or ``python -m torture.soak``.

Clients of both protocols register, look up, list, remove, come and go, and the server is killed now and then and
started again on the same file. Memory, descriptors, threads and latencies are noted, printed, and drawn: they must stay
flat, and whatever was acknowledged must be there after each restart.
"""

from __future__ import annotations

import argparse
import random
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError, PyroError

NAMES = 2000
"""Of each client. When it has registered all, it removes them and begins anew."""
GROWTH = 1.5
"""How many times as much memory the last quarter may have as the second."""


@dataclass
class Sample:
    """The server at one moment. Times in seconds, memory in megabytes."""

    time: float
    memory: float
    descriptors: int
    threads: int
    requests: int
    median: float
    worst: float


class Client(threading.Thread):
    """One that does a bit of everything, and knows what must be registered."""

    def __init__(self, uri: str, number: int, over: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.latencies: list[float] = []
        self.losses: list[str] = []
        self._uri = uri
        self._prefix = f"soak.{number}."
        self._protocol = 4 + number % 2
        self._over = over
        self._random = random.Random(seed * 1000 + number)
        self._mine: dict[str, str] = {}
        self._uncertain: set[str] = set()

    def run(self) -> None:
        while not self._over.is_set():
            # While the server is away nobody answers, and what was just asked for may or may not have happened.
            with suppress(PyroError, OSError), Proxy(self._uri, protocol=self._protocol) as proxy:
                self._check(proxy)
                for _ in range(self._random.randrange(1, 500)):
                    begin = time.perf_counter()
                    self._ask(proxy)
                    self.latencies.append(time.perf_counter() - begin)
                    if self._over.is_set():
                        return

    def _check(self, proxy: Proxy) -> None:
        there = proxy.list(prefix=self._prefix)
        for name in self._mine.keys() | there.keys():
            if name not in self._uncertain and self._mine.get(name) != there.get(name):
                self.losses.append(f"{name}: {self._mine.get(name)} was acknowledged, {there.get(name)} is there")
        self._mine = dict(there)
        self._uncertain.clear()

    def _ask(self, proxy: Proxy) -> None:
        kind = self._random.random()
        if kind < 0.7 and self._mine:
            name = self._random.choice(list(self._mine))
            with suppress(NamingError):
                if str(proxy.lookup(name)) != self._mine[name]:
                    self.losses.append(f"{name} is not {self._mine[name]}")
        elif kind < 0.95:
            name = f"{self._prefix}{self._random.randrange(NAMES)}"
            uri = f"PYRO:obj{self._random.randrange(10**9)}@host:{self._random.randrange(65536)}"
            self._uncertain.add(name)
            proxy.register(name, uri)
            self._mine[name] = uri
            self._uncertain.discard(name)
        elif len(self._mine) > NAMES // 2:
            self._uncertain.update(self._mine)
            proxy.remove(prefix=self._prefix)
            self._mine.clear()
            self._uncertain.clear()
        else:
            proxy.list(prefix=f"{self._prefix}1")


def measure(server: NameServer, clients: list[Client], began: float) -> Sample:
    """The server now, and what the clients have waited for since this was asked before."""
    folder = Path("/proc") / str(server.process.pid)
    fields_of = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    latencies = []
    for client in clients:
        taken, client.latencies = client.latencies, []
        latencies += taken
    return Sample(
        time.monotonic() - began,
        int(fields_of["VmRSS"].split()[0]) / 1024,
        len(list((folder / "fd").iterdir())),
        int(fields_of["Threads"]),
        len(latencies),
        statistics.median(latencies or [0.0]),
        max(latencies or [0.0]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=6, help="how often the server is killed and started again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="an SVG file to draw (needs matplotlib)")
    options = parser.parse_args()
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        servers = NameServers([PYRONYM, "serve"])
        with stopping(servers.processes):
            samples, losses = _soak(servers, port, Path(folder) / "names.sqlite", seconds, options)
    if options.plot:
        _draw(samples, options.plot)
    for loss in losses[:20]:
        print(f"LOST: {loss}")
    quarter = len(samples) // 4
    parts = (samples[quarter : 2 * quarter], samples[-quarter:])
    before, after = (statistics.median(sample.memory for sample in part) for part in parts)
    requests = sum(sample.requests for sample in samples)
    print(
        f"{requests:,} requests, {len(losses)} losses, memory {before:.0f} MB in the second quarter, {after:.0f} later"
    )
    return int(bool(losses) or after > GROWTH * before)


def _soak(
    servers: NameServers, port: int, path: Path, seconds: float, options: argparse.Namespace
) -> tuple[list[Sample], list[str]]:
    server = servers(port=port, storage=f"sql:{path}")
    over = threading.Event()
    clients = [Client(server.uri, number, over, options.seed) for number in range(options.clients)]
    began = time.monotonic()
    for client in clients:
        client.start()
    samples: list[Sample] = []
    kills = [seconds * (number + 1) / (options.restarts + 1) for number in range(options.restarts)]
    print("    time  memory  fds  threads  requests  median ms  worst ms")
    while time.monotonic() - began < seconds:
        over.wait(max(seconds / 120, 0.5))
        samples.append(sample := measure(server, clients, began))
        print(
            f"{sample.time:8.0f}  {sample.memory:4.0f}MB  {sample.descriptors:3}  {sample.threads:7}  "
            f"{sample.requests:8,}  {sample.median * 1000:9.2f}  {sample.worst * 1000:8.0f}",
            flush=True,
        )
        if kills and sample.time > kills[0]:
            kills.pop(0)
            server.process.signal(signal.SIGKILL)
            server.process.wait()
            servers.processes.remove(server.process)
            server = servers(port=port, storage=f"sql:{path}")
    over.set()
    for client in clients:
        client.join(10)
    return samples, [loss for client in clients for loss in client.losses]


def _draw(samples: list[Sample], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    shown = [field.name for field in fields(Sample)][1:]
    _, axes = plt.subplots(len(shown), 1, sharex=True, figsize=(8, 10))
    columns = list(zip(*map(astuple, samples), strict=True))
    for axis, name, values in zip(axes, shown, columns[1:], strict=True):
        axis.plot(columns[0], values)
        axis.set_ylabel(name)
        axis.set_ylim(bottom=0)
    axes[-1].set_xlabel("seconds")
    plt.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
