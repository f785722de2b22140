"""The way of changes to a storage that other nodes change, too: they become true when the storage tells of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Condition, RLock
from typing import Any, Final, TypeVar

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change, Event
from pyronym.errors import PyroError, StorageError
from pyronym.service.commit import Deferral, Deliver, call_back
from pyronym.service.pipeline import Note, Outcome
from pyronym.service.shared_commits import Gathering, SharedCommit
from pyronym.storage.health import Health
from pyronym.storage.shared import Basis, OutrunError, SharedStorage
from pyronym.storage.shared_committer import SharedCommitter

T = TypeVar("T")
U = TypeVar("U")

MOST_ATTEMPTS: Final = 20
"""At one change that other nodes are faster with each time."""


class SharedPipeline:
    """Makes changes in `storage`, which tells the directory of them. `lock` guards that; callers of `write` hold it.

    Until then they are staged, so that later changes are decided on them. `follow` is told of names whose changes have
    failed, with the lock held. `deliver` calls those who wait for commits.
    """

    def __init__(
        self,
        directory: Directory,
        storage: SharedStorage,
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
        self._committer = SharedCommitter[SharedCommit[Any]](storage, self._settle)
        self._deciding: SharedCommit[Any] | None = None
        """One whose change is being decided anew."""

    def gather_by(self, at_end_of_turn: Deliver) -> None:
        """See `Committer.gather`. With 64 clients, 53 changes are in a transaction then, instead of 38."""
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
        changes: Sequence[Change],
        value: T,
        note: Note | None,
        basis: Basis,
        again: Callable[[], Outcome[T]] | None,
    ) -> SharedCommit[T]:
        """Send changes on their way, together. `value` is what comes of it; StorageError if nothing was changed.

        `basis`: what they were decided on. When that turns out to be wrong, `again` decides anew, by another call of
        this; without it the changes fail.
        """
        told = note and partial(note, changes)
        now = time.monotonic()
        commit = self._deciding
        if commit is None:
            commit = SharedCommit(changes, value, told, basis, again, now, self._lock, self._settled)
        else:
            self._deciding = None
            commit.attempt(changes, value, told, basis, now)
        self._committer.submit(commit)
        commit.staged = self._directory.stage(changes)
        return commit

    def gather(self, outcomes: Sequence[Outcome[T]], combine: Callable[[list[T]], U]) -> Outcome[U]:
        """What `combine` makes of the values of several outcomes, when all are there. The caller holds the lock."""
        gathering = Gathering(outcomes, combine, self._lock, self._settled)
        return gathering if gathering.left else gathering.value()

    def _settle(self, commits: Sequence[SharedCommit[Any]], error: StorageError | None) -> None:
        """Called by the committer when these are durable, and the directory knows, or when they have failed."""
        expected: list[Deferral[Any]] = []
        is_outrun = isinstance(error, OutrunError)
        with self._lock:
            for commit in commits:
                self._directory.abandon(commit.staged)
                commit.error = error
                if is_outrun and not self._decide_anew(commit):
                    continue
                if commit.note is not None:
                    commit.note(commit.error)
                if commit.finish():
                    expected.append(commit)
                whole = commit.whole
                if whole is not None and whole.finish_part():
                    expected.append(whole)
            self._settled.notify_all()
            if error is not None:
                self._follow((change.name for commit in commits for change in commit.changes), ())
        # Without the lock: to wake an event loop lets go of the interpreter, and others would only come to wait for it.
        call_back(expected, self._deliver)

    def _decide_anew(self, commit: SharedCommit[Any]) -> bool:
        """Whether there is a result now; otherwise the commit is on its way again."""
        if commit.again is None or commit.attempts == MOST_ATTEMPTS:
            return True
        self._deciding = commit
        try:
            outcome = commit.again()
        except PyroError as problem:
            commit.error = problem
            return True
        finally:
            self._deciding = None
        if outcome is commit:
            return False
        commit.error = commit.note = None  # nothing had to be changed any more
        commit.give(outcome)
        return True
