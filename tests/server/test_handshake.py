"""Daemons that speak TLS, on both loops and in all ways to serve one."""

from __future__ import annotations

import asyncio
import logging
import select
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from serving import PATIENCE, RawClient, address_of, serving

from pyronym import Proxy, expose
from pyronym.errors import CommunicationError
from pyronym.rpc.hosting import Peer
from pyronym.server import handshake
from pyronym.server.daemon import Daemon
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop
from pyronym.server.loop import LoopBase, ServerLoop
from pyronym.settings import Settings
from pyronym.wire.message import MessageType
from tls_files import CLIENT_SUBJECT, Certificates, authority, issued, make

NewLoop = Callable[[], LoopBase]


@pytest.fixture(params=[ServerLoop, fastest_loop], ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> NewLoop:
    if request.param is fastest_loop:
        assert HAS_UVLOOP
    return request.param


@expose
class Thing:
    def __init__(self) -> None:
        self.entered, self.leave = threading.Event(), threading.Event()

    def echo(self, value):
        return value

    def slow(self):
        self.entered.set()
        self.leave.wait(PATIENCE)

    async def later(self, value):
        await asyncio.sleep(0)
        return value


class Curious(Daemon):
    """Takes down whom its clients' certificates name."""

    def __init__(self, *args, **kwargs) -> None:
        self.subjects: list[str | None] = []
        super().__init__(*args, **kwargs)

    def validateHandshake(self, conn: Peer, data: object) -> object:
        self.subjects.append(conn.tls_subject)
        return "hello"


def tls_client(daemon: Daemon, certificates: Certificates, **how) -> RawClient:
    client = RawClient(daemon, **how)
    client.sock = certificates.context().wrap_socket(client.sock, server_hostname="127.0.0.1")
    return client.connect()


@pytest.mark.parametrize("protocol", [4, 5])
def test_calls_of_every_kind_are_answered(protocol: int, new_loop: NewLoop, certificates: Certificates) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, protocol=protocol, settings=certificates.nameless()) as thing:
            assert thing.echo("x" * 3_000_000) == "x" * 3_000_000
            assert [thing.echo(number) for number in range(50)] == list(range(50))
            assert thing.later("y") == "y"


def test_a_daemon_learns_whom_a_clients_certificate_names(new_loop: NewLoop, certificates: Certificates) -> None:
    with serving(Curious("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        for settings in (certificates.client(), certificates.nameless()):
            with Proxy(uri, settings=settings, protocol=4) as thing:
                thing.echo(1)
        assert daemon.subjects == [CLIENT_SUBJECT, None]


def test_without_cas_nobody_is_asked_for_a_certificate(certificates: Certificates) -> None:
    with serving(Curious("127.0.0.1", settings=certificates.server(ssl_cacerts=""))) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, settings=certificates.client(), protocol=4) as thing:
            thing.echo(1)
        assert daemon.subjects == [None]


def test_a_client_without_the_certificate_that_is_required_is_told_so(
    new_loop: NewLoop, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    settings = certificates.server(ssl_requireclientcert=True)
    with serving(Daemon("127.0.0.1", settings=settings, loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, settings=certificates.nameless()) as thing:
            with pytest.raises(CommunicationError, match=r"certificate required \(the other side wants a client cert"):
                thing.echo(1)
        with Proxy(uri, settings=certificates.client()) as thing:
            assert thing.echo(1) == 1
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "TLS: peer did not return a certificate (it showed no client certificate; its SSL_CLIENTCERT must be set)"
    ]


def test_a_client_with_a_certificate_of_a_stranger_is_told_so(
    new_loop: NewLoop, certificates: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = issued(tmp_path, "stranger", authority().client("stranger"))
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        settings = certificates.client(ssl_clientcert=stranger["cert"], ssl_clientkey=stranger["key"])
        with Proxy(uri, settings=settings) as thing:
            with pytest.raises(CommunicationError, match="the other side does not trust the CA of our certificate"):
                thing.echo(1)
    (record,) = caplog.records
    assert "the certificate of the other side is refused: unable to get local issuer" in record.getMessage()


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_client_without_tls_is_told_in_its_own_protocol(
    protocol: int, new_loop: NewLoop, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, protocol=protocol, settings=Settings()) as thing:
            with pytest.raises(CommunicationError, match=r"rejected: this port speaks TLS: set SSL and SSL_CACERTS"):
                thing.echo(1)
    (record,) = caplog.records
    assert record.getMessage().endswith("it speaks without TLS at a port for TLS only")


def test_a_client_without_tls_can_read_its_refusal_although_it_sends_much(
    new_loop: NewLoop, certificates: Certificates
) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        with RawClient(daemon) as client:
            client.sock.sendall(client.connect_message() + bytes(20_000_000))
            refusal = client.receive()
            assert refusal.type is MessageType.CONNECT_FAIL
            assert client.is_closed()


def test_a_client_with_tls_at_a_port_without_is_told_so(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Daemon("127.0.0.1", settings=Settings())) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, settings=certificates.nameless()) as thing:
            with pytest.raises(CommunicationError, match="the other side does not speak TLS here"):
                thing.echo(1)
    (record,) = caplog.records
    assert "the peer speaks TLS" in record.getMessage()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "HANDSHAKE_SECONDS", 0.3)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01"], ids=["silent", "half"])
def test_a_client_that_does_not_finish_its_handshake_is_dropped_and_disturbs_nobody(
    start: bytes, new_loop: NewLoop, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        with socket.create_connection(address_of(daemon), timeout=PATIENCE) as idle:
            idle.sendall(start)
            with Proxy(uri, settings=certificates.nameless()) as thing:
                assert thing.echo(1) == 1
                assert idle.recv(1) == b""
                assert thing.echo(2) == 2
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == ["no TLS handshake within 0.3 s"]


def test_a_daemon_that_closes_does_not_wait_for_handshakes(new_loop: NewLoop, certificates: Certificates) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        silent, half = (socket.create_connection(address_of(daemon), timeout=PATIENCE) for _ in range(2))
        half.sendall(b"\x16\x03\x01")
        tls_client(daemon, certificates).sock.close()  # so that the others have been accepted
    for client in (silent, half):
        with client:
            with suppress(ConnectionResetError):
                assert client.recv(1) == b""


def test_those_who_come_and_go_leave_no_trace(
    new_loop: NewLoop, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        for _ in range(3):
            socket.create_connection(address_of(daemon), timeout=PATIENCE).close()
        tls_client(daemon, certificates).sock.close()
    assert not caplog.records


def test_a_refusal_arrives_although_the_client_goes_on_sending(new_loop: NewLoop, certificates: Certificates) -> None:
    settings = certificates.server(max_message_size=1000)
    with serving(Daemon("127.0.0.1", settings=settings, loop=new_loop())) as daemon:
        with tls_client(daemon, certificates) as client:
            client.send("ping", "x" * 5_000_000)
            with pytest.raises(CommunicationError, match="max message size exceeded"):
                client.value(client.receive())


def test_a_client_that_leaves_while_it_is_served_is_no_reason_to_warn(
    new_loop: NewLoop, certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    thing = Thing()
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        daemon.register(thing, "thing")
        client = tls_client(daemon, certificates, object_id="thing")
        client.send("slow")
        assert thing.entered.wait(PATIENCE)
        client.sock.unwrap()  # says goodbye, and takes the daemon's goodbye: it has noticed
        client.sock.close()
        thing.leave.set()
    assert not caplog.records


def test_a_daemon_says_goodbye_to_idle_clients(new_loop: NewLoop, certificates: Certificates) -> None:
    with serving(Daemon("127.0.0.1", settings=certificates.server(), loop=new_loop())) as daemon:
        client = tls_client(daemon, certificates)
    with client:
        assert client.sock.recv(1) == b""  # an SSLError or a reset if the end could be an attacker's


def one_call(uri: object, certificates: Certificates) -> object:
    with Proxy(str(uri), settings=certificates.client()) as thing:
        return thing.echo("here")


def test_a_select_loop_serves_tls(certificates: Certificates) -> None:
    with Daemon("127.0.0.1", settings=certificates.server()) as daemon:
        uri = daemon.register(Thing(), "thing")
        results = []

        def client() -> None:
            results.append(one_call(uri, certificates))
            daemon.request_stop()  # wakes the loop below

        thread = threading.Thread(target=client)
        thread.start()
        while not results:
            ready, _, _ = select.select(daemon.sockets, [], [], PATIENCE)
            assert ready
            daemon.events(ready)
        thread.join(PATIENCE)
        assert results == ["here"]


@pytest.mark.usefixtures("hasty")
def test_a_select_loop_drops_those_who_do_not_shake_hands(certificates: Certificates) -> None:
    with Daemon("127.0.0.1", settings=certificates.server()) as daemon:
        with socket.create_connection(address_of(daemon), timeout=PATIENCE) as silent:
            while not select.select([silent], [], [], 0)[0]:
                assert select.select([*daemon.sockets, silent], [], [], PATIENCE)[0]
                daemon.events()
            assert silent.recv(1) == b""


def test_an_asyncio_loop_serves_tls(certificates: Certificates) -> None:
    async def main() -> object:
        with Daemon("127.0.0.1", settings=certificates.server()) as daemon:
            uri = daemon.register(Thing(), "thing")
            daemon.attach()
            return await asyncio.to_thread(one_call, uri, certificates)

    assert asyncio.run(main()) == "here"


def test_a_unix_socket_stays_plain(certificates: Certificates, tmp_path: Path) -> None:
    daemon = Daemon(unixsocket=str(tmp_path / "d.sock"), settings=certificates.server())
    with serving(daemon):
        uri = daemon.register(Thing(), "thing")
        for settings in (certificates.client(), Settings()):
            with Proxy(uri, settings=settings) as thing:
                assert thing.echo(1) == 1


def shown(daemon: Daemon, ca: Path) -> object:
    """The serial number of the certificate that a new client sees."""
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(address_of(daemon), timeout=PATIENCE) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as client:
            return client.getpeercert()["serialNumber"]


def test_a_certificate_is_renewed_while_clients_are_connected(
    new_loop: NewLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyronym.tls")
    used, new = make(tmp_path / "used"), make(tmp_path / "new")
    with serving(Daemon("127.0.0.1", settings=used.server(), loop=new_loop())) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, settings=used.nameless()) as early:
            early.echo(1)
            first = shown(daemon, used.folder / "ca.pem")
            shutil.copy(new.folder / "server.pem", used.folder / "server.pem")
            assert shown(daemon, used.folder / "ca.pem") == first  # its key is still missing
            assert "the old ones stay in use" in caplog.records[-1].getMessage()
            shutil.copy(new.folder / "server.key", used.folder / "server.key")
            assert shown(daemon, new.folder / "ca.pem") != first
            assert "anew" in caplog.records[-1].getMessage()
            assert early.echo(2) == 2
