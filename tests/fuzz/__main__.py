"""Mutated messages against a live name server: ``make fuzz-server``, or ``python -m fuzz`` with tests/ importable."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fuzz.campaign import Result, run
from fuzz.targets import KINDS

KEY = b"a shared secret"
"""The one with which the captured signatures were made."""
SIGNED_PART = 10
"""One message in so many goes to a server with an HMAC key."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="pyronym", help="what is attacked")
    parser.add_argument("--count", type=int, default=100_000, help="messages")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same messages")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after these, whatever the count is")
    parser.add_argument("--processes", type=int, default=2, help="that attack")
    parser.add_argument("--threads", type=int, default=4, help="connections at a time of each")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds for an answer")
    parser.add_argument("--keep", type=Path, help="folder for what was sent on connections that hung")
    options = parser.parse_args()
    bad = False
    signed = options.count // SIGNED_PART if 48 in KINDS[options.server] else 0
    for key, count in ((None, options.count - signed), (KEY, signed)):
        if count == 0:
            continue
        print(f"{options.server}{', with an HMAC key' if key else ''}: {count:,} messages, seed {options.seed}")
        result = run(
            options.server,
            count=count,
            seed=options.seed,
            key=key,
            processes=options.processes,
            threads=options.threads,
            patience=options.patience,
            max_seconds=options.seconds * count / options.count,
            report=lambda line: print(line, flush=True),
            keep=options.keep,
        )
        print(f"all: {result.line()}", flush=True)
        bad = bad or is_bad(result)
    return int(bad)


def is_bad(result: Result) -> bool:
    """Whether the server was brought down, or kept somebody waiting for ever."""
    return bool(result.deaths or result.hangs or result.hung_connections or result.surprises)


if __name__ == "__main__":
    sys.exit(main())
