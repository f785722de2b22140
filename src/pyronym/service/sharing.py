"""Changes to a storage that other nodes change, too.

Each is decided there, by a condition: that nobody has changed since what it was decided on here. If that does not hold,
because another node was faster, it is decided anew: by the same call as before, whose change then takes the place of
the one that failed. Each name is decided on its own, so of many names some may be changed, and others not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Condition as Settled
from threading import RLock
from typing import TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Record
from pyronym.service.arguments import check_unchanged
from pyronym.service.commit import Deliver
from pyronym.service.leasing import Holder, Leasing, Renewal
from pyronym.service.permissions import REMOVE, RENEW, Grant
from pyronym.service.pipeline import Note, Outcome
from pyronym.service.shared_pipeline import SharedPipeline
from pyronym.storage.shared import Basis, Condition, SharedStorage

T = TypeVar("T")


class Sharing:
    """The changes of one node. `lock` guards the directory and the leases; who calls `share` holds it."""

    def __init__(
        self,
        directory: Directory,
        leasing: Leasing,
        storage: SharedStorage,
        lock: RLock,
        settled: Settled,
        deliver: Deliver,
    ) -> None:
        self._directory = directory
        self._leasing = leasing
        self._lock = lock
        self.storage = storage
        self.pipeline = SharedPipeline(directory, storage, lock, settled, deliver)

    def share(
        self,
        change: Change,
        value: T,
        note: Note | None,
        condition: Condition,
        again: Callable[[], Outcome[T]] | None,
        *,
        departing: bool = False,
    ) -> Outcome[T]:
        """Send a change on its way, as `SharedPipeline.write`, which must have been decided just now."""
        return self.pipeline.write([change], value, note, Basis(condition, self._directory.revision, departing), again)

    def register_all(self, changes: Sequence[Change]) -> Outcome[bool]:
        """As `NameService.register_all`."""
        with self._lock:
            upcoming, get = self._directory.upcoming, self._directory.get
            # A change of this node's own that is on its way needs another condition than the rest.
            if any(upcoming(name) is not get(name) for name, _ in changes):
                return False
            basis = Basis(Condition.ABSENT_OR_UNCHANGED, self._directory.revision)
            return self.pipeline.write(changes, True, None, basis, partial(self.register_all, changes))

    def remove(
        self, names: Iterable[str], grant: Grant | None, note: Note | None, expected: Record | None
    ) -> Outcome[int]:
        """Remove the records of these names, as far as there are any. Their number."""
        with self._lock:
            return self.pipeline.gather([self._remove(name, grant, note, expected) for name in names], sum)

    def renew(
        self,
        names: Mapping[str, str | None],
        seconds: float | None,
        holder: Holder,
        show: Callable[[Renewal], T],
        grant: Grant | None,
        note: Note | None,
    ) -> Outcome[T]:
        """Have leases count anew: here, if this node counts them. Otherwise it is this one that does from here on."""
        with self._lock:
            renewals = [self._renew(name, lease_id, seconds, holder, grant, note) for name, lease_id in names.items()]
            return self.pipeline.gather(renewals, lambda parts: show(Renewal.of_all(parts)))

    def remove_unchanged(self, changes: Sequence[Change], note: Note | None) -> None:
        """Remove records, without waiting for it. Those that others have renewed or replaced meanwhile stay."""
        for change in changes:
            self.share(change, None, note, Condition.UNCHANGED, None)

    def _remove(self, name: str, grant: Grant | None, note: Note | None, expected: Record | None) -> Outcome[int]:
        with self._lock:
            record = self._directory.upcoming(name)
            if grant is not None:
                grant.check_change(REMOVE, name, record)
            check_unchanged(name, record, expected)
            if record is None:
                return 0
            again = partial(self._remove, name, grant, note, expected)
            departing = record.lease is not None
            return self.share(Change(name, None), 1, note, Condition.UNCHANGED, again, departing=departing)

    def _renew(
        self,
        name: str,
        lease_id: str | None,
        seconds: float | None,
        holder: Holder,
        grant: Grant | None,
        note: Note | None,
    ) -> Outcome[Renewal]:
        with self._lock:
            record = self._directory.get(name)
            if grant is not None:
                grant.check_change(RENEW, name, record)
            if record is None:
                return Renewal([name], [])
            lease = record.lease
            if lease is None or lease_id not in (None, lease.id):
                return Renewal([], [name])
            if self._leasing.counts(lease):
                self._leasing.renew(name, lease, holder)
            else:
                lease = self._leasing.taken_over(lease, name, holder)
            if seconds is not None:
                lease = lease._replace(seconds=seconds)
            latest = self._directory.upcoming(name)
            if lease == record.lease or latest is None or latest.lease != record.lease:
                return Renewal([], [])
            again = partial(self._renew, name, lease_id, seconds, holder, grant, note)
            change = Change(name, latest._replace(lease=lease))
            return self.share(change, Renewal([], []), note, Condition.UNCHANGED, again)
