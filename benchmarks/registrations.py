"""Durable registrations a second inside one process: what the storages and their group commit can do without a network.

So many registrations wait at a time, and each that is acknowledged is followed by the next one. Takes turns, several
times, because disks are moody.
"""

from __future__ import annotations

import argparse
import queue
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyronym.service.nameservice import NameService
from pyronym.storage.choose import storage_by_name

ROOT = Path(__file__).resolve().parent.parent
CASES = [(kind, outstanding) for kind in ("sql", "dbm") for outstanding in (1, 64)]


def registrations_per_second(kind: str, outstanding: int, seconds: float) -> float:
    """Measure one kind of storage for a while."""
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        service = NameService(storage_by_name(f"{kind}:{folder}/names"))
        ready: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        service.deliver = ready.put
        acknowledged = 0

        def register(_: object = None) -> None:
            nonlocal acknowledged
            name = f"lab.camera.{acknowledged % 10_000:012}"
            acknowledged += 1
            commit: Any = service.register(name, "PYRO:object@192.168.1.1:4444", frozenset(["class:lab"]))
            commit.add_done_callback(register)

        for _ in range(outstanding):
            register()
        acknowledged = 0
        start = time.perf_counter()
        while (now := time.perf_counter()) - start < seconds:
            ready.get()()
        rate = acknowledged / (now - start)
        service.close()
    return rate


def main() -> None:
    """Measure all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each case and round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rates: dict[tuple[str, int], list[float]] = {case: [] for case in CASES}
    for _ in range(options.rounds):
        for case in CASES:
            rates[case].append(registrations_per_second(*case, options.seconds))
    for (kind, outstanding), measured in rates.items():
        spread = f"({min(measured):,.0f} to {max(measured):,.0f})"
        print(f"{kind}, {outstanding:2} outstanding:{statistics.median(measured):10,.0f} a second   {spread}")


if __name__ == "__main__":
    main()
