"""Group commit to a storage that other nodes change, too: each item succeeds or fails on its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

from pyronym.errors import StorageError
from pyronym.storage.base import failure
from pyronym.storage.committer import Committer
from pyronym.storage.shared import SharedItem, SharedStorage

_log = logging.getLogger(__name__)

SharedItemT = TypeVar("SharedItemT", bound=SharedItem)


class SharedCommitter(Committer[SharedItemT]):
    """As a `Committer`, which is told an error of its own for each item."""

    def __init__(
        self,
        storage: SharedStorage,
        done: Callable[[Sequence[SharedItemT], StorageError | None], None],
    ) -> None:
        super().__init__(storage, done)
        self._shared = storage

    def _write(self, items: Sequence[SharedItemT]) -> None:
        told = 0
        try:
            for errors, seconds in self._shared.transact(items):
                ended = items[told : told + len(errors)]
                self.health.took(seconds, sum(len(item.changes) for item in ended))
                self._tell_each(ended, errors)
                told += len(errors)
        except Exception as problem:  # a bug of the storage: the callers must hear of it, and others must go on
            _log.exception("%s failed in an unexpected way", self._shared.description)
            error = failure("cannot write to", self._shared.description, repr(problem), "see the log")
            self._tell_each(items[told:], [error] * (len(items) - told))

    def _tell_each(self, items: Sequence[SharedItemT], errors: Sequence[StorageError | None]) -> None:
        if not any(errors):
            self.health.note(None)
            self._tell(items, None)
            return
        for error, neighbours in groupby(zip(items, errors, strict=True), key=lambda pair: pair[1]):
            self.health.note(error)
            self._tell([item for item, _ in neighbours], error)
