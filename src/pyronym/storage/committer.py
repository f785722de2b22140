"""Group commit: while one commit is being written, everything that arrives waits for the next, all in one."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

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
    when they are durable, with the reason when none of them was made. It is called on the committer's own thread; it
    must not raise, and must not call `close`.

    The storage is used by nobody else from here on, and closed together with the committer.
    """

    _THREADS: ClassVar = 1
    """That make changes at the same time."""

    def __init__(self, storage: Storage, done: Callable[[Sequence[ItemT], StorageError | None], None]) -> None:
        self.health = Health(storage.description)
        self.gather: Callable[[Callable[[], None]], object] = _call
        """Calls a function when those that are submitting have done so, however often it is given it meanwhile; or at
        once. An event loop that serves 64 clients wakes the committer when it has read from all of them. Woken by the
        first, it wrote that one alone, and half of the commits had less than eight changes.
        """
        self._storage = storage
        self._done = done
        self._waiting: list[ItemT] = []
        self._lock = threading.Lock()
        self._told = False  # whether there is something in `_wake`
        self._wake: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """True: something waits; False: the end. A queue of C's, put to once for each
        group: a Condition that is notified of each item cost 2 microseconds of the 25 of a durable registration.
        """
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, item: ItemT) -> None:
        """Have the item's changes made. Raises StorageError after `close`.

        May be called from several threads; who needs a certain order must see to it that the calls come in this order.
        """
        with self._lock:
            if self._closed:
                raise self._closed_error()
            self._waiting.append(item)
            if not self._told:
                self.gather(self._tell_of_work)
                if not self._threads:
                    self._begin()

    def commit_now(self, changes: Sequence[Change]) -> None:
        """Make changes on the caller's thread, in a storage that is immediate. Raises StorageError when none was made.

        One call at a time, and none beside `submit`.
        """
        if self._closed:
            raise self._closed_error()
        error = self._commit(changes)
        if error is not None:
            raise error

    def hurry(self) -> None:
        """Begin at once with what waits: somebody waits for it, perhaps in the thread that was to say when."""
        if self._threads:
            self._tell_of_work()

    def close(self) -> None:
        """Finish what waits, then close the storage, and raise what that raises. A second close does nothing."""
        with self._lock:
            self._closed = True
        if self._threads:
            self._told = True
            self._wake.put(True)  # whatever another thread is about to tell: behind this comes the end
            for _ in self._threads:
                self._wake.put(False)
            for thread in self._threads:
                thread.join()
        self._storage.close()

    def _begin(self) -> None:
        for _ in range(self._THREADS):
            thread = threading.Thread(target=self._run, name="pyronym-committer", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _tell_of_work(self) -> None:
        # Without the lock, so that an event loop never waits for it: at worst, it is told twice of the same.
        if not self._told:
            self._told = True
            self._wake.put(True)

    def _run(self) -> None:
        while self._wake.get():
            self._write_all()

    def _write_all(self) -> None:
        """Make all changes of which it was told."""
        items = self._taken()
        if items:
            self._write(items)

    def _taken(self) -> list[ItemT]:
        """The items that wait, if it was told of them; those that are still being gathered are left."""
        with self._lock:
            if not self._told:
                return []
            items, self._waiting = self._waiting, []
            self._told = False
            return items

    def _write(self, items: Sequence[ItemT]) -> None:
        changes = [change for item in items for change in item.changes]
        began = time.perf_counter()
        error = self._commit(changes)
        self.health.took(time.perf_counter() - began, len(changes))
        if isinstance(error, ChangeRefusedError) and len(items) > 1:
            # One item that can never be stored must not take its neighbours with it. Other failures are not
            # retried: the disk or the lock that is to blame would only fail, or wait, for each item again.
            for item in items:
                self._tell([item], self._commit(item.changes))
        else:
            self._tell(items, error)

    def _commit(self, changes: Sequence[Change]) -> StorageError | None:
        error = self._try_to_commit(changes)
        self.health.note(error)
        return error

    def _try_to_commit(self, changes: Sequence[Change]) -> StorageError | None:
        try:
            self._storage.commit(changes)
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

    def _closed_error(self) -> StorageError:
        return failure("cannot write to", self._storage.description, "the storage is closed", "open it again")


def _call(function: Callable[[], None]) -> None:
    function()
