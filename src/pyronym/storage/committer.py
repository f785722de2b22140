"""Group commit: while one commit is being written, everything that arrives waits for the next, all in one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from pyronym.directory.record import Change
from pyronym.errors import StorageError
from pyronym.storage.base import ChangeRefusedError, Storage, failure
from pyronym.storage.health import Health

_log = logging.getLogger(__name__)


class Item(Protocol):
    """Changes that are made together or not at all, on behalf of one caller."""

    @property
    def changes(self) -> Sequence[Change]:
        """In the order in which to make them."""


ItemT = TypeVar("ItemT", bound=Item)


class Committer(Generic[ItemT]):
    """Writes the changes of items to a storage, in the order in which the items were submitted.

    `done(items, error)` is called for every submitted item exactly once, in that order, several at a time: with None
    when they are durable, with the reason when none of them was made. It is called on the committer's own thread, or
    within `submit` when the storage is immediate; it must not raise, and must not call `close`.

    The storage is used by nobody else from here on, and closed together with the committer.
    """

    def __init__(self, storage: Storage, done: Callable[[Sequence[ItemT], StorageError | None], None]) -> None:
        self.health = Health(storage.description)
        self._storage = storage
        self._done = done
        self._waiting: list[ItemT] = []
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, item: ItemT) -> None:
        """Have the item's changes made. Raises StorageError after `close`.

        May be called from several threads; who needs a certain order must see to it that the calls come in this order.
        """
        with self._wake:
            if self._closed:
                raise failure("cannot write to", self._storage.description, "the storage is closed", "open it again")
            if not self._storage.immediate:
                self._waiting.append(item)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="pyronym-committer", daemon=True)
                    self._thread.start()
                self._wake.notify()
                return
        self._write([item])

    def close(self) -> None:
        """Finish what waits, then close the storage, and raise what that raises. A second close does nothing."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        self._storage.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closed)
                items, self._waiting = self._waiting, []
            if not items:
                return
            self._write(items)

    def _write(self, items: Sequence[ItemT]) -> None:
        error = self._commit(items)
        if isinstance(error, ChangeRefusedError) and len(items) > 1:
            # One item that can never be stored must not take its neighbours with it. Other failures are not
            # retried: the disk or the lock that is to blame would only fail, or wait, for each item again.
            for item in items:
                self._tell([item], self._commit([item]))
        else:
            self._tell(items, error)

    def _commit(self, items: Sequence[ItemT]) -> StorageError | None:
        error = self._try_to_commit(items)
        self.health.note(error)
        return error

    def _try_to_commit(self, items: Sequence[ItemT]) -> StorageError | None:
        try:
            self._storage.commit([change for item in items for change in item.changes])
            return None
        except StorageError as problem:
            return problem
        except Exception as problem:  # a bug of the storage: the caller must hear of it, and others must go on
            _log.exception("%s failed in an unexpected way", self._storage.description)
            return failure("cannot write to", self._storage.description, repr(problem), "see the log")

    def _tell(self, items: Sequence[ItemT], error: StorageError | None) -> None:
        try:
            self._done(items, error)
        except Exception:
            _log.exception("the owner of %s failed to take note of a commit", self._storage.description)
