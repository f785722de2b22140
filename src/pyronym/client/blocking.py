"""The network of the blocking client: sockets with timeouts."""

from __future__ import annotations

import builtins
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from pyronym.client.connection import late, lost
from pyronym.client.deadline import ENDLESS, Deadline, in_thread
from pyronym.client.network import RECEIVE_SIZE, Tls, has_input
from pyronym.errors import ConnectionClosedError, NotSentError, TimeoutError
from pyronym.rpc.client import Answer, ClientSession

T = TypeVar("T")


class SocketStream:
    """A stream on a blocking socket. Not thread-safe.

    `exchange_now` and `send_now` are for the proxy: a call takes it 6 us, of which two coroutines would be one.
    """

    def __init__(self, sock: socket.socket, location: str) -> None:
        self.family = int(sock.family)
        self._sock = sock
        self._location = location
        self._limited = True  # whether the socket has a timeout, as far as is known

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
        unsent = None
        try:
            self.send_now(data, deadline)
        except NotSentError as problem:
            unsent = problem  # a daemon that refuses a request may close before it has read all; its answer says why
        try:
            while (answer := session.next_answer()) is None:
                session.receive_data(self._receive(deadline))
        except ConnectionClosedError:
            if unsent is None:
                raise
            try:
                raise unsent from unsent.__cause__
            finally:
                unsent = None  # its traceback has this frame: until they are found, they would keep the socket
        return answer

    def _receive(self, deadline: Deadline) -> bytes:
        try:
            if self._limited or deadline is not ENDLESS:
                self._limit(deadline)
            data = self._sock.recv(RECEIVE_SIZE)
        except builtins.TimeoutError as problem:
            raise late("receiving", self._location) from problem
        except OSError as problem:
            raise lost("receiving", self._location, problem) from problem
        if not data:
            raise lost("receiving", self._location)
        return data

    def _limit(self, deadline: Deadline) -> None:
        left = deadline.left()
        self._sock.settimeout(left)
        self._limited = left is not None

    def ended(self) -> bool:
        """As Stream says."""
        return self._sock.fileno() < 0 or has_input(self._sock.fileno())

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
