"""An asyncio loop that any other loop can drive.

Its selector is of our own making. So there is one file descriptor that tells whether the loop has anything to do, and
each time the loop looks for I/O we learn whether it would wait. That is enough to run it in two ways: for good
(`ServerLoop.serve`), or for a short turn whenever the descriptor is readable (`ServerLoop.turn`).
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from asyncio import tasks
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

TURN_SECONDS: Final = 0.05
"""How long a turn may take from the loop that drives this one. If work is left the descriptor is readable again."""

LET_GO_SECONDS: Final = 1.0
"""How long a loop of another thread may take to let go of a descriptor."""

ALARM_SLACK: Final = 0.001
"""How late an alarm may ring, in seconds. The same time comes out a little different each time it is reckoned."""

Found = list[tuple[selectors.SelectorKey, int]]


class _Selector(selectors.DefaultSelector):
    """Leaves it to a strategy, while there is one, how to wait."""

    strategy: Callable[[float | None], Found] | None = None

    def select(self, timeout: float | None = None) -> Found:
        return self.wait(timeout) if self.strategy is None else self.strategy(timeout)

    def wait(self, timeout: float | None) -> Found:
        return super().select(timeout)


class LoopBase(asyncio.AbstractEventLoop):
    """What a daemon needs of its loop, whatever that is made on."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._interrupted = False
        self._thread: int | None = None
        self._spawned: set[asyncio.Task[Any]] = set()
        self._at_end_of_turn: set[Callable[[], object]] = set()

    def fileno(self) -> int:
        """The descriptor that is readable when a turn is due; -1 when the loop is closed."""
        raise NotImplementedError

    def serve(self, condition: Callable[[], object] | None, pause: float) -> None:
        """Run until `interrupt` is called, or was called before, or `condition` gives something false.

        That is asked before each wait for I/O, and a wait then takes no longer than `pause` seconds.
        """
        raise NotImplementedError

    def turn(self) -> None:
        """Run until there is nothing left to do, or for TURN_SECONDS."""
        raise NotImplementedError

    def run_forever(self) -> None:
        """Run until `stop` is called. All other ways to run a loop come down to this one."""
        before, self._thread = self._thread, threading.get_ident()
        try:
            super().run_forever()
        finally:
            self._thread = before  # not None where this was refused because the loop is running already

    def complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run until `coroutine` is done."""
        with apart():
            return self.run_until_complete(coroutine)

    def interrupt(self) -> None:
        """End `serve`, or the next one at its start. From any thread, and from signal handlers."""
        self._interrupted = True
        self.wake()

    def wake(self) -> None:
        """Make the descriptor readable, so that whoever drives the loop comes by. From any thread."""
        with suppress(RuntimeError):
            self.call_soon_threadsafe(_do_nothing)

    def is_here(self) -> bool:
        """Whether the loop is running, and in this thread."""
        return self._thread == threading.get_ident()  # asyncio asks the system for the process, too: 0.3 us, not 0.05

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Have the loop call `function`; does nothing when the loop is closed. From any thread."""
        if self.is_here():
            self.call_soon(function, *args)  # nobody has to be woken
            return
        with suppress(RuntimeError):
            self.call_soon_threadsafe(function, *args)

    def at_end_of_turn(self, function: Callable[[], object]) -> None:
        """Have the loop call `function`, once, when it has taken what there is to read. In other threads than that of
        the loop, and while it is not running: call it now.
        """
        if not self.is_here():
            function()
        elif function not in self._at_end_of_turn:
            self._at_end_of_turn.add(function)
            self.call_soon(self._end_turn, function)

    def _end_turn(self, function: Callable[[], object]) -> None:
        self._at_end_of_turn.discard(function)
        function()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that lives until it is done. (asyncio leaves those that nobody holds to the garbage collector.)"""
        task = self.create_task(coroutine)
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        return task


class ServerLoop(LoopBase, asyncio.SelectorEventLoop):
    """The loop of one daemon. It may be made, driven and closed in different threads, in one at a time."""

    def __init__(self) -> None:
        self._waiting = _Selector()
        super().__init__(self._waiting)
        self._alarm = _Alarm(self.wake)

    def fileno(self) -> int:
        """The descriptor that is readable when a turn is due; -1 when the loop is closed."""
        return -1 if self.is_closed() else self._waiting.fileno()

    def serve(self, condition: Callable[[], object] | None, pause: float) -> None:
        """Run until `interrupt` is called, or was called before, or `condition` gives something false.

        That is asked before each wait for I/O, and a wait then takes no longer than `pause` seconds.
        """

        def wait(timeout: float | None) -> Found:
            if self._interrupted or (condition is not None and not condition()):
                self.stop()
                return []
            if condition is not None:
                timeout = pause if timeout is None else min(timeout, pause)
            return self._waiting.wait(timeout)

        try:
            self._run(wait)
        finally:
            self._interrupted = False

    def turn(self) -> None:
        """Run until there is nothing left to do, or for TURN_SECONDS."""
        ends = self.time() + TURN_SECONDS
        work_is_left = False

        def wait(timeout: float | None) -> Found:
            nonlocal work_is_left
            found = self._waiting.wait(0)
            if not found and timeout != 0:
                self.stop()
                if timeout is not None:
                    self._alarm.set(timeout)
            elif self.time() > ends:
                self.stop()
                work_is_left = True
            return found

        self._run(wait)
        if work_is_left:
            self.wake()  # only now: the loop may just have been about to read what had woken it, and this with it

    def _run(self, strategy: Callable[[float | None], Found]) -> None:
        self._waiting.strategy = strategy
        try:
            with apart():
                self.run_forever()
        finally:
            self._waiting.strategy = None

    def close(self) -> None:
        """Give back what the loop has. It must not be running."""
        self._alarm.cancel()
        super().close()


class Watchers:
    """The asyncio loops that watch a descriptor of ours. They have to let go of it before it is closed."""

    def __init__(self) -> None:
        self._watching: list[tuple[asyncio.AbstractEventLoop, int]] = []

    def add(self, loop: asyncio.AbstractEventLoop, descriptor: int, callback: Callable[[], object]) -> None:
        """Have `loop` call `callback` whenever `descriptor` is readable. To be called in the loop's thread."""
        loop.add_reader(descriptor, callback)
        self._watching.append((loop, descriptor))

    def remove_all(self) -> None:
        """Have all loops let go. From any thread; when this returns the descriptor can be closed."""
        while self._watching:
            _let_go(*self._watching.pop())


def _let_go(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    if loop.is_closed():
        return
    if not loop.is_running() or asyncio._get_running_loop() is loop:
        loop.remove_reader(descriptor)
        return
    gone = threading.Event()

    def remove() -> None:
        loop.remove_reader(descriptor)
        gone.set()

    with suppress(RuntimeError):  # closed in the meantime
        loop.call_soon_threadsafe(remove)
        gone.wait(LET_GO_SECONDS)


class _Alarm:
    """Calls `ring`, in a thread of its own, when a time is over: the timers of a loop that only runs by turns."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: threading.Timer | None = None
        self._rings_at = 0.0

    def set(self, seconds: float) -> None:
        """Ring in so many seconds at the latest; earlier does no harm."""
        rings_at = time.monotonic() + seconds
        if self._timer is not None and self._rings_at <= rings_at + ALARM_SLACK:
            return
        self.cancel()
        self._rings_at = rings_at
        self._timer = threading.Timer(seconds, self._go_off)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _go_off(self) -> None:
        if self._timer is threading.current_thread():  # or else a later `set` has replaced it
            self._timer = None
        self._ring()


@contextmanager
def apart() -> Iterator[None]:
    """Step out of the asyncio loop and task that may be running in this thread, so that another loop can run inside."""
    outer = asyncio._get_running_loop()
    task = tasks.current_task(outer) if outer is not None else None
    if outer is not None and task is not None:
        tasks._leave_task(outer, task)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)
        if outer is not None and task is not None:
            tasks._enter_task(outer, task)


def _do_nothing() -> None:
    pass
