"""Hostile and careless clients against a live name server: ``make torture``, or ``python -m torture.clients``.

Each kind of them is let loose on a server while a client that means no harm connects, asks three things, and connects
anew. What that one notices, and what the server takes for it, is a row of the table. The attackers have a process of
their own, so that nobody waits for them by mistake.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from dataclasses import dataclass

from fuzz.attack import converse
from fuzz.targets import KINDS, Target
from fuzz.watch import Healthy
from torture.attacks import ATTACKS, Scene, call, greeting, let_loose

NAMES = 1500
"""Registered before, so that a list of them has a size. The last one is what the regular expressions fail on."""
PATIENCE = 5.0
START_PATIENCE = 60.0
"""Seconds for the attackers to get ready, and for the server to get over it: large payloads take some."""
MEGABYTE = 1 << 20
SIZE = 8_000_000
"""Bytes of large payloads."""


@dataclass
class Outcome:
    """What became of a server. Times in seconds, memory in bytes."""

    tried: int
    """Connections of the attackers, or datagrams."""
    alive: bool
    waits: list[float]
    """Of the client that means no harm, for each answer."""
    failures: int
    growth: int
    """From the memory before the attack to the highest."""
    recovered: bool
    """Whether a new client was answered when the attackers had gone."""
    leaked: int
    """Descriptors that were not given back."""

    @property
    def survived(self) -> bool:
        """Whether the client that means no harm noticed no more than waiting."""
        return self.recovered and not self.failures and len(self.waits) > 0 and not self.leaked

    def percentile(self, percent: int) -> float:
        """So many percent of the waits were no longer than this."""
        if len(self.waits) < 2:
            return max(self.waits, default=0.0)
        return statistics.quantiles(self.waits, n=100, method="inclusive")[percent - 1]

    def row(self) -> list[str]:
        """The figures as texts."""
        median, high, worst = (f"{wait * 1000:,.1f}" for wait in (*map(self.percentile, (50, 99)), max(self.waits)))
        afterwards = "answers" if self.recovered else "answers nobody" if self.alive else "dead"
        return [
            *(f"{self.tried:,}", f"{len(self.waits):,}", str(self.failures), median, high, worst),
            *(f"+{self.growth / MEGABYTE:,.0f} MB", afterwards + (f", {self.leaked} leaked" if self.leaked else "")),
        ]


def perform(kind: str, name: str, clients: int, seconds: float, size: int = SIZE) -> Outcome:
    """One attack on a new server."""
    attack = ATTACKS[name]
    target = Target(kind, descriptors=attack.descriptors, broadcast=attack.broadcast)
    protocol = target.protocols[0]
    try:
        names = [call(protocol, "register", f"name.{number}", f"PYRO:o@h:{number}") for number in range(NAMES)]
        names.append(call(protocol, "register", "a" * 40 + "!", "PYRO:o@h:1"))
        converse(target.address, [greeting(protocol), *names], PATIENCE)
        before = target.measure()
        context = multiprocessing.get_context("spawn")
        begun, over, tried = context.Event(), context.Event(), context.Value("q")
        scene = Scene(target.address, target.broadcast_port, protocol, clients, size, begun, over, tried)
        attacker = context.Process(target=let_loose, args=(name, scene), daemon=True)
        attacker.start()
        assert begun.wait(START_PATIENCE), "the attackers are not ready"
        healthy = Healthy(target.address, protocol, PATIENCE, None, questions=3)
        time.sleep(seconds)  # the length of the attack; nothing is waited for
        waits = [*healthy.waits, *([healthy.waiting] if healthy.waiting else [])]
        failures = healthy.failures
        peak = target.measure().peak if target.is_alive else 0
        over.set()
        attacker.join(PATIENCE)
        attacker.kill()
        recovered = target.is_alive and _answers(healthy)
        leaked = 0
        if recovered:
            healthy.close()
            leaked = _leaked(target, before.descriptors)
        growth = max(peak - before.memory, 0)
        return Outcome(tried.value, target.is_alive, waits, failures, growth, recovered, leaked)
    finally:
        target.close()


def _answers(healthy: Healthy) -> bool:
    before = len(healthy.waits)
    deadline = time.monotonic() + PATIENCE
    while len(healthy.waits) <= before + 1 and time.monotonic() < deadline:  # one may still be on its way
        time.sleep(0.01)
    return len(healthy.waits) > before + 1


def _leaked(target: Target, before: int) -> int:
    deadline = time.monotonic() + START_PATIENCE  # large calls that were sent are performed to their end
    while (leaked := target.measure().descriptors - before) > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    return max(leaked, 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture.clients", description=__doc__)
    parser.add_argument("--server", choices=KINDS, nargs="*", default=list(KINDS), help="what is attacked")
    parser.add_argument("--attack", choices=ATTACKS, nargs="*", default=list(ATTACKS), help="how")
    parser.add_argument("--clients", type=int, default=300, help="connections of those who hold some")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each attack")
    options = parser.parse_args()
    bad = False
    print("| attack | server | tried | answers | in vain | p50 ms | p99 ms | worst ms | memory | afterwards |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in options.attack:
        for kind in options.server:
            if kind not in ATTACKS[name].kinds:
                continue
            outcome = perform(kind, name, options.clients, options.seconds)
            bad = bad or (kind == "pyronym" and not outcome.survived)
            print("|", " | ".join([ATTACKS[name].words, kind, *outcome.row()]), "|", flush=True)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
