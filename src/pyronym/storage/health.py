"""Whether a storage works, for those who watch over it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pyronym.errors import StorageError
from pyronym.histogram import SECONDS, SIZES, Histogram
from pyronym.storage.base import ChangeRefusedError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why no change can be stored, and since when."""

    reason: str
    """What the last attempt failed with."""
    since: float
    """When the first attempt failed: seconds since 1970."""


class CommitTimes(NamedTuple):
    """How long group commits have taken, in seconds, from the beginning on. A storage in memory has none."""

    commits: int
    total: float
    longest: float
    changes: int
    """That were in them."""


class Health:
    """How the storage that `description` names is, from how its commits end. Logs when it breaks and recovers."""

    def __init__(self, description: str, clock: Callable[[], float] = time.time) -> None:
        self.description = description
        self._clock = clock
        self.trouble: Trouble | None = None
        """None when the last commit succeeded, or there was none yet."""
        self.seconds = Histogram(SECONDS)
        """How long commits take."""
        self.changes = Histogram(SIZES)
        """How many changes are in one."""

    @property
    def times(self) -> CommitTimes:
        """How long it takes."""
        seconds = self.seconds
        return CommitTimes(seconds.count, seconds.total, seconds.largest, int(self.changes.total))

    def took(self, seconds: float, changes: int) -> None:
        """A commit of some changes has ended, after so many seconds."""
        self.seconds.add(seconds)
        self.changes.add(changes)

    def note(self, error: StorageError | None) -> None:
        """A commit succeeded (None), or failed. That a change is refused says nothing about the storage."""
        if error is None:
            if self.trouble is not None:
                seconds = self._clock() - self.trouble.since
                self.trouble = None
                _log.warning("%s works again after %.0f seconds", self.description, seconds)
        elif not isinstance(error, ChangeRefusedError):
            broken_now = self.trouble is None
            self.trouble = Trouble(str(error), self._clock() if self.trouble is None else self.trouble.since)
            if broken_now:
                _log.error("no change can be stored until this is over, lookups go on: %s", error)
