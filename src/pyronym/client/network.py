"""The edge of the client room: all that it asks of the network.

What is decided on the way to an answer (whom to try, in which order, for how long, what to do when it fails) is written
once, in coroutines that wait for nothing but what is here. The blocking client gives them a `Network` whose methods
block and so never suspend them: `run` has the outcome after a single step. That of `pyronym.aio` waits on the loop.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable, Collection, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from pyronym.client.deadline import Deadline
from pyronym.rpc.client import Answer, ClientSession

T = TypeVar("T")
S = TypeVar("S", bound="Stream")

RECEIVE_SIZE = 65536
"""Bytes that are asked of a socket at once."""


class Tls(NamedTuple):
    """How to speak TLS, and the host that the certificate must name."""

    context: ssl.SSLContext
    host: str


class Stream(Protocol):
    """A connected socket. One request at a time; after any error it is closed or has to be."""

    family: int

    async def exchange(self, session: ClientSession, data: bytes, deadline: Deadline) -> Answer:
        """The answer to a request of `session`.

        Raises NotSentError if the request cannot have arrived in full, ConnectionClosedError if the stream ends after
        that, TimeoutError at the deadline, or as the session's `next_answer`.
        """
        ...

    async def ask(self, session: ClientSession, data: bytes, deadline: Deadline) -> None:
        """Send a request of `session`, for `Network.first_answer`. TimeoutError at the deadline.

        If it cannot be sent, or takes too long, that is raised where the answer is waited for: a daemon that refuses a
        request may close before it has read all, and its answer says why.
        """
        ...

    def heard(self) -> bool:
        """Whether anything has come since this was asked last, or since the request was made by `ask`."""
        ...

    async def send(self, data: bytes, deadline: Deadline) -> None:
        """Send a request that has no answer. NotSentError, or TimeoutError at the deadline."""
        ...

    def ended(self) -> bool:
        """Whether it cannot be used any more. To be asked between requests: then nothing but its end can arrive."""
        ...

    def close(self) -> None:
        """Close it at once. May be called again."""
        ...


class Network(Protocol[S]):
    """What makes streams, and waits for what else has to be waited for."""

    async def connect(
        self, sock: socket.socket, address: Any, tls: Tls | None, location: str, deadline: Deadline
    ) -> S:  # the form of an address is that of the family
        """The stream of `sock`, connected and with its TLS handshake done; `location` is for the words of its errors.

        Raises OSError, which Python's TimeoutError is that it raises at the deadline; the socket is closed then.
        """
        ...

    async def in_thread(self, function: Callable[[], T], deadline: Deadline) -> T:
        """What a function gives or raises that blocks and knows no time limit. TimeoutError at the deadline."""
        ...

    async def first_answer(self, streams: Collection[S], seconds: float | None) -> tuple[S, Answer] | None:
        """The first answer to the requests that were made by `Stream.ask`; None if there is none after `seconds`.

        Streams that get lost are passed over. Raises what `Stream.exchange` would when all of them have, or for an
        answer that is none.
        """
        ...

    async def receive(self, sock: socket.socket, size: int, deadline: Deadline) -> tuple[bytes, Any]:
        """The next datagram of a socket that does not block, and the address of its sender. TimeoutError at the
        deadline.
        """
        ...


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives or raises that is given blocking things only to await."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        outcome: T = end.value
        return outcome
    coroutine.close()
    raise AssertionError("it waits for something that does not block")


def has_input(descriptor: int) -> bool:
    """Whether a socket has something to be read, its end included."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
