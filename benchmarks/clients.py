"""One client with one request at a time: the Proxies, each against its own server, beside bare round trips."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.stock import PYRO4 as STOCK4
from tests.stock import PYRO5 as STOCK5

from benchmarks.lookups import headline
from benchmarks.messages import NAMES
from benchmarks.rows import Bench, Findings, Row, Target
from benchmarks.servers import ECHO_UVLOOP, OURS4, STOCK4_MULTIPLEX, STOCK5_MULTIPLEX, environment

SCRIPT = Path(__file__).with_name("sequential.py")
OURS = "pyronym Proxy, pyronym server"
ECHO = "bare socket, uvloop echo"
BARE_WITH_OURS = "bare socket, pyronym server"
STOCK4_PAIR = "stock Pyro4 Proxy, stock server"
STOCK5_PAIR = "stock Pyro5 Proxy, stock server"
STOCK4_WITH_OURS = "stock Pyro4 Proxy, pyronym server"


def measure_one_client(bench: Bench) -> Findings:
    """Round trips a second."""
    with ExitStack() as stack:
        running = headline(stack, ECHO_UVLOOP, STOCK4_MULTIPLEX, STOCK5_MULTIPLEX)
        ours = running[OURS4].exchange
        request, answer_size = ours.requests[0].hex(), running[ECHO_UVLOOP].exchange.reply
        pairs: dict[str, tuple[str | Path, str, str, tuple[str, ...]]] = {
            OURS: (sys.executable, "pyronym", OURS4, (NAMES[0],)),
            ECHO: (sys.executable, "bare", ECHO_UVLOOP, ("", request, answer_size)),
            BARE_WITH_OURS: (sys.executable, "bare", OURS4, (ours.handshake.hex(), request, answer_size)),
            STOCK4_PAIR: (STOCK4.ensure(), "Pyro4", STOCK4_MULTIPLEX, (NAMES[0],)),
            STOCK5_PAIR: (STOCK5.ensure(), "Pyro5.api", STOCK5_MULTIPLEX, (NAMES[0],)),
            STOCK4_WITH_OURS: (STOCK4.ensure(), "Pyro4", OURS4, (NAMES[0],)),
        }

        def rate(label: str, number: int) -> float:
            python, module, server, rest = pairs[label]
            command = [python, SCRIPT, module, str(running[server].server.port), str(bench.seconds), *rest]
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise RuntimeError(f"{label}: {done.stderr[-2000:]}")
            return float(done.stdout)

        values = bench.rounds_of("one client", {label: partial(rate, label) for label in pairs})
    goals = (Target(0.65, peer=ECHO), Target(2.5, peer=STOCK4_PAIR))
    return Findings([Row("One client", "lookups one after the other, Pyro4 wire", "/s", OURS, values, goals)])
