"""Changes to a storage that this node alone changes: what is decided once, stays so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Record
from pyronym.errors import StorageError
from pyronym.service.changes import Changes, Check, Decide
from pyronym.service.commit import Deliver
from pyronym.service.leasing import Leasing, Renewal, Renewing
from pyronym.service.pipeline import Note, Outcome, Pipeline
from pyronym.storage.health import Health

T = TypeVar("T")


class Alone(Changes):
    """The changes of a node that has its storage to itself, by way of `pipeline`."""

    def __init__(self, directory: Directory, leasing: Leasing, pipeline: Pipeline) -> None:
        self._directory = directory
        self._leasing = leasing
        self._pipeline = pipeline

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
        """Put the record of the name server itself."""
        return self._pipeline.write([Change(own.name, own)], None)

    def put(self, record: Record, value: T, note: Note | None) -> Outcome[T]:
        """As all that follows: see `Changes`."""
        return self._pipeline.write([Change(record.name, record)], value, note=note)

    def put_decided(self, name: str, decide: Decide, value: T, note: Note | None) -> Outcome[T]:
        """See `Changes`."""
        changes = [Change(name, decide(self._directory.upcoming(name)))]
        # It may be possible only because of a change that is still on its way, such as a removal: then it must not
        # outlive that.
        builds_on = (name,) if name in self._directory.staged_names else ()
        return self._pipeline.write(changes, value, builds_on, note)

    def put_all(self, changes: list[Change]) -> Outcome[bool]:
        """See `Changes`."""
        return self._pipeline.write(changes, True)

    def remove(self, names: Iterable[str], check: Check, note: Note | None) -> Outcome[int]:
        """See `Changes`."""
        changes = []
        for name in names:
            record = self._directory.upcoming(name)
            check(name, record)
            if record is not None:
                changes.append(Change(name, None))
        return self._pipeline.write(changes, len(changes), note=note)

    def remove_unchanged(self, records: Iterable[Record], note: Note | None) -> Outcome[int]:
        """See `Changes`."""
        upcoming = self._directory.upcoming
        changes = [Change(record.name, None) for record in records if upcoming(record.name) is record]
        return self._pipeline.write(changes, len(changes), note=note)

    def expire(self, names: Sequence[str], note: Note) -> None:
        """See `Changes`."""
        with suppress(StorageError):  # of which the note was told
            self._pipeline.write([Change(name, None) for name in names], None, note=note, expired=True)

    def renew(self, wanted: Renewing, show: Callable[[Renewal], T], check: Check, note: Note | None) -> Outcome[T]:
        """See `Changes`."""
        names, seconds, holder = wanted
        for name in names:
            check(name, self._directory.upcoming(name))
        renewal = Renewal([], [])
        changes: list[Change] = []
        builds_on = []
        for name, lease_id in names.items():
            record = self._directory.get(name)
            if record is None:
                renewal.unknown.append(name)
            elif record.lease is None or lease_id not in (None, record.lease.id):
                renewal.taken.append(name)
            else:
                self._leasing.renew(name, record.lease, holder)
                latest = self._directory.upcoming(name)
                if seconds in (None, record.lease.seconds) or latest is None or latest.lease != record.lease:
                    continue
                changes.append(Change(name, latest._replace(lease=record.lease._replace(seconds=seconds))))
                if latest is not record:
                    builds_on.append(name)
        return self._pipeline.write(changes, show(renewal), tuple(builds_on), note)

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
        self._pipeline.close()
