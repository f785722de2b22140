"""What becomes of records whose leases have ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyronym.directory.directory import Directory
from pyronym.directory.record import Change
from pyronym.errors import PyroError
from pyronym.service.changes import Changes
from pyronym.service.leasing import Leasing
from pyronym.service.pipeline import Note

RETRY_SECONDS: Final = 5.0
"""After which a record is removed that could not be when its lease had ended."""


class Expiry:
    """Removes records whose leases have ended. The caller holds the lock of the directory."""

    def __init__(self, directory: Directory, leasing: Leasing, changes: Changes) -> None:
        self._directory = directory
        self._leasing = leasing
        self._changes = changes
        self.note: Note | None = None
        """Told of the records that are removed because their leases have ended."""

    def remove_ended(self, limit: int) -> None:
        """Remove those whose leases have ended by now, no more than `limit`."""
        ended = self._leasing.ended(limit)
        if not ended:
            return
        busy = self._directory.staged_names & ended
        self._leasing.postpone(busy, RETRY_SECONDS)  # something is on its way that will decide over them
        self._changes.expire([name for name in ended if name not in busy], self._tell)

    def _tell(self, changes: Sequence[Change], error: PyroError | None) -> None:
        if error is not None:
            self._leasing.postpone((change.name for change in changes), RETRY_SECONDS)
        if self.note is not None:
            self.note(changes, error)
