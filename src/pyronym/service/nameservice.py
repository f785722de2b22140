"""The name server itself: a directory with a storage behind it, safe to use from several threads.

Reads come from memory. A change is checked against all that is committed and all that is on its way, staged, and
handed to the committer; when the storage has it, the directory applies it, and only then its caller hears of it. If
the storage fails, nothing has changed, and the caller gets the StorageError.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeAlias, TypeVar

from pyronym.directory.directory import Directory, Staged
from pyronym.directory.record import Change, Record
from pyronym.errors import NameTakenError, NamingError, StorageError, UnknownNameError
from pyronym.storage.base import Storage
from pyronym.storage.committer import Committer
from pyronym.uri import NAMESERVER_NAME

T = TypeVar("T")
Outcome: TypeAlias = T | Future[T]
"""A value, or a future of it where the change has to reach a disk first."""


class NameService:
    """The records of one name server. Its methods may be called from any thread.

    `storage` belongs to the service from here on and is closed with it. Raises StorageError if it cannot be loaded.
    """

    def __init__(self, storage: Storage) -> None:
        self._lock = threading.RLock()
        self._directory = Directory()
        self._directory.load(storage.load())
        self._in_flight: deque[_Write[Any]] = deque()
        self._immediate = storage.immediate
        self._committer = Committer(storage, self._settle)
        self._owned = False

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
        self._committer.close()

    def __contains__(self, name: str) -> bool:
        with self._lock:
            return self._directory.upcoming(name) is not None

    def count(self) -> int:
        """The number of records."""
        return len(self._directory)

    def get(self, name: str) -> Record | None:
        """The record of this name."""
        # One look into a dict, which other threads cannot disturb: no lock.
        return self._directory.get(name)

    def everything(self) -> list[Record]:
        """All records, in the order of their registration."""
        with self._lock:
            return self._directory.everything()

    def with_prefix(self, prefix: str) -> list[Record]:
        """The records whose names start with exactly `prefix`."""
        with self._lock:
            return self._directory.with_prefix(prefix)

    def matching(self, pattern: re.Pattern[str]) -> list[Record]:
        """The records whose names match `pattern` from their beginning."""
        with self._lock:
            return self._directory.matching(pattern)

    def with_all(self, tags: frozenset[str]) -> list[Record]:
        """The records that have all these tags."""
        with self._lock:
            return self._directory.with_all(tags)

    def with_any(self, tags: frozenset[str]) -> list[Record]:
        """The records that have at least one of these tags."""
        with self._lock:
            return self._directory.with_any(tags)

    def adopt(self, uri: str, tags: frozenset[str]) -> Outcome[None]:
        """Register the name server that this service is the heart of. From then on its name cannot be registered."""
        outcome = self.register(NAMESERVER_NAME, uri, tags)
        self._owned = True
        return outcome

    def register(self, name: str, uri: str, tags: frozenset[str], *, safe: bool = False) -> Outcome[None]:
        """Put a record in place of what is there under its name; with `safe`, NameTakenError if anything is."""
        with self._lock:
            if self._owned and name == NAMESERVER_NAME:
                raise NameTakenError(name)
            if safe and self._directory.upcoming(name) is not None:
                raise NameTakenError(name)
            return self._write([Change(name, Record(name, uri, tags))], None)

    def set_metadata(self, name: str, tags: frozenset[str]) -> Outcome[None]:
        """Replace the tags of a record. UnknownNameError if there is none."""
        with self._lock:
            record = self._directory.upcoming(name)
            if record is None:
                raise UnknownNameError(name)
            # The URI may come from a change that is still on its way: this one must not outlive it.
            builds_on = name if record is not self._directory.get(name) else None
            return self._write([Change(name, Record(name, record.uri, tags))], None, builds_on)

    def remove(self, names: Iterable[str]) -> Outcome[int]:
        """Remove the records of these names, as far as there are any. Their number."""
        with self._lock:
            changes = [
                Change(name, None)
                for name in dict.fromkeys(names)
                if name != NAMESERVER_NAME and self._directory.upcoming(name) is not None
            ]
            return self._write(changes, len(changes))

    def remove_prefix(self, prefix: str) -> Outcome[int]:
        """Remove the records whose names start with exactly `prefix`. Their number."""
        with self._lock:
            return self.remove([record.name for record in self.with_prefix(prefix)])

    def remove_matching(self, pattern: re.Pattern[str]) -> Outcome[int]:
        """Remove the records whose names match `pattern` from their beginning. Their number."""
        with self._lock:
            return self.remove([record.name for record in self.matching(pattern)])

    def _write(self, changes: list[Change], value: T, builds_on: str | None = None) -> Outcome[T]:
        """Stage changes and send them on their way. The caller holds the lock, so that both happen in one order."""
        if not changes:
            return value
        write = _Write(changes, self._directory.stage(changes), value, builds_on)
        self._in_flight.append(write)
        self._committer.submit(write)
        return write.future.result() if self._immediate else write.future

    def _settle(self, writes: Sequence[_Write[Any]], error: StorageError | None) -> None:
        """Called by the committer when these changes are durable, or have failed: here the directory follows."""
        with self._lock:
            for write in writes:
                self._in_flight.remove(write)
                write.error = write.error or error
                if write.error is None:
                    self._directory.apply(write.staged)
                else:
                    self._directory.abandon(write.staged)
                    self._fail_dependents(write)
        for write in writes:
            write.announce()

    def _fail_dependents(self, failed: _Write[Any]) -> None:
        names = {change.name for change in failed.changes}
        for write in self._in_flight:
            if write.builds_on in names:
                write.error = failed.error
                write.changes = []


class _Write(Generic[T]):
    """Changes on their way to the storage, and the caller who waits for them."""

    __slots__ = ("builds_on", "changes", "error", "future", "staged", "value")

    def __init__(self, changes: list[Change], staged: Staged, value: T, builds_on: str | None) -> None:
        self.changes: Sequence[Change] = changes
        self.staged = staged
        self.value = value
        self.builds_on = builds_on
        """The name whose earlier change must succeed for this one to make sense."""
        self.error: NamingError | None = None
        self.future: Future[T] = Future()

    def announce(self) -> None:
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)
