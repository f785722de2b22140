"""A campaign against one server: attackers, a client that means no harm, and what became of all of them."""

from __future__ import annotations

import multiprocessing
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.attack import Tally, Task, attack
from fuzz.targets import Target
from fuzz.watch import Healthy, forget_names

MEGABYTE = 1 << 20
_DOWN_AFTER = 3
"""Connections of the client that means no harm that must fail before the server counts as hanging."""


@dataclass
class Result:
    """Figures of a campaign, or of a part of it. Memory in bytes, times in seconds."""

    messages: int = 0
    seconds: float = 0.0
    deaths: int = 0
    hangs: int = 0
    """How often the server answered nobody any more."""
    hung_connections: int = 0
    """Connections that were neither answered nor closed in time."""
    slowest: float = 0.0
    """Of the attackers' connections, from its first byte to its end."""
    worst_wait: float = 0.0
    """Of the client that means no harm, for an answer."""
    memory_before: int = 0
    memory_after: int = 0
    memory_peak: int = 0
    threads: int = 0
    descriptors: int = 0
    surprises: int = 0
    """Tracebacks in the server's output."""
    hung: list[tuple[bytes, ...]] = field(default_factory=list)

    def line(self) -> str:
        """All of it in a line."""
        return (
            f"{self.messages:>9,} messages in {self.seconds:5.0f} s: died {self.deaths}, hung {self.hangs}, "
            f"connections hung {self.hung_connections}, slowest {self.slowest:.1f} s, "
            f"healthy client waited at most {self.worst_wait * 1000:.0f} ms, memory "
            f"{self.memory_before / MEGABYTE:.0f} -> {self.memory_after / MEGABYTE:.0f} MB "
            f"(peak {self.memory_peak / MEGABYTE:.0f}), "
            f"threads {self.threads}, descriptors {self.descriptors}, tracebacks {self.surprises}"
        )


def run(
    kind: str,
    *,
    count: int,
    seed: int,
    key: bytes | None = None,
    processes: int = 2,
    threads: int = 4,
    patience: float = 20.0,
    max_seconds: float = float("inf"),
    report_every: int = 10_000,
    report: Callable[[str], None] = print,
    keep: Path | None = None,
) -> Result:
    """Send `count` wrong messages to a server of this kind, or as many as there are seconds for.

    `keep`: a folder for what was sent on connections that hung.
    """
    target = Target(kind, key)
    context = multiprocessing.get_context("spawn")
    tallies, stop = context.Queue(), context.Event()
    protocols = target.protocols if key is None else (48,)
    attackers = [
        context.Process(
            target=attack,
            args=(Task(target.address, protocols, seed * 1000 + number, threads, patience, key), tallies, stop),
            daemon=True,
        )
        for number in range(processes)
    ]
    result = Result(memory_before=target.measure().memory)
    try:
        for attacker in attackers:
            attacker.start()
        _watch(target, result, tallies, protocols[0], key, count, patience, max_seconds, report_every, report)
    finally:
        stop.set()
        for attacker in attackers:
            attacker.join(5)
            attacker.kill()
        if target.is_alive:
            with suppress(OSError):
                forget_names(target.address, protocols[0], key, patience)
            _measure(target, result)
        result.surprises += target.surprises
        if keep is not None:
            _keep(keep, result, target)
        target.close()
    return result


def _watch(
    target: Target,
    result: Result,
    tallies: multiprocessing.Queue[Tally],
    protocol: int,
    key: bytes | None,
    count: int,
    patience: float,
    max_seconds: float,
    report_every: int,
    report: Callable[[str], None],
) -> None:
    begin = time.monotonic()
    next_report = report_every
    healthy = Healthy(target.address, protocol, patience, key)
    try:
        while result.messages < count and result.seconds < max_seconds:
            with suppress(queue.Empty):
                _count(result, tallies.get(timeout=0.5))
            result.seconds = time.monotonic() - begin
            result.worst_wait = max(result.worst_wait, healthy.worst, healthy.waiting)
            if not target.is_alive or healthy.waiting > patience or healthy.failures >= _DOWN_AFTER:
                if target.is_alive:
                    result.hangs += 1
                    report(f"it answers nobody any more, after {result.messages} messages: started anew")
                else:
                    result.deaths += 1
                    report(f"it died after {result.messages} messages: started anew\n{target.output[-2000:]}")
                result.surprises += target.surprises
                _measure(target, result)
                target.restart()
                healthy = Healthy(target.address, protocol, patience, key)
            elif result.messages >= next_report:
                next_report += report_every
                _measure(target, result)
                report(result.line())
                with suppress(OSError):
                    forget_names(target.address, protocol, key, patience)
    finally:
        result.worst_wait = max(result.worst_wait, healthy.worst)
        healthy.close()


def _count(result: Result, tally: Tally) -> None:
    result.messages += tally.messages
    result.slowest = max(result.slowest, tally.seconds)
    if tally.hung:
        result.hung_connections += 1
        result.hung.append(tally.hung)


def _measure(target: Target, result: Result) -> None:
    with suppress(OSError):
        measures = target.measure()
        result.memory_after = measures.memory
        result.memory_peak = max(result.memory_peak, measures.peak)
        result.threads = max(result.threads, measures.threads)
        result.descriptors = max(result.descriptors, measures.descriptors)


def _keep(folder: Path, result: Result, target: Target) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, messages in enumerate(result.hung[:100]):
        (folder / f"hung-{number}.bin").write_bytes(b"".join(messages))
    (folder / "output.txt").write_text(target.output)
