"""The network of a client on an event loop: asyncio's, or any that is like it."""

from __future__ import annotations

import asyncio
import builtins
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar, cast

from pyronym.client.connection import late, lost
from pyronym.client.deadline import Deadline, in_thread
from pyronym.client.network import Tls, has_input
from pyronym.errors import ConnectionClosedError, NotSentError, TimeoutError
from pyronym.rpc.client import Answer, ClientSession

T = TypeVar("T")

_FAREWELL: Final = 1.0
"""Seconds that the end of a connection may take: TLS says goodbye and waits for the other side to do so."""


class LoopStream(asyncio.Protocol):
    """A stream on an event loop. A request that is cancelled closes it: an answer that comes late meets nobody."""

    family: int

    def __init__(self, location: str) -> None:
        self._location = location
        self._transport: asyncio.Transport
        self._loop = asyncio.get_running_loop()
        self._closed = self._loop.create_future()
        self._session: ClientSession | None = None  # whose answer is waited for
        self._answer: asyncio.Future[Answer] | None = None
        self._sent: asyncio.Future[None] | None = None  # there while bytes wait to be sent
        self._connected = self._ended = False
        self._heard = False  # whether anything has come since somebody asked for that

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are such, but not by their class
        self.family = int(transport.get_extra_info("socket").family)
        self._transport.set_write_buffer_limits(high=0)  # so that we know whether anything waits to be sent
        self._connected = True
        if self._ended:  # nobody wants it any more
            self.close()

    def pause_writing(self) -> None:
        """Some bytes have to wait."""
        self._sent = self._loop.create_future()

    def resume_writing(self) -> None:
        """All bytes are with the system."""
        sent, self._sent = self._sent, None
        if sent is not None and not sent.done():
            sent.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer, and the answer when it is complete."""
        self._heard = True
        answer, session = self._answer, self._session
        if answer is None or session is None or answer.done():
            self.close()  # nothing was asked
            return
        try:
            session.receive_data(data)
            complete = session.next_answer()
        except Exception as problem:  # raised again where the answer is waited for
            answer.set_exception(problem)
        else:
            if complete is not None:
                answer.set_result(complete)

    def eof_received(self) -> None:
        """Nothing more comes. What waits to be sent must not go out any more: nobody will hear what came of it."""
        self._end(None)
        self._transport.abort()

    def connection_lost(self, problem: Exception | None) -> None:
        """The end."""
        self._end(problem)
        if not self._closed.done():
            self._closed.set_result(None)

    def _end(self, problem: Exception | None) -> None:
        self._ended = True
        if self._sent is not None:
            error = lost("sending", self._location, problem, NotSentError)
        else:
            error = lost("receiving", self._location, problem)
        error.__cause__ = problem
        for waiting in (self._sent, self._answer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
                _see(waiting)

    # What the core calls

    async def exchange(self, session: ClientSession, data: bytes, deadline: Deadline) -> Answer:
        """As Stream says."""
        answer = self._answer_to(session)
        try:
            async with self._transmitting(data, "receiving", deadline):
                return await answer
        finally:
            self._answer = None
            _see(answer)

    async def ask(self, session: ClientSession, data: bytes, deadline: Deadline) -> None:
        """As Stream says."""
        answer = self._answer_to(session)
        self._heard = False
        if self._ended:
            answer.set_exception(lost("sending", self._location, None, NotSentError))
        else:
            self._transport.write(data)

    def heard(self) -> bool:
        """As Stream says."""
        heard, self._heard = self._heard, False
        return heard

    def _answer_to(self, session: ClientSession) -> asyncio.Future[Answer]:
        self._session, self._answer = session, self._loop.create_future()
        return self._answer

    @property
    def answer(self) -> asyncio.Future[Answer]:
        """That to what was asked last."""
        assert self._answer is not None, "something was asked"
        return self._answer

    async def send(self, data: bytes, deadline: Deadline) -> None:
        """As Stream says."""
        async with self._transmitting(data, "sending", deadline):
            if self._sent is not None:
                await self._sent

    @asynccontextmanager
    async def _transmitting(self, data: bytes, doing: str, deadline: Deadline) -> AsyncIterator[None]:
        """Send `data`, and close the stream if what follows fails."""
        if self._ended:
            raise lost("sending", self._location, None, NotSentError)
        try:
            async with asyncio.timeout(deadline.left()):
                self._transport.write(data)
                yield
        except builtins.TimeoutError:
            self.close()
            raise late(doing, self._location) from None
        except BaseException:  # also when it is cancelled: an answer may be under way
            self.close()
            raise

    def ended(self) -> bool:
        """As Stream says."""
        return self._ended or has_input(self._transport.get_extra_info("socket").fileno())

    def close(self) -> None:
        """Close it at once. May be called again."""
        self._ended = True
        if self._answer is not None:
            _see(self._answer)
        if self._connected:
            self._transport.abort()

    def close_soon(self) -> None:
        """Close it, from whatever thread; nothing happens when its loop is closed."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.close)

    async def finish(self) -> None:
        """Close it in good order, which takes a moment at most."""
        self._ended = True
        self._transport.close()
        with suppress(builtins.TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await asyncio.shield(self._closed)
        self._transport.abort()


def _see(future: asyncio.Future[Any]) -> None:
    """Look at the outcome of a future that perhaps nobody waits for any more; asyncio complains of the others."""
    if future.done() and not future.cancelled():
        future.exception()


async def reach(sock: socket.socket, address: Any) -> None:
    """Connect a socket, on the running loop. OSError, in the system's words.

    Not by the loop's `sock_connect`: what that says does not tell what went wrong, and uvloop's takes no zones.
    """
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    problem = sock.connect_ex(address)
    if problem == errno.EINPROGRESS:
        await _ready(loop.add_writer, loop.remove_writer, sock)
        problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if problem:
        raise OSError(problem, os.strerror(problem))


async def _ready(add: Callable[..., object], remove: Callable[..., object], sock: socket.socket) -> None:
    """Wait until a loop, watching by these methods of it, finds that a socket is ready."""
    event = asyncio.Event()
    add(sock, event.set)
    try:
        await event.wait()
    finally:
        remove(sock)


class LoopNetwork:
    """As Network says, on the running loop."""

    async def connect(
        self, sock: socket.socket, address: Any, tls: Tls | None, location: str, deadline: Deadline
    ) -> LoopStream:
        """As Network says."""
        loop = asyncio.get_running_loop()
        stream = LoopStream(location)
        context, host = tls or (None, None)
        reached = False
        try:
            async with asyncio.timeout(deadline.left()):
                await reach(sock, address)
                reached = True
                if sock.family == socket.AF_UNIX:
                    await loop.create_unix_connection(lambda: stream, sock=sock)
                else:
                    await loop.create_connection(lambda: stream, sock=sock, ssl=context, server_hostname=host)
                return stream
        except BaseException as problem:
            if reached:  # a transport has the socket, and would know its descriptor when that is another's
                stream.close()
            else:
                sock.close()
            if isinstance(problem, builtins.TimeoutError) and not problem.args:
                raise builtins.TimeoutError("timed out") from None
            raise

    async def in_thread(self, function: Callable[[], T], deadline: Deadline) -> T:
        """As Network says."""
        outcome = asyncio.wrap_future(in_thread(function))
        try:
            async with asyncio.timeout(deadline.left()):
                return await outcome
        except builtins.TimeoutError:
            raise TimeoutError("timed out") from None

    async def first_answer(
        self, streams: Collection[LoopStream], seconds: float | None
    ) -> tuple[LoopStream, Answer] | None:
        """As Network says."""
        waiting = {stream.answer: stream for stream in streams}
        problem: ConnectionClosedError | None = None
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while waiting:
            left = None if end is None else max(0.0, end - loop.time())
            done, _ = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return None
            for answer in done:
                stream = waiting.pop(answer)
                try:
                    return stream, answer.result()
                except ConnectionClosedError as loss:
                    problem = loss
        assert problem is not None, "there was one for each stream"
        raise problem

    async def receive(self, sock: socket.socket, size: int, deadline: Deadline) -> tuple[bytes, Any]:
        """As Network says."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(deadline.left()):
                while True:
                    with suppress(BlockingIOError):
                        return sock.recvfrom(size)
                    await _ready(loop.add_reader, loop.remove_reader, sock)  # uvloop has no `sock_recvfrom`
        except builtins.TimeoutError:
            raise TimeoutError("timed out") from None


LOOP: Final = LoopNetwork()
