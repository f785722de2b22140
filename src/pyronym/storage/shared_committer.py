"""Group commit to a storage that other nodes change, too: each item succeeds or fails on its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, Generic, TypeVar

from pyronym.errors import StorageError
from pyronym.storage.base import failure
from pyronym.storage.health import Health
from pyronym.storage.shared import SharedItem, SharedStorage

_log = logging.getLogger(__name__)

SharedItemT = TypeVar("SharedItemT", bound=SharedItem)

LANES: Final = 2
"""Threads, so that one group is made up, or taken in by the directory, while the storage works on another one."""


class SharedCommitter(Generic[SharedItemT]):
    """Writes the changes of items to a storage. Those of one name in the order in which they were submitted.

    `done(items, error)` is called for every submitted item exactly once: with None when it is durable and known here,
    with the reason when its changes were not made. It is called on threads of the committer, one call at a time for
    each; it must not raise, and must not call `close`.

    The storage is used by nobody else from here on, and closed together with the committer.
    """

    def __init__(
        self, storage: SharedStorage, done: Callable[[Sequence[SharedItemT], StorageError | None], None]
    ) -> None:
        self.health = Health(storage.description)
        self._storage = storage
        self._done = done
        self._waiting: list[SharedItemT] = []
        self._busy: set[str] = set()
        """Names whose changes are being written."""
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, item: SharedItemT) -> None:
        """Have the item's changes made. Raises StorageError after `close`."""
        with self._changed:
            if self._closed:
                raise failure("cannot write to", self._storage.description, "the storage is closed", "open it again")
            self._waiting.append(item)
            self._changed.notify()
            if not self._threads:
                for number in range(LANES):
                    thread = threading.Thread(target=self._run, name=f"pyronym-committer-{number}", daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def close(self) -> None:
        """Finish what waits, then close the storage. A second close does nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._storage.close()

    def _run(self) -> None:
        while items := self._next():
            began = time.perf_counter()
            errors = self._transact(items)
            with self._changed:
                self.health.took(time.perf_counter() - began)
                for error in errors:
                    self.health.note(error)
                self._busy.difference_update(change.name for item in items for change in item.changes)
                self._changed.notify_all()
            for error, neighbours in groupby(zip(items, errors, strict=True), key=lambda pair: pair[1]):
                self._tell([item for item, _ in neighbours], error)

    def _next(self) -> list[SharedItemT]:
        """What waits and has to wait for nothing else; nothing at the end."""
        with self._changed:
            while True:
                taken = self._take()
                if taken or (self._closed and not self._waiting):
                    return taken
                self._changed.wait()

    def _take(self) -> list[SharedItemT]:
        taken: list[SharedItemT] = []
        left: list[SharedItemT] = []
        held = set(self._busy)
        for item in self._waiting:
            names = {change.name for change in item.changes}
            (taken if held.isdisjoint(names) else left).append(item)
            held |= names
        self._waiting = left
        self._busy.update(change.name for item in taken for change in item.changes)
        return taken

    def _transact(self, items: Sequence[SharedItemT]) -> list[StorageError | None]:
        try:
            return self._storage.transact(items)
        except Exception as problem:  # a bug of the storage: the callers must hear of it, and others must go on
            _log.exception("%s failed in an unexpected way", self._storage.description)
            error = failure("cannot write to", self._storage.description, repr(problem), "see the log")
            return [error] * len(items)

    def _tell(self, items: Sequence[SharedItemT], error: StorageError | None) -> None:
        try:
            self._done(items, error)
        except Exception:
            _log.exception("the owner of %s failed to take note of a commit", self._storage.description)
