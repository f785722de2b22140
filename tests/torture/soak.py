"""A long time under mixed load: ``make soak``, or ``python -m torture.soak``.

The clients of `soak_load` use a server with SQLite, which is killed or stopped now and then in the first third of the
time and started again on the same file. Whatever was acknowledged must be there. In the other two thirds one process
runs all the time: its memory, descriptors, threads and files must not grow.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.client.proxy import Proxy
from torture.soak_load import Client, Mischief, StockVisitors

MAY_GROW = {"memory": (1.1, 5.0), "descriptors": (1.0, 10.0), "threads": (1.0, 3.0), "disk": (1.1, 5.0)}
"""How many times as much, plus how much, the last quarter of the long life may have as the second one."""


@dataclass(frozen=True)
class Sample:
    """The server at one moment. Time in seconds from the start; memory and the files of the storage in megabytes;
    latencies of lookups since the last sample, in milliseconds."""

    time: float
    memory: float
    descriptors: int
    threads: int
    disk: float
    names: int
    requests: int
    median: float
    p99: float
    worst: float


LABELS = {
    "memory": "memory [MB]",
    "descriptors": "descriptors",
    "threads": "threads",
    "disk": "files [MB]",
    "names": "names",
    "requests": "requests",
    "median": "median [ms]",
    "p99": "99 % [ms]",
    "worst": "worst [ms]",
}
"""How the measures of a sample are shown."""


@dataclass
class Soak:
    """What was seen."""

    samples: list[Sample]
    restarts: list[float]
    losses: list[str]
    attacks: int
    visits: int


def growths(samples: Sequence[Sample]) -> dict[str, tuple[float, float]]:
    """What has grown in the life of one process: measure -> (median of its second quarter, of its last)."""
    quarter = len(samples) // 4
    grown = {}
    for measure, (times, plus) in MAY_GROW.items():
        before, after = (
            statistics.median(getattr(sample, measure) for sample in part)
            for part in (samples[quarter : 2 * quarter], samples[-quarter:])
        )
        if after > times * before + plus:
            grown[measure] = before, after
    return grown


def measure(server: NameServer, file: Path, clients: Sequence[Client], time_: float) -> Sample:
    """The server now, and what the clients have waited for since this was asked before."""
    folder = Path("/proc") / str(server.process.pid)
    status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    latencies, requests = [0.0], 0
    for client in clients:
        taken, client.latencies = client.latencies, []
        latencies += taken
        requests += client.requests
        client.requests = 0
    latencies.sort()
    return Sample(
        time=time_,
        memory=int(status["VmRSS"].split()[0]) / 1024,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=int(status["Threads"]),
        disk=sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*")) / 2**20,
        names=sum(client.names for client in clients),
        requests=requests,
        median=statistics.median(latencies) * 1000,
        p99=latencies[len(latencies) * 99 // 100] * 1000,
        worst=latencies[-1] * 1000,
    )


def soak(seconds: float, clients: int, restarts: int, seed: int) -> Soak:
    """All of it. Prints a line for each sample."""
    with tempfile.TemporaryDirectory() as folder:
        servers = NameServers([PYRONYM, "serve"])
        with stopping(servers.processes):
            return _soak(servers, Path(folder) / "names.sqlite", seconds, clients, restarts, seed)


def _soak(servers: NameServers, file: Path, seconds: float, number: int, restarts: int, seed: int) -> Soak:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    storage, chance = f"sql:{file}", random.Random(seed)
    server = servers(port=port, storage=storage)
    with Proxy(server.uri) as proxy:
        proxy.register("a" * 40 + "!", "PYRO:o@host:1")  # what a slow pattern fails on
    over = threading.Event()
    clients = [Client(server.uri, client, over, seed) for client in range(number)]
    mischief, visitors = Mischief(server.address, over), StockVisitors(server.uri, over)
    load = [*clients, mischief, visitors]
    for thread in load:
        thread.start()
    seen = Soak([], [], [], 0, 0)
    ends = [seconds / 3 * (turn + 1) / restarts for turn in range(restarts)]
    began = time.monotonic()
    print("    time " + "".join(f"{name:>12}" for name in LABELS))
    while time.monotonic() - began < seconds:
        over.wait(max(seconds / 240, 0.2))
        seen.samples.append(sample := measure(server, file, clients, time.monotonic() - began))
        print(f"{sample.time:8.1f} " + "".join(f"{getattr(sample, name):12,.5g}" for name in LABELS), flush=True)
        if ends and sample.time > ends[0]:
            ends.pop(0)
            server.process.signal(chance.choice([signal.SIGKILL, signal.SIGTERM]))
            server.process.wait()
            server.process.close()
            servers.processes.remove(server.process)
            server = servers(port=port, storage=storage)
            seen.restarts.append(time.monotonic() - began)
    over.set()
    for thread in load:
        thread.join(30)
    seen.losses = [loss for client in clients for loss in client.losses]
    seen.attacks, seen.visits = mischief.done, visitors.done
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--restarts", type=int, default=6, help="how often the server is ended and started again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="an SVG file to draw (needs matplotlib)")
    options = parser.parse_args()
    seen = soak(options.minutes * 60, options.clients, options.restarts, options.seed)
    if options.plot:
        _draw(seen, options.plot)
    grown = report(seen)
    return int(bool(seen.losses or grown))


def report(seen: Soak) -> dict[str, tuple[float, float]]:
    """Print what was seen; what has grown."""
    for loss in seen.losses[:20]:
        print(f"LOST: {loss}")
    long_life = [sample for sample in seen.samples if sample.time > max(seen.restarts, default=0)]
    for measure_, (before, after) in (grown := growths(long_life)).items():
        print(f"GROWN: {LABELS[measure_]} from {before:.1f} to {after:.1f}")
    requests = sum(sample.requests for sample in seen.samples)
    print(
        f"{requests:,} requests, {seen.attacks} attacks, {seen.visits} visits of stock programs, "
        f"{len(seen.restarts)} restarts, {len(seen.losses)} losses"
    )
    quarter = len(long_life) // 4
    print("| median of | second quarter | last quarter |\n|---|---|---|")
    for name in LABELS:
        parts = (long_life[quarter : 2 * quarter], long_life[-quarter:])
        before, after = (statistics.median(getattr(sample, name) for sample in part) for part in parts)
        print(f"| {LABELS[name]} | {before:,.1f} | {after:,.1f} |")
    return grown


def _draw(seen: Soak, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "pyronym", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3})
    mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(LABELS), 1, sharex=True, figsize=(8, 12), layout="constrained")
    minutes = [sample.time / 60 for sample in seen.samples]
    for axis, (name, label) in zip(axes, LABELS.items(), strict=True):
        axis.plot(minutes, [getattr(sample, name) for sample in seen.samples], color="#0072b2", linewidth=1)
        for restart in seen.restarts:
            axis.axvline(restart / 60, color="#d55e00", linestyle=":", linewidth=1)
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    axes[0].set_title("pyronym under mixed load (dotted: killed or stopped, and started again)")
    axes[-1].set_xlabel("minutes")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
