"""Calls that a straight road has begun and that have to be waited for: nobody sees that they take another way."""

from __future__ import annotations

import gc
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serving import PATIENCE, connected, serving

from pyronym.client.proxy import Proxy
from pyronym.errors import NamingError
from pyronym.rpc.exposed import Members, expose
from pyronym.rpc.hosting import Hosted, Peer, StraightRoad
from pyronym.rpc.tally import BATCH, LOOKUP, REGISTER, Asked
from pyronym.serializers.registry import serializer_by_name
from pyronym.server.daemon import Daemon
from pyronym.server.nameserver import NameServerDaemon
from pyronym.service.commit import Commit
from pyronym.settings import Settings
from pyronym.uri import NAMESERVER_NAME
from pyronym.wire.message import PYRO4, PYRO5
from pyronym.wire.straight import Begun, Pending, Pyro4Road, Pyro5Road, Squeeze

BOTH = pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
DIALECT = {PYRO4: 4, PYRO5: 5}


class Outcome(Future[object]):
    """Remembers in which thread it was taken."""

    taken_in: str | None = None

    def result(self, timeout: float | None = None) -> object:
        self.taken_in = threading.current_thread().name
        return super().result(timeout)


@expose
class Registrar(Hosted):
    """Hosts itself. Both its methods are answered on a straight road as well."""

    inline = True

    def __init__(self) -> None:
        self.begun: list[Outcome] = []
        self.has_begun = threading.Semaphore(0)
        self.done_already = False
        """Whether what is waited for is there before anybody can wait for it."""
        self.answer: str | None = None

    def register(self, name: str) -> Outcome:
        outcome = Outcome()
        if self.done_already:
            outcome.set_result(self.answer)
        self.begun.append(outcome)
        self.has_begun.release()
        return outcome

    def lookup(self, name: str) -> str:
        return name

    def has_taken(self, calls: int) -> None:
        for _ in range(calls):
            assert self.has_begun.acquire(timeout=PATIENCE)

    def members(self, protocol: int) -> Members:
        return Members(frozenset({"register", "lookup"}), frozenset(), frozenset())

    def bind(self, peer: Peer) -> Registrar:
        return self

    def straight_road(self, peer: Peer, hmac_key: bytes | None) -> StraightRoad:
        serializer = serializer_by_name(peer.protocol, "serpent")

        def find(serializer_id: int, payload: bytes, batch: int) -> bytes | Pending:
            _, method, args, _ = serializer.loads_call(payload)
            if method == "register":
                return self.register(*args), serializer.dumps(self.answer)
            return serializer.dumps(self.lookup(*args))

        squeeze = Squeeze(peer.protocol, active=False)
        return Pyro4Road(find, squeeze) if peer.protocol == PYRO4 else Pyro5Road(find, squeeze)


@pytest.fixture
def registrar() -> Registrar:
    return Registrar()


@contextmanager
def hosting(registrar: Registrar, **settings: Any) -> Iterator[Daemon]:
    with serving(Daemon("127.0.0.1", settings=Settings(**settings))) as daemon:
        daemon._host_object("registrar", registrar, registrar)
        yield daemon


def registered(daemon: Daemon, protocol: int, result: str = "ok") -> int:
    return daemon._tally.counts().get(Asked(protocol, "register", result), 0)


def look_at_the_loop(daemon: Daemon) -> None:
    """Returns when the loop has read all that was sent before."""
    with connected(daemon) as client:
        client.call("ping")


@BOTH
def test_it_is_answered_when_what_it_waits_for_is_there(registrar: Registrar, protocol: int) -> None:
    with hosting(registrar) as daemon, connected(daemon, "registrar", protocol=protocol) as client:
        for number in range(3):
            client.send("register", "name", sequence=number)
            registrar.has_taken(1)
            assert registered(daemon, protocol) == number
            registrar.begun[number].set_result(None)
            assert client.receive().sequence == number
            assert registrar.begun[number].taken_in == "request loop"
            assert registered(daemon, protocol) == number + 1


@BOTH
def test_its_failure_is_an_answer_too(registrar: Registrar, protocol: int) -> None:
    with hosting(registrar) as daemon, connected(daemon, "registrar", protocol=protocol) as client:
        client.send("register", "name", sequence=7)
        registrar.has_taken(1)
        registrar.begun[0].set_exception(NamingError("the disk is full"))
        answer = client.receive()
        assert answer.sequence == 7
        with pytest.raises(NamingError, match="the disk is full") as caught:
            client.value(answer)
        assert caught.value._pyroTraceback[-1].endswith("NamingError: the disk is full\n")  # type: ignore[attr-defined]
        assert registered(daemon, protocol, "NamingError") == 1
        assert registered(daemon, protocol) == 0


@BOTH
def test_what_comes_before_it_does_not_wait_and_what_comes_behind_it_does(registrar: Registrar, protocol: int) -> None:
    calls = ["lookup", "lookup", "register", "lookup", "register", "lookup"]
    with hosting(registrar) as daemon, connected(daemon, "registrar", protocol=protocol) as client:
        client.sock.sendall(
            b"".join(client.call_message(method, [method], sequence=number) for number, method in enumerate(calls))
        )
        assert [client.receive().sequence for _ in range(2)] == [0, 1]
        registrar.has_taken(1)
        look_at_the_loop(daemon)
        assert len(registrar.begun) == 1
        registrar.begun[0].set_result(None)
        assert [client.receive().sequence for _ in range(2)] == [2, 3]
        registrar.has_taken(1)
        registrar.begun[1].set_result(None)
        assert [client.receive().sequence for _ in range(2)] == [4, 5]
        client.send("lookup", "and again")
        assert client.value(client.receive()) == "and again"


def test_what_is_sent_while_it_is_out_is_answered_behind_it(registrar: Registrar) -> None:
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client:
        client.send("register", "name", sequence=1)
        registrar.has_taken(1)
        for number in (2, 3):
            client.send("lookup", "name", sequence=number)
            look_at_the_loop(daemon)
        registrar.begun[0].set_result(None)
        assert [client.receive().sequence for _ in range(3)] == [1, 2, 3]


def test_it_may_have_nothing_to_wait_for(registrar: Registrar) -> None:
    registrar.done_already = True
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client:
        client.sock.sendall(b"".join(client.call_message("register", ["x"], sequence=number) for number in range(50)))
        assert [client.receive().sequence for _ in range(50)] == list(range(50))


def test_a_client_that_vanishes_meanwhile_is_neither_answered_nor_counted(
    registrar: Registrar, caplog: pytest.LogCaptureFixture
) -> None:
    with hosting(registrar) as daemon:
        client = connected(daemon, "registrar")
        client.send("register", "name")
        registrar.has_taken(1)
        (connection,) = daemon._clients._open
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()
        while connection in daemon._clients._open:
            look_at_the_loop(daemon)
        registrar.begun[0].set_result(None)
        look_at_the_loop(daemon)
        assert registered(daemon, PYRO5) == 0
    assert not caplog.records


def test_a_client_that_sends_no_more_is_answered_and_then_let_go(registrar: Registrar) -> None:
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client:
        client.send("register", "name", sequence=1)
        registrar.has_taken(1)
        client.sock.shutdown(socket.SHUT_WR)
        look_at_the_loop(daemon)
        registrar.begun[0].set_result(None)
        assert client.receive().sequence == 1
        assert client.is_closed()


@pytest.mark.parametrize("problem", [None, NamingError("the disk is full")])
def test_a_daemon_that_closes_answers_it_first(
    registrar: Registrar, monkeypatch: pytest.MonkeyPatch, problem: NamingError | None
) -> None:
    monkeypatch.setattr("pyronym.server.daemon.GOODBYE_SECONDS", 10 * PATIENCE)
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client, connected(daemon) as other:
        client.send("register", "name", sequence=1)
        registrar.has_taken(1)
        closing = threading.Thread(target=daemon.close)
        closing.start()
        assert other.is_closed()
        if problem is None:
            registrar.begun[0].set_result(None)
        else:
            registrar.begun[0].set_exception(problem)
        assert client.receive().sequence == 1
        assert client.is_closed()
        closing.join(PATIENCE)


def test_what_waits_behind_it_counts_as_memory_that_is_held(registrar: Registrar) -> None:
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client:
        behind = client.call_message("lookup", ["x" * 10_000])
        client.sock.sendall(client.call_message("register", ["name"]) + behind)
        registrar.has_taken(1)
        look_at_the_loop(daemon)
        (waiting,) = daemon._clients.patience
        assert waiting.held()[0] == len(behind)
        registrar.begun[0].set_result(None)
        client.receive(), client.receive()
        look_at_the_loop(daemon)
        assert not daemon._clients.patience


def test_a_client_that_does_not_read_its_answers_begins_no_more(registrar: Registrar) -> None:
    registrar.done_already, registrar.answer = True, "x" * 1024 * 1024
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client:
        client.sock.setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )  # one at a time, each begun on the straight road
        for number in range(60):
            client.send("register", "name", sequence=number)
            look_at_the_loop(daemon)
        assert len(registrar.begun) < 30
        assert [client.receive().sequence for _ in range(60)] == list(range(60))


def test_how_long_it_takes_is_told_to_who_asks(registrar: Registrar) -> None:
    with hosting(registrar) as daemon, connected(daemon, "registrar") as client:
        pulse = daemon._clients.pulse
        pulse.start()
        look_at_the_loop(daemon)
        client.send("register", "name")
        registrar.has_taken(1)
        registrar.begun[0].set_result(None)
        client.receive()
        look_at_the_loop(daemon)
        assert pulse.latencies["register"].count == 1


@contextmanager
def naming(protocol: int, storage: str) -> Iterator[tuple[NameServerDaemon, Proxy]]:
    """A name server, and a proxy for it that is connected."""
    with serving(NameServerDaemon("127.0.0.1", 0, storage=storage)) as daemon:
        with Proxy(daemon.uriFor(NAMESERVER_NAME), protocol=DIALECT[protocol]) as names:
            names._pyroTimeout = PATIENCE
            names._pyroBind()
            yield daemon, names


def register_two(names: Proxy) -> None:
    """In one batch."""
    batch = names._pyroBatch()
    batch.register("b1", "PYRO:o@h:1")
    batch.register("b2", "PYRO:o@h:1")
    assert list(batch()) == [None, None]


@contextmanager
def collector_off() -> Iterator[None]:
    """Circles stay, and what there is already is not among the objects that the collector shows."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


@BOTH
def test_those_answered_at_once_are_told_by_their_methods(protocol: int) -> None:
    with naming(protocol, "memory") as (daemon, names):
        pulse = daemon._clients.pulse
        pulse.samples = 6
        names.register("a", "PYRO:o@h:1")
        for _ in range(2):
            register_two(names)
        for _ in range(3):
            names.lookup("a")
        assert pulse.samples == 0
        told = {method: latency.count for method, latency in pulse.latencies.items()}
        assert told == {REGISTER: 1, BATCH: 2, LOOKUP: 3}


@BOTH
def test_nothing_is_left_to_the_garbage_collector_when_it_is_answered(tmp_path: Path, protocol: int) -> None:
    with naming(protocol, f"sql:{tmp_path}/names") as (daemon, names), collector_off():
        names.register("a", "PYRO:o@h:1")
        register_two(names)
        assert daemon._tally.lanes[protocol].awaited == {REGISTER: 1, BATCH: 1}
        daemon.nameserver.close()  # so that the thread that commits has let go of what it had, too
        look_at_the_loop(daemon)
        assert [thing for thing in gc.get_objects() if type(thing) in (Begun, Commit)] == []
