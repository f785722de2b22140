"""Group commit to a storage that other nodes change, too: each item succeeds or fails on its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, TypeVar

from pyronym.errors import StorageError
from pyronym.storage.base import failure
from pyronym.storage.committer import Committer
from pyronym.storage.shared import SharedItem, SharedStorage

_log = logging.getLogger(__name__)

SharedItemT = TypeVar("SharedItemT", bound=SharedItem)

MANY: Final = 8
"""Items in a group, after which others are waited for."""
WAIT_SHARE: Final = 0.4
MOST_SECONDS: Final = 0.005
"""How long, as a share of the time that the group took, and at most."""


class SharedCommitter(Committer[SharedItemT]):
    """As a `Committer`, which is told an error of its own for each item.

    After a group of many it waits a little: those whose changes were in it are likely to have more at once. Without, 64
    clients fell into two parties, each of which waited for the other's transaction: 29 changes were in one, with it 39,
    and each change took a fifth less of the processors' time, in etcd and here. `pause`: waits so many seconds.
    """

    def __init__(
        self,
        storage: SharedStorage,
        done: Callable[[Sequence[SharedItemT], StorageError | None], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(storage, done)
        self._shared = storage
        self._pause = pause

    def _between(self, items: int, took: float) -> None:
        if items >= MANY:
            self._pause(min(WAIT_SHARE * took, MOST_SECONDS))

    def _write(self, items: Sequence[SharedItemT]) -> None:
        began = time.perf_counter()
        told = 0
        try:
            for errors in self._shared.transact(items):
                self._tell_each(items[told : told + len(errors)], errors, began)
                told += len(errors)
        except Exception as problem:  # a bug of the storage: the callers must hear of it, and others must go on
            _log.exception("%s failed in an unexpected way", self._shared.description)
            error = failure("cannot write to", self._shared.description, repr(problem), "see the log")
            self._tell_each(items[told:], [error] * (len(items) - told), began)

    def _tell_each(self, items: Sequence[SharedItemT], errors: Sequence[StorageError | None], began: float) -> None:
        self.health.took(time.perf_counter() - began, sum(len(item.changes) for item in items))
        for error, neighbours in groupby(zip(items, errors, strict=True), key=lambda pair: pair[1]):
            self.health.note(error)
            self._tell([item for item, _ in neighbours], error)
