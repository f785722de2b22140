"""Nodes on one etcd: durable registrations a second beside etcd's own puts, and how late the other node knows.

Both write to the same etcd, in turns: a node for 64 clients, and the clients of etcd themselves, over gRPC. The delay
is counted from before a client of one node registers a name until a client of the other one, who watches, has heard of
it.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.lookups import Contender
from benchmarks.messages import PYRO4, Wire, etcd_puts, register
from pyronym import locateNS

CLIENTS = 64
ETCD_CLIENTS = 50
"""With more, on two cores, etcd's own puts get no faster."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--changes", type=int, default=300, help="whose delay is measured")
    options = parser.parse_args()
    with ExitStack() as stack:
        etcd = stack.enter_context(servers.etcd())
        address = f"etcd://127.0.0.1:{etcd.port}/bench"
        one = stack.enter_context(servers.pyronym(address))
        two = stack.enter_context(servers.pyronym(address))
        ours = Contender(one, Wire(PYRO4).calls([register()]), spin=False)
        puts = Contender(etcd, etcd_puts(), spin=False)
        rates: dict[str, list[float]] = {"pyronym, 64 clients": [], "etcd put, 50 clients": [], "pyronym, 1 client": []}
        for number in range(options.rounds):
            rates["pyronym, 64 clients"].append(ours.run(options.seconds, CLIENTS, number).rate)
            rates["etcd put, 50 clients"].append(puts.run(options.seconds, ETCD_CLIENTS, number).rate)
            rates["pyronym, 1 client"].append(ours.run(options.seconds, 1, options.rounds + number).rate)
        for label, values in rates.items():
            print(f"{label}: {statistics.median(values):,.0f}/s ({min(values):,.0f} to {max(values):,.0f})")
        seen = delays(one.port, two.port, options.changes)
        print(
            f"delay: median {statistics.median(seen):.2f} ms, of 100 one above {sorted(seen)[-len(seen) // 100]:.2f} ms"
        )


def delays(one: int, two: int, changes: int) -> list[float]:
    """Milliseconds until a change at one node is known to a client of the other."""
    heard: dict[str, float] = {}
    with locateNS("127.0.0.1", one) as first, locateNS("127.0.0.1", two) as second:
        since = second.watch()["revision"]

        def listen() -> None:
            nonlocal since
            while len(heard) < changes:
                news = second.watch("delay.", since=since, timeout=10)
                now = time.perf_counter()
                since = news["revision"]
                heard.update((change["name"], now) for change in news["changes"])

        thread = threading.Thread(target=listen)
        thread.start()
        began = {}
        for number in range(changes):
            began[f"delay.{number}"] = time.perf_counter()
            first.register(f"delay.{number}", "PYRO:object@192.168.1.1:4444")
            time.sleep(0.01)
        thread.join()
    return [1000 * (heard[name] - start) for name, start in began.items()]


if __name__ == "__main__":
    main()
