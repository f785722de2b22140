"""How changes of records are made, whoever else changes the storage: what the name service knows of that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias, TypeVar

from pyronym.directory.record import Change, Record
from pyronym.service.commit import Deliver
from pyronym.service.leasing import Renewal, Renewing
from pyronym.service.pipeline import Note, Outcome
from pyronym.storage.health import Health

T = TypeVar("T")

Decide: TypeAlias = Callable[[Record | None], Record]
"""Makes of what there is under a name what is to be there, or raises why not. It may be asked several times."""

Check: TypeAlias = Callable[[str, Record | None], object]
"""Given a name and what there is under it: raises why that may not be changed. It may be asked several times."""


class Changes(Protocol):
    """Decides on what there will be when all is done that is on its way, and sends what comes of it on its way.

    The caller holds the lock of the directory and the leases, except for `close`. What fails has changed nothing, or
    some of several names where each is a change of its own: an Outcome raises StorageError then, now or later. A `note`
    is told of the changes that are made.
    """

    @property
    def health(self) -> Health:
        """How the storage is, from how commits end."""

    def gather_by(self, at_end_of_turn: Deliver) -> None:
        """Have changes of one turn of an event loop committed together: see `Committer.gather`."""

    def hurry(self) -> None:
        """Have changes committed at once that wait: see `Committer.hurry`."""

    def adopt(self, own: Record) -> Outcome[None]:
        """Put the record of the name server itself."""

    def put(self, record: Record, value: T, note: Note | None) -> Outcome[T]:
        """Put a record in place of whatever is there under its name. `value` is what comes of it."""

    def put_decided(self, name: str, decide: Decide, value: T, note: Note | None) -> Outcome[T]:
        """Put what `decide` makes of a name there, only in place of what it was decided on. `value` as for `put`."""

    def put_all(self, changes: list[Change]) -> Outcome[bool]:
        """Put records of different names in place of whatever is there: all of them, or none if it fails. False, and
        nothing is done, where that takes one change for each.
        """

    def remove(self, names: Iterable[str], check: Check, note: Note | None) -> Outcome[int]:
        """Remove the records of these different names, as far as there are any. Their number. None is removed if one of
        them does not pass the `check`.
        """

    def remove_unchanged(self, records: Iterable[Record], note: Note | None) -> Outcome[int]:
        """Remove those of these records that are still there, and that nothing is about to replace. Their number."""

    def expire(self, names: Sequence[str], note: Note) -> None:
        """Remove the records of names for which nothing is on its way: their leases have ended."""

    def renew(self, wanted: Renewing, show: Callable[[Renewal], T], check: Check, note: Note | None) -> Outcome[T]:
        """Have leases count anew. What `show` makes of those that do not. None does if one of the names does not pass
        the `check`.
        """

    def close(self) -> None:
        """Finish the changes that are on their way and close the storage."""
