from __future__ import annotations

import asyncio
import errno
import gc
import logging
import socket
from collections.abc import Iterator

import pytest
from serving import PATIENCE, RawClient, address_of

from pyronym.server import accepting
from pyronym.server.accepting import Acceptor
from pyronym.server.daemon import Daemon
from pyronym.server.loop import ServerLoop


class Troubled(socket.socket):
    """A listening socket whose `accept` fails as it is told to."""

    troubles: list[int]

    def accept(self) -> tuple[socket.socket, object]:
        if self.troubles:
            raise OSError(self.troubles.pop(0), "trouble")
        return super().accept()


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"welcome")
        transport.close()


@pytest.fixture
def loop() -> Iterator[ServerLoop]:
    loop = ServerLoop()
    yield loop
    loop.close()


@pytest.fixture
def listening() -> Iterator[Troubled]:
    with Troubled() as sock:
        sock.troubles = []
        sock.bind(("127.0.0.1", 0))
        sock.listen(100)
        yield sock


def greeting(loop: ServerLoop, clients: list[socket.socket]) -> list[bytes]:
    """What each client hears; the loop runs meanwhile."""

    async def hear() -> list[bytes]:
        for client in clients:
            client.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            return [await loop.sock_recv(client, 100) for client in clients]

    heard = loop.complete(hear())
    for client in clients:
        client.close()
    return heard


def connect(listening: socket.socket, count: int) -> list[socket.socket]:
    return [socket.create_connection(listening.getsockname(), timeout=PATIENCE) for _ in range(count)]


def test_all_who_wait_are_accepted_also_if_they_are_more_than_one_round_takes(
    loop: ServerLoop, listening: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "ACCEPT_AT_ONCE", 3)
    acceptor = Acceptor(loop, listening, Greeter)
    assert greeting(loop, connect(listening, 10)) == [b"welcome"] * 10
    acceptor.close()


def test_without_room_for_clients_it_says_so_once_and_goes_on_after_a_pause(
    loop: ServerLoop, listening: Troubled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.05)
    listening.troubles = [errno.EMFILE] * 3
    acceptor = Acceptor(loop, listening, Greeter)
    with caplog.at_level(logging.ERROR):
        assert greeting(loop, connect(listening, 2)) == [b"welcome"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        f"cannot accept clients, trying again every 0.05 s: [Errno {errno.EMFILE}] trouble"
    ]
    acceptor.close()


def test_a_client_that_gave_up_waiting_is_passed_over(
    loop: ServerLoop, listening: Troubled, caplog: pytest.LogCaptureFixture
) -> None:
    listening.troubles = [errno.ECONNABORTED]
    acceptor = Acceptor(loop, listening, Greeter)
    assert greeting(loop, connect(listening, 1)) == [b"welcome"]
    assert caplog.records == []
    acceptor.close()


def test_closing_in_the_pause_ends_it(
    loop: ServerLoop, listening: Troubled, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.05)
    listening.troubles = [errno.ENFILE]
    acceptor = Acceptor(loop, listening, Greeter)
    with socket.create_connection(listening.getsockname()):
        while listening.troubles:
            loop.turn()
        acceptor.close()
        loop.complete(asyncio.sleep(0.1))
    assert len(caplog.records) == 1  # of the trouble, none of what came after
    assert listening.fileno() == -1


def test_a_client_that_is_accepted_at_the_very_end_leaves_nothing_behind() -> None:
    with Daemon("127.0.0.1") as daemon:
        clients = [socket.create_connection(address_of(daemon), timeout=PATIENCE) for _ in range(3)]
        daemon._loop.call_soon(daemon._entrance._acceptors[0]._accept)
    del daemon
    gc.collect()  # a socket that was forgotten would warn
    for client in clients:
        assert client.recv(1) == b""
        client.close()


def test_a_client_that_comes_before_the_end_and_is_never_accepted_is_not_kept_waiting() -> None:
    with Daemon("127.0.0.1") as daemon:
        client = RawClient(daemon)
    assert client.is_closed()
    client.sock.close()


def test_who_has_left_without_a_word_is_not_welcomed(loop: ServerLoop, listening: Troubled) -> None:
    welcomed: list[Greeter] = []

    def new_protocol() -> Greeter:
        welcomed.append(Greeter())
        return welcomed[-1]

    gone, said = connect(listening, 2)
    gone.close()
    said.sendall(b"a word")
    said.shutdown(socket.SHUT_WR)
    acceptor = Acceptor(loop, listening, new_protocol)
    assert greeting(loop, [said, *connect(listening, 1)]) == [b"welcome"] * 2
    assert len(welcomed) == 2
    acceptor.close()
