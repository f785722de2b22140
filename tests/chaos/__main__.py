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

from chaos.run import Report, delays, run

HOLD = 3.0
"""Seconds that a fault lasts: longer than an election and all timeouts; with what it takes until all are well again,
shorter than the leases of etcd."""
SHORT_HOLD = 2.0
SHOWN = 30
MAIN_KINDS = (
    ("kill", "a node"),
    ("cut off", "a node"),
    ("freeze", "a node"),
    ("freeze", "the leader"),
    ("kill", "a follower"),
    ("cut off", "a follower"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the chance starts from")
    parser.add_argument(
        "--short", action="store_true", help="half a minute, in which the time of answers is not judged"
    )
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that all is taken away
    single = options.minutes * 40
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.short:
            seen = run(folder, options.seed, singles=60, storms=4, hold=SHORT_HOLD, wanted=MAIN_KINDS)
        else:
            seen = run(folder, options.seed, singles=single, storms=single / 2, hold=HOLD)
            seen.problems += delays(seen.seen)
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
