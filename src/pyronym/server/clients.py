"""All clients of a daemon: whose turn it is, who is let in, and who has let the daemon wait for too long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final, Protocol

from pyronym.rpc.hosting import Address, Peer
from pyronym.rpc.offences import Offence
from pyronym.rpc.session import ServerSession
from pyronym.server.limits import Admission, Offences, Patience, Phase
from pyronym.server.loop import LoopBase
from pyronym.server.pulse import Pulse
from pyronym.server.workers import Workers
from pyronym.settings import Settings

SLICE_SECONDS: Final = 0.005
"""How long calls of one client are performed before others have their turn. A read of 64 KiB may hold 600 calls. Those
who have more to do stand in line, for so long at a time in all: when each had so much of a turn, 2,000 clients who sent
100 calls at once kept one with a single call waiting for 4 seconds."""

SWEEP_SECONDS: Final = 0.5
"""How often those are looked for who have let the daemon wait for too long."""

HELD_STEP: Final = 1 / 8
"""Those are looked for as well when so much of MAX_HELD has come since: half a second is long for a fast network."""

MAX_WORDS: Final = 500
"""Characters that the log says about one offence."""

MAX_TURNED_AWAY: Final = 32
"""Clients beyond the limit of connections that are told so at a time. Further ones are closed without a word."""

log = logging.getLogger(__name__)


class Connected(Hashable, Protocol):
    """A connection, as far as all of them are looked after together."""

    address: str | None
    """The network address of the client; None at a Unix socket."""

    def held(self) -> tuple[int, bool]:
        """Bytes that are held for the client; whether it has read some since this was asked."""
        ...

    def idle_since(self, now: float) -> float:
        """When the client was last heard of."""
        ...

    def go_on(self, ends: float) -> None:
        """It is the client's turn, until `ends`."""
        ...

    def finish(self) -> None:
        """Close the connection; if a call is out, when that has been answered."""
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


class Clients:
    """The connections of one daemon, and what they have in common.

    `workers` perform calls that may block; `searchers` those that only take long, and `readers` read those that are
    very large: both are few threads, for more would not be faster, and keep the loop waiting for the interpreter.
    `offences` counts what clients do wrong. `new_session` makes a session, from the local and the remote address of a
    connection. `disconnected` is called when a client leaves whose handshake was accepted. `settings` and `admission`
    say what is too much.
    """

    def __init__(
        self,
        loop: LoopBase,
        workers: Workers,
        readers: Workers,
        searchers: Workers,
        new_session: Callable[[Address, Address], ServerSession],
        disconnected: Callable[[Peer], object],
        settings: Settings,
        admission: Admission,
        offences: Offences,
    ) -> None:
        self.loop = loop
        self.workers = workers
        self.readers = readers
        self.searchers = searchers
        self.new_session = new_session
        self.disconnected = disconnected
        self.leaving = False
        self._offences = offences
        self.patience: Patience[Connected] = Patience({})
        self._admission = admission
        self._turned_away: set[Connected] = set()
        self.limit(settings)
        self._sweeping = False
        self._taken = 0
        self._line: deque[Connected] = deque()
        self._line_moves = False
        self._open: set[Connected] = set()
        self.pulse = Pulse(loop)
        """Takes the time of calls, once it beats."""
        self._emptied = asyncio.Event()

    def limit(self, settings: Settings) -> None:
        """Let the limits of time and memory in `settings` count, for the connections that are open too."""
        self.patience.limit(
            {
                Phase.HANDSHAKE: settings.handshake_timeout,
                Phase.MESSAGE: settings.message_timeout,
                Phase.READING: settings.unread_timeout,
            }
        )
        self._idle_timeout = settings.idle_timeout
        self._max_held = settings.max_held

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connected) -> str | None:
        """Hold a connection while it is open. Why it may not stay; None if it may."""
        self._open.add(connection)
        refusal = self._admission.refusal(connection.address)
        if refusal is None:
            self._admission.enter(connection.address)
        else:
            self._turned_away.add(connection)
            self.tell(Offence.CONNECTIONS, connection, refusal)
            if len(self._turned_away) > MAX_TURNED_AWAY:
                connection.abort()
        self.watch(connection, Phase.HANDSHAKE)
        return refusal

    def discard(self, connection: Connected) -> None:
        """A connection has been closed."""
        self._open.discard(connection)
        self.patience.note(connection, None, 0)
        if connection in self._turned_away:
            self._turned_away.discard(connection)
        else:
            self._admission.leave(connection.address)
        if not self._open:
            self._emptied.set()

    def watch(self, connection: Connected, phase: Phase | None, *, progress: bool = False) -> None:
        """Note what a client lets the daemon wait for. With `progress` the time for it begins anew."""
        if phase is not None or connection in self.patience:
            self.patience.note(connection, phase, time.monotonic(), progress=progress)
        if not self._sweeping and (phase is not None or self._idle_timeout):
            self._sweeping = True
            self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def tell(self, what: Offence, connection: Connected, words: str) -> None:
        """Count what a client was stopped from doing, and log it unless there was a line about it in this minute."""
        if self._offences.note(what, str(connection.address), time.monotonic()):
            fields = {"client": connection.address, "offence": what.value}
            who, words = connection.address or "at the Unix socket", _harmless(words[:MAX_WORDS])
            log.warning("client %s: %s", who, words, extra={"fields": fields})

    def took(self, size: int) -> None:
        """Note that so many bytes of unfinished messages have come."""
        self._taken += size
        if self._taken > self._max_held * HELD_STEP:
            self._look()

    def turn(self) -> float:
        """Until when calls may be performed of a client that has just been heard of."""
        return time.monotonic() + SLICE_SECONDS / (1 + len(self._line))

    def queue(self, connection: Connected) -> None:
        """Let a client go on when those in line before it have had their turn, and whoever is heard of meanwhile."""
        self._line.append(connection)
        if not self._line_moves:
            self._line_moves = True
            self.loop.call_soon(self._move_on)

    def _move_on(self) -> None:
        ends = time.monotonic() + SLICE_SECONDS
        self._line.popleft().go_on(ends)
        while self._line and time.monotonic() < ends:
            self._line.popleft().go_on(ends)
        self._line_moves = bool(self._line)
        if self._line_moves:
            self.loop.call_soon(self._move_on)

    def _sweep(self) -> None:
        """Look now, and again as long as anybody lets the daemon wait."""
        self._look()
        self._sweeping = bool(self.patience or (self._idle_timeout and self._open))
        if self._sweeping:
            self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def _look(self) -> None:
        """Close the connections of those who have let the daemon wait for too long, or hold too much of its memory."""
        self._taken = 0
        now = time.monotonic()
        held: dict[Connected, int] = {}
        for connection in self.patience:
            held[connection], has_read = connection.held()
            if has_read and self.patience.phase(connection) is Phase.READING:
                self.patience.note(connection, Phase.READING, now, progress=True)
        for connection, phase in self.patience.overdue(now):
            self._drop(connection, phase.value, phase.value)
            held.pop(connection, None)
        total = sum(held.values())
        for connection, size in sorted(held.items(), key=lambda item: item[1], reverse=True):
            if total <= self._max_held:
                break
            words = f"of {total} bytes that are held for clients {size} are its (MAX_HELD={self._max_held})"
            self._drop(connection, Offence.HELD, words)
            total -= size
        if self._idle_timeout:
            for connection in list(self._open):
                if connection.idle_since(now) + self._idle_timeout < now:
                    self._drop(connection, Offence.IDLE, f"it sent nothing for {self._idle_timeout:g} s")

    def _drop(self, connection: Connected, offence: Offence, why: str) -> None:
        self.patience.note(connection, None, 0)
        self.tell(offence, connection, f"closing its connection: {why}")
        connection.abort()

    async def leave(self, patience: float) -> None:
        """Close all connections; those with a call out when that has been answered, but wait no longer than `patience`
        seconds for that.
        """
        self.leaving = True
        await asyncio.sleep(0)  # those that were accepted just now come to be known
        for connection in list(self._open):
            connection.finish()
        self._emptied.clear()
        if self._open:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), patience)

    async def abort(self) -> None:
        """Close all connections that are left, whatever state they are in."""
        for connection in list(self._open):
            connection.abort()
        await asyncio.sleep(0)  # lets the loop do it


def _harmless(words: str) -> str:
    """Words of a stranger as one line for a terminal."""
    return words if words.isprintable() else ascii(words)[1:-1]
