"""What stock clients do while they are recorded. For `capture`."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from peers import HMAC_KEY, PROBE, Peer

NAME_SERVER = "Pyro.NameServer"
CORRELATION = uuid.UUID("6f1f3f7c-2f9b-4b62-9c7a-2f3c1d9e8a55")
ANNOTATIONS = {"LABX": b"from the client", "LABE": b""}
FLAG_ONEWAY = 4
MANY_TAGS = [f"tag-{number:03}" for number in range(100)]
PICKLES = ("pickle", "dill", "cloudpickle")
FIRST_FIVE = ("serpent", "json", "marshal", "msgpack", "pickle")
"""For what the name server itself never does: dill and cloudpickle write it as pickle does."""
WIRE_ONLY = ("serpent",)
"""For what happens below the serializers: one stands for all."""


@dataclass(frozen=True)
class Scenario:
    """One connection of a stock client to a stock server, by default to its name server.

    `only`: the one protocol that has this. `serializers`: those that it is recorded with, None: all. `settings`: config
    items of client and server. The server accepts every serializer unless `accepted` names some.
    """

    name: str
    run: Callable[[Peer, Any], object]
    object_id: str = NAME_SERVER
    only: int | None = None
    serializers: tuple[str, ...] | None = None
    accepted: tuple[str, ...] | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    client_key: bytes | None = None
    server_key: bytes | None = None
    correlation: uuid.UUID | None = None
    annotations: Mapping[str, bytes] = field(default_factory=dict)

    def serializers_of(self, peer: Peer) -> tuple[str, ...]:
        """The serializers that `peer` is recorded with."""
        if self.only not in (None, peer.protocol):
            return ()
        return tuple(name for name in peer.serializers if self.serializers is None or name in self.serializers)


def invoke(method: str, *args: object, flags: int = 0, object_id: str | None = None) -> Callable[[Peer, Any], object]:
    """A call that the proxy's own checks would not let out."""
    return lambda peer, proxy: proxy._pyroInvoke(method, args, {}, flags, object_id)


def batch(peer: Peer, proxy: Any) -> object:
    calls = peer.batch(proxy)
    calls.ping()
    calls.count()
    calls.lookup("lab.camera")
    return list(calls())


def failing_batch(peer: Peer, proxy: Any) -> object:
    calls = peer.batch(proxy)
    calls.count()
    calls.lookup("nobody")
    calls.ping()
    return list(calls())


def oneway_batch(peer: Peer, proxy: Any) -> object:
    calls = peer.batch(proxy)
    calls.ping()
    return calls(oneway=True)


def two_calls(peer: Peer, proxy: Any) -> object:
    return proxy.lookup("lab.camera"), proxy.count()


def oneway(peer: Peer, proxy: Any) -> object:
    return proxy.notify("hello"), proxy.echo(1, two=2)


def set_level(peer: Peer, proxy: Any) -> None:
    proxy.level = 5


def ping_message(peer: Peer, proxy: Any) -> None:
    proxy._pyroBind()
    peer.send_raw(proxy, 6, 42, b"ping")


def unknown_serializer(peer: Peer, proxy: Any) -> None:
    proxy._pyroBind()
    peer.send_raw(proxy, 4, 42, b"no serializer has this number")


def broken_payload(peer: Peer, proxy: Any) -> None:
    proxy._pyroBind()
    peer.send_raw(proxy, 4, 1, b"( this is not serpent")


def second_connect(peer: Peer, proxy: Any) -> None:
    proxy._pyroBind()
    peer.send_raw(proxy, 1, 1, b"{'handshake': 'hello', 'object': 'Pyro.NameServer'}")


def wrong_version(peer: Peer, proxy: Any) -> None:
    # Two headers long: Pyro5 reads 6 bytes, Pyro4 24, and what it did not read would turn its end into a reset.
    start = b"PYRO\x00\x2f"
    with socket.create_connection((proxy._pyroUri.host, proxy._pyroUri.port)) as raw:
        raw.sendall(start + bytes((24 if peer.protocol == 48 else 6) - len(start)))
        while raw.recv(4096):
            pass


SCENARIOS = [
    Scenario("connect", lambda peer, ns: ns._pyroBind()),
    Scenario(
        "connect without metadata", lambda peer, ns: ns.lookup("lab.camera"), only=48, settings={"METADATA": False}
    ),
    Scenario("connect, unknown object", lambda peer, ns: ns._pyroBind(), object_id="lab.nothing"),
    Scenario("call, unknown object", invoke("count", object_id="lab.nothing")),
    Scenario("get_metadata", invoke("get_metadata", NAME_SERVER, object_id="Pyro.Daemon")),
    Scenario("lookup", lambda peer, ns: ns.lookup("lab.camera")),
    Scenario("lookup with metadata", lambda peer, ns: ns.lookup("lab.camera", return_metadata=True)),
    Scenario("lookup without tags", lambda peer, ns: ns.lookup("lab.plain", return_metadata=True)),
    Scenario("lookup, truth value", lambda peer, ns: ns.lookup("lab.camera", 0.0)),
    Scenario("lookup, unicode", lambda peer, ns: ns.lookup("lab.größe.☃")),
    Scenario("lookup, unknown name", lambda peer, ns: ns.lookup("nobody")),
    Scenario("register", lambda peer, ns: ns.register("lab.motor", "PYRO:motor@127.0.0.1:4000")),
    Scenario("register, uri object", lambda peer, ns: ns.register("lab.motor", peer.uri("PYRO:motor@127.0.0.1:4000"))),
    Scenario("register, list", lambda peer, ns: ns.register("m", "PYRO:m@./u:/tmp/m", metadata=["b", "a", "b"])),
    Scenario(
        "register, set",
        lambda peer, ns: ns.register("m", "PYRO:m@[::1]:4000", safe=True, metadata={"one tag"}),
        serializers=("serpent", "marshal", "pickle", "dill", "cloudpickle"),
    ),
    Scenario("register, name taken", lambda peer, ns: ns.register("lab.camera", "PYRO:c@127.0.0.1:1", safe=True)),
    Scenario("register, invalid uri", lambda peer, ns: ns.register("lab.motor", "no uri")),
    Scenario("register, no name", lambda peer, ns: ns.register(17, "PYRO:c@127.0.0.1:1")),
    Scenario("set_metadata", lambda peer, ns: ns.set_metadata("lab.camera", ["new"])),
    Scenario("set_metadata, unknown name", lambda peer, ns: ns.set_metadata("nobody", ["new"])),
    Scenario("remove", lambda peer, ns: ns.remove("lab.camera")),
    Scenario("remove, unknown name", lambda peer, ns: ns.remove("nobody")),
    Scenario("remove by prefix", lambda peer, ns: ns.remove(prefix="lab.")),
    Scenario("remove by regex", lambda peer, ns: ns.remove(regex=r".*\.plain")),
    Scenario("list", lambda peer, ns: ns.list()),
    Scenario("list with metadata", lambda peer, ns: ns.list(prefix="lab.c", return_metadata=True)),
    Scenario("list by prefix", lambda peer, ns: ns.list(prefix="lab.p")),
    Scenario("list by regex", lambda peer, ns: ns.list(regex=".*camera")),
    Scenario("list, bad regex", lambda peer, ns: ns.list(regex="(")),
    Scenario("list, two filters", lambda peer, ns: ns.list(prefix="lab.", regex=".*")),
    Scenario("list by all tags", lambda peer, ns: ns.list(metadata_all=["optics"], return_metadata=True), only=48),
    Scenario("list by any tag", lambda peer, ns: ns.list(metadata_any=["optics", "none"]), only=48),
    Scenario("yplookup by all tags", lambda peer, ns: ns.yplookup(meta_all=["optics"]), only=502),
    Scenario("yplookup by any tag", lambda peer, ns: ns.yplookup(None, ["optics"], return_metadata=False), only=502),
    Scenario("count", lambda peer, ns: ns.count()),
    Scenario("ping", lambda peer, ns: ns.ping()),
    Scenario("ping message", ping_message, serializers=WIRE_ONLY),
    Scenario("two calls", two_calls),
    Scenario("batch", batch),
    Scenario("batch, failing", failing_batch),
    Scenario("batch, oneway", oneway_batch),
    Scenario("oneway by its flag", invoke("ping", flags=FLAG_ONEWAY)),
    Scenario("oneway", oneway, object_id=PROBE, serializers=FIRST_FIVE),
    Scenario("call, unknown method", invoke("nothing")),
    Scenario("call, private method", invoke("_private")),
    Scenario("call, dunder method", invoke("__class__")),
    Scenario("call, wrong arguments", invoke("lookup", 1, 2, 3, 4)),
    Scenario("call, no such property", invoke("__getattr__", "storage")),
    Scenario("get property", lambda peer, probe: probe.level, object_id=PROBE, serializers=FIRST_FIVE),
    Scenario("set property", set_level, object_id=PROBE, serializers=FIRST_FIVE),
    Scenario(
        "call, echo",
        lambda peer, probe: probe.echo("ä", 2.5, [None, True], name={"a": 1}),
        object_id=PROBE,
        serializers=FIRST_FIVE,
    ),
    Scenario("call, failing", lambda peer, probe: probe.fail(), object_id=PROBE, serializers=FIRST_FIVE),
    Scenario("call, reference", lambda peer, probe: probe.itself(), object_id=PROBE, serializers=FIRST_FIVE),
    Scenario("call, item stream", lambda peer, probe: list(probe.countdown()), object_id=PROBE, serializers=FIRST_FIVE),
    Scenario(
        "call, answer with annotations", lambda peer, probe: probe.annotated(), object_id=PROBE, serializers=FIRST_FIVE
    ),
    Scenario("serializer not accepted", lambda peer, ns: ns.count(), only=48, accepted=("serpent",)),
    Scenario("unknown serializer", unknown_serializer, serializers=WIRE_ONLY),
    Scenario("broken payload", broken_payload, serializers=WIRE_ONLY),
    Scenario("second connect", second_connect, serializers=WIRE_ONLY),
    Scenario("wrong version", wrong_version, serializers=WIRE_ONLY),
    Scenario(
        "compression",
        lambda peer, ns: (
            ns.register("lab.motor", "PYRO:m@127.0.0.1:1", metadata=MANY_TAGS),
            ns.lookup("lab.motor", return_metadata=True),
        ),
        settings={"COMPRESSION": True},
    ),
    Scenario("correlation", two_calls, serializers=WIRE_ONLY, correlation=CORRELATION),
    Scenario("annotations", two_calls, serializers=WIRE_ONLY, annotations=ANNOTATIONS),
    Scenario(
        "annotations and correlation",
        two_calls,
        serializers=WIRE_ONLY,
        annotations=ANNOTATIONS,
        correlation=CORRELATION,
    ),
    Scenario("signed", two_calls, only=48, serializers=WIRE_ONLY, client_key=HMAC_KEY, server_key=HMAC_KEY),
    Scenario(
        "signed with everything",
        lambda peer, ns: ns.set_metadata("lab.camera", MANY_TAGS),
        only=48,
        serializers=WIRE_ONLY,
        client_key=HMAC_KEY,
        server_key=HMAC_KEY,
        correlation=CORRELATION,
        annotations=ANNOTATIONS,
        settings={"COMPRESSION": True},
    ),
    Scenario(
        "signed by the client only", lambda peer, ns: ns.count(), only=48, serializers=WIRE_ONLY, client_key=HMAC_KEY
    ),
    Scenario(
        "signed by the server only", lambda peer, ns: ns.count(), only=48, serializers=WIRE_ONLY, server_key=HMAC_KEY
    ),
    Scenario(
        "signed with another key", two_calls, only=48, serializers=WIRE_ONLY, client_key=b"another", server_key=HMAC_KEY
    ),
    *(
        Scenario(
            f"register and lookup, pickle protocol {version}",
            lambda peer, ns: (
                ns.register("m", peer.uri("PYRO:m@127.0.0.1:1"), metadata={"one tag"}),
                ns.lookup("m", return_metadata=True),
                ns.lookup("nobody"),
            ),
            only=48,
            serializers=PICKLES,
            settings={"PICKLE_PROTOCOL_VERSION": version, "DILL_PROTOCOL_VERSION": version},
        )
        for version in (2, 3, 4)
    ),
]
