"""Our client, stock servers: daemons and name servers of Pyro4 and Pyro5."""

from __future__ import annotations

import copy
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from processes import SCRIPTS, NameServers, Process, stopping
from pyronym.client.batch import batch
from pyronym.client.locate import locate, resolve_with
from pyronym.client.proxy import Proxy
from pyronym.errors import (
    BadPatternError,
    CommunicationError,
    NameTakenError,
    NamingError,
    SecurityError,
    SerializeError,
    TimeoutError,
    UnknownNameError,
)
from pyronym.settings import Settings
from pyronym.uri import URI

SERIALIZERS = {
    4: ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle"),
    5: ("serpent", "json", "marshal", "msgpack"),
}
ACCEPT_ALL = {4: {"PYRO_SERIALIZERS_ACCEPTED": ",".join(SERIALIZERS[4])}, 5: {}}
BOTH = pytest.mark.parametrize("dialect", [4, 5])
EVERY_SERIALIZER = pytest.mark.parametrize(
    ("dialect", "serializer"), [(dialect, name) for dialect, names in SERIALIZERS.items() for name in names]
)

StartThing = Callable[..., str]
"""Start a stock daemon of a dialect with the Thing of `client_daemon.py`; gives its URI."""


@pytest.fixture(scope="module")
def start_thing(stock4_python: Path, stock5_python: Path) -> Iterator[StartThing]:
    processes: list[Process] = []
    pythons = {4: stock4_python, 5: stock5_python}

    def start(dialect: int, *arguments: str, **env: str) -> str:
        environment = {"PYTHONPATH": str(SCRIPTS), **ACCEPT_ALL[dialect], **env}
        command = [pythons[dialect], "-u", "-W", "ignore", SCRIPTS / "client_daemon.py", *arguments]
        processes.append(Process(command, env=environment))
        return processes[-1].wait_for_line(r"^URI = (.*)")[1]

    with stopping(processes):
        yield start


@pytest.fixture(scope="module")
def things(start_thing: StartThing) -> dict[int, str]:
    """The URI of a Thing in each dialect, for tests that leave it as it was."""
    return {dialect: start_thing(dialect) for dialect in SERIALIZERS}


# Daemons


@BOTH
@pytest.mark.parametrize("given", [True, False], ids=["given", "found"])
def test_the_protocol_is_given_or_found_out(dialect: int, given: bool, things: dict[int, str]) -> None:
    with Proxy(things[dialect], protocol=dialect if given else None) as proxy:
        assert proxy.echo(1, two=2) == [[1], {"two": 2}]


@BOTH
def test_a_wrong_protocol_is_refused_with_the_right_one(dialect: int, things: dict[int, str]) -> None:
    with pytest.raises(CommunicationError, match=f"speaks Pyro{dialect}, not Pyro{9 - dialect}"):
        Proxy(things[dialect], protocol=9 - dialect)._pyroBind()


@EVERY_SERIALIZER
@pytest.mark.parametrize("compression", [False, True], ids=["plain", "compressed"])
def test_every_serializer_carries_calls_results_and_errors(
    dialect: int, serializer: str, compression: bool, things: dict[int, str]
) -> None:
    settings = Settings(serializer=serializer, compression=compression)
    with Proxy(things[dialect], settings=settings) as proxy:
        value = {"text": "ü" * 300, "number": -1.5, "nothing": None, "list": [1, [True]]}
        assert proxy.echo(value, key="word") == [[value], {"key": "word"}]
        with pytest.raises(ZeroDivisionError, match=r"^no$") as caught:
            proxy.fail("no")
        assert any("client_daemon.py" in line for line in caught.value._pyroTraceback)  # type: ignore[attr-defined]
        proxy.mood = serializer
        assert proxy.mood == serializer


@pytest.mark.parametrize("serializer", ["pickle", "dill"])
def test_a_serializer_that_pyro5_does_not_have_is_an_error_here(serializer: str, things: dict[int, str]) -> None:
    with pytest.raises(SerializeError, match=serializer):
        Proxy(things[5], settings=Settings(serializer=serializer))._pyroBind()


def test_a_serializer_that_the_daemon_does_not_accept_is_an_error(start_thing: StartThing) -> None:
    uri = start_thing(4, PYRO_SERIALIZERS_ACCEPTED="serpent")
    with pytest.raises(CommunicationError, match="rejected: message used serializer that is not accepted: 2"):
        Proxy(uri, settings=Settings(serializer="json"))._pyroBind()
    with Proxy(uri) as proxy:
        assert proxy.echo() == [[], {}]
        proxy._pyroSerializer = "json"
        with pytest.raises(SerializeError, match="not accepted: 2"):
            proxy.echo()
        proxy._pyroSerializer = None
        assert proxy.echo() == [[], {}]


@BOTH
def test_members_are_known_and_others_refused(dialect: int, things: dict[int, str]) -> None:
    with Proxy(things[dialect]) as proxy:
        with pytest.raises(AttributeError, match="has no exposed attribute or method 'nothing'"):
            _ = proxy.nothing
        assert proxy._pyroOneway == {"note"}
        assert proxy._pyroAttrs == {"mood"}
        assert {"echo", "fail", "numbers"} <= proxy._pyroMethods
        assert len(proxy) == 3
        assert list(proxy) == [10, 20, 30]


@BOTH
def test_without_metadata_everything_is_a_method(dialect: int, things: dict[int, str]) -> None:
    with Proxy(things[dialect], settings=Settings(metadata=False)) as proxy:
        assert proxy.echo(1) == [[1], {}]
        with pytest.raises(AttributeError):
            proxy.nothing()
        proxy._pyroGetMetadata()
        assert proxy._pyroAttrs == {"mood"}


@BOTH
def test_an_unknown_object_is_a_refusal(dialect: int, things: dict[int, str]) -> None:
    uri = things[dialect].replace("thing", "nobody")
    with pytest.raises(CommunicationError, match="rejected: unknown object"):
        Proxy(uri)._pyroBind()
    if dialect == 4:
        with Proxy(uri, settings=Settings(metadata=False)) as proxy, pytest.raises(Exception, match="unknown object"):
            proxy.echo()


@BOTH
def test_a_oneway_call_is_made_without_waiting(dialect: int, start_thing: StartThing) -> None:
    with Proxy(start_thing(dialect)) as proxy:
        assert proxy.note() is None
        assert proxy.wait(20) is True


@BOTH
@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack"])
def test_a_batch_stops_where_a_call_fails(dialect: int, serializer: str, things: dict[int, str]) -> None:
    with Proxy(things[dialect], settings=Settings(serializer=serializer)) as proxy:
        calls = batch(proxy)
        calls.echo(1)
        calls.fail("second")
        calls.echo(3)
        results = calls()
        assert results is not None
        assert next(results) == [[1], {}]
        with pytest.raises(ZeroDivisionError, match=r"^second$"):
            next(results)
        calls.echo(4)
        assert list(calls() or ()) == [[[4], {}]]
        assert calls(oneway=True) is None
        assert proxy.echo() == [[], {}]


@BOTH
def test_a_stream_is_fetched_item_by_item(dialect: int, things: dict[int, str]) -> None:
    with Proxy(things[dialect]) as proxy:
        assert list(proxy.numbers(5)) == [0, 1, 2, 3, 4]
        numbers = proxy.numbers(5)
        assert next(numbers) == 0
        assert proxy.streaming() is True
        numbers.close()
        assert proxy.streaming() is False


@BOTH
def test_a_stream_that_the_daemon_does_not_allow_is_an_error(dialect: int, start_thing: StartThing) -> None:
    with Proxy(start_thing(dialect, PYRO_ITER_STREAMING="false")) as proxy:
        with pytest.raises(CommunicationError, match="not configured to allow streaming"):
            proxy.numbers(5)
        assert proxy.echo() == [[], {}]


@pytest.mark.parametrize(
    ("dialect", "serializer"),
    [(dialect, name) for dialect, names in SERIALIZERS.items() for name in names if name != "marshal"],
)  # stock peers cannot write a proxy inside of a list with marshal
def test_registered_objects_arrive_as_proxies(dialect: int, serializer: str, things: dict[int, str]) -> None:
    with Proxy(things[dialect], settings=Settings(serializer=serializer)) as proxy:
        (found,) = proxy.itself()["there"]
        assert isinstance(found, Proxy)
        assert found == proxy
        with found:
            assert found.echo(1) == [[1], {}]


@EVERY_SERIALIZER
def test_proxies_are_taken_as_arguments(dialect: int, serializer: str, things: dict[int, str]) -> None:
    with Proxy(things[dialect], settings=Settings(serializer=serializer)) as proxy, copy.copy(proxy) as other:
        assert proxy.call(other, "echo", "through") == [["through"], {}]


@BOTH
def test_a_late_answer_is_never_taken_for_the_next(dialect: int, things: dict[int, str]) -> None:
    with Proxy(things[dialect]) as proxy:
        proxy._pyroBind()
        proxy._pyroTimeout = 0.1
        with pytest.raises(TimeoutError):
            proxy.wait(0.5)
        proxy._pyroTimeout = 20
        assert [proxy.echo(number) for number in range(3)] == [[[number], {}] for number in range(3)]


@BOTH
def test_threads_share_a_proxy(dialect: int, things: dict[int, str]) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        wrong.extend(result for turn in range(20) if (result := proxy.echo(number, turn)) != [[number, turn], {}])

    with Proxy(things[dialect]) as proxy:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@BOTH
def test_unix_sockets(dialect: int, start_thing: StartThing, tmp_path: Path) -> None:
    with Proxy(start_thing(dialect, str(tmp_path / "socket"))) as proxy:
        assert proxy.echo() == [[], {}]


def test_keys_must_be_the_same_on_both_sides(start_thing: StartThing, things: dict[int, str]) -> None:
    uri = start_thing(4, "", "secret")
    for key in ("secret", b"secret"):
        with Proxy(uri, hmac_key=key) as proxy:
            assert proxy.echo() == [[], {}]
            with pytest.raises(ZeroDivisionError):
                proxy.fail("no")
    for place, wrong in ((uri, "other"), (uri, None), (things[4], "secret"), (things[5], "secret")):
        with pytest.raises((SecurityError, CommunicationError), match="hmac"):
            Proxy(place, hmac_key=wrong)._pyroBind()


def test_a_full_daemon_says_so(start_thing: StartThing) -> None:
    uri = start_thing(4, PYRO_THREADPOOL_SIZE="2", PYRO_THREADPOOL_SIZE_MIN="1")
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Proxy(uri))._pyroBind()
        with pytest.raises(CommunicationError, match="rejected: no free workers"):
            Proxy(uri)._pyroBind()


# Name servers


@pytest.fixture
def serve_stock(serve_stock4: NameServers, serve_stock5: NameServers) -> dict[int, NameServers]:
    return {4: serve_stock4, 5: serve_stock5}


@EVERY_SERIALIZER
def test_a_name_server_is_used_in_full(dialect: int, serializer: str, serve_stock: dict[int, NameServers]) -> None:
    server = serve_stock[dialect]()
    uri = URI("PYRO:cam@localhost:1")
    with locate(server.host, server.port, settings=Settings(serializer=serializer)) as ns:
        ns.ping()
        assert ns.count() == 1
        ns.register("lab.cam", uri, metadata=["red", "blue"])
        assert ns.lookup("lab.cam") == uri
        found = ns.list(prefix="lab.", return_metadata=True)
        assert list(found) == ["lab.cam"]
        assert found["lab.cam"][0] == str(uri)
        assert set(found["lab.cam"][1]) == {"red", "blue"}
        ns.set_metadata("lab.cam", ["red"])
        with pytest.raises(UnknownNameError, match=r"^unknown name: nobody$"):
            ns.lookup("nobody")
        with pytest.raises(NameTakenError):
            ns.register("lab.cam", uri, safe=True)
        with pytest.raises(BadPatternError):
            ns.list(regex="[")
        with pytest.raises(ValueError, match="one thing"):
            ns.list(prefix="a", regex="b")
        with pytest.raises(TypeError):
            ns.lookup()
        assert ns.remove("lab.cam") == 1


@EVERY_SERIALIZER
def test_uris_are_resolved(dialect: int, serializer: str, serve_stock: dict[int, NameServers]) -> None:
    server = serve_stock[dialect]()
    settings = Settings(serializer=serializer)
    with locate(server.host, server.port, settings=settings) as ns:
        ns.register("lab.cam", "PYRO:cam@localhost:1", metadata=["red", "blue"])
        ns.register("lab.las", "PYRO:las@localhost:1", metadata=["red"])
    assert resolve_with(f"PYRONAME:lab.cam@{server.location}", settings=settings) == URI("PYRO:cam@localhost:1")
    assert resolve_with(f"PYROMETA:red,blue@{server.location}", settings=settings) == URI("PYRO:cam@localhost:1")
    with pytest.raises(NamingError, match=r"^no registrations available with desired metadata properties green"):
        resolve_with(f"PYROMETA:green@{server.location}", settings=settings)


@BOTH
def test_a_named_object_is_called(dialect: int, serve_stock: dict[int, NameServers], things: dict[int, str]) -> None:
    server = serve_stock[dialect]()
    other = 9 - dialect  # name server and object need not speak the same protocol
    with locate(server.host, server.port, settings=Settings()) as ns:
        ns.register("thing", things[other])
    with Proxy(f"PYRONAME:thing@{server.location}") as proxy:
        assert proxy.echo("found") == [["found"], {}]
        assert proxy._pyroUri.protocol == "PYRONAME"
        proxy._pyroRelease()
        assert proxy._pyroBind()
        assert proxy._pyroUri == URI(things[other])


@BOTH
def test_a_name_server_is_found_at_a_unix_socket(
    dialect: int, serve_stock: dict[int, NameServers], tmp_path: Path
) -> None:
    server = serve_stock[dialect](unixsocket=tmp_path / "ns")
    with locate(f"./u:{tmp_path / 'ns'}", settings=Settings()) as ns:
        assert ns.lookup("Pyro.NameServer") == URI(server.uri)


@BOTH
def test_a_name_server_is_found_by_broadcast(dialect: int, serve_stock: dict[int, NameServers]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    # Bound to 127.0.0.1 the stock servers start no responder.
    server = serve_stock[dialect]("--bchost", "127.0.0.1", "--bcport", str(port), host="0.0.0.0")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # does not listen: connections are refused
        settings = Settings(
            ns_host="127.0.0.1", ns_port=nobody.getsockname()[1], ns_bcport=port, broadcast_addrs=("127.0.0.1",)
        )
        with locate(settings=settings) as ns:
            assert ns._pyroUri.port == server.port
            assert ns.count() == 1


def test_a_name_server_with_a_key(serve_stock4: NameServers) -> None:
    server = serve_stock4(key="secret")
    settings = Settings()
    with locate(server.host, server.port, hmac_key="secret", settings=settings) as ns:
        ns.register("cam", "PYRO:cam@localhost:1")
    uri = f"PYRONAME:cam@{server.location}"
    assert resolve_with(uri, b"secret", settings=settings) == URI("PYRO:cam@localhost:1")
    with pytest.raises(NamingError, match="hmac"):
        locate(server.host, server.port, hmac_key="other", settings=settings)
