"""Nodes and members of etcd in trouble, for as long as one likes: ``make chaos MINUTES=15 SEED=1``.

Three nodes share three members of etcd, each on a host of its own (network namespaces; root and iproute2 are needed for
them). They are killed, frozen, cut off and slowed down, one at a time in the first two thirds of the time, then several
at once. Clients write down what they see, and it is checked against what etcd has. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

from chaos.run import Report, run

HOLD = 4.0
"""Seconds that a fault lasts: longer than an election and all timeouts, shorter than the leases of etcd."""
SHOWN = 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the chance starts from")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that all is taken away
    seconds = options.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        seen = run(Path(folder), options.seed, singles=seconds * 2 / 3, storms=seconds / 3, hold=HOLD)
    show(seen)
    return int(bool(seen.problems))


def show(report: Report) -> None:
    """Print what was seen."""
    outcomes = Counter((operation.kind, operation.outcome.value) for operation in report.history.operations)
    for (kind, outcome), number in sorted(outcomes.items()):
        print(f"{kind:14} {outcome:8} {number:8,}")
    for what in ("reads", "writes"):
        worst = max((wait.seconds for seen in report.seen if (wait := seen.waits[what])), default=0.0)
        print(f"longest wait for {what} around a single fault: {worst:.2f} s")
    print(
        f"{len(report.history.commits):,} changes, {len(report.history.answers):,} answers to watchers with "
        f"{report.resets} resets, {len(report.seen)} single faults, {report.storms} times several at once"
    )
    for problem in report.problems[:SHOWN]:
        print(problem)
    print(f"{len(report.problems)} problems")


if __name__ == "__main__":
    sys.exit(main())
