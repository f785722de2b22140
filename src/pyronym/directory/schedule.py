"""What is to be done when. Times are passed in."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SLACK: Final = 64
"""Entries of the heap that are not worth the trouble of making it anew."""


class Schedule(Generic[K]):
    """Keys with a time each. To put a time off costs one look into a dict: a lease is renewed often, and ends once."""

    def __init__(self) -> None:
        self._times: dict[K, float] = {}
        self._queued: dict[K, float] = {}
        """The time of the entry of the heap that counts for a key. It is not later than the key's own time."""
        self._heap: list[tuple[float, int, K]] = []
        self._serial = count()  # of two entries with one time, so that keys need no order

    def __len__(self) -> int:
        return len(self._times)

    def __contains__(self, key: K) -> bool:
        return key in self._times

    def set(self, key: K, when: float) -> None:
        """Have `key` come up at `when`, instead of another time that was set before."""
        self._times[key] = when
        if when < self._queued.get(key, float("inf")):
            self._push(key, when)

    def drop(self, key: K) -> None:
        """Have `key` not come up, if it was to."""
        self._times.pop(key, None)
        self._queued.pop(key, None)

    def get(self, key: K) -> float | None:
        """When `key` comes up."""
        return self._times.get(key)

    def next(self) -> float | None:
        """A time before which nothing comes up; None when nothing does at all."""
        self._tidy()
        return self._heap[0][0] if self._heap else None

    def due(self, now: float, limit: int) -> list[K]:
        """Take out what comes up at `now` or before, in the order of its times, but no more than `limit` keys."""
        found: list[K] = []
        while len(found) < limit:
            self._tidy()
            if not self._heap or self._heap[0][0] > now:
                break
            when, _, key = heapq.heappop(self._heap)
            del self._queued[key]
            if self._times[key] > when:  # it was put off: others may come before it
                self._push(key, self._times[key])
            else:
                del self._times[key]
                found.append(key)
        return found

    def _push(self, key: K, when: float) -> None:
        if len(self._heap) > 2 * len(self._times) + _SLACK:  # most of it is of keys that were dropped
            self._queued = dict(self._times)
            self._heap = [(time, next(self._serial), other) for other, time in self._times.items()]
            heapq.heapify(self._heap)
            return
        self._queued[key] = when
        heapq.heappush(self._heap, (when, next(self._serial), key))

    def _tidy(self) -> None:
        """Take entries that no longer count from the front of the heap."""
        while self._heap and self._queued.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
