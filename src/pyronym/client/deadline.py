"""Time limits that several steps share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from pyronym.errors import TimeoutError

T = TypeVar("T")


class Deadline:
    """The moment `seconds` from now; with None or 0 there is none."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float | None) -> None:
        self._end = time.monotonic() + seconds if seconds else None

    def left(self) -> float | None:
        """Seconds until the deadline, above 0; None when there is none. Raises TimeoutError when it has passed."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def at_most(self, seconds: float) -> float:
        """So many seconds, or those until the deadline if it is sooner. TimeoutError when it has passed."""
        left = self.left()
        return seconds if left is None else min(seconds, left)

    def within(self, seconds: float) -> Deadline:
        """This deadline, or one in so many seconds if that is sooner. TimeoutError when this one has passed."""
        return Deadline(self.at_most(seconds))

    def share(self, steps: int) -> Deadline:
        """The deadline for the first of several steps that divide the time left evenly."""
        left = self.left()
        return self if left is None else Deadline(left / steps)


ENDLESS: Final = Deadline(None)
"""For those that have none, to be shared."""


def in_thread(function: Callable[[], T]) -> Future[T]:
    """The future of what `function` gives or raises, in a thread that does not keep the process from ending.

    For functions that block and know no time limit, such as those that ask the system's name resolution: one that is
    overdue is left to itself.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # from here on nobody can cancel it: the thread always gives an outcome

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as problem:  # raised again where it is waited for
            outcome.set_exception(problem)

    threading.Thread(target=run, name="pyronym-bounded", daemon=True).start()
    return outcome
