"""Time limits that several steps share."""

from __future__ import annotations

import builtins
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

    def within(self, seconds: float) -> Deadline:
        """This deadline, or one in so many seconds if that is sooner. TimeoutError when this one has passed."""
        left = self.left()
        return Deadline(seconds if left is None else min(seconds, left))

    def share(self, steps: int) -> Deadline:
        """The deadline for the first of several steps that divide the time left evenly."""
        left = self.left()
        return self if left is None else Deadline(left / steps)


ENDLESS: Final = Deadline(None)
"""For those that have none, to be shared."""


def run_until(deadline: Deadline, function: Callable[[], T]) -> T:
    """What `function` gives or raises; TimeoutError at the deadline.

    For functions that block and know no time limit, such as those that ask the system's name resolution. One that is
    overdue is left to itself, in a thread that does not keep the process from ending.
    """
    left = deadline.left()
    if left is None:
        return function()
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as problem:  # raised again in the thread that waits for it
            outcome.set_exception(problem)

    threading.Thread(target=run, name="pyronym-bounded", daemon=True).start()
    try:
        return outcome.result(left)
    except builtins.TimeoutError:
        raise TimeoutError("timed out") from None
