"""Who runs the loop of a daemon: one thread at a time, of which the last one closes the daemon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final

from pyronym.errors import DaemonError
from pyronym.server.loop import LoopBase

YIELD_SECONDS: Final = 1.0
"""How long who wants to serve waits for another thread that does so only while it waits for something."""


class Driving:
    """The right to run `loop`. Its methods may be called from any thread.

    `finish` is called once, by a thread that has the right, when that was asked for: it closes the loop.
    """

    def __init__(self, loop: LoopBase, finish: Callable[[], None]) -> None:
        self.closed = False
        """Whether `finish` was called."""
        self._loop = loop
        self._finish = finish
        self._closing = False
        self._lock = threading.Lock()  # held by the thread that runs the loop
        self._driver: int | None = None
        self._awaited: set[Future[None]] = set()
        self._wanted = False  # somebody waits for those who serve only while they wait for one of these

    @property
    def is_here(self) -> bool:
        """Whether it is this thread that has the right."""
        return threading.get_ident() == self._driver

    @contextmanager
    def hold(self, patience: float = 0) -> Iterator[bool]:
        """The right to run the loop in the body; False if the daemon is closed or closing.

        DaemonError if another thread still has it after `patience` seconds, or if this one has it already.
        """
        if not self._take(patience):
            if not self._closing:
                raise DaemonError("the daemon is being served already (by another thread, or further up in this one)")
            yield False
            return
        with self._held() as is_open:
            yield is_open

    def wait_for(self, outcome: Future[None], pause: float) -> None:
        """Wait for an outcome that may depend on the daemon, and raise what it raises. If nobody else runs the loop,
        this thread does meanwhile, and looks every `pause` seconds. With the right to run it, nothing is waited for.
        """
        if self.is_here:
            return
        self._awaited.add(outcome)
        outcome.add_done_callback(lambda _: self._loop.wake())
        try:
            if self._lock.acquire(blocking=False):
                with self._held() as is_open:
                    if is_open:
                        self._loop.serve(lambda: not (outcome.done() or self._wanted), pause)
            outcome.result()
        finally:
            self._awaited.discard(outcome)

    def ask_to_close(self) -> None:
        """Have the daemon closed by whoever has the right to run the loop, or gets it next. Never waits."""
        self._closing = True
        self._loop.interrupt()

    def _take(self, patience: float) -> bool:
        if self._lock.acquire(timeout=patience):
            return True
        if not self._awaited or self.is_here:
            return False
        self._wanted = True
        self._loop.wake()
        try:
            return self._lock.acquire(timeout=YIELD_SECONDS)
        finally:
            self._wanted = False

    @contextmanager
    def _held(self) -> Iterator[bool]:
        """As `hold`, for a thread that has got the lock."""
        self._driver = threading.get_ident()
        try:
            yield not self.closed
        finally:
            try:
                if self._closing and not self.closed:
                    self.closed = True
                    self._finish()
            finally:
                self._driver = None
                self._lock.release()
