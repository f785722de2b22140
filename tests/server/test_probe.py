"""Probes of single daemons: real ones, in all the states that they can be in, and things that are none."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import serving

from processes import Process, StockDaemons, stopping
from pyronym.rpc.exposed import expose
from pyronym.server import probe
from pyronym.server.daemon import Daemon
from pyronym.server.probe import Prober
from pyronym.server.workers import Workers
from pyronym.service.liveness import Alive, Dead, Finding
from pyronym.settings import Settings
from pyronym.uri import URI
from tls_files import Certificates

PATIENT = Settings(commtimeout=20.0)
HASTY = Settings(commtimeout=0.4)
BOTH = {"echo", "Pyro.Daemon"}


def ask(uri: object, settings: Settings = PATIENT, times: int = 1) -> Finding:
    """What a probe finds; several times by the same prober, which remembers something."""
    workers = Workers(2)
    prober = Prober(settings, workers, workers)
    try:
        found = {repr(asyncio.run(prober.probe(URI(str(uri))))): None for _ in range(times - 1)}
        last = asyncio.run(prober.probe(URI(str(uri))))
        assert set(found) <= {repr(last)}
        return last
    finally:
        workers.close()


@pytest.fixture(params=[4, 5])
def daemons(request: pytest.FixtureRequest) -> StockDaemons:
    return request.getfixturevalue(f"stock{request.param}_daemon")


def test_a_stock_daemon_is_alive_until_it_is_killed_and_not_while_it_is_stopped(daemons: StockDaemons) -> None:
    uri = daemons()["echo"]
    (process,) = daemons.processes
    assert ask(uri, times=2) == Alive(BOTH)
    process.signal(signal.SIGSTOP)
    assert ask(uri, HASTY) == Dead("no answer within 0.4 s")
    process.signal(signal.SIGCONT)
    assert ask(uri) == Alive(BOTH)
    process.kill()
    assert ask(uri) == Dead("Connection refused")


@pytest.mark.parametrize("client_certificate", [False, True])
def test_a_stock_daemon_that_speaks_tls_is_alive(
    daemons: StockDaemons, certificates: Certificates, client_certificate: bool
) -> None:
    environment = {
        "PYRO_SSL": "1",
        "PYRO_SSL_SERVERCERT": certificates.path("server.pem"),
        "PYRO_SSL_SERVERKEY": certificates.path("server.key"),
    }
    if client_certificate:
        environment |= {"PYRO_SSL_REQUIRECLIENTCERT": "1", "PYRO_SSL_CACERTS": certificates.path("ca.pem")}
    found = ask(daemons(env=environment)["echo"])
    assert isinstance(found, Alive)
    assert found.objects == (None if client_certificate else BOTH)


WITH_KEY = """
from Pyro4 import Daemon
with Daemon(host="127.0.0.1") as daemon:
    daemon._pyroHmacKey = b"key"
    print(daemon.uriFor("Pyro.Daemon"))
    daemon.requestLoop()
"""


def test_a_daemon_that_refuses_us_for_its_key_is_alive(stock4_python: Path) -> None:
    process = Process([stock4_python, "-u", "-W", "ignore", "-c", WITH_KEY])
    with stopping([process]):
        assert ask(process.wait_for_line("^PYRO:.*$")[0]) == Alive(None)
    with serving(Daemon("127.0.0.1", hmac_key="key")) as ours:
        assert ask(ours.uriFor("echo")) == Alive(None)


@expose
class Thing:
    pass


def test_a_daemon_of_ours_tells_its_objects_until_they_are_unregistered(tmp_path: Path) -> None:
    for where in ({"host": "127.0.0.1"}, {"host": "::1"}, {"unixsocket": str(tmp_path / "s")}):
        with serving(Daemon(**where)) as daemon:
            uri = daemon.register(Thing(), "thing")
            assert ask(uri) == Alive({"thing", "Pyro.Daemon"})
            daemon.unregister("thing")
            assert ask(uri, times=2) == Alive({"Pyro.Daemon"})
        assert isinstance(ask(uri), Dead)


def test_a_long_list_of_objects_is_read_in_a_thread_and_a_huge_one_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    read_by = []
    take = probe.ClientSession.next_answer
    monkeypatch.setattr(
        probe.ClientSession,
        "next_answer",
        lambda session: (read_by.append(threading.current_thread().name), take(session))[1],
    )
    with serving(Daemon("127.0.0.1")) as daemon:
        for number in range(2000):
            daemon.register(Thing(), f"thing-{number:020}")
        found = ask(daemon.uriFor("x"))
        assert isinstance(found, Alive)
        assert found.objects == set(daemon.registered())
        assert read_by[-1] == "pyronym worker"
        monkeypatch.setattr(probe, "MOST_BYTES", 20_000)
        assert ask(daemon.uriFor("x")) == Alive(None)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Something that listens, and says the same to all who say anything; the URI of an object that might be there."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(1000)
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"PYRO:obj@127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"PYRO", b"\0" * 100], ids=repr)
def test_what_listens_and_is_no_daemon_is_not_alive(answer: bytes) -> None:
    with answering(answer) as uri:
        assert ask(uri) == Dead("what listens there is no Pyro daemon")


def test_what_refuses_us_in_tls_is_alive() -> None:
    handshake_failure = b"\x15\x03\x03\x00\x02\x02\x28"
    with answering(handshake_failure) as uri:
        assert ask(uri) == Alive(None)


def test_what_listens_and_says_nothing_is_not_alive() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert ask(f"PYRO:obj@127.0.0.1:{silent.getsockname()[1]}", HASTY) == Dead("no answer within 0.4 s")


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("127.0.0.1:70000", "there is no port 70000"),
        ("127.0.0.1:0", "there is no port 0"),
        ("./u:/nowhere/socket", "No such file or directory"),
        (f"{'x' * 64}:1", "label"),
    ],
)
def test_an_address_that_cannot_be_is_dead(location: str, why: str) -> None:
    found = ask(f"PYRO:obj@{location}")
    assert isinstance(found, Dead)
    assert why in found.why


@pytest.mark.parametrize(
    ("problem", "finding"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), Dead("[Errno -2] unknown")),
        (socket.gaierror(socket.EAI_AGAIN, "no name server"), None),
        (OSError(probe.errno.EMFILE, "too many"), None),
        (OSError(probe.errno.ENETUNREACH, "no network"), None),
        (OSError(probe.errno.EHOSTUNREACH, "no host"), Dead("no host")),
    ],
)
def test_trouble_on_our_side_tells_nothing_of_a_daemon(
    monkeypatch: pytest.MonkeyPatch, problem: OSError, finding: Finding
) -> None:
    def fail(*args: object, **how: object) -> object:
        raise problem

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert ask("PYRO:obj@far.example:1") == finding


def test_of_several_addresses_of_a_host_one_that_answers_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Daemon("127.0.0.1")) as daemon:
        port = daemon.sock.getsockname()[1]
        where = [(socket.AF_INET, 1, 6, "", (host, port)) for host in ("127.0.0.9", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **how: where)
        assert ask(f"PYRO:obj@far.example:{port}") == Alive({"Pyro.Daemon"})
