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

    def _make(self, revision: int, changes: Iterable[Change], departed: frozenset[str]) -> list[Event]:
        ended: list[Change] = []
        others: list[Change] = []
        for change in changes:
            old = self._directory.get(change.name) if change.record is None else None
            is_over = old is not None and old.lease is not None and change.name not in departed
            (ended if is_over else others).append(change)
        events = self._directory.follow(others, revision)
        return events + self._directory.follow(ended, revision, expired=True)
