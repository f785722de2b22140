"""How many calls a daemon has answered: by method, protocol and result.

Most are lookups on the straight road, at six microseconds each, so these are counted once for all that came in one
read. What else the straight road answers costs more, and is counted where it is answered.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from pyronym.wire.message import PYRO4, PYRO5

DONE: Final = "ok"
"""The result of a call that has succeeded. Of others it is the class of their error."""
FAILED: Final = "error"
"""The result of a call to an object of the program that has failed."""
LOOKUP: Final = "lookup"
REGISTER: Final = "register"
BATCH: Final = "batch"
"""All calls of a batch count as one."""
OTHER: Final = "other"
"""A call to an object of the program, or to what there is not: its words are a stranger's, and could be any."""


class Asked(NamedTuple):
    """What calls have in common that are counted together."""

    protocol: int
    method: str
    result: str


class Lane:
    """What was answered on the straight road of one protocol at once: in all, and what of that were no lookups; and, by
    method, what was answered when something had been waited for.
    """

    __slots__ = ("answered", "awaited", "batches", "registered")

    def __init__(self) -> None:
        self.answered = 0
        self.awaited = {BATCH: 0, REGISTER: 0}
        self.batches = 0
        self.registered = 0


class Tally:
    """Counts the calls of one daemon. One thread writes; others may read meanwhile."""

    def __init__(self) -> None:
        self.lanes = {PYRO4: Lane(), PYRO5: Lane()}
        self._calls: dict[Asked, int] = {}

    def note(self, protocol: int, method: str, result: str) -> None:
        """A call has been answered that is not counted in a lane."""
        asked = Asked(protocol, method, result)
        self._calls[asked] = self._calls.get(asked, 0) + 1

    def counts(self) -> dict[Asked, int]:
        """All calls so far."""
        counts = Counter(dict(self._calls))  # a copy, made in one step
        for protocol, lane in self.lanes.items():
            batches, registered = lane.batches, lane.registered  # before `answered`, which may grow meanwhile
            counts[Asked(protocol, BATCH, DONE)] += batches + lane.awaited[BATCH]
            counts[Asked(protocol, REGISTER, DONE)] += registered + lane.awaited[REGISTER]
            counts[Asked(protocol, LOOKUP, DONE)] += max(0, lane.answered - batches - registered)
        return {asked: count for asked, count in counts.items() if count}
