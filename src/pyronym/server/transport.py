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
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Final, TypeVar, cast

from pyronym.errors import PyroError
from pyronym.rpc.call import IN_WORKER, Call, method_of
from pyronym.rpc.hosting import Deferred
from pyronym.rpc.session import ServerSession
from pyronym.server.access_log import noted
from pyronym.server.addresses import plain_address, unix_user
from pyronym.server.clients import Clients
from pyronym.server.limits import Phase
from pyronym.tls import subject_of
from pyronym.wire.straight import Begun

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

log = logging.getLogger(__name__)


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
        session = self._session
        answer = self._timed(data) if self._pulse.samples else session.receive_data(data)
        if answer:
            self._transport.write(answer)
        if session.begun is not None:
            self._wait_for_begun(session.begun)
            if self._writable and not session.held:
                return
        elif answer and self._writable:
            return
        if self._is_blocked():
            self._paused = True
            self._transport.pause_reading()
            self._clients.watch(self, self._phase())
        else:
            self._advance()
        if session.held:
            self._clients.took(len(data))

    def _timed(self, data: bytes) -> bytes:
        """What the session answers to `data` at once. How long that took is told."""
        lane = self._session.lane
        registered, batches = (0, 0) if lane is None else (lane.registered, lane.batches)
        began = time.perf_counter()
        answer = self._session.receive_data(data)
        if answer and lane is not None:
            self._pulse.sampled(lane, registered, batches, time.perf_counter() - began)
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
        waited.add_done_callback(partial(self._go_on, partial(self._resume, call, steps)))

    def _go_on(self, how: Callable[[Deferred], None], done: Deferred) -> None:
        """What a call waits for is there. In any thread, and perhaps while it is being asked for."""
        loop = self._clients.loop
        if self._performing or not loop.is_here():
            loop.post(how, done)
        else:  # a turn of the loop less, which is 2 microseconds of a registration
            how(done)

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

    def _wait_for_begun(self, begun: Begun) -> None:
        """Answer a call that the straight road has begun when what it waits for is there. It is not taken, stepped
        through and handed back like others, which saves a durable registration 5 of 7 microseconds.
        """
        self._session.begun = None
        began = time.perf_counter() if self._pulse.beats else None
        answer = partial(self._answer_begun, begun, began)
        cast(Deferred, begun.deferred).add_done_callback(partial(self._go_on, answer))

    def _answer_begun(self, begun: Begun, began: float | None, done: Deferred) -> None:
        if self._lost:
            return
        try:
            reply = self._session.finish_begun(_outcome(done)[1])
            if isinstance(reply, Call):
                reply.began = began
                steps = reply.run()
                self._stepped(reply, steps, next(steps, None))
                return
            self._transport.write(reply)
        except Exception as failure:
            self._break(failure)
            return
        if began is not None:
            self._pulse.latencies[method_of(begun)].add(time.perf_counter() - began)
        if self._paused or self._at_end or self._clients.leaving:  # it is paused if anything waits behind this call
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
