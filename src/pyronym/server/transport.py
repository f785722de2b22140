"""One client's connection: the shell around a session, on the loop of a daemon.

Where calls run: those of `inline` objects right here, on the loop; all others in a worker thread. What a method leaves
to be waited for (it is an ``async def``, or returns a future) is waited for on the loop, without a thread.

What can pile up is bounded. While a call is out whose reply must come first, while a client does not read its
replies, and while too many of its oneway calls are running, no more than one read is taken from its connection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar, cast

from pyronym.errors import PyroError
from pyronym.rpc.call import IN_WORKER, Call
from pyronym.rpc.hosting import Address, Deferred, Peer
from pyronym.rpc.offences import Offence
from pyronym.rpc.session import ServerSession
from pyronym.server.access_log import noted
from pyronym.server.addresses import plain_address, unix_user
from pyronym.server.limits import Admission, Offences, Patience, Phase
from pyronym.server.loop import LoopBase
from pyronym.server.pulse import Pulse
from pyronym.server.workers import Workers
from pyronym.settings import Settings
from pyronym.tls import subject_of

T = TypeVar("T")

Steps = Generator[Any, Any, None]
"""A call that is being performed: yields what must be waited for, is sent what that gave."""

READ_SIZE: Final = 64 * 1024
"""Bytes that asyncio reads at once. Its own 256 KiB are so many that the C library asks the system for them each time:
9 microseconds for a read, instead of 1."""

WRITE_SIZE: Final = 64 * 1024
"""Bytes of replies that are collected, at most, before they are written."""

LINGER_SECONDS: Final = 5.0
"""How long a client that is refused may go on sending. Closing at once would destroy the refusal on its way to it."""

MAX_DETACHED: Final = 1000
"""Oneway calls of one client that may be running, or waiting for a thread, at a time."""

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
        self.patience: Patience[Connection] = Patience({})
        self._admission = admission
        self._turned_away: set[Connection] = set()
        self.limit(settings)
        self._sweeping = False
        self._taken = 0
        self._line: deque[Connection] = deque()
        self._line_moves = False
        self._open: set[Connection] = set()
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

    def add(self, connection: Connection) -> str | None:
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

    def discard(self, connection: Connection) -> None:
        """A connection has been closed."""
        self._open.discard(connection)
        self.patience.note(connection, None, 0)
        if connection in self._turned_away:
            self._turned_away.discard(connection)
        else:
            self._admission.leave(connection.address)
        if not self._open:
            self._emptied.set()

    def watch(self, connection: Connection, phase: Phase | None, *, progress: bool = False) -> None:
        """Note what a client lets the daemon wait for. With `progress` the time for it begins anew."""
        if phase is not None or connection in self.patience:
            self.patience.note(connection, phase, time.monotonic(), progress=progress)
        if not self._sweeping and (phase is not None or self._idle_timeout):
            self._sweeping = True
            self.loop.call_later(SWEEP_SECONDS, self._sweep)

    def tell(self, what: Offence, connection: Connection, words: str) -> None:
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

    def queue(self, connection: Connection) -> None:
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
        held: dict[Connection, int] = {}
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

    def _drop(self, connection: Connection, offence: Offence, why: str) -> None:
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


class Connection(asyncio.Protocol):
    """The connection of one client."""

    _transport: asyncio.Transport
    _session: ServerSession

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._pulse = clients.pulse
        self._accepted = False
        self._writable = True
        self._paused = False
        self._at_end = False
        self._lingering: asyncio.TimerHandle | None = None
        self._lost = False
        self._unsent = 0
        self._unread = 0
        self._detached = 0
        self._in_line = False
        self._performing = False
        self._heard = True
        self._idle_since = 0.0
        self.address: str | None = None
        """The network address of the client; None at a Unix socket."""

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session."""
        self._transport = cast(asyncio.Transport, transport)
        local, remote = (transport.get_extra_info(name) for name in ("sockname", "peername"))
        remote = plain_address(remote)
        self.address = remote[0] if isinstance(remote, tuple) else None
        self._session = self._clients.new_session(plain_address(local), remote)
        self._session.peer.tls_subject = subject_of(transport.get_extra_info("peercert"))
        self._session.peer.unix_user = unix_user(transport.get_extra_info("socket"))
        if hasattr(transport, "max_size"):
            transport.max_size = READ_SIZE
        refusal = self._clients.add(self)
        if refusal is not None:
            self._session.turn_away(refusal)
        if self._clients.leaving:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and perform the calls that are complete with them."""
        if self._lingering is not None:
            return
        self._heard = True
        answer = self._timed(data) if self._pulse.samples else self._session.receive_data(data)
        if answer:
            self._transport.write(answer)
            if self._writable:
                return
        if self._is_blocked():
            self._paused = True
            self._transport.pause_reading()
        else:
            self._advance()
        if self._session.held:
            self._clients.took(len(data))

    def _timed(self, data: bytes) -> bytes:
        """What the session answers to `data` at once. How long that took is told."""
        lane = self._session.lane
        registered = 0 if lane is None else lane.registered
        began = time.perf_counter()
        answer = self._session.receive_data(data)
        if answer and lane is not None:
            self._pulse.sampled(lane, registered, time.perf_counter() - began)
        return answer

    def eof_received(self) -> bool:
        """The client sends no more. It may still wait for the answers to what it has sent."""
        self._at_end = True
        return self._is_blocked() and self._transport.can_write_eof()  # a TLS connection has no halves

    def pause_writing(self) -> None:
        """The client does not read its replies."""
        self._writable = False
        self._unread = self._transport.get_write_buffer_size()
        self._clients.watch(self, Phase.READING)

    def resume_writing(self) -> None:
        """The client has read its replies."""
        self._writable = True
        self._advance()

    def connection_lost(self, problem: Exception | None) -> None:
        """End the session. What a call that is still running gives will be dropped."""
        self._lost = True
        if self._lingering is not None:
            self._lingering.cancel()
        self._clients.discard(self)
        self._close_session()
        if self._accepted:
            try:
                self._clients.disconnected(self._session.peer)
            except Exception:
                log.exception("error in clientDisconnect")

    # What the daemon wants

    def finish(self) -> None:
        """Close the connection; if a call is out, when that has been answered."""
        if not self._session.busy:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def held(self) -> tuple[int, bool]:
        """Bytes of unread answers, unfinished messages and calls that nobody has read yet; whether the client has read
        some answers since this was asked.
        """
        before, self._unread = self._unread, self._transport.get_write_buffer_size()
        return self._unread + self._session.held, self._unread < before

    def idle_since(self, now: float) -> float:
        """When the client was last heard of, as far as this has been asked: `now` if it was since then."""
        if self._heard or self._session.busy:
            self._heard = False
            self._idle_since = now
        return self._idle_since

    # Performing calls

    def _is_blocked(self) -> bool:
        """Whether no call can be taken from the session."""
        return self._session.busy or not self._writable or self._in_line or self._detached >= MAX_DETACHED

    def go_on(self, ends: float) -> None:
        """It is this client's turn again, until `ends`."""
        self._in_line = False
        self._advance(ends)

    def _advance(self, ends: float | None = None) -> None:
        """Perform calls while there are any that can be performed, and send what they have to say."""
        if self._lost or self._in_line:
            return
        session = self._session
        performed = False
        self._performing = True
        try:
            if not self._clients.leaving:
                performed = self._perform_calls(ends or self._clients.turn())
            self._send()
        except Exception as problem:
            self._break(problem)
            return
        finally:
            self._performing = False
        if session.closing:
            self._linger()
        elif (self._at_end and not self._is_blocked()) or (self._clients.leaving and not session.busy):
            self._transport.close()
        elif self._paused and not self._is_blocked():
            self._paused = False
            self._transport.resume_reading()
        if not self._accepted:
            self._accepted = session.peer.protocol != 0 and not session.closing
        self._clients.watch(self, self._phase(), progress=performed)

    def _phase(self) -> Phase | None:
        """What the client lets the daemon wait for."""
        if not self._writable:
            return Phase.READING
        if not self._accepted:
            return Phase.HANDSHAKE
        if not self._session.held:
            return None
        return Phase.CALL if self._is_blocked() else Phase.MESSAGE

    def _perform_calls(self, ends: float) -> bool:
        """Perform the calls that are there, as long as it is this client's turn. Whether there were any."""
        session = self._session
        performed = False
        while self._writable and self._detached < MAX_DETACHED:
            if performed and time.monotonic() > ends:
                self._in_line = True
                self._clients.queue(self)
                break
            call = session.next_call()
            if call is None:
                break
            performed = True
            if self._pulse.beats:
                call.began = time.perf_counter()
            steps = noted(call, session.peer) if session.notes_calls else call.run()
            if not call.inline:
                self._detached += call.detached
                self._employ(call, steps)
                continue
            waited = next(steps, None)
            if waited is not None:
                self._wait(call, steps, waited)
                break
            self._finish(call)
            self._unsent += len(call.reply)
            if self._unsent > WRITE_SIZE:
                self._send()
        return performed

    def _finish(self, call: Call) -> None:
        if call.began is not None:
            self._pulse.latencies[call.method].add(time.perf_counter() - call.began)
        self._session.finish(call)

    def _linger(self) -> None:
        """Say that this was all, and drop what still comes until the client closes, or takes too long for it."""
        if self._lingering is not None or self._lost:
            return
        self._lingering = self._clients.loop.call_later(LINGER_SECONDS, self._transport.abort)
        if self._at_end:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._paused:
            self._transport.resume_reading()

    def _send(self) -> None:
        self._unsent = 0
        for complaint in self._session.complaints:
            self._clients.tell(complaint.offence, self, complaint.words)
        self._session.complaints.clear()
        data = self._session.data_to_send()
        if data:
            self._transport.write(data)

    def _employ(self, call: Call, steps: Steps, result: object = None, problem: BaseException | None = None) -> None:
        """Have a worker thread perform a call, or go on with it after waiting."""
        clients = self._clients
        performers = clients.searchers if call.never_blocks else clients.workers
        workers = performers if call.is_read else clients.readers
        workers.submit(partial(self._work, call, steps, result, problem))

    def _work(self, call: Call, steps: Steps, result: object, problem: BaseException | None) -> None:
        """In a worker thread."""
        try:
            waited = _step(steps, result, problem)
        except BaseException as failure:  # a method must not end the thread, not even with SystemExit
            self._clients.loop.post(self._break, failure)
        else:
            self._clients.loop.post(self._stepped, call, steps, waited)

    def _wait(self, call: Call, steps: Steps, waited: Any) -> None:
        """Go on with a call when what it waits for is there."""
        if waited is IN_WORKER:
            self._employ(call, steps)
            return
        loop = self._clients.loop
        if not hasattr(waited, "add_done_callback"):
            waited = loop.spawn(_completed(waited))
        waited.add_done_callback(partial(self._go_on, call, steps))

    def _go_on(self, call: Call, steps: Steps, done: Deferred) -> None:
        """What a call waits for is there. In any thread, and perhaps before `_wait` has returned."""
        loop = self._clients.loop
        if self._performing or not loop.is_here():
            loop.post(self._resume, call, steps, done)
        else:  # a turn of the loop less, which is 2 microseconds of a registration
            self._resume(call, steps, done)

    def _resume(self, call: Call, steps: Steps, done: Deferred) -> None:
        result, problem = _outcome(done)
        if not call.inline:
            self._employ(call, steps, result, problem)
            return
        try:
            waited = _step(steps, result, problem)
        except Exception as failure:
            self._break(failure)
        else:
            self._stepped(call, steps, waited)

    def _stepped(self, call: Call, steps: Steps, waited: object) -> None:
        """A call has come as far as it can: to something to wait for, or to its end."""
        if waited is not None:
            self._wait(call, steps, waited)
            if self._session.read(call):
                self._advance()
            return
        self._detached -= call.detached
        if self._lost:
            self._close_session()  # drops the stream that this call may have opened
            return
        self._finish(call)
        self._advance()

    def _break(self, problem: BaseException) -> None:
        """Close the connection because of an error that is no client's and no method's own."""
        log.error("closing the connection from %s after an error", self._session.peer.remote, exc_info=problem)
        self.abort()

    def _close_session(self) -> None:
        if self._session.peer.streams:  # to close them may run code of users
            self._clients.workers.submit(self._session.close)
        else:
            self._session.close()


def _harmless(words: str) -> str:
    """Words of a stranger as one line for a terminal."""
    return words if words.isprintable() else ascii(words)[1:-1]


def _step(steps: Steps, result: object, problem: BaseException | None) -> object:
    """Perform a call up to the next thing to wait for; None when it is done."""
    try:
        return steps.send(result) if problem is None else steps.throw(problem)
    except StopIteration:
        return None


async def _completed(awaitable: Awaitable[T]) -> T:
    try:
        return await awaitable
    except SystemExit as problem:  # it would end the loop, and so the server
        raise PyroError(f"the method tried to exit: {problem!r}") from problem


def _outcome(done: Deferred) -> tuple[object, Exception | None]:
    """What has been waited for: the result, or the exception."""
    try:
        return done.result(), None
    except Exception as problem:
        return None, problem
    except BaseException as problem:  # a task that was cancelled or interrupted
        return None, PyroError(f"the call was cancelled: {problem!r}")
