"""The way of changes: staged in the directory, written to the storage, and only then true.

A storage in memory has them at once: then nothing is ever on its way, and nothing has to be staged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Condition, RLock
from typing import Any, TypeAlias, TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Event
from pyronym.errors import PyroError, StorageError
from pyronym.service.commit import Commit, Deferral, Deliver, call_back
from pyronym.storage.base import Storage
from pyronym.storage.committer import Committer
from pyronym.storage.health import Health

T = TypeVar("T")
Outcome: TypeAlias = T | Deferral[T]
"""A value, or the deferral that gives it where the change has to reach a disk first."""

Note: TypeAlias = Callable[[Sequence[Change], PyroError | None], None]
"""Told of changes when they are durable, or have failed, in the order of the changes. Must not wait for anything."""


class Pipeline:
    """Makes changes in `storage` and then in `directory`. `lock` guards the directory; the caller of `write` holds it.

    `follow` is told of names whose changes were made or have failed, and of the events of those made, with the lock
    held. `deliver` calls those who wait for commits.
    """

    def __init__(
        self,
        directory: Directory,
        storage: Storage,
        lock: RLock,
        settled: Condition,
        follow: Callable[[Iterable[str], Sequence[Event]], None],
        deliver: Deliver,
    ) -> None:
        self._directory = directory
        self._lock = lock
        self._settled = settled
        self._follow = follow
        self._deliver = deliver
        self._immediate = storage.immediate
        self._in_flight: deque[Commit[Any]] = deque()
        self._committer = Committer(storage, self._settle)

    def gather_by(self, at_end_of_turn: Deliver) -> None:
        """See `Committer.gather`."""
        self._committer.gather = at_end_of_turn

    def hurry(self) -> None:
        """See `Committer.hurry`."""
        self._committer.hurry()

    @property
    def health(self) -> Health:
        """How the storage is, from how commits end."""
        return self._committer.health

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
        self._committer.close()

    def write(
        self,
        changes: list[Change],
        value: T,
        builds_on: tuple[str, ...] = (),
        note: Note | None = None,
        *,
        expired: bool = False,
    ) -> Outcome[T]:
        """Send changes on their way. `value` is what comes of it; StorageError, now or later, if nothing was changed.

        `builds_on`: names whose changes that are on their way must succeed for these to make sense. `expired`: they are
        deletions because leases have ended.
        """
        if not changes:
            return value
        if self._immediate:
            self._make_now(changes, note, expired)
            return value
        commit = Commit(changes, value, note and partial(note, changes), self._lock, self._settled, builds_on)
        self._committer.submit(commit)  # it may refuse; it is not told to have finished before this thread lets go
        commit.staged = self._directory.stage(changes, expired=expired)
        self._in_flight.append(commit)
        return commit

    def _make_now(self, changes: list[Change], note: Note | None, expired: bool) -> None:
        try:
            self._committer.commit_now(changes)
        except StorageError as problem:
            self._follow((change.name for change in changes), ())
            if note is not None:
                note(changes, problem)
            raise
        events = self._directory.make(changes, expired=expired)
        if note is not None:
            note(changes, None)
        self._follow((change.name for change in changes), events)

    def _settle(self, commits: Sequence[Commit[Any]], error: StorageError | None) -> None:
        """Called by the committer when these changes are durable, or have failed: here the directory follows."""
        expected: list[Deferral[Any]] = []
        events: list[Event] = []
        try:
            with self._lock:
                for commit in commits:
                    self._in_flight.popleft()  # they are told in the order of their submission
                    if commit.error is None:
                        commit.error = error
                    if commit.error is None:
                        events += self._directory.apply(commit.staged)
                    else:
                        self._directory.abandon(commit.staged)
                        self._fail_dependents(commit)
                    if commit.note is not None:
                        commit.note(commit.error)
                    if commit.finish():
                        expected.append(commit)
                self._settled.notify_all()
                self._follow((change.name for commit in commits for change in commit.changes), events)
        finally:
            call_back(expected, self._deliver)  # without the lock: see `SharedPipeline`

    def _fail_dependents(self, failed: Commit[Any]) -> None:
        names = {change.name for change in failed.changes}
        for commit in self._in_flight:
            if not names.isdisjoint(commit.builds_on):
                commit.error = failed.error
                commit.changes = []


def waited_for(outcome: Outcome[T]) -> T:
    """The value, when it is there. Never called on an event loop."""
    return outcome.result() if isinstance(outcome, Deferral) else outcome
