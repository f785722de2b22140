"""The broadcast responder, asked by plain UDP sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from serving import PATIENCE

from pyronym.rpc.offences import Offence
from pyronym.server import broadcast
from pyronym.server.broadcast import BroadcastServer
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings
from pyronym.uri import URI

QUESTION = b"GET_NSURI"
FIXED = "PYRO:Pyro.NameServer@ns.example:9090"
EVERYWHERE = "PYRO:Pyro.NameServer@0.0.0.0:9090"


@pytest.fixture
def asking() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        yield sock


def ask(asking: socket.socket, responder: BroadcastServer, host: str = "127.0.0.1") -> str:
    """Ask, let the responder answer, and give the answer."""
    asking.sendto(QUESTION, (host, responder.getPort()))
    assert select.select([responder], [], [], PATIENCE)[0]
    responder.processRequest()
    return asking.recv(200).decode("ascii")


def test_it_answers_with_the_uri(asking: socket.socket) -> None:
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        assert ask(asking, responder) == FIXED
        assert responder.locationStr == f"127.0.0.1:{responder.getPort()}"
        assert responder.nsUri == URI(FIXED)


@pytest.mark.parametrize("asked_at", ["127.0.0.1", "127.0.0.5"])
def test_a_uri_for_all_interfaces_is_answered_with_the_one_asked(asking: socket.socket, asked_at: str) -> None:
    with BroadcastServer(URI(EVERYWHERE), "", 0) as responder:
        assert ask(asking, responder, asked_at) == f"PYRO:Pyro.NameServer@{asked_at}:9090"
        assert responder.nsUri == URI(EVERYWHERE)


def test_a_broadcast_is_answered_with_the_address_that_leads_to_the_asker(asking: socket.socket) -> None:
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    with BroadcastServer(URI(EVERYWHERE), "", 0) as responder:
        assert ask(asking, responder, "127.255.255.255") == "PYRO:Pyro.NameServer@127.0.0.1:9090"


def test_where_the_system_does_not_tell_the_interface_the_route_to_the_asker_does(
    asking: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "_IP_PKTINFO", None)
    with BroadcastServer(URI(EVERYWHERE), "", 0) as responder:
        assert ask(asking, responder, "127.0.0.5") == "PYRO:Pyro.NameServer@127.0.0.1:9090"


@pytest.mark.parametrize(("uri", "ipv6"), [("PYRO:Pyro.NameServer@[::]:9090", False), (EVERYWHERE, True)])
def test_an_ipv6_responder_hears_both_ip_versions(asking: socket.socket, uri: str, ipv6: bool) -> None:
    with BroadcastServer(URI(uri), None, 0, ipv6=ipv6) as responder:
        assert responder.locationStr == f"[::]:{responder.getPort()}"
        assert ask(asking, responder) == "PYRO:Pyro.NameServer@127.0.0.1:9090"
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
            other.settimeout(PATIENCE)
            assert ask(other, responder, "::1") == "PYRO:Pyro.NameServer@[::1]:9090"


@pytest.mark.parametrize(
    "garbage", [b"", b"GET_NSUR", b"GET_NSURI ", b"GET_NSURI\0", b"get_nsuri", b"GET_NSURI" * 50, b"\xff" * 60_000]
)
def test_garbage_is_ignored(asking: socket.socket, garbage: bytes) -> None:
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        asking.sendto(garbage, ("127.0.0.1", responder.getPort()))
        assert select.select([responder], [], [], PATIENCE)[0]
        responder.processRequest()
        assert ask(asking, responder) == FIXED
        asking.setblocking(False)
        with pytest.raises(BlockingIOError):
            asking.recv(200)


def test_without_a_question_processing_returns_at_once() -> None:
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        responder.processRequest()


def test_an_asker_that_has_gone_is_no_problem() -> None:
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        for _ in range(2):  # the second one may meet the refusal of the first answer
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
                gone.sendto(QUESTION, ("127.0.0.1", responder.getPort()))
            responder.processRequest()


def test_processing_after_closing_is_no_error() -> None:
    responder = BroadcastServer(URI(FIXED), "127.0.0.1", 0)
    responder.close()
    responder.close()
    responder.processRequest()
    assert responder.fileno() == -1


def test_a_thread_answers_until_it_is_closed(asking: socket.socket) -> None:
    responder = BroadcastServer(URI(FIXED), "127.0.0.1", 0)
    thread = responder.runInThread()
    assert thread.daemon
    for _ in range(3):
        asking.sendto(QUESTION, ("127.0.0.1", responder.getPort()))
        assert asking.recv(200) == FIXED.encode()
    responder.close()
    assert not thread.is_alive()


def test_a_daemon_serves_it_along_with_itself(asking: socket.socket) -> None:
    with Daemon("127.0.0.1") as daemon, BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        daemon.combine(responder)
        thread = threading.Thread(target=daemon.requestLoop)
        thread.start()
        asking.sendto(QUESTION, ("127.0.0.1", responder.getPort()))
        assert asking.recv(200) == FIXED.encode()
        responder.close()
        with BroadcastServer(URI(EVERYWHERE), "127.0.0.1", 0) as second:  # most likely with the same descriptor
            daemon.combine(second)
            asking.sendto(QUESTION, ("127.0.0.1", second.getPort()))
            assert asking.recv(200) == b"PYRO:Pyro.NameServer@127.0.0.1:9090"
        daemon.shutdown()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_an_asyncio_loop_serves_it(asking: socket.socket) -> None:
    async def main() -> None:
        with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
            responder.attach()
            loop = asyncio.get_running_loop()
            asking.sendto(QUESTION, ("127.0.0.1", responder.getPort()))
            assert await loop.run_in_executor(None, asking.recv, 200) == FIXED.encode()

    asyncio.run(main())


def test_host_and_port_come_from_the_settings() -> None:
    settings = replace(Settings(), ns_bchost="127.0.0.3", ns_bcport=0)
    with BroadcastServer(URI(FIXED), settings=settings) as responder:
        assert responder.sock.getsockname() == ("127.0.0.3", responder.getPort())
    with BroadcastServer(URI(FIXED), "127.0.0.4", settings=settings) as responder:
        assert responder.sock.getsockname()[0] == "127.0.0.4"


def test_the_address_is_shared_only_if_the_settings_say_so() -> None:
    alone = replace(Settings(), sock_reuse=False)
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0, settings=alone) as responder:
        where = rf"cannot listen on 127\.0\.0\.1:{responder.getPort()}: "
        with pytest.raises(OSError, match=where) as failure:
            BroadcastServer(URI(FIXED), "127.0.0.1", responder.getPort(), settings=alone)
        assert failure.value.errno == errno.EADDRINUSE
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        BroadcastServer(URI(FIXED), "127.0.0.1", responder.getPort()).close()


def test_it_leaves_no_descriptors_behind() -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = opened()
    for _ in range(5):
        with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
            responder.runInThread()
        with pytest.raises(OSError, match="cannot listen"):
            BroadcastServer(URI(FIXED), "192.0.2.1", 0)
    if Path("/proc/self/fd").exists():
        assert opened() == before


def several(responder: BroadcastServer, asking: socket.socket, datagrams: list[bytes]) -> list[bytes]:
    """What is answered to these datagrams."""
    for data in datagrams:
        asking.sendto(data, ("127.0.0.1", responder.getPort()))
        responder.processRequest()
    asking.setblocking(False)
    answers = []
    with suppress(BlockingIOError):
        while True:
            answers.append(asking.recv(200))
    return answers


def test_each_source_is_answered_so_often_and_no_more(asking: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "ANSWERS_AT_ONCE", 5)
    monkeypatch.setattr(broadcast, "ANSWERS_PER_SECOND", 0.0)
    with BroadcastServer(URI(FIXED), "", 0) as responder, socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))
        assert several(responder, asking, [QUESTION] * 20) == [FIXED.encode()] * 5
        assert several(responder, other, [QUESTION] * 3) == [FIXED.encode()] * 3
        assert responder.offences.counts[Offence.DATAGRAMS] == 15


def test_nobody_is_sent_more_packets_than_were_sent_in_his_name_and_none_is_large(asking: socket.socket) -> None:
    """Whoever sends questions in the name of another gains little: less than twice the bytes, with the headers."""
    headers = 28
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        answers = several(responder, asking, [QUESTION] * 10)
    assert len(answers) == 10
    assert all(len(answer) + headers < 2 * (len(QUESTION) + headers) for answer in answers)


def test_what_is_not_answered_is_counted_and_logged_once(
    asking: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    with BroadcastServer(URI(FIXED), "", 0) as responder, socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))  # a sender is easily made up: another one is no reason for another line
        assert several(responder, asking, [b"garbage"] * 10) == []
        assert several(responder, other, [b"\x1b[2J"] * 10) == []
        assert responder.offences.counts[Offence.BROKEN_DATAGRAM] == 20
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "broadcast server: ignoring a datagram from 127.0.0.1: broken datagram"
    ]


def test_the_thread_rests_when_datagrams_come_too_fast(asking: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "DATAGRAMS_AT_ONCE", 3)
    monkeypatch.setattr(broadcast, "DATAGRAMS_PER_SECOND", 0.0)
    with BroadcastServer(URI(FIXED), "127.0.0.1", 0) as responder:
        for _ in range(10):
            asking.sendto(QUESTION, ("127.0.0.1", responder.getPort()))
        thread = responder.runInThread()
        assert [asking.recv(200) for _ in range(3)] == [FIXED.encode()] * 3
        asking.settimeout(0.2)  # in which the seven others would be answered
        with pytest.raises(TimeoutError):
            asking.recv(200)
        responder.close()
        assert not thread.is_alive(), "it can be stopped while it rests"
