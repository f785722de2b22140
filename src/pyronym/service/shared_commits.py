"""Results of changes to a storage that other nodes change, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, RLock
from typing import Any, Generic, TypeVar

from pyronym.directory.record import Change
from pyronym.service.commit import BoundNote, Commit, Deferral
from pyronym.storage.shared import Basis

T = TypeVar("T")
U = TypeVar("U")


class SharedCommit(Commit[T]):
    """A result that is there when some changes are durable, and known here. They may be decided several times."""

    __slots__ = ("again", "attempts", "basis", "submitted", "whole")

    def __init__(
        self,
        changes: Sequence[Change],
        value: T,
        note: BoundNote | None,
        basis: Basis,
        again: Callable[[], T | Deferral[T]] | None,
        now: float,
        lock: RLock,
        settled: Condition,
    ) -> None:
        super().__init__(changes, value, note, lock, settled)
        self.basis = basis
        self.again = again
        """Decides anew."""
        self.submitted = now
        self.attempts = 1
        self.whole: Gathering[Any, Any] | None = None
        """What this is a part of."""

    def attempt(self, changes: Sequence[Change], value: T, note: BoundNote | None, basis: Basis, now: float) -> None:
        """Stand for changes that were decided anew, for `value` if they succeed."""
        self.changes = changes
        self.note = note
        self.basis = basis
        self.submitted = now
        self.attempts += 1
        self.give(value)

    def give(self, value: T) -> None:
        """Have this as the result."""
        self._value = value


class Gathering(Deferral[U], Generic[T, U]):
    """A result that is there when several others are: what `combine` makes of their values.

    Raises the first error of them.
    """

    __slots__ = ("_combine", "_outcomes", "left")

    def __init__(
        self, outcomes: Sequence[T | Deferral[T]], combine: Callable[[list[T]], U], lock: RLock, settled: Condition
    ) -> None:
        super().__init__(lock, settled)
        self._outcomes = outcomes
        self._combine = combine
        self.left = 0
        """Those that are not there yet."""
        for outcome in outcomes:
            if isinstance(outcome, SharedCommit):
                outcome.whole = self
                self.left += 1

    def finish_part(self) -> bool:
        """One more is there. As `finish`, if it was the last."""
        self.left -= 1
        return not self.left and self.finish()

    def value(self) -> U:
        """The result, where nothing is left."""
        return self._combine([value.result() if isinstance(value, Deferral) else value for value in self._outcomes])

    def _outcome(self) -> U:
        return self.value()
