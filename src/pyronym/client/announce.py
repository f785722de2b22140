"""Announcing names from any program: a thread in the background keeps them registered."""

from __future__ import annotations

import asyncio
import atexit
import builtins
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Self, Unpack

from pyronym.client.aio.keeping import FAREWELL, Announcement, Keepers, Kept, Options, Plan
from pyronym.client.announcing import LEASE
from pyronym.uri import URI


class ThreadAnnouncement(Announcement):
    """A name that is kept registered in the background, until it is closed or the program ends.

    Made by `announce`. It is not waited for here: see `started`. ValueError if this program announces the name already.
    """

    _kept: Kept

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._background = _Background.enter()
        self._kept = self._background.keep(plan)

    @property
    def started(self) -> Future[None]:
        """Done when the name is registered, or raises why it cannot be; done at once with a `wait` of 0."""
        return self._kept.started

    def close(self) -> None:
        """Remove the name, if it is still ours. Waits for that, for 2 seconds at most. May be called again."""
        self.close_soon()
        if self._kept.process == os.getpid() and not self._background.is_current_thread():
            with suppress(builtins.TimeoutError):
                self._kept.ended.result(FAREWELL)

    def close_soon(self) -> None:
        """As `close`, without waiting: for programs whose other parts must go on meanwhile."""
        if self._kept.process == os.getpid():
            self._background.post(self._kept.end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def announce(
    name: str,
    uri: str | URI,
    lease: float = LEASE,
    metadata: Iterable[str] | None = None,
    **options: Unpack[Options],
) -> ThreadAnnouncement:
    """Register `uri` under `name`, and keep it registered until the announcement is closed or this program ends::

        with pyronym.announce("lab.camera", uri):
            daemon.requestLoop()

    It is registered with a `lease`, in seconds, and renewed three times in that time: so the name goes when the program
    dies, that long after. When the name server was restarted, has forgotten the name, or was replaced, it is registered
    again; of a name server of several nodes (`host` with commas) another one is taken when one dies. At the end it is
    removed, unless it stands for somebody else's registration then.

    `safe`: it must not take the place of another registration at first. Whoever registers the name later has it, and
    this announcement ends; with `take_back` it registers the name again. `notify` is called with a `Notice` for all
    that happens, in a thread in the background, which it must not keep waiting. `host`, `port`, `broadcast` and
    `hmac_key` say where the name server is, as for `locateNS`; `settings` are those of `pyronym.config` unless given.

    Returns when the name is registered. While there is no name server, that is tried for `wait` seconds; without it
    once, which takes LOCATE_TIMEOUT at most; with 0 it returns at once, and goes on trying in the background.

    Raises NameServerNotFoundError when no name server was found in that time; what the name server raises when it
    refuses: NameTakenError, SecurityError, NamingError and others; TypeError, ValueError and PyroError for arguments
    that are none; ValueError for a name that this program announces already.
    """
    announcement = ThreadAnnouncement(Plan.of(name, uri, lease, metadata, options))
    try:
        announcement.started.result()
    except BaseException:
        announcement.close_soon()
        raise
    return announcement


class _Background:
    """The thread that keeps the names of this process. It is there while there are such."""

    current: _Background | None = None
    lock = threading.Lock()
    """For `current`, and for who is about to use it."""

    def __init__(self) -> None:
        self._users = 0
        self._loop = asyncio.new_event_loop()
        self._keepers = Keepers()
        self._thread = threading.Thread(target=self._run, name="pyronym-announcements", daemon=True)
        self._thread.start()

    @classmethod
    def enter(cls) -> _Background:
        """The one of this process, which does not end before `keep` was called."""
        with cls.lock:
            if cls.current is None:
                cls.current = cls()
            if cls.current.is_current_thread():
                raise RuntimeError("a function that is told of announcements cannot announce anything itself")
            cls.current._users += 1
            return cls.current

    def keep(self, plan: Plan) -> Kept:
        """As Keepers says, from another thread."""
        kept: Future[Kept] = Future()

        def keep() -> None:
            with self.lock:
                self._users -= 1
            try:
                kept.set_result(self._keepers.keep(plan))
            except ValueError as problem:
                kept.set_exception(problem)

        self._loop.call_soon_threadsafe(keep)
        return kept.result()

    def post(self, function: Callable[[], object]) -> None:
        """Have the thread call a function, if it has not ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def is_current_thread(self) -> bool:
        """Whether this is called in that thread."""
        return threading.current_thread() is self._thread

    def end(self) -> None:
        """Remove all names, and wait for that, for FAREWELL at most."""
        self.post(self._keepers.end_all)
        self._thread.join(FAREWELL)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        while True:
            await self._keepers.idle.wait()
            with self.lock:
                if not self._users and self._keepers.idle.is_set():  # it was; much may have come in since
                    _Background.current = None
                    return
            await asyncio.sleep(0)  # somebody's `keep` is on its way


def _at_exit() -> None:
    background = _Background.current
    if background is not None:
        background.end()


def _forget_parent() -> None:
    """In a forked child there is no such thread, and the names are its parent's."""
    _Background.lock = threading.Lock()
    if _Background.current is not None:
        _INHERITED.append(_Background.current)
        _Background.current = None


_INHERITED: list[_Background] = []
"""Never to be given back: that would disturb the loop of the parent, with which they share descriptors."""

atexit.register(_at_exit)
os.register_at_fork(after_in_child=_forget_parent)
