"""How values are spread: their number by size, cheap to count and easy to add up, as Prometheus has it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

SECONDS: Final = (
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 10.0, 60.0,
)  # fmt: skip
"""Bounds for what takes between some microseconds and a minute."""

SIZES: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0)
"""Bounds for numbers of things."""


class Histogram:
    """Counts values up to each of some `bounds`, which grow. One thread writes; others may read meanwhile."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all values."""
        self.largest = 0.0

    def add(self, value: float, weight: int = 1) -> None:
        """Count a value, which stands for `weight` ones."""
        self._counts[bisect_left(self._bounds, value)] += weight
        self.total += value * weight
        if value > self.largest:
            self.largest = value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def up_to(self) -> list[tuple[float, int]]:
        """Each bound, infinity at last, and how many values there were up to it."""
        so_far = 0
        steps = []
        for bound, count in zip((*self._bounds, float("inf")), list(self._counts), strict=True):
            so_far += count
            steps.append((bound, so_far))
        return steps
