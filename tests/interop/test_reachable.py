"""Nothing but the exposed methods of the registered objects can be reached, whatever names a client sends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rawwire import BATCH, EXCEPTION, INVOKE, RESULT, SERIALIZER_IDS, RawPeer, message

from processes import PYRONYM, NameServer, NameServers, stopping
from pyronym.serializers.classes import BatchFailure
from pyronym.serializers.registry import serializer_by_name
from pyronym.wire.message import PYRO4, PYRO5

EVERY_SERIALIZER = pytest.mark.parametrize(
    ("dialect", "serializer"), [(dialect, name) for dialect, names in SERIALIZER_IDS.items() for name in names]
)
PRIVATE = (
    *(
        "__init__",
        "__class__",
        "__dict__",
        "__getattribute__",
        "__reduce_ex__",
        "__subclasshook__",
        "__init_subclass__",
    ),
    *("__del__", "__call__", "__enter__", "__eq__", "__str__", "__dir__", "__sizeof__", "__setstate__", "__delattr__"),
    *("_service", "_local", "_view", "_listing", "_bounded", "_given_tags", "_remove_many", "_", "__", "_pyroId"),
    *("__class__.__init__", "__class__.__subclasses__", "__init__.__globals__", "_service.remove"),
)
UNKNOWN = (
    *(
        "list.__self__",
        "list.__func__",
        "lookup.__self__._service",
        "count()",
        "count.",
        ".count",
        "Pyro.NameServer.count",
    ),
    *(
        "",
        " count",
        "count ",
        "COUNT",
        "count\0",
        *(
            "\uff43ount",
            "\u0441ount",
            "count\u200b",
            "\uff3fservice",
            "\u02cd\u02cdclass\u02cd\u02cd",
            "co\u0075\u0301nt",
        ),
        "<batch>",
        "mro",
        "register__",
        "os.system",
        "0",
        "x" * 5000,
    ),
)
UNEXPOSED = ("foreign_tag", "collect_tags")
OTHER_DIALECT = {4: ("yplookup",), 5: ()}
NO_PROPERTIES = (*PRIVATE, *UNKNOWN, *UNEXPOSED, "count", "list", "lookup", "register")
"""The name server has no properties at all, so that nothing can be read or written as one."""


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    everything = "serpent,json,marshal,msgpack,pickle,dill,cloudpickle"
    servers = NameServers([PYRONYM, "serve"], {"PYRO_SERIALIZERS_ACCEPTED": everything})
    with stopping(servers.processes):
        server = servers()
        with RawPeer(server.address, 5) as peer:
            peer.shake_hands()
            peer.call("register", "kept", "PYRO:kept@host:1", False, ["tag"])
        yield server
        assert server.process.terminate() == 0


class Asker:
    """A client with one serializer. Each answer is the exception that came; AssertionError when none came."""

    def __init__(self, server: NameServer, dialect: int, serializer: str) -> None:
        self._dialect = dialect
        self._name = serializer
        self._serializer = serializer_by_name(PYRO4 if dialect == 4 else PYRO5, serializer)
        self.peer = RawPeer(server.address, dialect)
        self.peer.shake_hands()

    def refused(self, method: str, *args: object, object_id: str = "Pyro.NameServer") -> str:
        data = self._serializer.dumps_call(object_id, method, args, {})
        self.peer.send(message(self._dialect, INVOKE, data, serializer=self._name))
        return self._refusal(method)

    def refused_in_a_batch(self, method: str, *args: object) -> str:
        data = self._serializer.dumps_call("Pyro.NameServer", "<batch>", [(method, args, {})], {})
        self.peer.send(message(self._dialect, INVOKE, data, serializer=self._name, flags=BATCH))
        return self._refusal(method)

    def _refusal(self, method: str) -> str:
        answer = self.peer.receive()
        assert answer is not None, method
        assert answer.kind == RESULT
        value = self._serializer.loads(answer.data)
        if not answer.flags & EXCEPTION:
            assert isinstance(value, list), (method, value)
            assert isinstance(value[-1], BatchFailure), (method, value)
            value = value[-1].exception
        assert isinstance(value, Exception), (method, value)
        return f"{type(value).__name__}: {value}"


@pytest.fixture
def asker(server: NameServer, dialect: int, serializer: str) -> Iterator[Asker]:
    """After each test the server must hold what it held, and nothing else."""
    asker = Asker(server, dialect, serializer)
    with asker.peer:
        yield asker
    with RawPeer(server.address, 5) as peer:
        peer.shake_hands()
        listed = peer.call("list", None, None, True)
        assert listed.keys() == {"Pyro.NameServer", "kept"}
        assert listed["kept"] == ["PYRO:kept@host:1", ["tag"]]


@EVERY_SERIALIZER
def test_methods_that_are_not_exposed(asker: Asker, dialect: int) -> None:
    for name in PRIVATE:
        assert asker.refused(name) == f"AttributeError: attempt to access private attribute '{name}'"
    for name in UNEXPOSED:
        assert asker.refused(name) == f"AttributeError: attempt to access unexposed attribute '{name}'"
    for name in (*UNKNOWN, *OTHER_DIALECT[dialect]):
        assert asker.refused(name) == f"AttributeError: 'NameServer' object has no attribute '{name}'"


@EVERY_SERIALIZER
def test_methods_that_are_not_exposed_in_a_batch(asker: Asker) -> None:
    for name in (*PRIVATE, *UNEXPOSED, *UNKNOWN, "__getattr__", "__setattr__"):
        assert asker.refused_in_a_batch(name).startswith("AttributeError: "), name


@EVERY_SERIALIZER
def test_attributes(asker: Asker) -> None:
    for name in NO_PROPERTIES:
        for refused in (asker.refused, asker.refused_in_a_batch):
            for answer in (refused("__getattr__", name), refused("__setattr__", name, "changed")):
                assert answer.startswith("AttributeError: "), (name, answer)
                assert name in answer


@EVERY_SERIALIZER
@pytest.mark.parametrize("method", ["__getattr__", "__setattr__", "__delattr__", "__getattribute__"])
def test_attribute_calls_with_wrong_arguments(asker: Asker, method: str) -> None:
    for args in ([], ["_service", 1, 2], [5], [["_service"]], [None, None], [{"a": 1}, 1]):
        assert asker.refused(method, *args) == f"AttributeError: attempt to access private attribute '{method}'"


@EVERY_SERIALIZER
def test_objects_that_are_not_registered(asker: Asker) -> None:
    for object_id in ("", "kept", "Pyro", "Pyro.Flame", "pyro.nameserver", "Pyro.NameServer ", "__main__", "x" * 5000):
        for method in ("count", "__init__", "remove", "shutdown"):
            assert asker.refused(method, object_id=object_id) == "DaemonError: unknown object"


@EVERY_SERIALIZER
def test_the_daemon_itself(asker: Asker) -> None:
    for name in (
        "shutdown",
        "register",
        "unregister",
        "close",
        "requestLoop",
        "combine",
        "uriFor",
        "resetMetadataCache",
    ):
        answer = asker.refused(name, "Pyro.NameServer", object_id="Pyro.Daemon")
        assert answer == f"AttributeError: 'DaemonObject' object has no attribute '{name}'"
    for name in ("_daemon", "_peer", "__class__", "_daemon.shutdown"):
        answer = asker.refused(name, object_id="Pyro.Daemon")
        assert answer == f"AttributeError: attempt to access private attribute '{name}'"
        assert asker.refused("__getattr__", name, object_id="Pyro.Daemon").startswith("AttributeError: ")
    assert asker.refused("get_metadata", "kept", object_id="Pyro.Daemon") == "DaemonError: unknown object"
    for method in ("get_next_stream_item", "get_metadata"):
        for argument in ("nothing", "__class__", ""):
            assert asker.refused(method, argument, object_id="Pyro.Daemon")
