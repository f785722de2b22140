"""Changes on their way to the storage, as those who wait for them see them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from threading import Condition, RLock
from typing import Any, Generic, TypeVar

from pyronym.directory.directory import Staged
from pyronym.directory.record import Change
from pyronym.errors import StorageError

T = TypeVar("T")

log = logging.getLogger(__name__)


class Commit(Generic[T]):
    """A result that is there when some changes are durable: waited for with `result`, or called back.

    All commits of a service share its `lock`, which guards them, and `settled`, a condition with that lock, which is
    notified when some are done. So nothing has to be made for each of them: a future of `concurrent.futures` costs 2
    microseconds of the 24 that a durable registration cost with it.
    """

    __slots__ = (
        "_callbacks",
        "_done",
        "_lock",
        "_settled",
        "_value",
        "builds_on",
        "changes",
        "error",
        "note",
        "staged",
    )

    staged: Staged

    def __init__(
        self, changes: Sequence[Change], value: T, builds_on: str | None, lock: RLock, settled: Condition
    ) -> None:
        self.changes = changes
        self.builds_on = builds_on
        """The name whose earlier change must succeed for this one to make sense."""
        self.error: StorageError | None = None
        self.note: Callable[[StorageError | None], None] | None = None
        """Called with `error` when the result is there, before anybody else is told."""
        self._value = value
        self._lock = lock  # to take it by way of the condition costs 0.3 microseconds more
        self._settled = settled
        self._done = False
        self._callbacks: tuple[Callable[[Commit[T]], object], ...] = ()

    def done(self) -> bool:
        """Whether the result is there."""
        return self._done

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result. Raises the reason when nothing was changed, TimeoutError after `timeout` seconds."""
        if not self._done:
            with self._settled:
                if not self._settled.wait_for(self.done, timeout):
                    raise TimeoutError(f"the change is not durable after {timeout} seconds")
        if self.error is not None:
            raise self.error
        return self._value

    def add_done_callback(self, callback: Callable[[Commit[T]], object]) -> None:
        """Have `callback` called with this commit when the result is there; at once if it is."""
        with self._lock:
            if not self._done:
                self._callbacks += (callback,)
                return
        callback(self)

    def finish(self) -> bool:
        """The result is there. Whether anybody wants to be called. The caller holds the lock, and tells who waits."""
        self._done = True
        return bool(self._callbacks)

    def call_back(self) -> None:
        """Call those who wanted to be called. No others can come after `finish`."""
        for callback in self._callbacks:
            try:
                callback(self)
            except Exception:
                log.exception("a callback of a commit failed")


def call_all_back(commits: Iterable[Commit[Any]]) -> None:
    """Call all those who wait for some commits, in the order of the commits."""
    for commit in commits:
        commit.call_back()
