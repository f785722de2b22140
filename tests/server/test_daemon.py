"""Daemon: registering, URIs, addresses, hooks, and what clients see of it."""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import PATIENCE, RawClient, connected, serving

from pyronym.client.proxy import Proxy
from pyronym.errors import CommunicationError, DaemonError, PyroError, SecurityError
from pyronym.rpc.exposed import behavior, expose, oneway
from pyronym.rpc.hosting import Peer
from pyronym.server.daemon import Daemon
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

SETTINGS = Settings()


@expose
class Thing:
    def __init__(self, name: str = "thing") -> None:
        self._name = name
        self._children: list[Thing] = []

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    @property
    def fixed(self) -> int:
        return 1

    def add(self, a: int, b: int = 10) -> int:
        return a + b

    @oneway
    def rename(self, name: str) -> None:
        self._name = name

    async def add_later(self, a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)

    def fail(self) -> None:
        raise ValueError("on purpose")

    def itself(self) -> object:
        return self

    def family(self) -> object:
        return {"parents": (self, self), "names": [1, "two", None]}

    def stranger(self) -> object:
        return Thing("stranger")._name

    def name_of(self, other: Any) -> str:
        return f"{type(other).__name__} {other.name}"

    @staticmethod
    def nothing() -> None:
        pass


class Hidden(Thing):
    def hidden(self) -> None:
        pass

    def _private(self) -> None:
        pass


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with serving(Daemon("127.0.0.1")) as daemon:
        yield daemon


@pytest.fixture(params=[4, 5], ids=["pyro4", "pyro5"])
def proxy(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    with Proxy(daemon.register(Hidden("first"), "thing"), protocol=request.param) as proxy:
        yield proxy


# Registering


def test_an_object_gets_the_id_and_the_uri_that_it_is_given() -> None:
    thing = Thing()
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(thing, "thing")
        assert uri == URI(f"PYRO:thing@{daemon.locationStr}")
        assert (thing._pyroId, thing._pyroDaemon) == ("thing", daemon)  # type: ignore[attr-defined]
        assert daemon.registered() == ["Pyro.Daemon", "thing"]
        assert daemon.objectsById["thing"] is thing
        assert daemon.uriFor(thing) == daemon.uriFor("thing") == uri


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_an_id_one_is_made(nothing: str | None) -> None:
    with Daemon("127.0.0.1") as daemon:
        uri = daemon.register(Thing(), nothing)
        assert re.fullmatch("obj_[0-9a-f]{32}", str(uri.object))
        assert uri.object != daemon.register(Thing()).object


def test_what_cannot_be_registered_is_refused_in_the_stock_servers_words() -> None:
    thing = Thing()
    with Daemon("127.0.0.1") as daemon:
        daemon.register(thing, "thing")
        with pytest.raises(DaemonError, match=r"^object or class already has a Pyro id$"):
            daemon.register(thing, "other")
        with pytest.raises(DaemonError, match=r"^an object or class is already registered with that id$"):
            daemon.register(Thing(), "thing")
        with pytest.raises(TypeError, match=r"^objectId must be a string or None$"):
            daemon.register(Thing(), 5)  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            daemon.register(5, "five")
        with pytest.raises(PyroError, match="invalid uri"):
            daemon.register(Thing(), "with space")
        assert daemon.registered() == ["Pyro.Daemon", "thing"]


def test_force_replaces_whatever_is_there() -> None:
    thing, other = Thing(), Thing()
    with Daemon("127.0.0.1") as daemon:
        daemon.register(thing, "thing")
        daemon.register(other, "thing", force=True)
        assert daemon.objectsById["thing"] is other
        daemon.register(thing, "second", force=True)
        assert daemon.uriFor(thing).object == "second"


@pytest.mark.parametrize("by_id", [True, False])
def test_unregistering_makes_an_object_free_again(by_id: bool) -> None:
    thing = Thing()
    with Daemon("127.0.0.1") as daemon:
        daemon.register(thing, "thing")
        daemon.unregister("thing" if by_id else thing)
        assert daemon.registered() == ["Pyro.Daemon"]
        assert not hasattr(thing, "_pyroId")
        daemon.register(thing, "thing")


def test_unregistering_what_is_not_there() -> None:
    with Daemon("127.0.0.1") as daemon:
        with pytest.raises(ValueError, match=r"^object or objectid argument expected$"):
            daemon.unregister(None)
        with pytest.raises(DaemonError, match=r"^object isn't registered$"):
            daemon.unregister(Thing())
        daemon.unregister("nobody")
        daemon.unregister("Pyro.Daemon")
        assert daemon.registered() == ["Pyro.Daemon"]


def test_uris_and_proxies_are_for_what_is_registered() -> None:
    with Daemon("127.0.0.1") as daemon:
        assert daemon.uriFor("free").object == "free"
        with pytest.raises(DaemonError, match=r"^object isn't registered in this daemon$"):
            daemon.uriFor(Thing())
        with pytest.raises(DaemonError, match=r"^object isn't registered in this daemon$"):
            daemon.proxyFor("free")
        thing = Thing()
        daemon.register(thing, "thing")
        for proxy in (daemon.proxyFor(thing), daemon.proxyFor("thing")):
            assert proxy._pyroUri == daemon.uriFor("thing")
            assert "add" in proxy._pyroMethods
            assert proxy._pyroAttrs == {"name", "fixed"}
            assert proxy._pyroOneway == {"rename"}


def test_an_object_that_is_unregistered_is_unknown_to_connected_clients(daemon: Daemon, proxy: Proxy) -> None:
    assert proxy.add(1) == 11
    daemon.unregister("thing")
    with pytest.raises(DaemonError, match=r"^unknown object$"):
        proxy.add(1)


# Being called


def test_methods_attributes_and_errors_arrive(proxy: Proxy) -> None:
    assert proxy.add(1, b=2) == 3
    assert proxy.add_later(1, 2) == 3
    assert proxy.nothing() is None
    assert proxy.name == "first"
    proxy.name = "second"
    assert proxy.name == "second"
    with pytest.raises(ValueError, match="on purpose") as failure:
        proxy.fail()
    assert "in fail" in "".join(failure.value._pyroTraceback)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="unexpected keyword"):
        proxy.add(1, c=2)


def test_iterators_come_as_streams(proxy: Proxy) -> None:
    assert list(proxy.numbers(4)) == [0, 1, 2, 3]
    unfinished = proxy.numbers(4)
    assert next(unfinished) == 0
    unfinished.close()
    assert list(proxy.numbers(0)) == []


def test_batches(proxy: Proxy) -> None:
    batch = proxy._pyroBatch()
    batch.add(1)
    batch.add_later(1, 2)
    batch.fail()
    batch.add(3)
    results = batch()
    assert [next(results), next(results)] == [11, 3]
    with pytest.raises(ValueError, match="on purpose"):
        next(results)
    assert list(results) == []


def test_oneway_methods_return_at_once(daemon: Daemon, proxy: Proxy) -> None:
    assert proxy.rename("third") is None
    while proxy.name != "third":
        pass


@pytest.mark.parametrize("name", ["hidden", "_private", "__init__", "__class__", "nope", "name"])
@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_what_is_not_exposed_cannot_be_called(daemon: Daemon, name: str, protocol: int) -> None:
    daemon.register(Hidden(), "thing")
    with connected(daemon, "thing", protocol=protocol) as client:
        with pytest.raises(AttributeError):
            client.call(name)


@pytest.mark.parametrize("name", ["hidden", "_name", "__dict__", "add", "nope"])
def test_what_is_no_exposed_property_cannot_be_read_or_written(daemon: Daemon, name: str) -> None:
    daemon.register(Hidden(), "thing")
    with connected(daemon, "thing") as client:
        with pytest.raises(AttributeError):
            client.call("__getattr__", name)
        with pytest.raises(AttributeError):
            client.call("__setattr__", name, 1)
        with pytest.raises(AttributeError):
            client.call("__setattr__", "fixed", 1)


def test_without_require_expose_all_public_members_can_be_used() -> None:
    with serving(Daemon("127.0.0.1", settings=replace(SETTINGS, require_expose=False))) as daemon:
        daemon.register(Hidden(), "thing")
        with connected(daemon, "thing") as client:
            assert client.call("hidden") is None
            with pytest.raises(AttributeError, match="private"):
                client.call("_private")


def test_what_methods_of_programs_raise_is_no_offence_of_the_client(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    @expose
    class Strict:
        def refuse(self) -> None:
            raise SecurityError("not to you")

    with Proxy(daemon.register(Strict(), "strict")) as proxy:
        for _ in range(2):
            with pytest.raises(SecurityError, match="not to you"):
                proxy.refuse()
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


# Objects that travel


def test_registered_objects_come_as_proxies_wherever_they_are(proxy: Proxy) -> None:
    itself = proxy.itself()
    assert isinstance(itself, Proxy)
    family = proxy.family()
    assert family["names"] == [1, "two", None]
    with itself, family["parents"][0] as parent:
        assert itself.name == parent.name == "first"
    assert proxy.stranger() == "stranger"


def test_an_object_of_another_daemon_does_not_travel_as_ours(daemon: Daemon, proxy: Proxy) -> None:
    thing = daemon.objectsById["thing"]
    assert isinstance(thing, Thing)
    with Daemon("127.0.0.1") as other:
        foreign = Thing("foreign")
        other.register(foreign, "thing")
        assert daemon._objects.reference(foreign) is None
        assert other._objects.reference(foreign) is not None
    daemon.register(Thing(), "thing", force=True)
    assert daemon._objects.reference(thing) is None  # its id stands for another one


def test_instances_of_registered_classes_travel_as_proxies_for_the_class() -> None:
    class Own(Thing):
        pass

    with Daemon("127.0.0.1") as daemon:
        daemon.register(Own, "own")
        for value in (Own, Own()):
            reference = daemon._objects.reference(value)
            assert reference is not None
            assert reference.uri == daemon.uriFor("own")


def test_proxies_that_are_passed_can_be_used_by_the_method(daemon: Daemon, proxy: Proxy) -> None:
    uri = daemon.register(Thing("second"), "second")
    with Proxy(uri) as second:
        assert proxy.name_of(second) == "Proxy second"


def test_without_autoproxy_objects_travel_as_data() -> None:
    with serving(Daemon("127.0.0.1", settings=replace(SETTINGS, autoproxy=False))) as daemon:
        daemon.register(Thing(), "thing")
        with connected(daemon, "thing") as client:
            client.send("itself")
            assert b"Proxy" not in client.receive().data


# The daemon as an object


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_the_daemon_describes_itself_and_its_objects(daemon: Daemon, protocol: int) -> None:
    daemon.register(Thing(), "thing")
    with connected(daemon, protocol=protocol) as client:
        assert client.call("ping") is None
        assert client.call("registered") == ["Pyro.Daemon", "thing"]
        assert client.call("info") == (
            f"Pyro.Daemon bound on {daemon.locationStr}, NAT None, 2 objects registered. Servertype: asyncio"
        )
        lists = client.call("get_metadata", "thing", True)
        assert lists["attrs"] == ["fixed", "name"]
        assert client.call("get_metadata", "thing") == {key: set(value) for key, value in lists.items()}
        with pytest.raises(DaemonError, match=r"^unknown object$"):
            client.call("get_metadata", "nope")


def test_streams_belong_to_their_connection_and_end(daemon: Daemon) -> None:
    daemon.register(Thing(), "thing")
    with connected(daemon, "thing") as client, connected(daemon) as other:
        client.send("numbers", 2)
        stream = client.receive().annotations["STRM"].decode()
        with pytest.raises(PyroError, match="item stream terminated"):
            other.call("get_next_stream_item", stream)
        client.object_id = "Pyro.Daemon"
        assert [client.call("get_next_stream_item", stream) for _ in range(2)] == [0, 1]
        with pytest.raises(StopIteration):
            client.call("get_next_stream_item", stream)
        with pytest.raises(PyroError, match="item stream terminated"):
            client.call("get_next_stream_item", stream)
        assert client.call("close_stream", stream) is None
        assert client.call("close_stream", "nope") is None


def test_a_stream_that_is_not_wanted_any_more_is_closed(daemon: Daemon) -> None:
    class Stream:
        def __init__(self) -> None:
            self.closed = False

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            return 1

        def close(self) -> None:
            self.closed = True

    @expose
    class Streams:
        def get(self) -> Stream:
            return stream

    stream = Stream()
    daemon.register(Streams(), "streams")
    with connected(daemon, "streams") as client:
        client.send("get")
        stream_id = client.receive().annotations["STRM"].decode()
        client.object_id = "Pyro.Daemon"
        client.call("close_stream", stream_id)
        assert stream.closed


# Classes


def names_of_instances(daemon: Daemon, visits: int = 2, calls: int = 2) -> list[list[int]]:
    """Which instance answered each call of some clients, one after the other."""
    seen: list[list[int]] = []
    for _ in range(visits):
        with connected(daemon, "class") as client:
            seen.append([client.call("number") for _ in range(calls)])
    return seen


@pytest.mark.parametrize(
    ("mode", "numbers"),
    [
        ("single", [[1, 1], [1, 1]]),
        ("session", [[1, 1], [2, 2]]),
        ("percall", [[1, 2], [3, 4]]),
        (None, [[1, 1], [2, 2]]),
    ],
)
def test_instances_are_made_as_the_behavior_says(daemon: Daemon, mode: Any, numbers: list[list[int]]) -> None:
    made: list[object] = []

    @expose
    class Numbered:
        def __init__(self) -> None:
            made.append(self)
            self._number = len(made)

        def number(self) -> int:
            return self._number

    daemon.register(behavior(mode)(Numbered) if mode else Numbered, "class")
    assert names_of_instances(daemon) == numbers


def test_a_creator_makes_the_instances(daemon: Daemon) -> None:
    @behavior("single", lambda cls: cls(7))
    @expose
    class Numbered:
        def __init__(self, number: int) -> None:
            self._number = number

        def number(self) -> int:
            return self._number

    daemon.register(Numbered, "class")
    assert names_of_instances(daemon) == [[7, 7], [7, 7]]


@pytest.mark.parametrize(
    ("creator", "words"),
    [(lambda cls: 5, "instance creator returned object of different type"), (lambda cls: {}[cls], "Unmakeable")],
)
def test_a_creator_that_fails_is_an_error_of_the_call(
    daemon: Daemon, creator: Callable[[type], object], words: str
) -> None:
    @behavior("session", creator)
    @expose
    class Unmakeable:
        def number(self) -> int:
            return 1

    daemon.register(Unmakeable, "class")
    with connected(daemon, "class") as client:
        with pytest.raises(Exception, match=words):
            client.call("number")


# Addresses


@pytest.mark.parametrize(
    ("host", "shown", "bound"),
    [
        (None, "localhost", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost", "127.0.0.1"),
        ("", "0.0.0.0", "0.0.0.0"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0"),
        ("::1", "[::1]", "::1"),
        ("::", "[::]", "::"),
    ],
)
def test_uris_show_the_host_as_it_was_given(host: str | None, shown: str, bound: str) -> None:
    with Daemon(host) as daemon:
        name = daemon.sock.getsockname()
        assert name[0] == bound
        assert daemon.locationStr == f"{shown}:{name[1]}"
        assert daemon.natLocationStr is None
        assert str(daemon.uriFor("x")) == f"PYRO:x@{shown}:{name[1]}"


def test_clients_come_by_ipv6() -> None:
    with serving(Daemon("::1")) as daemon, Proxy(daemon.register(Thing(), "thing")) as proxy:
        assert proxy.add(1) == 11


def test_a_client_sees_and_shows_plain_addresses_on_every_interface() -> None:
    peers: list[Peer] = []

    class Looking(Daemon):
        def validateHandshake(self, conn: Peer, data: object) -> object:
            peers.append(conn)
            return "hello"

    with serving(Looking("::")) as daemon:
        port = daemon.sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)) as sock, RawClient(daemon) as client:
                client.sock.close()
                client.sock = sock
                client.connect()
                assert peers[-1].local == (host, port)
                assert peers[-1].remote == sock.getsockname()[:2]


def test_clients_come_through_a_unix_socket_whose_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sock"
    with serving(Daemon(unixsocket=str(path))) as daemon:
        uri = daemon.register(Thing(), "thing")
        assert str(uri) == f"PYRO:thing@./u:{path}"
        with Proxy(uri) as proxy:
            assert proxy.add(1) == 11
        assert path.exists()
    assert not path.exists()


def test_nat_addresses_are_for_uris_only() -> None:
    with Daemon("127.0.0.1", nathost="nat.example", natport=1234) as daemon:
        assert daemon.natLocationStr == "nat.example:1234"
        assert str(daemon.uriFor("x")) == "PYRO:x@nat.example:1234"
        assert str(daemon.uriFor("x", nat=False)) == f"PYRO:x@{daemon.locationStr}"
        daemon.register(Thing(), "thing")
        assert daemon.proxyFor("thing")._pyroUri.host == "nat.example"
        assert daemon.proxyFor("thing", nat=False)._pyroUri.host == "127.0.0.1"


def test_nat_addresses_come_from_the_settings_too() -> None:
    with Daemon("127.0.0.1", nathost="nat.example") as daemon:
        assert daemon.natLocationStr == f"nat.example:{daemon.sock.getsockname()[1]}"
    with Daemon("127.0.0.1", nathost="fe80::1", natport=5) as daemon:
        assert daemon.natLocationStr == "[fe80::1]:5"
    with Daemon("127.0.0.1", settings=replace(SETTINGS, nathost="other.example", natport=77)) as daemon:
        assert daemon.natLocationStr == "other.example:77"


def test_contradicting_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^must provide natport with nathost$"):
        Daemon("127.0.0.1", natport=5)
    with pytest.raises(ValueError, match=r"^cannot use nathost together with unixsocket$"):
        Daemon(unixsocket=str(tmp_path / "socket"), nathost="nat.example")


def test_addresses_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with Daemon("127.0.0.1") as daemon:
        port = daemon.sock.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port}") as failure:
            Daemon("127.0.0.1", port)
        assert failure.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        Daemon("192.0.2.1")
    with pytest.raises(socket.gaierror, match=r"no\.such\.host\.invalid"):
        Daemon("no.such.host.invalid")
    with pytest.raises(FileNotFoundError, match="missing"):
        Daemon(unixsocket=str(tmp_path / "missing" / "socket"))
    with pytest.raises(ValueError, match="70000"):
        Daemon("127.0.0.1", 70000)
    path = str(tmp_path / "socket")
    with Daemon(unixsocket=path), pytest.raises(OSError, match="another program"):
        Daemon(unixsocket=path)


# Hooks and keys


def test_a_validator_decides_who_may_come_in() -> None:
    seen: list[tuple[object, object]] = []

    class Guarded(Daemon):
        def validateHandshake(self, conn: Peer, data: object) -> object:
            seen.append((conn.protocol, data))
            if data != "secret":
                raise ValueError("wrong handshake")
            return ["welcome"]

    with serving(Guarded("127.0.0.1")) as daemon:
        uri = daemon.register(Thing(), "thing")
        with Proxy(uri, protocol=4) as proxy:
            with pytest.raises(CommunicationError, match="wrong handshake"):
                proxy._pyroBind()
            proxy._pyroHandshake = "secret"
            assert proxy.add(1) == 11
    assert seen == [(PYRO4, "hello"), (PYRO4, "secret")]


def test_a_daemon_hears_of_clients_that_leave_but_not_of_those_it_has_refused() -> None:
    left: list[object] = []
    heard = threading.Semaphore(0)

    class Listening(Daemon):
        def clientDisconnect(self, conn: Peer) -> None:
            left.append(conn.remote)
            heard.release()
            raise ZeroDivisionError("which must not disturb anybody")

    with serving(Listening("127.0.0.1")) as daemon:
        with RawClient(daemon, "no such object") as client:
            client.sock.sendall(client.connect_message())
            while client.sock.recv(1000):
                pass
        with connected(daemon) as client:
            name = client.sock.getsockname()
        assert heard.acquire(timeout=PATIENCE)
        with connected(daemon) as client:
            assert client.call("ping") is None
    assert left[0] == name


@pytest.mark.parametrize("key", ["schlüssel", "schlüssel".encode()])
def test_a_key_counts_from_the_next_connection_on(daemon: Daemon, key: str | bytes) -> None:
    uri = daemon.register(Thing(), "thing")
    with Proxy(uri, protocol=4) as old, Proxy(uri, protocol=4, hmac_key=key) as new, Proxy(uri, protocol=4) as without:
        assert old.add(1) == 11
        daemon._pyroHmacKey = key
        assert daemon._pyroHmacKey == "schlüssel".encode()
        assert old.add(1) == 11
        assert new.add(1) == 11
        with pytest.raises(PyroError, match="hmac key config not symmetric"):
            without.add(1)
    daemon._pyroHmacKey = None
    with Daemon("127.0.0.1", hmac_key=key) as other:
        assert other._pyroHmacKey == "schlüssel".encode()


# The daemon as a value


def test_it_says_where_it_is(tmp_path: Path) -> None:
    with Daemon("127.0.0.1") as daemon:
        assert re.fullmatch(rf"<pyronym\S+Daemon at 0x\w+; {daemon.locationStr} - IPv4; 1 objects>", repr(daemon))
    with Daemon(unixsocket=str(tmp_path / "socket")) as daemon:
        assert " - Unix; " in repr(daemon)
    assert " objects>" in repr(daemon)


def test_a_closed_daemon_cannot_be_entered_again() -> None:
    with Daemon("127.0.0.1") as daemon:
        pass
    with pytest.raises(PyroError, match="cannot reuse this object"), daemon:
        pass
