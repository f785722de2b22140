"""``make profile``: where the time of a lookup goes. The server runs in this process, under cProfile."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import threading

from benchmarks.load import Load, Result
from benchmarks.lookups import CONNECTIONS
from benchmarks.messages import NAMES, PYRO4, PYRO5, Wire, lookup, register
from pyronym.server.start import startNS


def main() -> None:
    """Serve, look up for some seconds, print the functions by the time spent in them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--protocol", type=int, choices=(4, 5), default=4)
    parser.add_argument("--serializer", default="serpent")
    parser.add_argument("--functions", type=int, default=30, help="how many lines to print")
    options = parser.parse_args()
    _, daemon, _ = startNS("127.0.0.1", 0, enableBroadcast=False)
    wire = Wire(PYRO4 if options.protocol == 4 else PYRO5, options.serializer)
    results: list[Result] = []

    def ask() -> None:
        port = daemon.sock.getsockname()[1]
        try:
            wire.ask(port, *(register(name) for name in NAMES))
            exchange = wire.calls([lookup(name) for name in NAMES])
            results.append(Load(port, exchange, CONNECTIONS, options.seconds).result())
        finally:
            daemon.request_stop()

    client = threading.Thread(target=ask)
    client.start()
    profile = cProfile.Profile()
    profile.runcall(daemon.requestLoop)
    client.join()
    daemon.close()
    statistics = pstats.Stats(profile)
    statistics.sort_stats("tottime").print_stats(options.functions)
    for result in results:
        print(f"{result.rate:,.0f} lookups a second under the profiler, from {CONNECTIONS} connections.")
        print("The profiler adds to every Python call, so that cheap functions look dearer than they are.")


if __name__ == "__main__":
    main()
