"""The name server itself: a directory with a storage behind it, safe to use from several threads.

Reads come from memory. A change is checked against all that is committed and all that is on its way, staged, and
handed to the committer; when the storage has it, the directory applies it, and only then its caller hears of it. If
the storage fails, nothing has changed, and the caller gets the StorageError. A storage in memory has it at once: then
nothing is ever on its way, and nothing has to be staged.
"""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias, TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Record
from pyronym.errors import NameTakenError, StorageError, UnknownNameError
from pyronym.service.commit import Commit, call_all_back
from pyronym.service.liveness import State, unprobed
from pyronym.service.permissions import REMOVE, RENEW, Grant
from pyronym.service.regexes import Searches, name_pattern
from pyronym.storage.base import Storage
from pyronym.storage.committer import Committer
from pyronym.storage.health import Trouble
from pyronym.uri import NAMESERVER_NAME

T = TypeVar("T")
Outcome: TypeAlias = T | Commit[T]
"""A value, or the commit that gives it where the change has to reach a disk first."""

Function: TypeAlias = Callable[[], None]

Note: TypeAlias = Callable[[Sequence[Change], StorageError | None], None]
"""Told of changes when they are durable, or have failed, in the order of the changes. Must not wait for anything."""


class NameService:
    """The records of one name server. Its methods may be called from any thread.

    `storage` belongs to the service from here on and is closed with it. Raises StorageError if it cannot be loaded.
    `regex_timeout`: seconds of computing time for a search with a regular expression.
    """

    def __init__(self, storage: Storage, regex_timeout: float = 1.0) -> None:
        self.deliver: Callable[[Function], object] = _call
        """Calls a function in the thread that the callbacks of commits are for; at first in whatever thread it is. Once
        for all commits that became durable together: so 64 callers in an event loop all get into the next commit. When
        the loop was woken for each of them 40 did, and half as many registrations a second were made.
        """
        self.state_of: Callable[[Record], State] = unprobed
        """How the object of a record is, as far as that is known."""
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        self._directory = Directory()
        with _no_garbage_collection():
            self._directory.load(storage.load())
        self._in_flight: deque[Commit[Any]] = deque()
        self._immediate = storage.immediate
        self._committer = Committer(storage, self._settle)
        self._owned = False
        self._searches = Searches(regex_timeout)

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
        self._searches.close()
        self._committer.close()

    @property
    def trouble(self) -> Trouble | None:
        """Why the storage takes no changes and since when; None when it does."""
        return self._committer.health.trouble

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

    def matching(self, regex: str, use: Callable[[Iterable[Record]], T]) -> T | Future[T]:
        """What `use` makes of the records whose names match from their beginning, or the future of that: sorted by name
        if `regex` starts with plain text, otherwise in order of registration.

        Raises BadPatternError, SlowPatternError. Never called on an event loop, and nobody waits for the search.
        """
        return self._searches.find(name_pattern(regex), self._candidates, lambda names: use(self._records(names)))

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

    # Changes on behalf of a client are made if its `grant` allows them, otherwise they raise SecurityError.

    def register(
        self,
        name: str,
        uri: str,
        tags: frozenset[str],
        *,
        safe: bool = False,
        grant: Grant | None = None,
        note: Note | None = None,
    ) -> Outcome[None]:
        """Put a record in place of what is there under its name; with `safe`, NameTakenError if anything is."""
        with self._lock:
            if self._owned and name == NAMESERVER_NAME:
                raise NameTakenError(name)
            owner = builds_on = None
            if grant is not None:
                existing = self._directory.upcoming(name)
                grant.check_register(name, existing)
                owner = grant.owner
                # It may be allowed only because of a change that is still on its way, such as a removal.
                builds_on = name if existing is not self._directory.get(name) else None
            if safe and self._directory.upcoming(name) is not None:
                raise NameTakenError(name)
            record = Record(name, uri, self._directory.shared_tags(tags), owner)
            return self._write([Change(name, record)], None, builds_on, note)

    def set_metadata(
        self, name: str, tags: frozenset[str], *, grant: Grant | None = None, note: Note | None = None
    ) -> Outcome[None]:
        """Replace the tags of a record. UnknownNameError if there is none."""
        with self._lock:
            record = self._directory.upcoming(name)
            if grant is not None:
                grant.check_change(RENEW, name, record)
            if record is None:
                raise UnknownNameError(name)
            # The URI may come from a change that is still on its way: this one must not outlive it.
            builds_on = name if record is not self._directory.get(name) else None
            record = Record(name, record.uri, self._directory.shared_tags(tags), record.owner)
            return self._write([Change(name, record)], None, builds_on, note)

    def remove(self, names: Iterable[str], *, grant: Grant | None = None, note: Note | None = None) -> Outcome[int]:
        """Remove the records of these names, as far as there are any. Their number."""
        with self._lock:
            changes = []
            for name in dict.fromkeys(names):
                if name == NAMESERVER_NAME:
                    continue
                record = self._directory.upcoming(name)
                if grant is not None:
                    grant.check_change(REMOVE, name, record)
                if record is not None:
                    changes.append(Change(name, None))
            return self._write(changes, len(changes), note=note)

    def remove_unchanged(self, records: Iterable[Record], note: Note | None = None) -> Outcome[int]:
        """Remove those of these records that are still there, and that nothing is about to replace. Their number."""
        with self._lock:
            upcoming = self._directory.upcoming
            changes = [Change(record.name, None) for record in records if upcoming(record.name) is record]
            return self._write(changes, len(changes), note=note)

    def remove_prefix(self, prefix: str) -> Outcome[int]:
        """Remove the records whose names start with exactly `prefix`. Their number."""
        with self._lock:
            return self.remove([record.name for record in self.with_prefix(prefix)])

    def remove_matching(self, regex: str) -> int | Future[int]:
        """Remove the records whose names match from their beginning, and wait for it. Their number. As `matching`."""
        return self._searches.find(name_pattern(regex), self._candidates, lambda names: waited_for(self.remove(names)))

    def _candidates(self, prefix: str) -> tuple[list[str], int]:
        with self._lock:
            return self._directory.names(prefix), self._directory.longest

    def _records(self, names: Iterable[str]) -> Iterator[Record]:
        """The records of names that were there a moment ago, as far as they still are."""
        return filter(None, map(self._directory.get, names))

    def _write(
        self, changes: list[Change], value: T, builds_on: str | None = None, note: Note | None = None
    ) -> Outcome[T]:
        """Send changes on their way and stage them. The caller holds the lock, so that both happen in one order."""
        if not changes:
            return value
        if self._immediate:
            self._make_now(changes, note)
            return value
        commit = Commit(changes, value, builds_on, self._lock, self._settled)
        commit.note = note and partial(note, changes)
        self._committer.submit(commit)  # it may refuse; it is not told to have finished before this thread lets go
        commit.staged = self._directory.stage(changes)
        self._in_flight.append(commit)
        return commit

    def _make_now(self, changes: list[Change], note: Note | None) -> None:
        try:
            self._committer.commit_now(changes)
        except StorageError as problem:
            if note is not None:
                note(changes, problem)
            raise
        self._directory.make(changes)
        if note is not None:
            note(changes, None)

    def _settle(self, commits: Sequence[Commit[Any]], error: StorageError | None) -> None:
        """Called by the committer when these changes are durable, or have failed: here the directory follows."""
        expected = []
        with self._lock:
            for commit in commits:
                self._in_flight.popleft()  # they are told in the order of their submission
                if commit.error is None:
                    commit.error = error
                if commit.error is None:
                    self._directory.apply(commit.staged)
                else:
                    self._directory.abandon(commit.staged)
                    self._fail_dependents(commit)
                if commit.note is not None:
                    commit.note(commit.error)
                if commit.finish():
                    expected.append(commit)
            self._settled.notify_all()
        if expected:
            self.deliver(partial(call_all_back, expected))

    def _fail_dependents(self, failed: Commit[Any]) -> None:
        names = {change.name for change in failed.changes}
        for commit in self._in_flight:
            if commit.builds_on in names:
                commit.error = failed.error
                commit.changes = []


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Look for no garbage while very many objects are made that are none: a million records load in 3.5 s, not 4.7."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def waited_for(outcome: Outcome[T]) -> T:
    """The value, when it is there. Never called on an event loop."""
    return outcome.result() if isinstance(outcome, Commit) else outcome


def _call(function: Function) -> None:
    function()
