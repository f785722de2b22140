"""A thread that rings when it is time, and is only there while something is to come."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

MAX_WAIT = threading.TIMEOUT_MAX

BREATH: Final = 0.005
"""Seconds for other threads between two rings of which one follows the other at once. Without them, a loop that serves
clients meanwhile waits 5 milliseconds (sys.getswitchinterval) after each of its system calls."""


class Alarm:
    """Calls `ring`, in a thread of its own, when its time has come.

    `ring` is given how late it is called, in seconds, and gives the time of `clock` at which to call it next, or None.
    That it was being called is no lateness. It must not call `close`.
    """

    def __init__(self, ring: Callable[[float], float | None], clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._changed = threading.Condition(threading.Lock())
        self._when: float | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._free = clock()  # since when it is not being called

    def by(self, when: float) -> None:
        """Ring at `when`, unless it rings before that anyway. From any thread."""
        if self._when is not None and self._when <= when:  # the thread only ever puts it forward on its own
            return
        with self._changed:
            if self._closed or (self._when is not None and self._when <= when):
                return
            self._when = when
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pyronym-alarm", daemon=True)
                self._thread.start()
            else:
                self._changed.notify()

    def close(self) -> None:
        """Ring no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                late = self._wait()
                if late is None:
                    self._thread = None
                    return
            following = self._call(late)
            self._free = self._clock()
            if following is not None:
                self.by(following)
                if following <= self._free:
                    time.sleep(BREATH)

    def _wait(self) -> float | None:
        """Wait until it is time: how late it is then. None: it will never be. The caller holds the lock."""
        while self._when is not None and not self._closed:
            now = self._clock()
            if now >= self._when:
                late = now - max(self._when, self._free)
                self._when = None
                return late
            self._changed.wait(min(self._when - now, MAX_WAIT))
        return None

    def _call(self, late: float) -> float | None:
        try:
            return self._ring(late)
        except Exception:
            log.exception("what had to be done in time failed; trying again in a second")
            return self._clock() + 1.0
