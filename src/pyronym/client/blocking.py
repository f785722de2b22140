"""The network of the blocking client: sockets with timeouts."""

from __future__ import annotations

import builtins
import select
import socket
import ssl
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final, TypeVar

from pyronym.client.connection import late, lost
from pyronym.client.deadline import ENDLESS, Deadline, in_thread
from pyronym.client.network import RECEIVE_SIZE, Tls, has_input
from pyronym.errors import ConnectionClosedError, NotSentError, TimeoutError
from pyronym.rpc.client import Answer, ClientSession

T = TypeVar("T")

SENDING: Final = 5.0
"""Seconds that the request of a call may take to be sent where other nodes can be asked instead."""


class SocketStream:
    """A stream on a blocking socket. Not thread-safe.

    `exchange_now` and `send_now` are for the proxy: a call takes it 6 us, of which two coroutines would be one.
    """

    def __init__(self, sock: socket.socket, location: str) -> None:
        self.family = int(sock.family)
        self._sock = sock
        self._location = location
        self._session: ClientSession | None = None  # whose answer is to be taken
        self._unsent: BaseException | None = None  # why not all of the request could be sent
        self._limited = True  # whether the socket has a timeout, as far as is known
        self._heard = False  # whether anything has come since somebody asked for that

    async def exchange(self, session: ClientSession, data: bytes, deadline: Deadline) -> Answer:
        """As Stream says."""
        return self.exchange_now(session, data, deadline)

    async def send(self, data: bytes, deadline: Deadline) -> None:
        """As Stream says."""
        self.send_now(data, deadline)

    def send_now(self, data: bytes, deadline: Deadline) -> None:
        """As `send`."""
        try:
            if self._limited or deadline is not ENDLESS:
                self._limit(deadline)
            self._sock.sendall(data)
        except builtins.TimeoutError as problem:
            raise late("sending", self._location) from problem
        except OSError as problem:
            raise lost("sending", self._location, problem, NotSentError) from problem

    def exchange_now(self, session: ClientSession, data: bytes, deadline: Deadline) -> Answer:
        """As `exchange`."""
        self._ask(data, deadline)
        while (answer := session.next_answer()) is None:
            session.receive_data(self._receive(deadline))
        return answer

    async def ask(self, session: ClientSession, data: bytes, deadline: Deadline) -> None:
        """As Stream says."""
        self._session, self._heard = session, False
        try:
            self._ask(data, deadline.within(SENDING))
        except TimeoutError as problem:
            deadline.left()  # raises if it was this that has passed
            self._keep(problem)
            self.interrupt()  # so that it counts as lost

    def _ask(self, data: bytes, deadline: Deadline) -> None:
        try:
            self.send_now(data, deadline)
        except NotSentError as problem:
            self._keep(problem)

    def _keep(self, problem: BaseException) -> None:
        # Without its traceback, whose frames have this stream: until they are found, they would keep the socket.
        self._unsent = (problem.__cause__ or problem).with_traceback(None)

    def take(self) -> Answer | None:
        """The answer to what was asked last, if it has arrived. Raises as `exchange`."""
        assert self._session is not None, "something was asked"
        try:
            self._session.receive_data(self._receive(None))
        except TimeoutError:
            return None
        self._heard = True
        return self._session.next_answer()

    def heard(self) -> bool:
        """As Stream says."""
        heard, self._heard = self._heard, False
        return heard

    def _receive(self, deadline: Deadline | None) -> bytes:
        """What arrives until then; None: what is here already."""
        try:
            if self._limited or deadline is not ENDLESS:
                self._limit(deadline)
            data = self._sock.recv(RECEIVE_SIZE)
        except (builtins.TimeoutError, BlockingIOError, ssl.SSLWantReadError) as problem:
            raise late("receiving", self._location) from problem
        except OSError as problem:
            raise self._lost(problem) from self._unsent or problem
        if not data:
            raise self._lost(None) from self._unsent
        return data

    def _lost(self, problem: OSError | None) -> ConnectionClosedError:
        if self._unsent is None:
            return lost("receiving", self._location, problem)
        return lost("sending", self._location, self._unsent, NotSentError)

    def _limit(self, deadline: Deadline | None) -> None:
        left = 0.0 if deadline is None else deadline.left()
        self._sock.settimeout(left)
        self._limited = left is not None

    def fileno(self) -> int:
        """The descriptor of the socket, below 0 when it is closed."""
        return self._sock.fileno()

    def ended(self) -> bool:
        """As Stream says."""
        return self.fileno() < 0 or has_input(self.fileno())

    def close(self) -> None:
        """Close the socket. May be called again."""
        self._sock.close()

    def interrupt(self) -> None:
        """Have whatever thread waits for it see its end."""
        with suppress(OSError):  # it has ended
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __del__(self) -> None:
        # Proxies are dropped without being released: that is how Pyro programs are written.
        self._sock.close()


class BlockingNetwork:
    """As Network says, with methods that block and never suspend."""

    async def connect(
        self, sock: socket.socket, address: Any, tls: Tls | None, location: str, deadline: Deadline
    ) -> SocketStream:
        """As Network says."""
        try:
            sock.settimeout(deadline.left())
            sock.connect(address)
            if tls is not None:
                sock.settimeout(deadline.left())
                sock = tls.context.wrap_socket(sock, server_hostname=tls.host)
        except BaseException:
            sock.close()
            raise
        return SocketStream(sock, location)

    async def in_thread(self, function: Callable[[], T], deadline: Deadline) -> T:
        """As Network says."""
        left = deadline.left()
        if left is None:
            return function()
        try:
            return in_thread(function).result(left)
        except builtins.TimeoutError:
            raise TimeoutError("timed out") from None

    async def first_answer(
        self, streams: Collection[SocketStream], seconds: float | None
    ) -> tuple[SocketStream, Answer] | None:
        """As Network says."""
        end = None if seconds is None else time.monotonic() + seconds
        waiting = {stream.fileno(): stream for stream in streams}
        poll = select.poll()
        for descriptor in waiting:
            poll.register(descriptor, select.POLLIN)
        while ready := poll.poll(None if end is None else max(0.0, end - time.monotonic()) * 1000):
            for descriptor, _ in ready:
                stream = waiting[descriptor]
                try:
                    answer = stream.take()
                except ConnectionClosedError:
                    poll.unregister(descriptor)
                    del waiting[descriptor]
                    if not waiting:
                        raise
                else:
                    if answer is not None:
                        return stream, answer
            if end is not None and time.monotonic() >= end:  # poll does not say so while more and more comes
                break
        return None

    async def receive(self, sock: socket.socket, size: int, deadline: Deadline) -> tuple[bytes, Any]:
        """As Network says."""
        try:
            sock.settimeout(deadline.left())
            return sock.recvfrom(size)
        except builtins.TimeoutError:
            raise TimeoutError("timed out") from None
        finally:
            sock.setblocking(False)


BLOCKING: Final = BlockingNetwork()
