"""Changes to a storage that other nodes change, too.

Each is decided there, by a condition: that nobody has changed since what it was decided on here. If that does not hold,
because another node was faster, it is decided anew: by the same call as before, whose change then takes the place of
the one that failed. Each name is decided on its own, so of many names some may be changed, and others not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Lease, Record
from pyronym.service.changes import Changes, Check, Decide
from pyronym.service.commit import Deliver
from pyronym.service.leasing import Leasing, Renewal, Renewing
from pyronym.service.pipeline import Note, Outcome
from pyronym.service.shared_pipeline import SharedPipeline
from pyronym.storage.health import Health
from pyronym.storage.shared import Basis, Condition, SharedStorage

T = TypeVar("T")


class Sharing(Changes):
    """The changes of one node of several, by way of `pipeline`, in `storage`."""

    def __init__(
        self, directory: Directory, leasing: Leasing, pipeline: SharedPipeline, storage: SharedStorage
    ) -> None:
        self._directory = directory
        self._leasing = leasing
        self._pipeline = pipeline
        self._storage = storage

    @property
    def health(self) -> Health:
        """How the storage is, from how commits end."""
        return self._pipeline.health

    def gather_by(self, at_end_of_turn: Deliver) -> None:
        """Have changes of one turn of an event loop committed together: see `Committer.gather`."""
        self._pipeline.gather_by(at_end_of_turn)

    def hurry(self) -> None:
        """Have changes committed at once that wait: see `Committer.hurry`."""
        self._pipeline.hurry()

    def adopt(self, own: Record) -> Outcome[None]:
        """Know the record of the name server itself, of which other nodes do not: each has one of its own."""
        self._directory.follow([Change(own.name, own)], self._directory.revision)
        return None

    def put(self, record: Record, value: T, note: Note | None) -> Outcome[T]:
        """As all that follows: see `Changes`."""
        name, directory = record.name, self._directory
        condition = Condition.ABSENT_OR_UNCHANGED
        if name in directory.staged_names and directory.upcoming(name) is not directory.get(name):
            condition = Condition.NONE  # a change of this node's own is on its way, and whatever is there is ours
        return self._share(Change(name, record), value, note, condition, partial(self.put, record, value, note))

    def put_decided(self, name: str, decide: Decide, value: T, note: Note | None) -> Outcome[T]:
        """See `Changes`."""
        upcoming = self._directory.upcoming(name)
        change = Change(name, decide(upcoming))
        condition = Condition.ABSENT if upcoming is None else Condition.UNCHANGED
        return self._share(change, value, note, condition, partial(self.put_decided, name, decide, value, note))

    def put_all(self, changes: list[Change]) -> Outcome[bool]:
        """See `Changes`."""
        # Where a change of this node's own is on its way, another condition is needed than for the rest.
        if not self._directory.staged_names.isdisjoint([change.name for change in changes]):
            return False
        basis = Basis(Condition.ABSENT_OR_UNCHANGED, self._directory.revision)
        return self._pipeline.write(changes, True, None, basis, partial(self.put_all, changes))

    def remove(self, names: Iterable[str], check: Check, note: Note | None) -> Outcome[int]:
        """See `Changes`."""
        names = list(names)
        self._check_all(names, check)
        return self._pipeline.gather([self._remove(name, check, note) for name in names], sum)

    def remove_unchanged(self, records: Iterable[Record], note: Note | None) -> Outcome[int]:
        """See `Changes`. Does not wait for it: those that other nodes have renewed or replaced meanwhile stay."""
        upcoming = self._directory.upcoming
        names = [record.name for record in records if upcoming(record.name) is record]
        self._let_go(names, note)
        return len(names)

    def expire(self, names: Sequence[str], note: Note) -> None:
        """See `Changes`. Those that other nodes have renewed or replaced meanwhile stay."""
        self._let_go(names, note)

    def renew(self, wanted: Renewing, show: Callable[[Renewal], T], check: Check, note: Note | None) -> Outcome[T]:
        """See `Changes`. Leases count anew here, if this node counts them. Otherwise it does from here on."""
        self._check_all(wanted.names, check)
        for name in wanted.names:
            lease = self._lease_of(name, wanted)
            if lease is not None and self._leasing.counts(lease):
                self._storage.check_renewal(lease)
        renewals = [self._renew(name, wanted, check, note) for name in wanted.names]
        return self._pipeline.gather(renewals, lambda parts: show(Renewal.of_all(parts)))

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
        self._pipeline.close()

    def _check_all(self, names: Iterable[str], check: Check) -> None:
        for name in names:
            check(name, self._directory.upcoming(name))

    def _let_go(self, names: Iterable[str], note: Note | None) -> None:
        for name in names:
            self._share(Change(name, None), None, note, Condition.UNCHANGED, None)

    def _remove(self, name: str, check: Check, note: Note | None) -> Outcome[int]:
        record = self._directory.upcoming(name)
        check(name, record)
        if record is None:
            return 0
        again = partial(self._remove, name, check, note)
        departing = record.lease is not None
        return self._share(Change(name, None), 1, note, Condition.UNCHANGED, again, departing=departing)

    def _lease_of(self, name: str, wanted: Renewing) -> Lease | None:
        """The lease that is to be renewed, if there is such a one."""
        record = self._directory.get(name)
        lease = None if record is None else record.lease
        return lease if lease is not None and wanted.names[name] in (None, lease.id) else None

    def _renew(self, name: str, wanted: Renewing, check: Check, note: Note | None) -> Outcome[Renewal]:
        record = self._directory.get(name)
        check(name, record)
        if record is None:
            return Renewal([name], [])
        lease = self._lease_of(name, wanted)
        if lease is None:
            return Renewal([], [name])
        if self._leasing.counts(lease):
            self._storage.check_renewal(lease)
            self._leasing.renew(name, lease, wanted.holder)
        else:
            lease = self._leasing.taken_over(lease, name, wanted.holder)
        if wanted.seconds is not None:
            lease = lease._replace(seconds=wanted.seconds)
        latest = self._directory.upcoming(name)
        if lease == record.lease or latest is None or latest.lease != record.lease:
            return Renewal([], [])
        again = partial(self._renew, name, wanted, check, note)
        change = Change(name, latest._replace(lease=lease))
        return self._share(change, Renewal([], []), note, Condition.UNCHANGED, again)

    def _share(
        self,
        change: Change,
        value: T,
        note: Note | None,
        condition: Condition,
        again: Callable[[], Outcome[T]] | None,
        *,
        departing: bool = False,
    ) -> Outcome[T]:
        """Send a change on its way that was decided just now, as `SharedPipeline.write`."""
        return self._pipeline.write([change], value, note, Basis(condition, self._directory.revision, departing), again)
