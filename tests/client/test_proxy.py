"""What programs do with a proxy, against a daemon that answers as told."""

from __future__ import annotations

import copy
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Hangup, Raw, ScriptedDaemon, Silence

from pyronym.client import proxy as proxy_module
from pyronym.client.blocking import SocketStream
from pyronym.client.proxy import Proxy
from pyronym.errors import (
    CommunicationError,
    ConnectionClosedError,
    MessageTooLargeError,
    NamingError,
    PyroError,
    SecurityError,
    SerializeError,
    TimeoutError,
    UnknownNameError,
)
from pyronym.settings import Settings, config
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5


def echo(*args: object, **kwargs: object) -> list[object]:
    return [list(args), kwargs]


def raising(problem: Exception) -> object:
    def method(*args: object) -> object:
        raise problem

    return method


# Calls


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_a_call_gives_what_the_method_returns(protocol: int) -> None:
    with ScriptedDaemon({"echo": echo}, protocol=protocol) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.echo(1, "two", three=3) == [[1, "two"], {"three": 3}]


def test_a_call_raises_what_the_method_raises_with_its_traceback() -> None:
    with ScriptedDaemon({"fail": raising(ValueError("no"))}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(ValueError, match=r"^no$") as caught:
            proxy.fail()
        assert caught.value._pyroTraceback == ["remote line\n"]  # type: ignore[attr-defined]
        assert proxy._pyroConnection is not None


def test_a_name_server_error_arrives_as_its_own_class() -> None:
    with ScriptedDaemon({"lookup": raising(NamingError("unknown name: x"))}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(UnknownNameError):
            proxy.lookup("x")


def test_a_oneway_call_waits_for_nothing() -> None:
    done = threading.Event()
    with ScriptedDaemon({"note": done.set}, oneway=["note"]) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.note() is None
        assert done.wait(10)


def test_remote_attributes_are_read_and_written() -> None:
    values = {"mood": "calm"}
    methods = {"__getattr__": values.__getitem__, "__setattr__": values.__setitem__}
    with ScriptedDaemon(methods, attributes=["mood"]) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.mood == "calm"
        proxy.mood = "wild"
        assert values == {"mood": "wild"}


def test_what_the_object_does_not_have_is_refused_without_a_call() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(
            AttributeError, match=rf"^remote object '{daemon.uri}' has no exposed attribute or method 'x'"
        ):
            _ = proxy.x
        with pytest.raises(AttributeError, match=rf"^remote object '{daemon.uri}' has no exposed attribute 'echo'"):
            proxy.echo = 1
        assert daemon.calls == []


def test_a_misspelt_setting_of_the_proxy_is_refused() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(AttributeError, match="_pyroTimeOut"):
            proxy._pyroTimeOut = 1
        with pytest.raises(AttributeError, match="_pyroTimeOut"):
            _ = proxy._pyroTimeOut


def test_without_metadata_everything_is_a_method() -> None:
    settings = Settings(metadata=False)
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri, settings=settings) as proxy:
        assert proxy.echo(1) == [[1], {}]
        assert daemon.handshakes == [{"handshake": "hello"}]
        with pytest.raises(KeyError):
            proxy.nothing()
        assert proxy._pyroMethods == set()
        proxy._pyroGetMetadata()
        assert proxy._pyroMethods == {"echo"}


def test_an_object_that_offers_nothing_is_an_error() -> None:
    with ScriptedDaemon({}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(PyroError, match=r"^remote object doesn't expose any methods or attributes"):
            proxy._pyroBind()
        assert proxy._pyroConnection is None


def test_references_in_an_answer_become_proxies() -> None:
    other = "PYRO:other@localhost:1"
    with ScriptedDaemon({"other": lambda: {"here": [Proxy(other)._pyroReference()]}}) as daemon:
        with Proxy(daemon.uri) as proxy:
            found = proxy.other()["here"][0]
            assert isinstance(found, Proxy)
            assert found == Proxy(other)


def test_a_proxy_as_an_argument_travels_as_a_reference() -> None:
    with ScriptedDaemon({"kind": lambda value: type(value[0]).__name__}) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.kind([proxy]) == "RemoteReference"


# Failures


def test_a_timeout_ends_the_connection_so_that_the_late_answer_is_never_taken() -> None:
    late = threading.Event()

    def slow() -> str:
        late.wait(10)
        return "late"

    with ScriptedDaemon({"slow": slow, "quick": lambda: "quick"}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        proxy._pyroTimeout = 0.05
        with pytest.raises(TimeoutError, match="timeout"):
            proxy.slow()
        assert proxy._pyroConnection is None
        proxy._pyroTimeout = 10
        assert proxy.quick() == "quick"
        late.set()
        assert proxy.quick() == "quick"
        assert daemon.connections == 2


def test_the_timeout_is_that_of_the_whole_call_not_of_each_piece() -> None:
    header = bytes.fromhex("5059524f003000050000000100004000000100000000a1f2")
    sent: list[int] = []
    stop = threading.Event()

    def drip() -> Iterator[bytes]:
        for byte in header:
            if stop.wait(0.04):
                return
            sent.append(byte)
            yield bytes([byte])

    with ScriptedDaemon({"drip": lambda: Raw(drip())}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        proxy._pyroTimeout = 0.2
        with pytest.raises(TimeoutError):
            proxy.drip()
        stop.set()
        assert len(sent) < len(header)


def test_a_timeout_can_be_lifted_while_connected() -> None:
    with ScriptedDaemon({"slow": lambda: time.sleep(0.45)}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroTimeout = 0.3
        proxy._pyroBind()
        proxy._pyroTimeout = None
        assert proxy.slow() is None


def test_the_timeout_holds_for_connecting() -> None:
    with ScriptedDaemon(silent=True) as daemon, Proxy(daemon.uri, settings=Settings(commtimeout=0.05)) as proxy:
        with pytest.raises(TimeoutError):
            proxy._pyroBind()


def test_a_lost_connection_is_an_error_once() -> None:
    with ScriptedDaemon({"end": lambda: Hangup, "echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(ConnectionClosedError, match=daemon.location):
            proxy.end()
        assert proxy.echo() == [[], {}]


def test_a_connection_that_was_dropped_meanwhile_is_an_error_once() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        daemon.drop_connections()
        with pytest.raises(ConnectionClosedError):
            proxy.echo()
        assert proxy.echo() == [[], {}]


def test_ctrl_c_during_a_call_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> bytes:
        raise KeyboardInterrupt

    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        with monkeypatch.context() as patched:
            patched.setattr(SocketStream, "_receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                proxy.echo(1)
        assert proxy._pyroConnection is None
        assert proxy.echo(2) == [[2], {}]


def test_lost_connections_are_retried_as_often_as_allowed() -> None:
    ends = iter([Hangup, Silence, "third"])
    settings = Settings(max_retries=2, commtimeout=0.5)
    with ScriptedDaemon({"work": lambda: next(ends)}) as daemon, Proxy(daemon.uri, settings=settings) as proxy:
        assert proxy.work() == "third"
    ends = iter([Hangup, Hangup, "third"])
    with ScriptedDaemon({"work": lambda: next(ends)}) as daemon, Proxy(daemon.uri, settings=settings) as proxy:
        proxy._pyroMaxRetries = 1
        with pytest.raises(ConnectionClosedError):
            proxy.work()


def test_what_the_method_raises_is_never_retried() -> None:
    settings = Settings(max_retries=5)
    methods = {"work": raising(TimeoutError("of the method's own calls"))}
    with ScriptedDaemon(methods) as daemon, Proxy(daemon.uri, settings=settings) as proxy:
        with pytest.raises(TimeoutError, match="of the method's own"):
            proxy.work()
        assert daemon.calls == ["work"]


def test_arguments_that_cannot_travel_leave_the_connection_as_it_is() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        with pytest.raises(SerializeError):
            proxy.echo(object())
        assert proxy.echo(1) == [[1], {}]
        assert daemon.connections == 1


def test_a_message_over_the_limit_leaves_the_connection_as_it_is() -> None:
    settings = Settings(max_message_size=1000)
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri, settings=settings) as proxy:
        proxy._pyroBind()
        with pytest.raises(MessageTooLargeError):
            proxy.echo("x" * 1000)
        assert proxy.echo(1) == [[1], {}]
        assert daemon.connections == 1


def test_the_reason_is_known_when_the_daemon_refuses_a_message_half_way() -> None:
    with ScriptedDaemon({"echo": echo}, limit=1000) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(MessageTooLargeError):
            proxy.echo("x" * 10_000_000)
        assert proxy.echo(1) == [[1], {}]


@pytest.mark.parametrize("kind", [SecurityError, SerializeError])
def test_errors_after_which_daemons_close_do_not_disturb_the_next_call(kind: type[Exception]) -> None:
    with ScriptedDaemon({"fail": raising(kind("no")), "echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(kind, match=r"^no$"):
            proxy.fail()
        assert proxy._pyroConnection is None
        assert proxy.echo() == [[], {}]


def test_an_unknown_serializer_is_an_error_of_the_call() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroSerializer = "morse"
        with pytest.raises(SerializeError, match="morse"):
            proxy._pyroBind()


def test_the_serializer_can_be_chosen_for_each_proxy() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroSerializer = "marshal"
        assert proxy.echo(b"bytes") == [[b"bytes"], {}]


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_a_refusal_says_why(protocol: int) -> None:
    with ScriptedDaemon(protocol=protocol, refuse="no free workers, increase server threadpool size") as daemon:
        with pytest.raises(CommunicationError, match=rf"^connection to {daemon.location} rejected: no free workers"):
            Proxy(daemon.uri)._pyroBind()


def test_nobody_there_is_a_communication_error() -> None:
    with ScriptedDaemon() as daemon:
        pass
    with pytest.raises(CommunicationError, match=rf"^cannot connect to {daemon.location}: .*refused"):
        Proxy(daemon.uri)._pyroBind()


# Protocols and keys


def test_the_protocol_is_found_out_once() -> None:
    with ScriptedDaemon({"echo": echo}, protocol=PYRO5) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        assert daemon.connections == 2
        proxy._pyroRelease()
        proxy._pyroBind()
        assert daemon.connections == 3


def test_a_daemon_that_comes_back_with_the_other_protocol_is_found() -> None:
    with ScriptedDaemon({"echo": echo}, protocol=PYRO5) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        proxy._pyroRelease()
        daemon.protocol = PYRO4
        assert proxy.echo() == [[], {}]


def test_a_refusal_that_got_lost_still_leads_to_the_other_protocol() -> None:
    with ScriptedDaemon({"echo": echo}, protocol=PYRO5, deaf=1) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.echo() == [[], {}]


@pytest.mark.parametrize(("protocol", "spoken"), [(4, PYRO4), (5, PYRO5)])
def test_a_given_protocol_is_the_only_one_tried(protocol: int, spoken: int) -> None:
    with ScriptedDaemon({"echo": echo}, protocol=spoken) as daemon, Proxy(daemon.uri, protocol=protocol) as proxy:
        assert proxy.echo() == [[], {}]
        assert daemon.connections == 1
    with ScriptedDaemon(protocol=PYRO4 + PYRO5 - spoken) as daemon, Proxy(daemon.uri, protocol=protocol) as proxy:
        with pytest.raises(CommunicationError, match=f"not Pyro{protocol}"):
            proxy._pyroBind()
        assert daemon.connections == 1


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="48"):
        Proxy("PYRO:thing@localhost:1", protocol=48)


def test_messages_are_signed_with_the_key() -> None:
    with ScriptedDaemon({"echo": echo}, hmac_key=b"secret") as daemon, Proxy(daemon.uri, hmac_key="secret") as proxy:
        assert proxy._pyroHmacKey == b"secret"
        assert proxy.echo() == [[], {}]
        proxy._pyroHmacKey = b"other"
        assert proxy._pyroConnection is None
        with pytest.raises(SecurityError):
            proxy.echo()
        proxy._pyroHmacKey = ""
        assert proxy._pyroHmacKey is None
        with pytest.raises(SecurityError):
            proxy.echo()


@pytest.mark.parametrize(("deaf", "expected"), [(0, SecurityError), (1, ConnectionClosedError)])
def test_a_key_is_never_given_up_for_a_pyro5_daemon(deaf: int, expected: type[Exception]) -> None:
    with ScriptedDaemon({"echo": echo}, protocol=PYRO5, deaf=deaf) as daemon:
        with pytest.raises(expected):
            Proxy(daemon.uri, hmac_key="secret").echo()
        assert daemon.handshakes == []


# Addresses


@pytest.mark.parametrize("name", ["{tmp}/socket", "\0pyronym-{tmp}"], ids=["path", "abstract"])
def test_unix_sockets(name: str, tmp_path: Path) -> None:
    with ScriptedDaemon({"echo": echo}, path=name.format(tmp=tmp_path)) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.echo() == [[], {}]
        assert "connected Unix" in repr(proxy)


def test_ipv6() -> None:
    with ScriptedDaemon({"echo": echo}, host="::1") as daemon, Proxy(daemon.uri) as proxy:
        assert proxy.echo() == [[], {}]
        assert "connected IPv6" in repr(proxy)


# Several threads


def test_calls_of_several_threads_do_not_mix() -> None:
    problems: list[object] = []

    def work(proxy: Proxy, number: int) -> None:
        for turn in range(30):
            result = proxy.echo(number, turn)
            if result != [[number, turn], {}]:
                problems.append((number, turn, result))

    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        threads = [threading.Thread(target=work, args=(proxy, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert daemon.connections == 1
    assert problems == []


# Connecting


def test_bind_says_whether_it_connected() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        assert proxy._pyroBind() is True
        assert proxy._pyroBind() is False
        proxy._pyroRelease()
        proxy._pyroRelease()
        assert proxy._pyroBind() is True


def test_the_handshake_shows_what_the_program_wants() -> None:
    with ScriptedDaemon({"echo": echo}) as daemon, Proxy(daemon.uri) as proxy:
        proxy._pyroHandshake = {"who": "me"}
        proxy._pyroBind()
        assert daemon.handshakes == [{"handshake": {"who": "me"}, "object": "thing"}]


def test_reconnecting_is_tried_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(proxy_module.time, "sleep", pauses.append)
    with ScriptedDaemon({"echo": echo}, deaf=3) as daemon, Proxy(daemon.uri, protocol=4) as proxy:
        proxy._pyroReconnect()
        assert proxy._pyroConnection is not None
        assert daemon.connections == 4
        proxy._pyroReconnect()
        assert daemon.connections == 5
    assert pauses == [proxy_module.RECONNECT_PAUSE] * 3


def test_reconnecting_gives_up_after_its_tries() -> None:
    with ScriptedDaemon(refuse="no") as daemon, Proxy(daemon.uri) as proxy:
        with pytest.raises(ConnectionClosedError, match=r"^failed to reconnect") as caught:
            proxy._pyroReconnect(tries=1)
        assert "rejected: no" in str(caught.value.__cause__)


def test_a_dropped_proxy_closes_its_connection() -> None:
    ended = threading.Event()

    class Watched(ScriptedDaemon):
        def _serve(self, sock: socket.socket) -> None:
            super()._serve(sock)
            ended.set()

    with Watched({"echo": echo}) as daemon:
        proxy = Proxy(daemon.uri)
        proxy._pyroBind()
        del proxy
        assert ended.wait(10)


# The proxy as an object


@pytest.fixture
def daemon() -> Iterator[ScriptedDaemon]:
    with ScriptedDaemon({"echo": echo}, attributes=["mood"], oneway=["echo"]) as daemon:
        yield daemon


def test_a_proxy_is_made_from_a_uri_in_either_form() -> None:
    uri = URI("PYRO:thing@localhost:1")
    assert Proxy(uri)._pyroUri == Proxy(str(uri))._pyroUri == uri
    assert Proxy(uri)._pyroUri is not uri
    for wrong in (b"PYRO:thing@localhost:1", None):
        with pytest.raises(TypeError, match=r"^expected Pyro URI"):
            Proxy(wrong)  # type: ignore[arg-type]
    with pytest.raises(PyroError, match=r"^invalid uri"):
        Proxy("thing@localhost")


def test_proxies_are_equal_when_their_uris_are() -> None:
    one, same, other = (Proxy(f"PYRO:{name}@localhost:1") for name in ("a", "a", "b"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != "PYRO:a@localhost:1"


def test_a_copy_has_a_connection_of_its_own(daemon: ScriptedDaemon) -> None:
    with Proxy(daemon.uri, hmac_key="key", settings=Settings(compression=True)) as proxy:
        proxy._pyroHmacKey = None
        proxy._pyroTimeout, proxy._pyroSerializer, proxy._pyroMaxRetries = 7, "marshal", 3
        proxy._pyroBind()
        with copy.copy(proxy) as twin:
            assert twin == proxy
            assert twin._pyroConnection is None
            assert (twin._pyroTimeout, twin._pyroSerializer, twin._pyroMaxRetries) == (7, "marshal", 3)
            assert twin._pyroSettings is proxy._pyroSettings
            assert twin._pyroAttrs == {"mood"}
            assert twin._pyroAttrs is not proxy._pyroAttrs
        assert proxy._pyroConnection is not None


def test_a_proxy_survives_pickling_and_deep_copying(daemon: ScriptedDaemon) -> None:
    with Proxy(daemon.uri, protocol=4, hmac_key="key") as proxy:
        for twin in (pickle.loads(pickle.dumps(proxy)), copy.deepcopy(proxy)):
            assert twin == proxy
            assert (twin._pyroHmacKey, twin._pyroProtocol) == (b"key", 4)
            assert twin._pyroTimeout == config.settings.commtimeout
        assert daemon.connections == 0


def test_a_proxy_that_knows_its_members_asks_nobody(daemon: ScriptedDaemon) -> None:
    with Proxy(daemon.uri) as proxy:
        proxy._pyroBind()
        twin = pickle.loads(pickle.dumps(proxy))
    assert callable(twin.echo)
    with pytest.raises(AttributeError):
        _ = twin.nothing
    assert daemon.connections == 1


def test_what_a_proxy_shows_of_itself(daemon: ScriptedDaemon) -> None:
    with Proxy(daemon.uri) as proxy:
        assert f"; not connected; for {daemon.uri}>" in repr(proxy)
        proxy._pyroBind()
        assert f"; connected IPv4; for {daemon.uri}>" in str(proxy)
        assert repr(proxy.echo) == f"<remote method echo of {daemon.uri}>"
        assert {"echo", "mood", "_pyroBind"} <= set(dir(proxy))


def test_a_proxy_is_true_and_asks_nobody_for_that(daemon: ScriptedDaemon) -> None:
    assert Proxy(daemon.uri)
    assert daemon.connections == 0


# Containers


def test_a_remote_container_is_used_like_one() -> None:
    items = [10, 20, 30]
    names = ("__len__", "__getitem__", "__setitem__", "__delitem__")
    with ScriptedDaemon({name: getattr(items, name) for name in names}) as daemon, Proxy(daemon.uri) as proxy:
        assert len(proxy) == 3
        assert proxy[1] == 20
        proxy[1] = 21
        del proxy[0]
        assert list(proxy) == [21, 30]
        assert 30 in proxy
    assert items == [21, 30]


def test_what_is_no_container_is_not_used_like_one(daemon: ScriptedDaemon) -> None:
    with Proxy(daemon.uri) as proxy:
        with pytest.raises(TypeError, match="__len__"):
            len(proxy)
        with pytest.raises(TypeError, match="__getitem__"):
            _ = proxy[0]
        with pytest.raises(TypeError, match="__iter__"):
            iter(proxy)


def test_a_remote_iterable_is_iterated_there() -> None:
    with ScriptedDaemon({"__iter__": lambda: [1, 2]}) as daemon, Proxy(daemon.uri) as proxy:
        assert list(iter(proxy)) == [1, 2]
