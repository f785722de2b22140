"""Connections under a daemon: order, bounds, and clients that behave badly. The client is a bare socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from serving import PATIENCE, RawClient, address_of, connected, serving

from pyronym.errors import PyroError
from pyronym.rpc.exposed import Members, expose, exposed_members, oneway
from pyronym.rpc.hosting import Hosted, LongWork, Peer
from pyronym.server import clients, transport
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings
from pyronym.wire.message import PYRO4, PYRO5, Flag, MessageType

SETTINGS = Settings()

BUFFERS = 32 * 1024 * 1024
"""Bytes that the system and the daemon together never keep for one client."""


@expose
class Target:
    """Methods of every kind, each under the control of the test."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.done: list[object] = []
        self.futures: list[Future[object]] = []

    def echo(self, value: object) -> object:
        self.done.append(value)
        return value

    def hold(self, value: object) -> object:
        self.entered.release()
        assert self.gate.wait(PATIENCE)
        self.done.append(value)
        return value

    async def hold_async(self, value: object) -> object:
        self.entered.release()
        await asyncio.to_thread(self.gate.wait, PATIENCE)
        return value

    async def fail_async(self) -> None:
        await asyncio.sleep(0)
        raise ValueError("from a coroutine")

    async def cancel_async(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def exit_async(self) -> None:
        raise SystemExit(3)

    def exit(self) -> None:
        raise SystemExit(3)

    def stop_iteration(self) -> None:
        raise StopIteration("no more")

    def future(self) -> Future[object]:
        self.futures.append(Future())
        self.entered.release()
        return self.futures[-1]

    def big(self, size: int) -> str:
        self.done.append(size)
        return "x" * size

    @oneway
    def note(self, value: object) -> None:
        self.hold(value)

    def count(self, limit: int) -> Iterator[int]:
        try:
            yield from range(limit)
        finally:
            self.entered.release()


class Inline(Hosted):
    """A way to host a Target as the name server is: on the loop itself."""

    inline = True
    per_call = False

    def __init__(self, target: Target) -> None:
        self._target = target

    def members(self, protocol: int) -> Members:
        return exposed_members(Target)

    def bind(self, peer: Peer) -> Target:
        return self._target


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def daemon(target: Target) -> Iterator[Daemon]:
    with serving(Daemon("127.0.0.1")) as daemon:
        daemon.register(target, "target")
        daemon._host_object("inline", target, Inline(target))
        yield daemon
        target.gate.set()


def entered(target: Target, times: int = 1) -> None:
    for _ in range(times):
        assert target.entered.acquire(timeout=PATIENCE)


@pytest.fixture
def no_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that clients do may be an error of the daemon."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# Order


@pytest.mark.parametrize("object_id", ["target", "inline"])
@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_pipelined_requests_are_answered_in_order(daemon: Daemon, object_id: str, protocol: int) -> None:
    with connected(daemon, object_id, protocol=protocol) as client:
        client.sock.sendall(b"".join(client.call_message("echo", [i], sequence=i) for i in range(300)))
        answers = [client.receive() for _ in range(300)]
    assert [(answer.sequence, client.value(answer)) for answer in answers] == [(i, i) for i in range(300)]


def test_a_single_call_does_not_wait_for_all_who_have_sent_many(
    daemon: Daemon, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "SLICE_SECONDS", 0.0)  # one call, and it is somebody else's turn
    with ExitStack() as stack:
        first, second, single, *greedy = (stack.enter_context(connected(daemon, "inline")) for _ in range(43))
        first.send("hold", "first")  # keeps the loop until the greedy have sent what they want
        entered(target)
        for client in greedy:
            client.sock.sendall(b"".join(client.call_message("echo", ["greedy"]) for _ in range(20)))
        second.send("hold", "second")
        target.gate.set()
        target.gate.clear()
        entered(target)
        single.send("echo", "single")
        target.gate.set()
        for client in greedy:
            for _ in range(20):
                client.receive()
    assert target.done.index("single") - target.done.index("second") < len(greedy)


@pytest.mark.parametrize("object_id", ["target", "inline"])
def test_a_whole_visit_may_come_in_one_packet_or_byte_by_byte(daemon: Daemon, object_id: str) -> None:
    for size in (10**6, 1):
        with RawClient(daemon, object_id) as client:
            visit = client.connect_message() + client.message(MessageType.PING, b"") + client.call_message("echo", [1])
            for start in range(0, len(visit), size):
                client.sock.sendall(visit[start : start + size])
            answers = [client.receive() for _ in range(3)]
        assert [answer.type for answer in answers] == [MessageType.CONNECT_OK, MessageType.PING, MessageType.RESULT]


@pytest.mark.parametrize("object_id", ["target", "inline"])
def test_a_call_whose_result_is_still_to_come_holds_back_the_answers_behind_it(
    daemon: Daemon, target: Target, object_id: str
) -> None:
    with connected(daemon, object_id) as client:
        client.send("future", sequence=1)
        client.send("echo", "second", sequence=2)
        entered(target)
        with connected(daemon, object_id) as other:
            assert other.call("echo", "other") == "other"
        assert target.done == ["other"]
        threading.Thread(target=target.futures[0].set_result, args=("first",)).start()
        assert [client.value(client.receive()) for _ in range(2)] == ["first", "second"]


@pytest.mark.parametrize("object_id", ["target", "inline"])
def test_a_future_that_fails_or_is_there_already_is_answered_too(
    daemon: Daemon, target: Target, object_id: str
) -> None:
    with connected(daemon, object_id) as client:
        client.send("future")
        entered(target)
        target.futures[0].set_exception(KeyError("unknown"))
        with pytest.raises(KeyError, match="unknown"):
            client.value(client.receive())
        client.send("future")
        entered(target)
        target.futures[1].cancel()
        with pytest.raises(Exception, match=r"Cancelled|cancelled|^$"):
            client.value(client.receive())
        assert client.call("echo", 1) == 1


def test_what_was_waited_for_may_take_long_to_make(daemon: Daemon, target: Target) -> None:
    made_on: list[str] = []

    def make() -> str:
        made_on.append(threading.current_thread().name)
        return "made"

    with connected(daemon, "inline") as client:
        client.send("future")
        entered(target)
        target.futures[0].set_result(LongWork(make))
        assert client.value(client.receive()) == "made"
    assert made_on == ["pyronym worker"]


def test_a_batch_of_futures_goes_on_from_one_to_the_next(daemon: Daemon, target: Target) -> None:
    with connected(daemon, "inline") as client:
        client.send("<batch>", *([("future", (), {})] * 3), flags=Flag.BATCH)
        for number in range(3):
            entered(target)
            target.futures[number].set_result(number)
        assert client.value(client.receive()) == [0, 1, 2]


# Where methods run


def test_a_slow_method_does_not_stop_other_clients(daemon: Daemon, target: Target) -> None:
    with connected(daemon, "target") as slow, connected(daemon, "target") as quick:
        slow.send("hold", "slow")
        entered(target)
        assert quick.call("echo", "quick") == "quick"
        target.gate.set()
        assert slow.value(slow.receive()) == "slow"


def test_calls_beyond_the_pool_wait_for_a_free_thread() -> None:
    target = Target()
    with serving(Daemon("127.0.0.1", settings=replace(SETTINGS, threadpool_size=2))) as daemon, ExitStack() as stack:
        daemon.register(target, "target")
        clients = [stack.enter_context(connected(daemon, "target")) for _ in range(5)]
        for number, client in enumerate(clients):
            client.send("hold", number)
        entered(target, 2)
        assert not target.entered.acquire(blocking=False)
        target.gate.set()
        assert [client.value(client.receive()) for client in clients] == [0, 1, 2, 3, 4]


def test_hundreds_of_coroutines_wait_at_once_without_threads() -> None:
    @expose
    class Meeting:
        def __init__(self) -> None:
            self.barrier = asyncio.Barrier(300)

        async def meet(self) -> int:
            async with self.barrier:
                return threading.active_count()

    before = threading.active_count()
    with serving(Daemon("127.0.0.1", settings=replace(SETTINGS, threadpool_size=2))) as daemon, ExitStack() as stack:
        daemon.register(Meeting(), "meeting")
        clients = [stack.enter_context(connected(daemon, "meeting")) for _ in range(300)]
        for client in clients:
            client.send("meet")
        threads = max(client.value(client.receive()) for client in clients)
    assert threads <= before + 3  # the request loop and two workers


def test_errors_of_coroutines_reach_the_caller(daemon: Daemon, no_errors: None) -> None:
    with connected(daemon, "target") as client:
        with pytest.raises(ValueError, match="from a coroutine"):
            client.call("fail_async")
        with pytest.raises(PyroError, match="cancelled"):
            client.call("cancel_async")
        with pytest.raises(PyroError, match="exit"):
            client.call("exit_async")
        assert client.call("echo", 1) == 1


def test_stop_iteration_is_an_error_like_others(daemon: Daemon) -> None:
    for object_id in ("target", "inline"):
        with connected(daemon, object_id) as client:
            client.send("stop_iteration")
            answer = client.receive()
            assert answer.flags & Flag.EXCEPTION
            assert b"StopIteration" in answer.data


def test_a_method_that_exits_ends_its_connection_and_nothing_else(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(daemon, "target") as client, connected(daemon, "target") as other:
        client.send("exit")
        assert client.is_closed()
        assert other.call("echo", 1) == 1
    assert "closing the connection from" in caplog.text


# Oneway calls


def test_oneway_calls_hold_up_neither_the_session_nor_each_other(daemon: Daemon, target: Target) -> None:
    with connected(daemon, "target") as client:
        for number in range(10):
            client.send("note", number, flags=Flag.ONEWAY)
        entered(target, 10)
        assert client.call("echo", "here") == "here"
        target.gate.set()


def test_an_inline_oneway_call_comes_before_the_call_behind_it(daemon: Daemon, target: Target) -> None:
    with connected(daemon, "inline") as client:
        client.send("future", flags=Flag.ONEWAY)
        client.send("echo", 1)
        entered(target)
        target.futures[0].set_result(None)
        assert client.value(client.receive()) == 1


def test_a_flood_of_oneway_calls_is_taken_only_so_far(
    daemon: Daemon, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_DETACHED", 50)
    with connected(daemon, "target") as client:
        client.sock.sendall(b"".join(client.call_message("note", [i], flags=Flag.ONEWAY) for i in range(200)))
        client.send("echo", "end")
        entered(target, 40)  # that is all threads
        look_at_the_loop(daemon)
        assert daemon._workers._jobs.qsize() == 10
        chunk = client.call_message("echo", ["x" * 100_000])
        assert fill(client, chunk) * len(chunk) < BUFFERS
        target.gate.set()
        assert client.value(client.receive()) == "end"
        entered(target, 160)


# Bounds


def look_at_the_loop(daemon: Daemon) -> None:
    """Wait until the loop has done what there was to do when this was called, and some more."""
    for _ in range(10):
        connected(daemon).sock.close()


def fill(client: RawClient, data: bytes) -> int:
    """Send `data` again and again until nobody takes any more; how often that was."""
    client.sock.settimeout(0.5)
    for count in range(1000):
        try:
            client.sock.sendall(data)
        except TimeoutError:
            return count
    raise AssertionError("the daemon takes everything")


@pytest.mark.parametrize("method", ["hold", "hold_async"])
def test_a_client_that_sends_while_its_call_runs_is_kept_waiting(daemon: Daemon, target: Target, method: str) -> None:
    with connected(daemon, "target") as client:
        client.send(method, "first")
        entered(target)
        chunk = client.call_message("echo", ["x" * 100_000])
        assert fill(client, chunk) * len(chunk) < BUFFERS
        assert target.done == []
        target.gate.set()
        assert client.value(client.receive()) == "first"
        assert client.value(client.receive()) == "x" * 100_000


@pytest.mark.parametrize("object_id", ["target", "inline"])
def test_a_client_that_does_not_read_its_replies_gets_no_more_of_them(
    daemon: Daemon, target: Target, object_id: str
) -> None:
    size, calls = 1024 * 1024, 60
    with connected(daemon, object_id) as client:
        client.sock.sendall(b"".join(client.call_message("big", [size]) for _ in range(calls)))
        seen = -1
        while seen < len(target.done):
            seen = len(target.done)
            look_at_the_loop(daemon)
        assert seen < calls / 2
        assert [len(client.value(client.receive())) for _ in range(calls)] == [size] * calls


def test_replies_are_sent_in_few_packets(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    original = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def write(self: Any, data: bytes) -> None:
        writes.append(len(data))
        original(self, data)

    monkeypatch.setattr(asyncio.selector_events._SelectorSocketTransport, "write", write)  # type: ignore[attr-defined]
    with connected(daemon, "inline") as client:
        writes.clear()
        client.sock.sendall(b"".join(client.call_message("echo", [i]) for i in range(100)))
        for _ in range(100):
            client.receive()
    assert len(writes) < 10


# Clients that behave badly


def test_a_client_that_stops_sending_still_gets_all_its_answers(
    daemon: Daemon, target: Target, no_errors: None
) -> None:
    for object_id in ("target", "inline"):
        with connected(daemon, object_id) as client:
            for number in range(3):
                client.send("echo", number)
            client.sock.shutdown(socket.SHUT_WR)
            assert [client.value(client.receive()) for _ in range(3)] == [0, 1, 2]
            assert client.is_closed()
    with connected(daemon, "target") as client:
        client.send("hold", "late")
        client.send("echo", "later")
        entered(target)
        client.sock.shutdown(socket.SHUT_WR)
        look_at_the_loop(daemon)
        target.gate.set()
        assert [client.value(client.receive()) for _ in range(2)] == ["late", "later"]
        assert client.is_closed()


def reset(client: RawClient) -> None:
    """Leave without a goodbye."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.sock.close()


@pytest.mark.parametrize("leave", [reset, lambda client: client.sock.close()], ids=["reset", "close"])
@pytest.mark.parametrize("method", ["hold", "hold_async", "future"])
@pytest.mark.parametrize("object_id", ["target", "inline"])
def test_a_client_that_vanishes_while_its_call_runs_is_forgotten(
    daemon: Daemon, target: Target, no_errors: None, leave: Any, method: str, object_id: str
) -> None:
    if object_id == "inline" and method == "hold":
        return  # such an object has no methods that block
    args = [] if method == "future" else [1]
    client = connected(daemon, object_id)
    client.send(method, *args)
    entered(target)
    leave(client)
    look_at_the_loop(daemon)
    target.gate.set()
    for future in target.futures:
        future.set_result(1)
    with connected(daemon, object_id) as other:
        assert other.call("echo", 1) == 1


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, b"PYRO\x01\xf6" + b"\xff" * 100, b"PYRO\0\x30" + b"\xff" * 100],
)
def test_garbage_ends_the_connection_of_its_sender_only(daemon: Daemon, no_errors: None, garbage: bytes) -> None:
    with connected(daemon, "target") as bystander:
        with socket.create_connection(address_of(daemon), timeout=PATIENCE) as sock:
            sock.sendall(garbage)
            while sock.recv(1000):  # a refusal may come first
                pass
        assert bystander.call("echo", 1) == 1


def test_half_a_header_and_then_nothing_disturbs_nobody(daemon: Daemon) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(socket.create_connection(address_of(daemon), timeout=PATIENCE))
            sock.sendall(b"PYRO\x01\xf6\x01")
        with connected(daemon, "target") as client:
            assert client.call("echo", 1) == 1


def test_500_connections_at_once_are_all_answered(daemon: Daemon, no_errors: None) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(RawClient(daemon, "target", (PYRO4, PYRO5)[i % 2])) for i in range(500)]
        for client in clients:
            client.connect()
        for number, client in enumerate(clients):
            client.send("echo", number)
        assert [client.value(client.receive()) for client in clients] == list(range(500))


def test_no_descriptor_is_left_behind_by_clients_that_come_and_go(target: Target, no_errors: None) -> None:
    gone = threading.Semaphore(0)

    class Counting(Daemon):
        def clientDisconnect(self, conn: Peer) -> None:
            gone.release()

    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    with serving(Counting("127.0.0.1")) as daemon:
        daemon.register(target, "target")
        before = opened()
        for number in range(200):
            with connected(daemon, "target") as client:
                client.call("echo", 1)
                if number % 2:
                    client.send("count", 5)
                    client.receive()
                    reset(client)
        for _ in range(200):
            assert gone.acquire(timeout=PATIENCE)
        look_at_the_loop(daemon)
        assert opened() <= before + 2  # the last visitors may still be on their way out


def test_streams_of_a_client_that_leaves_are_closed(daemon: Daemon, target: Target) -> None:
    with connected(daemon, "target") as client:
        client.send("count", 100)
        answer = client.receive()
        client.object_id = "Pyro.Daemon"
        stream = answer.annotations["STRM"].decode()
        assert [client.call("get_next_stream_item", stream) for _ in range(3)] == [0, 1, 2]
        assert not target.entered.acquire(blocking=False)
    entered(target)


def test_a_stream_that_takes_long_to_close_does_not_stop_other_clients(daemon: Daemon) -> None:
    @expose
    class Streams:
        def __init__(self) -> None:
            self.entered, self.gate = threading.Event(), threading.Event()

        def stream(self) -> Iterator[int]:
            try:
                while True:
                    yield 1
            finally:
                self.entered.set()
                self.gate.wait(2 * PATIENCE)

    streams = Streams()
    daemon.register(streams, "streams")
    with connected(daemon, "streams") as client:
        client.send("stream")
        stream = client.receive().annotations["STRM"].decode()
        client.object_id = "Pyro.Daemon"
        assert client.call("get_next_stream_item", stream) == 1
    assert streams.entered.wait(PATIENCE)
    with connected(daemon, "target") as other:
        assert other.call("echo", 1) == 1
        assert not streams.gate.is_set()
    streams.gate.set()


def test_a_stream_that_a_call_opens_after_its_client_has_left_is_closed_too(no_errors: None) -> None:
    closed = threading.Event()

    class Slow:
        def __iter__(self) -> Slow:
            return self

        def __next__(self) -> int:
            return 1

        def close(self) -> None:
            closed.set()

    @expose
    class Streams:
        def __init__(self) -> None:
            self.entered, self.gate = threading.Event(), threading.Event()

        def slow(self) -> Slow:
            self.entered.set()
            assert self.gate.wait(PATIENCE)
            return Slow()

    streams = Streams()
    with serving(Daemon("127.0.0.1")) as daemon:
        daemon.register(streams, "streams")
        with connected(daemon, "streams") as client:
            client.send("slow")
            assert streams.entered.wait(PATIENCE)
            reset(client)
        look_at_the_loop(daemon)
        streams.gate.set()
        assert closed.wait(PATIENCE)


def test_an_error_of_our_own_is_logged_and_closes_only_that_connection(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Inline):
        def bind(self, peer: Peer) -> Target:
            raise BaseExceptionGroup("broken", [GeneratorExit()])

    daemon._host_object("broken", None, Broken(Target()))
    with connected(daemon, "broken") as client, connected(daemon, "target") as other:
        with caplog.at_level(logging.CRITICAL, logger="asyncio"):
            client.send("echo", 1)
            assert client.is_closed()
        assert other.call("echo", 1) == 1


@pytest.mark.parametrize("nodelay", [True, False])
def test_small_packets_are_sent_at_once_if_the_settings_say_so(nodelay: bool) -> None:
    options: list[int] = []

    class Looking(Daemon):
        def validateHandshake(self, conn: Peer, data: object) -> object:
            for connection in self._clients._open:
                sock = connection._transport.get_extra_info("socket")
                options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                options.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            return "hello"

    with serving(Looking("127.0.0.1", settings=replace(SETTINGS, sock_nodelay=nodelay))) as daemon:
        connected(daemon).sock.close()
    assert [bool(option) for option in options] == [nodelay, True]
