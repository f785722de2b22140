"""What one client may take from the others, reckoned without sockets and clocks: times are passed in, in seconds."""

from __future__ import annotations

import enum
import threading
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from typing import Final, Generic, TypeVar

from pyronym.rpc.offences import Offence
from pyronym.settings import Settings

T = TypeVar("T", bound=Hashable)

REMEMBERED: Final = 4096
"""Sources and offenders that are remembered."""

RESERVED_DESCRIPTORS: Final = 128
"""Descriptors that are left for files, for the clients that are told that there is no room for them, and for others."""


class Phase(enum.Enum):
    """What a client may let a server wait for, and what it has done wrong when it takes too long."""

    HANDSHAKE = Offence.HANDSHAKE_TIME
    MESSAGE = Offence.MESSAGE_TIME
    READING = Offence.UNREAD
    CALL = Offence.HELD
    """A call is being performed: the client waits, not the server. There is no time limit, but what is held counts."""


class Patience(Generic[T]):
    """Who lets the server wait, for what, and since when.

    A limit of 0 seconds stands for no limit.
    """

    def __init__(self, limits: Mapping[Phase, float]) -> None:
        self._waiting: dict[T, tuple[Phase, float]] = {}
        self.limit(limits)

    def limit(self, limits: Mapping[Phase, float]) -> None:
        """Let other limits count from here on."""
        self._limits = {phase: seconds for phase, seconds in limits.items() if seconds}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, who: T) -> bool:
        return who in self._waiting

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._waiting))

    def note(self, who: T, phase: Phase | None, now: float, *, progress: bool = False) -> None:
        """`who` lets the server wait for `phase`, or for nothing. With `progress` that begins anew."""
        if phase is None:
            self._waiting.pop(who, None)
            return
        before = self._waiting.get(who)
        if progress or before is None or before[0] is not phase:
            self._waiting[who] = phase, now

    def phase(self, who: T) -> Phase | None:
        """What `who` lets the server wait for."""
        waiting = self._waiting.get(who)
        return waiting and waiting[0]

    def slow(self, now: float, seconds: float) -> Counter[Phase]:
        """How many have let the server wait for longer than that, by what for. From any thread."""
        waiting = list(self._waiting.values())
        return Counter(phase for phase, since in waiting if phase is not Phase.CALL and now - since > seconds)

    def overdue(self, now: float) -> list[tuple[T, Phase]]:
        """Those who have let the server wait for too long."""
        return [
            (who, phase)
            for who, (phase, since) in self._waiting.items()
            if now - since > self._limits.get(phase, float("inf"))
        ]


class Admission:
    """How many connections there are, in all and from each address, and whether there may be another.

    `limit` and `limit_per_address` as in the settings, 0 resolved. Clients without an address (Unix sockets) count in
    all only.
    """

    def __init__(self, limit: int, limit_per_address: int) -> None:
        self.limit(limit, limit_per_address)
        self._total = 0
        self._by_address: Counter[str] = Counter()

    def limit(self, limit: int, limit_per_address: int) -> None:
        """Let other limits count from here on. Connections that are there already stay."""
        self._limit = limit
        self._limit_per_address = limit_per_address

    def refusal(self, address: str | None) -> str | None:
        """Why there cannot be another connection from `address`; None if there can be."""
        if self._total >= self._limit:
            return f"too many connections ({self._limit} are open): try again later, or raise MAX_CONNECTIONS"
        if address is not None and self._by_address[address] >= self._limit_per_address:
            return (
                f"too many connections from {address} ({self._limit_per_address} are open): close some, "
                "or raise MAX_CONNECTIONS_PER_ADDRESS"
            )
        return None

    def enter(self, address: str | None) -> None:
        """A connection is there."""
        self._total += 1
        if address is not None:
            self._by_address[address] += 1

    def leave(self, address: str | None) -> None:
        """A connection that had entered is gone."""
        self._total -= 1
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]


def connection_limits(settings: Settings, descriptors: int) -> tuple[int, int]:
    """The limits of an Admission, where the system lets the process have so many descriptors open."""
    limit = settings.max_connections or max(descriptors - RESERVED_DESCRIPTORS, 1)
    return limit, settings.max_connections_per_address or max(limit * 3 // 4, 1)


class Offences:
    """Counts what clients were stopped from doing, and says when that is worth a line in the log."""

    _PAUSE: Final = 60.0
    """Seconds between two lines about one offender."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Offence] = Counter(dict.fromkeys(Offence, 0))
        self._told: dict[str, float] = {}

    @property
    def counts(self) -> dict[Offence, int]:
        """How often each kind happened so far."""
        with self._lock:
            return dict(self._counts)

    def note(self, what: Offence, offender: str, now: float) -> bool:
        """Count an offence. Whether to log it: once a minute for each offender. From any thread."""
        with self._lock:
            self._counts[what] += 1
            if now - self._told.get(offender, -self._PAUSE) < self._PAUSE:
                return False
            if len(self._told) >= REMEMBERED:
                self._told.clear()
            self._told[offender] = now
            return True


class RateLimit:
    """Allows each source `rate` events a second, and `burst` at once (a token bucket).

    Of more sources than can be remembered, those are forgotten that were heard of longest ago.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens: dict[str, tuple[float, float]] = {}  # those heard of last come last

    def allows(self, source: str, now: float) -> bool:
        """Whether another event is allowed now. If so it counts."""
        tokens, since = self._tokens.pop(source, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        if len(self._tokens) >= REMEMBERED:
            del self._tokens[next(iter(self._tokens))]
        allowed = tokens >= 1
        self._tokens[source] = (tokens - 1 if allowed else tokens), now
        return allowed
