"""What the storages promise, tried for as long as one likes: ``make torture-storage ROUNDS=100 SEED=1``.

Kills programs that write (kill -9) and cuts the power of others, on SQLite and dbm. Ends with the figures, or with the
round and seed that failed.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from killing import STORES, kill_a_committing_program, kill_a_server_with_64_clients
from power_cuts import cut_the_power

TRIALS: dict[str, Callable[[str, Path, int, random.Random], object]] = {
    "kill": kill_a_committing_program,
    "kill-64": kill_a_server_with_64_clients,
    "power": cut_the_power,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="of each trial on each kind of storage")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the chance starts from")
    parser.add_argument("--kind", choices=STORES, nargs="+", default=list(STORES))
    parser.add_argument("--trial", choices=TRIALS, nargs="+", default=list(TRIALS))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.rounds} rounds", flush=True)
    for trial in options.trial:
        for kind in options.kind:
            started = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                chance = random.Random(f"{options.seed} {trial} {kind}")
                figures = TRIALS[trial](kind, Path(folder) / "names", options.rounds, chance)
            print(f"{trial} {kind}: {figures}, {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
