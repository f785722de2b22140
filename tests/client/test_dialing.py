"""From a URI to a connected socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyronym.client import dialing
from pyronym.client.blocking import BLOCKING, SocketStream
from pyronym.client.deadline import Deadline
from pyronym.client.network import run
from pyronym.errors import CommunicationError, TimeoutError
from pyronym.settings import Settings
from pyronym.uri import URI
from tls_files import Certificates

Resolver = Callable[[str], list[tuple[Any, ...]]]
INET4, INET6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
"""An address of each family."""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[[Resolver], None]:
    """Have a function resolve host names instead of the system."""
    real = socket.getaddrinfo

    def install(resolve: Resolver) -> None:
        def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
            if kwargs.get("flags"):
                return real(host, port, *args, **kwargs)
            return [(family, socket.SOCK_STREAM, 0, "", (address, port)) for family, address in resolve(host)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return install


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def uri(host: str, port: int) -> URI:
    return URI(f"PYRO:thing@{host}:{port}")


def dial(uri: URI, settings: Settings, deadline: Deadline) -> SocketStream:
    return run(dialing.dial(BLOCKING, uri, settings, deadline))


def test_the_socket_sends_at_once_and_notices_a_vanished_peer(listener: socket.socket) -> None:
    stream = dial(uri("127.0.0.1", port_of(listener)), Settings(), Deadline(None))
    assert stream._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert stream._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    stream = dial(uri("127.0.0.1", port_of(listener)), Settings(sock_nodelay=False), Deadline(None))
    assert not stream._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_every_address_of_a_name_is_tried(listener: socket.socket, resolver: Callable[[Resolver], None]) -> None:
    resolver(lambda host: [INET6, INET4])  # nobody listens at the first
    assert dial(uri("lab", port_of(listener)), Settings(prefer_ip_version=0), Deadline(5)).family == socket.AF_INET


@pytest.mark.parametrize(("preferred", "expected"), [(4, [INET4, INET6]), (6, [INET6, INET4]), (0, [INET6, INET4])])
def test_addresses_are_tried_in_the_preferred_order(
    preferred: int, expected: list[object], resolver: Callable[[Resolver], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(lambda host: [INET6, INET4])
    tried: list[object] = []

    class Refusing(socket.socket):
        def connect(self, address: Any) -> None:
            tried.append((self.family, address[0]))
            raise ConnectionRefusedError("no")

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(CommunicationError, match=r"^cannot connect to lab:1: no"):
        dial(uri("lab", 1), Settings(prefer_ip_version=preferred), Deadline(None))
    assert tried == expected


def test_an_address_that_hangs_leaves_time_for_the_next(
    listener: socket.socket, resolver: Callable[[Resolver], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(lambda host: [INET6, INET4])
    limits: list[float | None] = []

    class Hanging(socket.socket):
        def connect(self, address: Any) -> None:
            limits.append(self.gettimeout())
            if self.family == socket.AF_INET6:
                raise builtin_timeout("timed out")
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Hanging)
    dial(uri("lab", port_of(listener)), Settings(prefer_ip_version=0), Deadline(60)).close()
    first, second = limits
    assert first is not None
    assert second is not None
    assert 29 < first <= 30 < 59 < second <= 60


builtin_timeout = socket.timeout


def test_a_resolver_that_hangs_is_left_behind_at_the_deadline(resolver: Callable[[Resolver], None]) -> None:
    release = threading.Event()

    def hang(host: str) -> list[tuple[Any, ...]]:
        release.wait(10)
        return []

    resolver(hang)
    try:
        with pytest.raises(TimeoutError, match=r"^cannot connect to lab:1: timed out"):
            dial(uri("lab", 1), Settings(), Deadline(0.05))
    finally:
        release.set()


def test_a_daemon_that_does_not_shake_hands_is_left_at_the_deadline(
    listener: socket.socket, certificates: Certificates
) -> None:
    with pytest.raises(TimeoutError, match="timed out"):
        dial(uri("127.0.0.1", port_of(listener)), certificates.nameless(), Deadline(0.2))


def test_what_a_daemon_says_in_the_handshake_is_not_hidden_by_other_addresses(
    listener: socket.socket, resolver: Callable[[Resolver], None], certificates: Certificates
) -> None:
    resolver(lambda _: [INET4, INET6])

    def answer() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(b"PYRO" * 8)

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(CommunicationError, match="the other side does not speak TLS here"):
        dial(uri("both", port_of(listener)), certificates.nameless(), Deadline(None))
    thread.join()


def test_an_unknown_name_is_a_communication_error(resolver: Callable[[Resolver], None]) -> None:
    def unknown(host: str) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    resolver(unknown)
    with pytest.raises(CommunicationError, match=r"^cannot connect to lab:1: .*not known"):
        dial(uri("lab", 1), Settings(), Deadline(5))


@pytest.mark.parametrize("location", ["127.0.0.1:99999", f"{'x' * 70}.lab:1", "a\0b:1", f"./u:{'x' * 200}"])
def test_places_that_cannot_be_are_communication_errors(location: str) -> None:
    with pytest.raises(CommunicationError, match=r"^cannot connect to "):
        dial(URI(f"PYRO:thing@{location}"), Settings(), Deadline(5))
