"""Group commit to a storage that other nodes change, too: each item succeeds or fails on its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import ClassVar, TypeVar

from pyronym.errors import StorageError
from pyronym.storage.base import failure
from pyronym.storage.committer import Committer
from pyronym.storage.shared import SharedItem, SharedStorage

_log = logging.getLogger(__name__)

SharedItemT = TypeVar("SharedItemT", bound=SharedItem)


class SharedCommitter(Committer[SharedItemT]):
    """As a `Committer`, which is told an error of its own for each item, and in the order of their submission only for
    those that have a name in common: others are made at the same time. `done` is called by one thread at a time.
    """

    _THREADS: ClassVar = 2

    def __init__(
        self,
        storage: SharedStorage,
        done: Callable[[Sequence[SharedItemT], StorageError | None], None],
    ) -> None:
        super().__init__(storage, done)
        self._shared = storage
        self._choosing = threading.Lock()
        self._next: list[SharedItemT] = []
        self._under_way: set[str] = set()
        """The names whose changes are being made."""
        self._telling = threading.Lock()
        self._well_at = 0.0
        """When the latest began of those transactions that have succeeded."""

    def _write_all(self) -> None:
        while True:
            items, names = self._chosen()
            if not items:
                return
            try:
                self._write(items)
            finally:
                with self._choosing:
                    self._under_way -= names

    def _chosen(self) -> tuple[Sequence[SharedItemT], set[str]]:
        """What is to be made next, and the names in it. Nothing while that has to wait for what is under way: whoever
        makes that looks again when it is done. A few changes wait as well, since each transaction has its price.
        """
        with self._choosing:
            self._next += self._taken()
            if not self._next:
                return (), set()
            items = self._next[: self._portion()]
            names = {change.name for item in items for change in item.changes}
            if 2 * len(names) < len(self._under_way) or not names.isdisjoint(self._under_way):
                return (), set()
            del self._next[: len(items)]
            self._under_way |= names
            if self._next:
                self._wake.put(True)  # for another thread
            return items, names

    def _portion(self) -> int:
        try:
            return self._shared.portion(self._next)
        except Exception:  # a bug of the storage: to make the first of them will show whose it is
            _log.exception("%s failed in an unexpected way", self._shared.description)
            return 1

    def _write(self, items: Sequence[SharedItemT]) -> None:
        began = time.perf_counter()
        try:
            errors = self._shared.transact(items)
            assert len(errors) == len(items), "one for each, or None"
        except Exception as problem:  # a bug of the storage: the callers must hear of it, and others must go on
            _log.exception("%s failed in an unexpected way", self._shared.description)
            why = f"it is unknown whether it was changed ({problem!r})"
            errors = [failure("cannot write to", self._shared.description, why, "see the log")] * len(items)
        with self._telling:
            self.health.took(time.perf_counter() - began, sum(len(item.changes) for item in items))
            self._tell_each(items, errors, began)

    def _tell_each(self, items: Sequence[SharedItemT], errors: Sequence[StorageError | None], began: float) -> None:
        if not any(errors):
            self._note(None, began)
            self._tell(items, None)
            return
        for error, neighbours in groupby(zip(items, errors, strict=True), key=lambda pair: pair[1]):
            self._note(error, began)
            self._tell([item for item, _ in neighbours], error)

    def _note(self, error: StorageError | None, began: float) -> None:
        """How the storage is; not from a failure that is told of late, after what began later has succeeded."""
        if error is None:
            self._well_at = max(self._well_at, began)
        if error is None or began > self._well_at:
            self.health.note(error)
