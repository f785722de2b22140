"""The pulse of a server: how late its loop is, and how long calls take. It beats while somebody wants to know."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Final

from pyronym.histogram import SECONDS, Histogram
from pyronym.rpc.tally import BATCH, LOOKUP, REGISTER, Lane
from pyronym.server.loop import LoopBase

BEAT_SECONDS: Final = 0.1
"""How often it beats. A loop that is late by less keeps nobody waiting for long."""

SAMPLES: Final = 10
"""Reads whose time is taken after each beat, of those that the straight road answers. To look at the clock for each of
them would cost as much as all other counting."""

MISSED_SECONDS: Final = 5.0
"""A loop that has not beaten for so long does not answer clients either."""


class Pulse:
    """Beats on `loop`, from its `start` on."""

    def __init__(self, loop: LoopBase) -> None:
        self._loop = loop
        self._due = 0.0
        self.beats = False
        """Whether anybody wants to know."""
        self.last: float | None = None
        """When it beat last, as `time.monotonic` says it; None: not yet."""
        self.lag: float | None = None
        """Seconds that the latest beat came late."""
        self.lags = Histogram(SECONDS)
        self.latencies: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        """By methods: seconds from when a call is there to when its answer is. Those on the straight road are sampled:
        each stands for all that came since the one before.
        """
        self.samples = 0
        """Reads whose time is still to be taken."""
        self._weighed: dict[Lane, int] = {}

    def start(self) -> None:
        """Begin to beat, if it does not. From any thread."""
        if not self.beats:
            self.beats = True
            self._loop.post(self._wait)

    def _wait(self) -> None:
        self._due = time.monotonic() + BEAT_SECONDS
        self._loop.call_later(BEAT_SECONDS, self._beat)

    def is_alive(self) -> bool:
        """Whether the loop does what it has to. From any thread."""
        return self.last is not None and time.monotonic() - self.last < MISSED_SECONDS

    def sampled(self, lane: Lane, registered: int, batches: int, seconds: float) -> None:
        """A read was answered on the straight road. `registered` and `batches`: those of the lane before."""
        self.samples -= 1
        weight = lane.answered - self._weighed.get(lane, 0)
        self._weighed[lane] = lane.answered
        method = REGISTER if lane.registered > registered else BATCH if lane.batches > batches else LOOKUP
        self.latencies[method].add(seconds, weight)

    def _beat(self) -> None:
        now = time.monotonic()
        self.lag = max(0.0, now - self._due)
        self.lags.add(self.lag)
        self.last = now
        self.samples = SAMPLES
        self._wait()
