"""Results of changes to a storage that other nodes change, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, RLock
from typing import Any, Generic, TypeVar

from pyronym.directory.record import Change
from pyronym.service.commit import Commit, Deferral
from pyronym.storage.shared import Basis

T = TypeVar("T")
U = TypeVar("U")


class SharedCommit(Commit[T]):
    """A result that is there when some changes are durable, and known here. They may be decided several times."""

    __slots__ = ("again", "attempts", "basis", "submitted", "whole")

    basis: Basis
    submitted: float

    def __init__(self, value: T, lock: RLock, settled: Condition) -> None:
        super().__init__((), value, (), lock, settled)
        self.again: Callable[[], T | Deferral[T]] | None = None
        self.attempts = 0
        self.whole: Gathering[Any, Any] | None = None
        """What this is a part of."""

    def attempt(
        self,
        changes: Sequence[Change],
        value: T,
        basis: Basis,
        again: Callable[[], T | Deferral[T]] | None,
        now: float,
    ) -> None:
        """Stand for these changes, for `value` if they succeed. `again` decides anew."""
        self.changes = changes
        self.basis = basis
        self.again = again
        self.attempts += 1
        self.submitted = now
        self.give(value)

    def give(self, value: T) -> None:
        """Have this as the result."""
        self._value = value

    def finish_all(self) -> list[Deferral[Any]]:
        """As `finish`, also for what this is a part of: those of whom anybody wants to be called."""
        wanted: list[Deferral[Any]] = [self] if self.finish() else []
        if self.whole is not None:
            self.whole.left -= 1
            if not self.whole.left and self.whole.finish():
                wanted.append(self.whole)
        return wanted


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

    def value(self) -> U:
        """The result, where nothing is left."""
        return self._combine([value.result() if isinstance(value, Deferral) else value for value in self._outcomes])

    def _outcome(self) -> U:
        return self.value()
