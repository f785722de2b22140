"""The connections of one proxy on an event loop."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Awaitable, Callable

from pyronym.client.aio.network import LoopStream
from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.errors import TimeoutError

LoopConnection = Connection[LoopStream]


class Pool:
    """At most `size` calls at a time, each on a connection of its own, which is kept for the calls after it.

    Daemons answer the requests on a connection one after the other: on one for all, each call would wait for those
    before it. `connect` opens connections, `usable` says whether one that was kept can still be used.
    """

    def __init__(
        self,
        connect: Callable[[Deadline], Awaitable[LoopConnection]],
        usable: Callable[[LoopConnection], bool],
        size: int,
    ) -> None:
        self._connect = connect
        self._usable = usable
        self._size = size
        self._free = asyncio.Semaphore(size)
        self._idle: list[LoopConnection] = []
        self._used: set[LoopConnection] = set()

    async def take(self, deadline: Deadline) -> LoopConnection:
        """A connection, to be given back. Raises as `connect`, TimeoutError if all are in use until the deadline."""
        try:
            async with asyncio.timeout(deadline.left()):
                await self._free.acquire()
        except builtins.TimeoutError:
            raise TimeoutError(f"timed out: all {self._size} connections of the proxy are in use") from None
        try:
            connection = self._kept() or await self._connect(deadline)
        except BaseException:
            self._free.release()
            raise
        self._used.add(connection)
        return connection

    def _kept(self) -> LoopConnection | None:
        while self._idle:
            connection = self._idle.pop()  # the one used last: the others may be dropped by the daemon some day
            if self._usable(connection):
                return connection
            connection.close()
        return None

    def give(self, connection: LoopConnection) -> None:
        """Take back a connection, whose stream is closed if the call went wrong."""
        self._free.release()
        if connection in self._used:
            self._used.remove(connection)
            self.keep(connection)
        else:
            connection.close()  # the proxy was released meanwhile

    def replace(self, connection: LoopConnection, by: LoopConnection) -> None:
        """Have another connection in the place of one that is in use, and closed."""
        if connection in self._used:
            self._used.remove(connection)
            self._used.add(by)

    def lend(self, connection: LoopConnection) -> None:
        """Let its user have a connection for as long as it wants. It may be given to `keep` then."""
        self._free.release()
        self._used.discard(connection)

    def keep(self, connection: LoopConnection) -> None:
        """Have a connection for later calls, if it is of use."""
        if len(self._idle) < self._size and self._usable(connection):
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close all connections, those in use when they are given back."""
        self._used.clear()
        while self._idle:
            self._idle.pop().close()

    async def finish(self) -> None:
        """As `close`, in good order."""
        self._used.clear()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.stream.finish() for connection in idle))

    def __str__(self) -> str:
        return f"{len(self._used)} of {self._size} connections in use, {len(self._idle)} kept"

    def __del__(self) -> None:
        # Proxies are dropped without being released: that is how Pyro programs are written.
        for connection in self._idle:
            connection.stream.close_soon()
