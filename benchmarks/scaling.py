"""What a cluster of many nodes would do: a simulation, with what single steps cost on the machine of the benchmarks.

Clients register fresh names at nodes by chance. Each node has one transaction on its way; what comes meanwhile goes
into the next one. etcd makes transactions one after the other, and tells all who watch of what it has made, on all its
cores; when it is behind with that, they hear of several at once. A change is acknowledged when its own node has heard
of it. With gRPC proxies, etcd tells these, and each of them tells its share of the nodes. With several clusters
each has its share of the names, and every node follows all of them. docs/scaling.md says what comes of it.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass

MOST = 127
"""Registrations in a transaction."""
RATES = (300, 1000, 2000, 5000, 10_000, 20_000, 30_000, 50_000, 100_000)
PATIENCE = 0.5
"""Seconds within which 99 % of the changes are acknowledged, or else it was too much."""


@dataclass(frozen=True)
class Costs:
    """Seconds of one core. Measured with etcd 3.5 on two cores of an AMD EPYC, one put of 150 bytes for each name."""

    transaction: float = 300e-6
    put: float = 12e-6
    message: float = 40e-6
    """To tell one watcher of something."""
    event: float = 0.5e-6
    """For each change in it."""
    followed: float = 17e-6
    """For a node, to hear of a change that was made elsewhere."""
    cores: int = 8
    """That etcd, or a proxy, has for telling."""


@dataclass(frozen=True)
class Cluster:
    """What is simulated."""

    nodes: int
    proxies: int = 0
    shards: int = 1

    def telling(self, costs: Costs, changes: int) -> float:
        """How long etcd takes to tell of so many changes."""
        return (self.proxies or self.nodes) * (costs.message + changes * costs.event) / costs.cores

    def passing_on(self, costs: Costs, changes: int) -> float:
        """How long the proxies take."""
        share = self.nodes / self.proxies if self.proxies else 0
        return share * (costs.message + changes * costs.event) / costs.cores


@dataclass(frozen=True)
class Outcome:
    """Of `rate` registrations a second, in all. Delays in milliseconds."""

    rate: int
    acknowledged: float
    acknowledged_99: float
    transaction: float
    """How many registrations were in one, on average."""
    node: float
    """What a node does to follow, as a share of one core."""

    @property
    def kept_up(self) -> bool:
        """Whether it was not too much."""
        return self.node < 1 and self.acknowledged_99 < 1000 * PATIENCE


class Run:
    """One cluster of etcd under its share of a rate."""

    def __init__(self, cluster: Cluster, rate: int, seconds: float, costs: Costs, seed: int) -> None:
        self._cluster = cluster
        self._costs = costs
        self._waiting: list[list[float]] = [[] for _ in range(cluster.nodes)]
        self._on_its_way = [False] * cluster.nodes
        self._steps: list[tuple[float, int, str, int, list[float]]] = []
        self._made: list[tuple[int, list[float]]] = []
        """Transactions of which etcd has not begun to tell."""
        self._telling = False
        self._free = 0.0
        """From when on etcd can make another transaction."""
        self.delays: list[float] = []
        self.transactions = 0
        chance = random.Random(seed)
        now = 0.0
        while (now := now + chance.expovariate(rate / cluster.shards)) < seconds:
            self._at(now, "arrive", chance.randrange(cluster.nodes), [now])
        while self._steps:
            time, _, kind, node, changes = heapq.heappop(self._steps)
            getattr(self, f"_{kind}")(time, node, changes)

    def _at(self, time: float, kind: str, node: int, changes: list[float]) -> None:
        heapq.heappush(self._steps, (time, len(self._steps), kind, node, changes))

    def _arrive(self, now: float, node: int, changes: list[float]) -> None:
        self._waiting[node] += changes
        self._send(now, node)

    def _send(self, now: float, node: int) -> None:
        waiting = self._waiting[node]
        if self._on_its_way[node] or not waiting:
            return
        self._on_its_way[node] = True
        changes, self._waiting[node] = waiting[:MOST], waiting[MOST:]
        takes = self._costs.transaction + len(changes) * self._costs.put
        self._free = max(self._free, now) + takes
        self.transactions += 1
        self._at(self._free, "make", node, changes)

    def _make(self, now: float, node: int, changes: list[float]) -> None:
        self._made.append((node, changes))
        self._tell(now)

    def _tell(self, now: float) -> None:
        if self._telling or not self._made:
            return
        self._telling = True
        made, self._made = self._made, []
        count = sum(len(changes) for _, changes in made)
        takes = self._cluster.telling(self._costs, count)
        heard = now + takes + self._cluster.passing_on(self._costs, count)
        self._at(now + takes, "told", 0, [])
        for node, changes in made:
            self._at(heard, "hear", node, changes)

    def _told(self, now: float, node: int, changes: list[float]) -> None:
        self._telling = False
        self._tell(now)

    def _hear(self, now: float, node: int, changes: list[float]) -> None:
        self.delays += [now - began for began in changes]
        self._on_its_way[node] = False
        self._send(now, node)


def simulated(cluster: Cluster, rate: int, seconds: float, seed: int, costs: Costs = Costs()) -> Outcome:
    """What becomes of registrations that come for so long."""
    run = Run(cluster, rate, seconds, costs, seed)
    delays = sorted(run.delays) or [0.0]
    return Outcome(
        rate=rate,
        acknowledged=1000 * delays[len(delays) // 2],
        acknowledged_99=1000 * delays[len(delays) * 99 // 100],
        transaction=len(delays) / max(run.transactions, 1),
        node=rate * costs.followed,
    )


def highest(cluster: Cluster, seconds: float, seed: int) -> Outcome | None:
    """Of RATES, the highest with which the cluster keeps up; None if that is none."""
    best = None
    for rate in RATES:
        outcome = simulated(cluster, rate, seconds, seed)
        if not outcome.kept_up:
            break
        best = outcome
    return best


def scenarios() -> Iterator[Cluster]:
    """10 to 1,000 nodes: alone, behind proxies, and with four clusters of etcd."""
    for nodes in (10, 100, 1000):
        proxies = max(2, round(nodes**0.5))
        yield from (Cluster(nodes), Cluster(nodes, proxies), Cluster(nodes, proxies, 4))


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="that are simulated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = [(cluster, highest(cluster, options.seconds, options.seed)) for cluster in scenarios()]
    if options.json:
        print(json.dumps([{**asdict(cluster), **(asdict(best) if best else {"rate": 0})} for cluster, best in found]))
        return
    print("| nodes | proxies | etcd clusters | registrations/s | acknowledged after, median / 99 % | a node's core |")
    print("|---|---|---|---|---|---|")
    for cluster, best in found:
        figures = "none of those tried | |" if best is None else _figures(best)
        print(f"| {cluster.nodes:,} | {cluster.proxies or '-'} | {cluster.shards} | {figures} |")


def _figures(best: Outcome) -> str:
    delay = f"{best.acknowledged:.0f} / {best.acknowledged_99:.0f} ms"
    return f"{best.rate:,} | {delay} | {best.node:.0%}"


if __name__ == "__main__":
    main()
