"""Requests that are made of several streams at a time, on both networks."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pyronym.client import blocking
from pyronym.client.aio.network import LOOP, LoopStream
from pyronym.client.blocking import BLOCKING, SocketStream
from pyronym.client.deadline import ENDLESS, Deadline
from pyronym.client.network import run
from pyronym.errors import NotSentError, TimeoutError
from pyronym.rpc.client import ClientSession
from pyronym.settings import Settings
from pyronym.wire.message import PYRO4

PATIENCE = 10.0
MUCH = b"x" * 50_000_000
"""More than sockets hold while nobody reads."""
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A socket for the stream, and the other end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def session() -> ClientSession:
    """One that waits for an answer."""
    session = ClientSession(PYRO4, "there", Settings())
    session.ping()
    return session


def test_a_stream_tells_whether_anything_has_come(pair: Pair) -> None:
    stream = SocketStream(pair[0], "there")
    run(stream.ask(session(), b"a call", ENDLESS))
    assert not stream.heard()
    pair[1].send(b"PYRO")
    assert run(BLOCKING.first_answer([stream], 0.0)) is None
    assert stream.heard()
    assert not stream.heard()


def test_a_stream_on_a_loop_tells_whether_anything_has_come(pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: LoopStream("there"), sock=pair[0])
        await stream.ask(session(), b"a call", ENDLESS)
        assert not stream.heard()
        pair[1].send(b"PYRO")
        async with asyncio.timeout(PATIENCE):
            while not stream.heard():
                await LOOP.first_answer([stream], 0.01)
        assert not stream.heard()
        stream.close()

    asyncio.run(main())


class Endless:
    """A stream on which more and more comes, and never an answer."""

    def __init__(self, descriptor: int) -> None:
        self.taken = 0
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def take(self) -> None:
        self.taken += 1
        assert self.taken < 1000


def test_the_time_for_an_answer_ends_also_while_more_and_more_comes() -> None:
    descriptor = os.open("/dev/zero", os.O_RDONLY)
    try:
        stream: Any = Endless(descriptor)
        assert run(BLOCKING.first_answer([stream], 0.0)) is None
        assert stream.taken == 1
    finally:
        os.close(descriptor)


def test_a_stream_that_does_not_take_a_request_in_time_counts_as_lost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "SENDING", 0.05)
    stream = SocketStream(pair[0], "there")
    run(stream.ask(session(), MUCH, ENDLESS))
    with pytest.raises(NotSentError, match="sending: connection lost: there: timed out"):
        run(BLOCKING.first_answer([stream], None))


def test_a_request_that_cannot_be_sent_until_the_deadline_is_late(pair: Pair) -> None:
    stream = SocketStream(pair[0], "there")
    with pytest.raises(TimeoutError, match="timed out"):
        run(stream.ask(session(), MUCH, Deadline(0.05)))
