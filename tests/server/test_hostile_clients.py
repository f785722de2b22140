"""Clients that take more than their share: what becomes of them, and that others do not notice. Real sockets."""

from __future__ import annotations

import gc
import logging
import select
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from serving import PATIENCE, RawClient, connected, serving

from pyronym.errors import MessageTooLargeError, SerializeError
from pyronym.rpc import call, session
from pyronym.rpc.exposed import Members, expose, exposed_members
from pyronym.rpc.hosting import Hosted, Peer
from pyronym.rpc.offences import Offence
from pyronym.serializers.bounds import LIMITS
from pyronym.server import clients
from pyronym.server.daemon import READERS, Daemon
from pyronym.settings import Settings
from pyronym.wire import codec
from pyronym.wire.codec import encode
from pyronym.wire.compression import decompress
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType

BOTH = pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
SHORT = 0.3
"""Seconds of the time limits here."""


@expose
class Target:
    """What the clients call."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.done: list[object] = []
        self.threads: set[str] = set()
        self.meeting = threading.Condition()

    def hold(self) -> str:
        self.entered.set()
        assert self.gate.wait(PATIENCE)
        return "held"

    def hold_all(self, count: int, data: str) -> str:
        with self.meeting:
            self.done.append(len(data))
            self.meeting.notify_all()
            assert self.meeting.wait_for(lambda: len(self.done) >= count, PATIENCE)
        return "together"

    def big(self, size: int) -> str:
        return "x" * size

    def many(self, size: int) -> list[int]:
        return [0] * size

    def work(self, who: str) -> None:
        ends = time.perf_counter() + 0.002
        while time.perf_counter() < ends:
            pass
        self.done.append(who)
        self.threads.add(threading.current_thread().name)
        self.entered.set()


class Inline(Hosted):
    """The target as an object whose methods run on the loop."""

    inline = True

    def __init__(self, target: Target) -> None:
        self._target = target

    def members(self, protocol: int) -> Members:
        return exposed_members(Target)

    def bind(self, peer: Peer) -> Target:
        return self._target


@contextmanager
def hosting(target: Target, **settings: Any) -> Iterator[Daemon]:
    with serving(Daemon("127.0.0.1", settings=Settings(**settings))) as daemon:
        daemon.register(target, "target")
        daemon._host_object("inline", target, Inline(target))
        try:
            yield daemon
        finally:
            target.gate.set()


def offences(daemon: Daemon) -> dict[Offence, int]:
    """Those that there were."""
    return {kind: count for kind, count in daemon.offences.items() if count}


@pytest.fixture
def target() -> Target:
    return Target()


@BOTH
@pytest.mark.parametrize("share", [0, 1, 20, 0.5, 0.99])
def test_a_handshake_has_to_be_done_in_time(target: Target, protocol: int, share: float) -> None:
    with hosting(target, handshake_timeout=SHORT) as daemon, RawClient(daemon, protocol=protocol) as slow:
        data = slow.connect_message()
        slow.sock.sendall(data[: share if share >= 1 else int(share * len(data))])
        assert slow.is_closed()
        with connected(daemon, protocol=protocol) as client:
            client.call("ping")


def arrives(client: RawClient, byte: int) -> bool:
    """Send one byte, slowly. Whether the connection still stands."""
    time.sleep(0.02)  # the client is slow, nobody waits for it
    try:
        client.sock.sendall(bytes([byte]))
    except ConnectionError:
        return False
    return True


@BOTH
def test_a_handshake_that_comes_byte_by_byte_has_to_be_done_in_time_too(target: Target, protocol: int) -> None:
    with hosting(target, handshake_timeout=SHORT) as daemon, RawClient(daemon, protocol=protocol) as slow:
        assert not all(arrives(slow, byte) for byte in slow.connect_message())
        with connected(daemon, protocol=protocol) as client:
            client.call("ping")


@BOTH
@pytest.mark.parametrize("size", [1, 10, 24, 39, 60])
def test_a_message_has_to_be_finished_in_time(target: Target, protocol: int, size: int) -> None:
    with hosting(target, message_timeout=SHORT) as daemon, connected(daemon, protocol=protocol) as slow:
        slow.call("ping")
        slow.sock.sendall(slow.call_message("ping")[:size])
        assert slow.is_closed()


def test_a_connection_that_only_rests_is_left_alone(target: Target) -> None:
    limits = {"handshake_timeout": SHORT, "message_timeout": SHORT, "unread_timeout": SHORT}
    with hosting(target, **limits) as daemon, connected(daemon) as resting, connected(daemon) as slow:
        slow.sock.sendall(slow.call_message("ping")[:5])
        assert slow.is_closed()
        resting.call("ping")


def test_a_message_that_waits_behind_a_long_call_may_wait(target: Target) -> None:
    with hosting(target, message_timeout=SHORT) as daemon, connected(daemon, "target") as client:
        second = client.call_message("big", [3])
        client.sock.sendall(client.call_message("hold") + second[:30])
        assert target.entered.wait(PATIENCE)
        with connected(daemon) as slow:
            slow.sock.sendall(b"PYRO")
            assert slow.is_closed(), "the time of the others is over too"
        client.sock.sendall(second[30:])
        target.gate.set()
        assert [client.value(client.receive()) for _ in range(2)] == ["held", "xxx"]


def ends(client: RawClient) -> bool:
    """Whether the connection ends before the answer is there."""
    try:
        client.receive()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("object_id", ["target", "inline"])
def test_who_does_not_read_is_left(target: Target, object_id: str, caplog: pytest.LogCaptureFixture) -> None:
    with hosting(target, unread_timeout=SHORT) as daemon, connected(daemon, object_id) as lazy:
        lazy.send("big", 30_000_000)
        while not daemon.offences[Offence.UNREAD]:
            with connected(daemon, "target") as client:
                assert client.call("big", 3) == "xxx"
        assert ends(lazy)
    assert "answers not read in time" in caplog.text


def test_who_reads_slowly_gets_everything(target: Target) -> None:
    with hosting(target, unread_timeout=1.2) as daemon, connected(daemon, "target") as slow:
        slow.send("big", 40_000_000)
        received = 0
        while received < 20_000_000:  # for longer than the time limit, some every tenth of a second
            received += len(slow.sock.recv(1_000_000, socket.MSG_WAITALL))
            time.sleep(0.1)  # this client is slow, nobody waits for it
        while received < 40_000_000:
            piece = slow.sock.recv(100_000)
            assert piece, f"closed after {received} bytes"
            received += len(piece)


def test_who_holds_most_memory_is_left_first(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    with (
        hosting(target, max_held=40_000_000) as daemon,
        connected(daemon, "target") as modest,
        connected(daemon, "target") as greedy,
    ):
        modest.send("big", 25_000_000)
        greedy.send("big", 40_000_000)
        while "MAX_HELD" not in caplog.text:
            with connected(daemon) as client:
                client.call("ping")
        assert ends(greedy)
        assert len(modest.value(modest.receive())) == 25_000_000


@BOTH
def test_beyond_the_limit_of_connections_clients_are_told_so(target: Target, protocol: int) -> None:
    with hosting(target, max_connections=3, max_connections_per_address=3) as daemon, ExitStack() as stack:
        clients = [stack.enter_context(connected(daemon, protocol=protocol)) for _ in range(3)]
        with RawClient(daemon, protocol=protocol) as late:
            late.sock.sendall(late.connect_message())
            refusal = late.receive()
            assert refusal.type is MessageType.CONNECT_FAIL
            assert b"too many connections (3 are open)" in refusal.data
            assert late.is_closed()
        for client in clients:
            client.call("ping")
        clients[0].sock.close()
        with eventually_connected(daemon, protocol) as client:
            client.call("ping")


@contextmanager
def eventually_connected(daemon: Daemon, protocol: int) -> Iterator[RawClient]:
    """A connection, as soon as the daemon has noticed that there is room for it."""
    ends = time.monotonic() + PATIENCE
    while True:
        with RawClient(daemon, protocol=protocol) as client:
            client.sock.sendall(client.connect_message())
            if client.receive().type is MessageType.CONNECT_OK:
                yield client
                return
        assert time.monotonic() < ends


def test_one_address_cannot_take_all_connections(target: Target) -> None:
    with hosting(target, max_connections=10, max_connections_per_address=2) as daemon, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(connected(daemon))
        with RawClient(daemon) as late:
            late.sock.sendall(late.connect_message())
            assert b"too many connections from 127.0.0.1 (2 are open)" in late.receive().data
        elsewhere = socket.create_connection(daemon.sock.getsockname(), PATIENCE, ("127.0.0.2", 0))
        with RawClient(daemon) as other:
            other.sock.close()
            other.sock = elsewhere
            other.connect().call("ping")


def test_clients_beyond_the_limit_who_are_silent_cost_no_descriptors(target: Target) -> None:
    with hosting(target, max_connections=1) as daemon, ExitStack() as stack:
        only = stack.enter_context(connected(daemon))
        silent = [stack.enter_context(RawClient(daemon)) for _ in range(200)]
        only.call("ping")
        still_open = {client.sock for client in silent}
        while len(still_open) > 100:
            readable, _, _ = select.select(still_open, [], [], PATIENCE)
            assert readable, f"{len(still_open)} of them are open"
            still_open -= {sock for sock in readable if is_at_end(sock)}
        only.call("ping")


def is_at_end(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_connections_that_nothing_is_sent_over_can_be_closed(target: Target) -> None:
    with hosting(target, idle_timeout=1.0) as daemon, connected(daemon) as busy, connected(daemon) as idle:
        closed = False
        while not closed:
            busy.call("ping")
            idle.sock.settimeout(0.05)
            try:
                closed = idle.is_closed()
            except TimeoutError:
                closed = False
        busy.call("ping")


def test_who_offends_again_and_again_has_one_line_in_the_log(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    with hosting(target) as daemon:
        for _ in range(20):
            with RawClient(daemon) as client:
                client.sock.sendall(b"GET / HTTP/1.1\r\nHost: pyronym.example\r\n\r\n")
                client.receive()
                assert client.is_closed()
        assert offences(daemon) == {Offence.BROKEN_MESSAGE: 20}
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert "127.0.0.1" in lines[0]
    assert "GET" in lines[0]


def test_a_client_with_many_calls_in_one_packet_shares_with_the_others(target: Target) -> None:
    with hosting(target) as daemon, connected(daemon, "inline") as greedy, connected(daemon, "inline") as modest:
        calls = [greedy.call_message("work", ["greedy"], sequence=number) for number in range(400)]
        greedy.sock.sendall(b"".join(calls))
        assert target.entered.wait(PATIENCE)
        modest.call("work", "modest")
        assert "modest" in target.done[:100]
        assert [greedy.receive().sequence for _ in calls] == list(range(400))


def batch_of(client: RawClient, calls: list[tuple[str, tuple[object, ...], dict[str, object]]]) -> Any:
    client.sock.sendall(client.call_message("<batch>", calls, flags=Flag.BATCH))
    return client.value(client.receive())


def test_a_large_batch_leaves_the_loop(target: Target) -> None:
    with hosting(target) as daemon, connected(daemon, "inline") as client:
        batch_of(client, [("work", ("few",), {})] * call.MANY_CALLS)
        assert target.threads == {"request loop"}
        target.threads.clear()
        batch_of(client, [("work", ("many",), {})] * (call.MANY_CALLS + 1))
        assert target.threads == {"pyronym worker"}


def test_a_batch_cannot_ask_for_more_than_fits(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "MAX_BATCH_RESULTS", 1000)
    with hosting(target) as daemon, connected(daemon, "inline") as client:
        assert len(batch_of(client, [("many", (100,), {})] * 10)) == 10
        results = batch_of(client, [("many", (100,), {})] * 11)
        assert len(results) == 11
        assert "over 1000 elements" in str(results[10].exception)


def test_very_large_calls_are_read_by_few_threads_and_performed_by_others(target: Target) -> None:
    big = "x" * (2 * call.LARGE_PAYLOAD)
    with hosting(target) as daemon, ExitStack() as stack:
        clients = [stack.enter_context(connected(daemon, "target")) for _ in range(READERS + 3)]
        for client in clients:
            client.send("hold_all", len(clients), big)
        assert [client.value(client.receive()) for client in clients] == ["together"] * len(clients)
        assert len(daemon._readers._threads) <= READERS


def test_who_does_not_finish_messages_holds_only_so_much_memory(
    target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    with hosting(target, max_held=3_000_000) as daemon, ExitStack() as stack:
        clients = [stack.enter_context(connected(daemon, "target")) for _ in range(4)]
        for client in clients:
            client.sock.sendall(client.call_message("echo", ["x" * 1_200_000])[:1_000_000])
        wait_until_somebody_is_dropped(daemon, caplog)
        rest = [client for client in clients if not reset(client)]
        assert 1 <= len(rest) <= 3


@pytest.mark.parametrize("flags", [0, Flag.ONEWAY])
def test_large_calls_that_wait_to_be_read_count_as_memory_that_is_held(
    target: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, flags: int
) -> None:
    gate, read = threading.Event(), call.Call._read

    def read_when_the_gate_is_open(invocation: call.Call) -> None:
        if len(invocation._request.data) > call.LARGE_PAYLOAD:
            assert gate.wait(PATIENCE)
        read(invocation)

    monkeypatch.setattr(call.Call, "_read", read_when_the_gate_is_open)
    with hosting(target, max_held=3_000_000) as daemon, ExitStack() as stack:
        clients = [stack.enter_context(connected(daemon, "target")) for _ in range(READERS + 4)]
        for client in clients:
            client.send("many", [0] * 300_000, flags=flags)
        wait_until_somebody_is_dropped(daemon, caplog)
        held = sum(connection.held()[0] for connection in list(daemon._clients._open))
        gate.set()
        assert held <= 3_000_000
        assert any(reset(client) for client in clients)


def test_a_large_oneway_call_is_read_before_the_next_call_is_taken(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or one client could have a thousand of them waiting. It is not waited for until it is done."""
    events: list[str] = []
    read = call.Call._read

    def read_and_tell(invocation: call.Call) -> None:
        read(invocation)
        events.append(invocation.steps[0][0])

    monkeypatch.setattr(call.Call, "_read", read_and_tell)
    with hosting(target) as daemon, connected(daemon, "target") as client:
        big = client.call_message("hold_all", [2, "x" * (2 * call.LARGE_PAYLOAD)], flags=Flag.ONEWAY)
        client.sock.sendall(big + client.call_message("hold_all", [2, ""]))
        assert client.value(client.receive()) == "together"
    assert events == ["hold_all", "hold_all"]
    assert target.done == [2 * call.LARGE_PAYLOAD, 0]


def test_what_was_read_of_a_refused_call_is_given_up_without_the_garbage_collector(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It seldom looks at what is old, and a payload of 16 MB can be a list of 16 MB when it is refused."""
    calls: list[weakref.ref[call.Call]] = []
    read = call.Call._read

    def read_and_note(invocation: call.Call) -> None:
        calls.append(weakref.ref(invocation))
        read(invocation)

    monkeypatch.setattr(call.Call, "_read", read_and_note)
    monkeypatch.setattr(LIMITS, "elements", call.LARGE_PAYLOAD)
    with hosting(target) as daemon, connected(daemon, "target") as client:
        gc.disable()
        try:
            with pytest.raises(SerializeError, match="elements"):
                client.call("many", [0] * 2 * call.LARGE_PAYLOAD)
            deadline = time.monotonic() + PATIENCE
            while calls[0]() is not None and time.monotonic() < deadline:
                client.call("many", 1)  # until the thread that read it has let go of it
            assert calls[0]() is None
        finally:
            gc.enable()


def wait_until_somebody_is_dropped(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    dropped = False
    while not dropped:
        dropped = "MAX_HELD" in caplog.text
        with connected(daemon) as healthy:  # once more after that: it is said first
            healthy.call("ping")


def reset(client: RawClient) -> bool:
    """Whether the connection has been closed."""
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@BOTH
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_a_handshake_may_have_a_size_and_no_more(target: Target, protocol: int, compressed: bool) -> None:
    with hosting(target, max_handshake_size=1000) as daemon, RawClient(daemon, protocol=protocol) as large:
        data = large.serializer.dumps({"handshake": "x" * 2000, "object": "target"})
        message = Message(protocol, MessageType.CONNECT, 1, Flag.METADATA, 0, data)
        large.sock.sendall(encode(message, limit=10_000, compress=compressed))
        refusal = large.receive()
        assert refusal.type is MessageType.CONNECT_FAIL
        assert b"MAX_HANDSHAKE_SIZE" in refusal.data
        assert large.is_closed()
        assert offences(daemon) == {Offence.LARGE_MESSAGE: 1}
        with connected(daemon, "target", protocol=protocol) as client:
            assert client.call("big", 5000) == "x" * 5000
            client.send("hold_all", 1, "x" * 5000)
            assert client.value(client.receive()) == "together", "the limit was for the handshake"


@BOTH
def test_what_compressed_calls_stand_for_is_made_by_a_worker(
    target: Target, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(*args: Any) -> bytes:
        threads.append(threading.current_thread().name)
        return decompress(*args)

    monkeypatch.setattr(codec, "decompress", noted)
    with hosting(target) as daemon, connected(daemon, "target", protocol=protocol) as client:
        for size in (call.LARGE_PAYLOAD // 2, 2 * call.LARGE_PAYLOAD):
            data = client.serializer.dumps_call("target", "hold_all", [1, "x" * size], {})
            message = Message(protocol, MessageType.INVOKE, 1, 0, 0, data)
            client.sock.sendall(encode(message, limit=10**6, compress=True))
            assert client.value(client.receive()) == "together"
    assert threads == ["request loop", "pyronym worker"]


@BOTH
def test_calls_that_unfold_to_too_much_are_refused_and_counted(target: Target, protocol: int) -> None:
    with hosting(target, max_message_size=200_000) as daemon, connected(daemon, "target", protocol=protocol) as client:
        message = Message(protocol, MessageType.INVOKE, 1, 0, 5, bytes(1_000_000))
        client.sock.sendall(encode(message, limit=10**7, compress=True))
        answer = client.receive()
        assert answer.sequence == 5
        with pytest.raises(MessageTooLargeError, match="max message size exceeded"):
            client.value(answer)
        assert client.is_closed()
        assert offences(daemon) == {Offence.LARGE_MESSAGE: 1}


@pytest.mark.parametrize("data", [bytes(10**6), b"[" * 10**6], ids=["bomb", "broken"])
def test_refused_calls_are_forgotten_without_the_garbage_collector(target: Target, data: bytes) -> None:
    made, forgotten = [], threading.Event()

    class Noted(call.Call):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(weakref.ref(self, lambda _: forgotten.set()))

    gc.collect()
    gc.disable()
    try:
        with pytest.MonkeyPatch.context() as patch, hosting(target, max_message_size=100_000_000) as daemon:
            patch.setattr(session, "Call", Noted)
            with connected(daemon, "target") as client:
                message = Message(PYRO5, MessageType.INVOKE, 1, 0, 0, data)
                client.sock.sendall(encode(message, limit=10**7, compress=True))
                assert client.receive().flags & Flag.EXCEPTION
                assert len(made) == 1
                assert forgotten.wait(PATIENCE)
    finally:
        gc.enable()


@BOTH
@pytest.mark.parametrize(
    ("data", "offence"),
    [
        (b"(1, 2", Offence.BROKEN_PAYLOAD),
        (b"[" * 5000, Offence.BROKEN_PAYLOAD),
        (b"('inline','big',('\\\x1b',),{})", Offence.BROKEN_PAYLOAD),
    ],
    ids=["broken", "deep", "escape"],
)
def test_broken_payloads_are_counted_and_logged_without_harm(
    target: Target, protocol: int, data: bytes, offence: Offence, caplog: pytest.LogCaptureFixture
) -> None:
    with hosting(target) as daemon, connected(daemon, "inline", protocol=protocol) as client:
        for _ in range(3):
            client.sock.sendall(client.message(MessageType.INVOKE, data))
            with pytest.raises(SerializeError):
                client.value(client.receive())
        assert client.call("big", 3) == "xxx"
        assert offences(daemon) == {offence: 3}
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert lines[0].startswith("client 127.0.0.1: broken payload: ")
    assert lines[0].isprintable()


def test_a_message_that_does_not_end_is_found_out_before_the_next_sweep(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "SWEEP_SECONDS", 1000.0)
    with hosting(target, max_held=3_000_000) as daemon, ExitStack() as stack:
        for _ in range(6):
            client = stack.enter_context(connected(daemon, "target"))
            client.sock.sendall(client.call_message("echo", ["x" * 1_200_000])[:1_000_000])
        while not daemon.offences[Offence.HELD]:
            with connected(daemon) as healthy:
                healthy.call("ping")
