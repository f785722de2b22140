"""How long leased records have yet to live. Times are passed in, in seconds of any clock that only goes forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pyronym.directory.record import Lease
from pyronym.directory.schedule import Schedule

SHORTEST: Final = 0.1
LONGEST: Final = 366 * 86400.0
"""Seconds that a lease may be for. Shorter ones could not be renewed in time; longer ones mean: for good."""


@dataclass(slots=True)
class _Countdown:
    lease: Lease
    renewed: float
    disconnected: float | None
    """Since when no connection holds an ephemeral record; None: one does."""

    def end(self, grace: float) -> float | None:
        """When the record has to go, if nothing else happens before."""
        ends = []
        if self.lease.seconds is not None:
            ends.append(self.renewed + self.lease.seconds)
        if self.lease.ephemeral and self.disconnected is not None:
            ends.append(self.disconnected + grace)
        return min(ends, default=None)


class Leases:
    """The leases that are running, by the names of their records.

    `grace`: seconds that an ephemeral record stays when its connection has ended, so that a new one can take it over.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._running: dict[str, _Countdown] = {}
        self._ends: Schedule[str] = Schedule()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, lease: Lease, now: float, *, connected: bool) -> None:
        """Begin to count, from the whole lease. `connected`: there is a connection that holds the record."""
        self._running[name] = _Countdown(lease, now, None if connected else now)
        self._reckon(name)

    def stop(self, name: str) -> None:
        """The record is gone, or stays for good."""
        if self._running.pop(name, None) is not None:
            self._ends.drop(name)

    def renew(self, name: str, now: float, *, connected: bool) -> None:
        """Count from the whole lease again. KeyError if there is none."""
        countdown = self._running[name]
        countdown.renewed = now
        countdown.disconnected = None if connected else now
        self._reckon(name)

    def disconnect(self, name: str, now: float) -> None:
        """The connection that holds a record has ended. KeyError if there is no lease."""
        self._running[name].disconnected = now
        self._reckon(name)

    def due(self, now: float, limit: int) -> list[str]:
        """The names whose lease has ended, no more than `limit`. Each is told once: to be stopped, or postponed."""
        return self._ends.due(now, limit)

    def postpone(self, name: str, until: float) -> None:
        """A name that was due cannot go now; have it due again at `until`, unless it was renewed meanwhile."""
        if name in self._running and name not in self._ends:
            self._ends.set(name, until)

    def next_due(self) -> float | None:
        """A time before which no lease ends; None when none is running."""
        return self._ends.next()

    def end(self, name: str) -> float | None:
        """When the record has to go, as far as is known now; None if nothing is known."""
        countdown = self._running.get(name)
        return None if countdown is None else countdown.end(self._grace)

    def _reckon(self, name: str) -> None:
        end = self._running[name].end(self._grace)
        if end is None:
            self._ends.drop(name)
        else:
            self._ends.set(name, end)
