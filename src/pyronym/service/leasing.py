"""The leases of a name server: whose they are, and when they end."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Final, NamedTuple, TypeGuard

from pyronym.directory.leases import Leases
from pyronym.directory.record import EXPIRED, REMOVED, Event, Lease, Record

PAUSE: Final = 1.0
"""Seconds. When this process is later than that, it was stopped, or had no processor: then nobody could renew."""


class Renewing(NamedTuple):
    """What a holder wants to renew."""

    names: Mapping[str, str | None]
    """Each with the id of its lease, where only a certain registration is meant."""
    seconds: float | None
    """How long the leases are to be from now on, if that is to change."""
    holder: Holder


class Renewal(NamedTuple):
    """What became of names that were to be renewed, as far as they were not."""

    unknown: list[str]
    """There is no record."""
    taken: list[str]
    """There is one, but it is another registration, or one without a lease."""

    @classmethod
    def of_all(cls, renewals: Iterable[Renewal]) -> Renewal:
        """What several amount to."""
        both = cls([], [])
        for unknown, taken in renewals:
            both.unknown.extend(unknown)
            both.taken.extend(taken)
        return both


class Holder:
    """A connection, as the one that holds ephemeral records."""

    def __init__(self) -> None:
        self.token = secrets.token_hex(8)
        """The ids of its leases begin with it."""
        self.names: set[str] = set()
        """What it holds."""


class Leasing:
    """Follows the leases of a directory. Not thread-safe.

    `grace` as in `Leases`. Time is that of `clock`, without the pauses of this process: what nobody could renew does
    not end. The clock must only go forward. `node`: the id of this one, where there are several; each counts its own.
    """

    def __init__(self, grace: float, clock: Callable[[], float], node: str | None = None) -> None:
        self._leases = Leases(grace)
        self._clock = clock
        self._paused = 0.0
        self._connected: dict[str, Holder] = {}
        """By their tokens, those who have been given leases."""
        self._holders: dict[str, Holder] = {}
        """By the names of the ephemeral records that they hold."""
        self._serial = count()
        self._node = node
        self._taking: dict[str, tuple[str, Holder]] = {}
        """Ephemeral records of other nodes that are on their way here: the ids of their leases, and who renews."""

    def __len__(self) -> int:
        return len(self._leases)

    def new(self, seconds: float | None, holder: Holder | None) -> Lease:
        """A lease for a registration that is to come. With a `holder` it is ephemeral."""
        if holder is None:
            return Lease(secrets.token_hex(8), seconds, node=self._node)
        self._connected[holder.token] = holder
        return Lease(f"{holder.token}-{next(self._serial)}", seconds, ephemeral=True, node=self._node)

    def load(self, records: Iterable[Record]) -> None:
        """Begin with what a storage had. How long it had that before nobody knows, so all leases are counted from now:
        those who would have renewed them must first have the time to do so.
        """
        for record in records:
            if self.counts(record.lease):
                self._leases.start(record.name, record.lease, self._now(), connected=False)

    def follow(self, events: Sequence[Event]) -> bool:
        """Start and stop leases as records come and go. Whether some were started."""
        if not self._leases and all(event.record.lease is None for event in events):
            return False
        started = False
        for _, kind, record in events:
            if not self.counts(record.lease) or kind in (REMOVED, EXPIRED):
                self._leases.stop(record.name)
                self._let_go(record.name)
            else:
                self._start(record.name, record.lease)
                started = True
        return started

    def counts(self, lease: Lease | None) -> TypeGuard[Lease]:
        """Whether there is a lease, and this node is the one that counts it."""
        return lease is not None and lease.node == self._node

    def taken_over(self, lease: Lease, name: str, holder: Holder) -> Lease:
        """A lease of another node, as this one will count it when it has the record. `holder` renews it here."""
        if lease.ephemeral:
            self._connected[holder.token] = holder
            self._taking[name] = lease.id, holder
        return lease._replace(node=self._node)

    def renew(self, name: str, lease: Lease, holder: Holder) -> None:
        """Count from the whole lease again. An ephemeral record is held by `holder` from here on."""
        if lease.ephemeral:
            self._connected[holder.token] = holder
            self._hold(name, holder)
        self._leases.renew(name, self._now(), connected=lease.ephemeral)

    def disconnect(self, holder: Holder) -> None:
        """A connection has ended: what it holds is to go soon, unless another one renews it."""
        self._connected.pop(holder.token, None)
        for name in holder.names:
            del self._holders[name]
            self._leases.disconnect(name, self._now())
        holder.names.clear()

    def ended(self, limit: int) -> list[str]:
        """The names whose leases have ended, no more than `limit`: each is to be removed, or postponed."""
        return self._leases.due(self._now(), limit)

    def postpone(self, names: Iterable[str], seconds: float) -> None:
        """These could not be removed: they end again later."""
        for name in names:
            self._leases.postpone(name, self._now() + seconds)

    def next_due(self) -> float | None:
        """A time of the clock before which no lease ends."""
        due = self._leases.next_due()
        return None if due is None else due + self._paused

    def remaining(self, name: str) -> float | None:
        """Seconds until a record has to go, as far as is known now; None if nothing is."""
        end = self._leases.end(name)
        return None if end is None else end - self._now()

    def forgive(self, late: float) -> None:
        """This process was `late`, in seconds, when it looked for what had ended."""
        if late > PAUSE:
            self._paused += late

    def _now(self) -> float:
        return self._clock() - self._paused

    def _start(self, name: str, lease: Lease) -> None:
        holder = self._holder_of(name, lease) if lease.ephemeral else None
        self._let_go(name)
        if holder is not None:
            self._hold(name, holder)
        self._leases.start(name, lease, self._now(), connected=holder is not None)

    def _holder_of(self, name: str, lease: Lease) -> Holder | None:
        lease_id, holder = self._taking.pop(name, (None, None))
        token = holder.token if holder is not None and lease_id == lease.id else lease.id.partition("-")[0]
        return self._connected.get(token)

    def _hold(self, name: str, holder: Holder) -> None:
        self._let_go(name)
        self._holders[name] = holder
        holder.names.add(name)

    def _let_go(self, name: str) -> None:
        holder = self._holders.pop(name, None)
        if holder is not None:
            holder.names.discard(name)
