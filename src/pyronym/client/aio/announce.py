"""Announcing names from a program on an event loop."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, Unpack
from weakref import WeakKeyDictionary

from pyronym.client.aio.keeping import FAREWELL, Announcement, Keepers, Options, Plan
from pyronym.client.announcing import LEASE
from pyronym.uri import URI

_KEEPERS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Keepers]] = WeakKeyDictionary()


class LoopAnnouncement(Announcement):
    """A name that is kept registered from `async with` on to its end. Made by `announce`."""

    async def __aenter__(self) -> Self:
        keepers = _KEEPERS.setdefault(asyncio.get_running_loop(), Keepers())
        self._kept = keepers.keep(self._plan)
        try:
            await asyncio.wrap_future(self._kept.started)
        except BaseException:
            self._kept.end()
            raise
        return self

    async def close(self) -> None:
        """Remove the name, if it is still ours. Waits for that, for a bounded time. May be called again."""
        if self._kept is None or self._kept.process != os.getpid():
            return
        self._kept.end()
        with suppress(builtins.TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await asyncio.wrap_future(self._kept.ended)

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def announce(
    name: str,
    uri: str | URI,
    lease: float = LEASE,
    metadata: Iterable[str] | None = None,
    **options: Unpack[Options],
) -> LoopAnnouncement:
    """Keep `uri` registered under `name` while an ``async with`` block runs; arguments and errors as those of
    `pyronym.announce`::

        async with aio.announce("lab.camera", uri):
            await serve()

    `notify` is called on the loop, and must not wait. What is announced when the loop comes to its end is removed then.
    """
    return LoopAnnouncement(Plan.of(name, uri, lease, metadata, options))
