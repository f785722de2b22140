"""What is measured: rows of figures with their targets, and the rounds in which they come about."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
Values = dict[str, list[float]]
"""One list for each contender, in the order of the rounds."""


@dataclass(frozen=True)
class Target:
    """What is to be reached: by our figure or, with a `peer`, by our figure divided by that of the peer."""

    at_least: float | None = None
    at_most: float | None = None
    peer: str | None = None


@dataclass(frozen=True)
class Row:
    """One line of the table. `values` has ours under `ours`, and the peers' under their own labels."""

    section: str
    what: str
    unit: str
    ours: str
    values: Values
    targets: tuple[Target, ...] = ()
    note: str = ""

    @property
    def peers(self) -> list[str]:
        return [label for label in self.values if label != self.ours]

    def median(self, label: str) -> float:
        return statistics.median(self.values[label])

    def ratio(self, peer: str) -> float | None:
        """Our figure divided by the peer's: the median over the rounds. None where the peer was not measured."""
        if not self.values.get(peer):
            return None
        pairs = zip(self.values[self.ours], self.values[peer], strict=False)
        return statistics.median(ours / theirs for ours, theirs in pairs)

    def reached(self, target: Target) -> bool | None:
        """Whether it is; None when that was not measured."""
        value = self.ratio(target.peer) if target.peer else self.median(self.ours)
        if value is None:
            return None
        return (target.at_least is None or value >= target.at_least) and (
            target.at_most is None or value <= target.at_most
        )


@dataclass
class Plot:
    """Curves: for each contender, points of x and the values measured there."""

    key: str
    title: str
    x: str
    y: str
    curves: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    log_x: bool = True
    log_y: bool = True


@dataclass
class Findings:
    """What a group of measurements gives."""

    rows: list[Row] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """How long to measure, and where to say how far it is."""

    rounds: int
    seconds: float
    """For one contender in one round."""
    scale: int
    """The number of names that stands for many; 1,000,000 unless a rehearsal."""
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """A line of the progress display."""
        elapsed = int(time.monotonic() - self.started)
        print(f"{elapsed // 60:3}:{elapsed % 60:02}  {text}", flush=True)

    def rounds_of(self, what: str, contenders: Mapping[str, Callable[[int], T]]) -> dict[str, list[T]]:
        """Let the contenders take turns; each gets the number of the round and gives what it measured."""
        results: dict[str, list[T]] = {label: [] for label in contenders}
        for number in range(self.rounds):
            for label, measure in contenders.items():
                self.say(f"{what}: round {number + 1} of {self.rounds}, {label}")
                results[label].append(measure(number))
        return results
