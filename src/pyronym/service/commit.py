"""Results that are not there yet, as those who wait for them see them."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from threading import Condition, RLock
from typing import Any, Final, Generic, TypeAlias, TypeVar

from pyronym.directory.directory import Staged
from pyronym.directory.record import Change
from pyronym.errors import PyroError

T = TypeVar("T")

Deliver: TypeAlias = Callable[[Callable[[], None]], object]
"""Calls a function later, in the thread that callbacks are for, when others have had their turn."""

BoundNote: TypeAlias = Callable[[PyroError | None], object]
"""A `Note` of certain changes: told None when they are durable, or why they have failed."""

SLICE: Final = 100
"""Callbacks that are called at one go. What each of them does takes up to 0.1 milliseconds, in which others wait."""

log = logging.getLogger(__name__)


class Deferral(ABC, Generic[T]):
    """A result that is not there yet: waited for with `result`, or called back.

    All of a service share its `lock`, which guards them, and `settled`, a condition with that lock, which is notified
    when some are done. So nothing has to be made for each of them: a future of `concurrent.futures` costs 2
    microseconds of the 24 that a durable registration cost with it.
    """

    __slots__ = ("_callbacks", "_done", "_lock", "_settled")

    def __init__(self, lock: RLock, settled: Condition) -> None:
        self._lock = lock  # to take it by way of the condition costs 0.3 microseconds more
        self._settled = settled
        self._done = False
        self._callbacks: tuple[Callable[[Deferral[T]], object], ...] = ()

    def done(self) -> bool:
        """Whether the result is there."""
        return self._done

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result. Raises the reason when there is none, TimeoutError after `timeout` seconds."""
        if not self._done:
            with self._settled:
                if not self._settled.wait_for(self.done, timeout):
                    raise TimeoutError(f"the result is not there after {timeout} seconds")
        return self._outcome()

    def add_done_callback(self, callback: Callable[[Deferral[T]], object]) -> None:
        """Have `callback` called with this object when the result is there; at once if it is."""
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
        callbacks, self._callbacks = self._callbacks, ()  # they may hold this: nobody should have to find that circle
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                log.exception("a callback of a result failed")

    @abstractmethod
    def _outcome(self) -> T:
        """The result, now that it is there, or its exception raised."""


class Commit(Deferral[T]):
    """A result that is there when some changes are durable. Raises why not, when nothing was changed."""

    __slots__ = ("_value", "builds_on", "changes", "error", "note", "staged")

    staged: Staged

    def __init__(
        self,
        changes: Sequence[Change],
        value: T,
        note: BoundNote | None,
        lock: RLock,
        settled: Condition,
        builds_on: Iterable[str] = (),
    ) -> None:
        super().__init__(lock, settled)
        self.changes = changes
        self.builds_on = builds_on
        """The names whose earlier changes must succeed for this one to make sense."""
        self.error: PyroError | None = None
        self.note = note
        """Called with `error` when the result is there, before anybody else is told."""
        self._value = value

    def _outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return self._value


def call_back(finished: Iterable[Deferral[Any]], deliver: Deliver) -> None:
    """Have all those called back who wait for some results, in the order of the results."""
    rest = iter(finished)
    batch = list(islice(rest, SLICE))
    if batch:
        deliver(partial(_call_back, batch, rest, deliver))


def _call_back(batch: Iterable[Deferral[Any]], rest: Iterable[Deferral[Any]], deliver: Deliver) -> None:
    for one in batch:
        one.call_back()
    call_back(rest, deliver)  # when others have had their turn: thousands may wait for one result
