"""What a storage tells that other nodes change, too, as it comes true in a directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import RLock

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Event, Record
from pyronym.storage.shared import News
from pyronym.uri import NAMESERVER_NAME


class Told:
    """Brings a directory up to what a shared storage tells. `lock` guards it; `told` is told of what has come true."""

    def __init__(self, directory: Directory, lock: RLock, told: Callable[[Sequence[Event]], None]) -> None:
        self._directory = directory
        self._lock = lock
        self._told = told

    def follow(self, news: Sequence[News]) -> None:
        """These have happened since the last time."""
        with self._lock:
            events: list[Event] = []
            for revision, changes, departed in news:
                events += self._make(revision, changes, departed)
            self._told(events)

    def replace(self, revision: int, records: Iterable[Record]) -> None:
        """At `revision` there are these records, and nobody knows how it came to that."""
        found = {record.name: record for record in records}
        with self._lock:
            known = self._directory
            changes = [Change(name, record) for name, record in found.items() if known.get(name) != record]
            changes += [Change(name, None) for name in known if name not in found and name != NAMESERVER_NAME]
            self._told(self._make(revision, changes, frozenset()))

    def _make(self, revision: int, changes: Sequence[Change], departed: frozenset[str]) -> list[Event]:
        ended = {
            change.name: change
            for change in changes
            if change.record is None and self._has_ended(change.name, departed)
        }
        if not ended:
            return self._directory.follow(changes, revision)
        events = self._directory.follow([change for change in changes if change.name not in ended], revision)
        return events + self._directory.follow(ended.values(), revision, expired=True)

    def _has_ended(self, name: str, departed: frozenset[str]) -> bool:
        """Whether a record that is removed had a lease, which has ended."""
        old = self._directory.get(name)
        return old is not None and old.lease is not None and name not in departed
