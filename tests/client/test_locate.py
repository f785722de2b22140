"""Finding a name server, and what URIs stand for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedDaemon

from pyronym.client import dialing
from pyronym.client.locate import locate, locateNS, resolve, resolve_with
from pyronym.client.proxy import Proxy
from pyronym.errors import ConnectionClosedError, NameServerNotFoundError, NamingError, PyroError, UnknownNameError
from pyronym.settings import Settings, config
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

RECORDS = {"camera": ("PYRO:cam@localhost:1", {"lab"}), "laser": ("PYRO:las@localhost:2", {"lab", "hot"})}
BOUND = 0.6
"""Seconds that a search may take in tests where it fails: all of it is waiting."""


class ScriptedNameServer(ScriptedDaemon):
    """Has the RECORDS, in either dialect."""

    def __init__(self, protocol: int = PYRO4, **options: Any) -> None:
        search = {PYRO4: {"list": self._list}, PYRO5: {"yplookup": self._yplookup}}[protocol]
        methods: Mapping[str, Callable[..., object]] = {"lookup": self._lookup, **search}
        super().__init__(methods, protocol=protocol, object_id="Pyro.NameServer", **options)

    def _lookup(self, name: str) -> URI:
        if name == "loop":
            return URI("PYRONAME:loop")
        if name not in RECORDS:
            raise NamingError(f"unknown name: {name}")
        return URI(RECORDS[name][0])

    def _list(self, *, metadata_all: list[str], return_metadata: bool) -> dict[str, str]:
        assert return_metadata is False
        return {name: uri for name, (uri, tags) in RECORDS.items() if tags >= set(metadata_all)}

    def _yplookup(self, *, meta_all: list[str], return_metadata: bool) -> dict[str, str]:
        return self._list(metadata_all=meta_all, return_metadata=return_metadata)


class ScriptedResponder:
    """Answers broadcast questions with `answers`, all at once. `questions`: how many came."""

    def __init__(self, *answers: bytes) -> None:
        self.questions = 0
        self._answers = answers
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            question, asker = self._sock.recvfrom(100)
            if question == b"end":
                return
            assert question == b"GET_NSURI"
            self.questions += 1
            for answer in self._answers:
                self._sock.sendto(answer, asker)

    def __enter__(self) -> ScriptedResponder:
        return self

    def __exit__(self, *outcome: object) -> None:
        self._sock.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join()
        self._sock.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A TCP port where nobody listens: connections are refused."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def settings(closed_port: int) -> Settings:
    """Lead nowhere, and never out of this machine."""
    return Settings(
        ns_host="127.0.0.1",
        ns_port=closed_port,
        ns_bcport=closed_port,
        broadcast_addrs=("127.0.0.1",),
        locate_timeout=BOUND,
    )


@pytest.fixture
def server() -> Iterator[ScriptedNameServer]:
    with ScriptedNameServer() as server:
        yield server


# A place that is given


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_a_name_server_at_a_host_is_found_and_connected(protocol: int, settings: Settings) -> None:
    with ScriptedNameServer(protocol) as server, locate("127.0.0.1", server.port, settings=settings) as found:
        assert found._pyroConnection is not None
        assert found._pyroUri == URI(server.uri)
        assert found.lookup("camera") == URI("PYRO:cam@localhost:1")
        assert server.connections == (1 if protocol == PYRO4 else 2)


def test_the_port_of_a_host_is_ns_port_unless_given(server: ScriptedNameServer, settings: Settings) -> None:
    with locate("127.0.0.1", settings=replace(settings, ns_port=server.port)) as found:
        assert found._pyroUri.port == server.port


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_host_needs_no_brackets(host: str, settings: Settings) -> None:
    with ScriptedNameServer(host="::1") as server, locate(host, server.port, settings=settings) as found:
        assert found._pyroUri == URI(server.uri)


def test_a_unix_socket_is_a_host(tmp_path: Path, settings: Settings) -> None:
    with ScriptedNameServer(path=str(tmp_path / "ns")) as server, locate(server.location, settings=settings) as found:
        assert found._pyroUri == URI(server.uri)


def test_nothing_but_the_given_host_is_tried(closed_port: int, settings: Settings) -> None:
    with ScriptedNameServer() as server, ScriptedResponder(server.uri.encode()) as responder:
        elsewhere = replace(settings, ns_port=server.port, ns_bcport=responder.port)
        with pytest.raises(NameServerNotFoundError, match=r"^Failed to locate the nameserver") as caught:
            locate("127.0.0.1", closed_port, settings=elsewhere)
    ((where, why),) = caught.value.attempts
    assert where == f"127.0.0.1:{closed_port}"
    assert "refused" in why
    assert responder.questions == 0


def test_a_host_that_is_no_host_is_an_error(settings: Settings) -> None:
    with pytest.raises(PyroError, match=r"^invalid ipv6 address"):
        locate("[[::1]]", settings=settings)


def test_the_key_is_used_and_stays_with_the_proxy(settings: Settings) -> None:
    with ScriptedNameServer(hmac_key=b"secret") as server:
        with locate("127.0.0.1", server.port, hmac_key="secret", settings=settings) as found:
            assert found._pyroHmacKey == b"secret"
            assert found.lookup("camera")
        with pytest.raises(NameServerNotFoundError, match="hmac"):
            locate("127.0.0.1", server.port, settings=settings)


# No place given


def test_ns_host_is_asked_first_if_it_is_this_machine(server: ScriptedNameServer, settings: Settings) -> None:
    with ScriptedResponder(b"PYRO:never@localhost:1") as responder:
        here = replace(settings, ns_port=server.port, ns_bcport=responder.port)
        with locate(settings=here) as found:
            assert found._pyroUri == URI(server.uri)
    assert responder.questions == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", None])
def test_ns_host_is_this_machine_with_a_port_and_as_a_unix_socket_too(
    host: str | None, settings: Settings, tmp_path: Path
) -> None:
    place = {"host": host} if host else {"path": str(tmp_path / "ns")}
    with ScriptedNameServer(**place) as server, ScriptedResponder(b"PYRO:never@localhost:1") as responder:
        here = replace(settings, ns_host=server.location, ns_bcport=responder.port)
        with locate(settings=here) as found:
            assert found._pyroUri == URI(server.uri)
    assert responder.questions == 0


def test_a_port_alone_is_the_name_servers_port_here(server: ScriptedNameServer, settings: Settings) -> None:
    with locate(port=server.port, settings=settings) as found:
        assert found._pyroUri == URI(server.uri)


def test_a_broadcast_finds_a_server_elsewhere(server: ScriptedNameServer, settings: Settings) -> None:
    with ScriptedResponder(server.uri.encode()) as responder:
        started = time.monotonic()
        with locate(settings=replace(settings, ns_bcport=responder.port, locate_timeout=60)) as found:
            assert found._pyroUri == URI(server.uri)
            assert found._pyroConnection is not None
        assert time.monotonic() - started < 10  # an answer ends the search
    assert responder.questions == 1


def test_a_port_alone_is_the_broadcasts_port_elsewhere(server: ScriptedNameServer, settings: Settings) -> None:
    with ScriptedResponder(server.uri.encode()) as responder, locate(port=responder.port, settings=settings) as found:
        assert found._pyroUri == URI(server.uri)


def test_answers_that_are_garbage_or_lead_nowhere_do_not_end_the_search(
    server: ScriptedNameServer, closed_port: int, settings: Settings
) -> None:
    dead = f"PYRO:Pyro.NameServer@127.0.0.1:{closed_port}".encode()
    answers = (b"", b"\xff\xfe", b"garbage", b"PYRONAME:x", b"x" * 60_000, dead, server.uri.encode())
    with ScriptedResponder(*answers) as responder:
        with locate(settings=replace(settings, ns_bcport=responder.port, locate_timeout=60)) as found:
            assert found._pyroUri == URI(server.uri)
    assert responder.questions == 1


def test_a_question_that_got_lost_is_asked_again(settings: Settings) -> None:
    with ScriptedResponder() as responder:
        with pytest.raises(NameServerNotFoundError):
            locate(settings=replace(settings, ns_bcport=responder.port))
    assert responder.questions > 1


def test_without_broadcast_nobody_else_is_asked(settings: Settings) -> None:
    with ScriptedResponder() as responder:
        quiet = replace(settings, ns_bcport=responder.port, locate_timeout=60)
        started = time.monotonic()
        for search in (
            {"broadcast": False, "settings": quiet},
            {"settings": replace(quiet, prefer_ip_version=6)},
            {"settings": replace(quiet, broadcast_addrs=())},
        ):
            with pytest.raises(NameServerNotFoundError) as caught:
                locate(**search)  # type: ignore[arg-type]
            assert all("broadcast" not in where for where, _ in caught.value.attempts)
        assert time.monotonic() - started < 10  # refused connections cost no time
    assert responder.questions == 0


def test_a_remote_ns_host_is_asked_after_the_broadcast(
    server: ScriptedNameServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> object:
        return real("127.0.0.1" if host == "ns.lab" else host, port, **options)

    monkeypatch.setattr(dialing.socket, "getaddrinfo", getaddrinfo)
    with ScriptedResponder() as responder:
        remote = replace(settings, ns_host="ns.lab", ns_port=server.port, ns_bcport=responder.port)
        with locate(settings=remote) as found:
            assert str(found._pyroUri) == f"PYRO:Pyro.NameServer@ns.lab:{server.port}"
    assert responder.questions > 0


@pytest.mark.parametrize("own_name", ["127.0.0.1", "127.0.1.1"])
def test_a_search_that_fails_lists_what_was_tried_and_why(
    settings: Settings, own_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: own_name)  # as Debian has it, and as others have it
    with pytest.raises(NameServerNotFoundError) as caught:
        locate(settings=settings)
    attempts = dict(caught.value.attempts)
    port = settings.ns_port
    assert set(attempts) == {f"127.0.0.1:{port}", f"{own_name}:{port}", f"broadcast to 127.0.0.1, port {port}"}
    assert attempts[f"broadcast to 127.0.0.1, port {port}"] == "no answer"
    assert "refused" in attempts[f"127.0.0.1:{port}"]
    for where, why in attempts.items():
        assert f"{where}: {why}" in str(caught.value)


def test_an_answer_that_leads_nowhere_is_listed(closed_port: int, settings: Settings) -> None:
    with ScriptedResponder(b"PYRO:dead@./u:/no/such/socket", b"PYRONAME:x@./u:/no/such/name") as responder:
        with pytest.raises(NameServerNotFoundError) as caught:
            locate(settings=replace(settings, ns_bcport=responder.port))
    attempts = dict(caught.value.attempts)
    assert "No such file" in attempts["./u:/no/such/socket"]
    assert attempts[f"broadcast to 127.0.0.1, port {responder.port}"] == "no answer that leads to a name server"
    assert "./u:/no/such/name" not in attempts
    assert len(caught.value.attempts) == len(attempts)


def test_a_frozen_server_here_leaves_time_to_find_another(server: ScriptedNameServer, settings: Settings) -> None:
    with ScriptedDaemon(silent=True) as frozen, ScriptedResponder(server.uri.encode()) as responder:
        frozen_settings = replace(settings, ns_port=frozen.port, ns_bcport=responder.port, locate_timeout=1.5)
        with locate(settings=frozen_settings) as found:
            assert found._pyroUri == URI(server.uri)


def test_a_frozen_server_that_answers_leaves_time_for_the_others(
    server: ScriptedNameServer, settings: Settings
) -> None:
    with ScriptedDaemon(silent=True) as frozen:
        with ScriptedResponder(frozen.uri.encode(), server.uri.encode()) as responder:
            with locate(settings=replace(settings, ns_bcport=responder.port, locate_timeout=1.5)) as found:
                assert found._pyroUri == URI(server.uri)


@pytest.mark.parametrize("host", [None, "127.0.0.1"])
def test_a_search_among_frozen_servers_ends_in_time(host: str | None, settings: Settings) -> None:
    with ScriptedDaemon(silent=True) as frozen, ScriptedResponder(frozen.uri.encode()) as responder:
        frozen_settings = replace(settings, ns_port=frozen.port, ns_bcport=responder.port)
        started = time.monotonic()
        with pytest.raises(NameServerNotFoundError, match="time"):
            locate(host, settings=frozen_settings)
        assert time.monotonic() - started < BOUND + 2


def test_a_resolver_that_hangs_does_not_hold_the_search(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, **options: Any) -> object:
        if not options.get("flags"):
            release.wait(30)
        return real(host, port, **options)

    monkeypatch.setattr(dialing.socket, "getaddrinfo", getaddrinfo)
    far = replace(settings, ns_host="ns.lab", broadcast_addrs=("broadcast.lab",))
    try:
        started = time.monotonic()
        with pytest.raises(NameServerNotFoundError) as caught:
            locate(settings=far)
        assert time.monotonic() - started < BOUND + 2
    finally:
        release.set()
    assert [where for where, _ in caught.value.attempts] == [
        f"broadcast to broadcast.lab, port {far.ns_bcport}",
        f"ns.lab:{far.ns_port}",
    ]


# What URIs stand for


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
@pytest.mark.parametrize("metadata", [True, False])
def test_names_and_tags_are_resolved(protocol: int, metadata: bool, settings: Settings) -> None:
    settings = replace(settings, metadata=metadata)
    with ScriptedNameServer(protocol) as server:
        place = server.location
        assert resolve_with(f"PYRONAME:camera@{place}", settings=settings) == URI("PYRO:cam@localhost:1")
        assert resolve_with(URI(f"PYROMETA:lab,hot@{place}"), settings=settings) == URI("PYRO:las@localhost:2")
        found = {str(resolve_with(f"PYROMETA:lab@{place}", settings=settings)) for _ in range(100)}
        assert found == {"PYRO:cam@localhost:1", "PYRO:las@localhost:2"}


def test_a_name_server_at_a_unix_socket_resolves(tmp_path: Path, settings: Settings) -> None:
    with ScriptedNameServer(path=str(tmp_path / "ns")) as server:
        assert resolve_with(f"PYRONAME:camera@{server.location}", settings=settings) == URI("PYRO:cam@localhost:1")


def test_a_name_server_that_is_not_named_is_located(server: ScriptedNameServer, settings: Settings) -> None:
    here = replace(settings, ns_port=server.port)
    assert resolve_with("PYRONAME:camera", settings=here) == URI("PYRO:cam@localhost:1")


def test_what_stands_for_nothing_is_a_naming_error(server: ScriptedNameServer, settings: Settings) -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown name: nobody$"):
        resolve_with(f"PYRONAME:nobody@{server.location}", settings=settings)
    with pytest.raises(NamingError, match=r"^no registrations available with desired metadata properties cold, lab$"):
        resolve_with(f"PYROMETA:lab,cold@{server.location}", settings=settings)
    with pytest.raises(NamingError, match="PYRONAME:loop, which is no address"):
        resolve_with(f"PYRONAME:loop@{server.location}", settings=settings)
    with pytest.raises(NameServerNotFoundError):
        resolve_with(f"PYRONAME:camera@127.0.0.1:{settings.ns_port}", settings=settings)


def test_an_address_is_given_back_and_nobody_is_asked() -> None:
    uri = URI("PYRO:cam@localhost:1")
    assert resolve(uri) is uri
    assert resolve("PYRO:cam@localhost:1") == uri


@pytest.mark.parametrize("thing", [None, 7, b"PYRO:cam@localhost:1"], ids=repr)
def test_what_is_no_uri_cannot_be_resolved(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"^can only resolve Pyro URIs"):
        resolve(thing)


def test_the_key_is_used_to_resolve(settings: Settings) -> None:
    with ScriptedNameServer(hmac_key=b"secret") as server:
        uri = f"PYRONAME:camera@{server.location}"
        assert resolve_with(uri, "secret", settings=settings) == URI("PYRO:cam@localhost:1")
        with pytest.raises(NameServerNotFoundError):
            resolve_with(uri, settings=settings)


def test_the_faces_take_the_settings_of_the_program(server: ScriptedNameServer) -> None:
    config.NS_HOST, config.NS_PORT = "127.0.0.1", server.port
    try:
        with locateNS() as found:
            assert found._pyroUri == URI(server.uri)
        assert resolve("PYRONAME:camera") == URI("PYRO:cam@localhost:1")
    finally:
        config.reset()


# Proxies for names


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedDaemon]:
    """An object that the name servers know as `echo`."""
    with ScriptedDaemon({"echo": lambda value: value}, hmac_key=None) as daemon:
        monkeypatch.setitem(RECORDS, "echo", (daemon.uri, {"echoes"}))
        yield daemon


@pytest.mark.parametrize("form", ["PYRONAME:echo", "PYROMETA:echoes"])
def test_binding_replaces_the_uri_and_calling_does_not(
    form: str, named: ScriptedDaemon, server: ScriptedNameServer, settings: Settings
) -> None:
    magic = f"{form}@{server.location}"
    with Proxy(magic, settings=settings) as proxy:
        assert proxy.echo(1) == 1
        assert proxy._pyroUri == URI(magic)
        proxy._pyroRelease()
        assert proxy._pyroBind() is True
        assert proxy._pyroUri == URI(named.uri)


def test_a_proxy_for_a_name_follows_it_to_another_place(
    named: ScriptedDaemon, server: ScriptedNameServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(f"PYRONAME:echo@{server.location}", settings=settings) as proxy:
        assert proxy.echo(1) == 1
        proxy._pyroRelease()
        with ScriptedDaemon({"echo": lambda value: -value}) as other:
            monkeypatch.setitem(RECORDS, "echo", (other.uri, set()))
            assert proxy.echo(1) == -1


def test_reconnecting_also_waits_for_the_name_server(settings: Settings) -> None:
    proxy = Proxy(f"PYRONAME:echo@127.0.0.1:{settings.ns_port}", settings=settings)
    with pytest.raises(ConnectionClosedError, match=r"^failed to reconnect"):
        proxy._pyroReconnect(tries=1)


def test_the_key_of_a_proxy_is_also_that_of_its_name_server(settings: Settings) -> None:
    with ScriptedNameServer(hmac_key=b"secret") as server:
        with pytest.raises(UnknownNameError):
            Proxy(f"PYRONAME:nobody@{server.location}", hmac_key="secret", settings=settings)._pyroBind()


def test_the_timeout_of_a_proxy_includes_resolving(settings: Settings) -> None:
    with ScriptedDaemon(silent=True) as frozen:
        proxy = Proxy(f"PYRONAME:x@{frozen.location}", settings=replace(settings, locate_timeout=60, commtimeout=0.05))
        started = time.monotonic()
        with pytest.raises(NameServerNotFoundError):
            proxy._pyroBind()
        assert time.monotonic() - started < 10
