"""What stock servers answered to stock clients, our sessions answer too: each captured conversation is replayed."""

import pytest

from beyond_stock import BEYOND_STOCK
from captures.load import Exchange, Failure, Raised, Reference, Uri, load
from pyronym.errors import NamingError, PyroError
from pyronym.rpc.call import IN_WORKER
from pyronym.rpc.exposed import expose, exposed_members, oneway
from pyronym.rpc.hosting import Hosted
from pyronym.rpc.session import ServerSession
from pyronym.serializers.classes import BatchFailure, RemoteReference
from pyronym.serializers.registry import serializer_by_id
from pyronym.service.hosted import HostedNameServer
from pyronym.service.local import NameServer
from pyronym.service.own_record import OWN_TAGS
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.codec import Decoder
from pyronym.wire.message import Flag, MessageType

KEY = b"a shared secret"
FLAGS = {name: value for name, value in vars(Flag).items() if name.isupper()}

DIFFERENT_ON_PURPOSE = {
    "second connect": "the stock servers close the connection without a word, we say why",
    "unknown serializer": "the stock servers close the connection without a word, we say why",
    "call, answer with annotations": "annotations of the answer are not offered to hosted objects",
    "broken payload": "the stock servers let the parser's error through, we say SerializeError",
    "wrong version": "the answer comes in the one protocol that can be guessed; tests/wire has the details",
    "list": "the name server's own address is that of the recorded run",
}

STOCK_FAILS = {
    (scenario, "marshal")
    for scenario in ("lookup with metadata", "lookup without tags", "compression", "call, reference")
}


@expose
class Probe:
    level = property(lambda self: self._level, lambda self, value: setattr(self, "_level", value))

    def __init__(self):
        self._level = 3

    def echo(self, *args, **kwargs):
        return [args, kwargs]

    @oneway
    def notify(self, text):
        pass

    def itself(self):
        return self

    def countdown(self):
        yield from (3, 2, 1)

    def fail(self):
        error = ZeroDivisionError("told to fail")
        error.detail = ["more", 1]
        raise error


class DaemonObject:
    """The daemon's own object, as far as the conversations need it. The recorded ids of streams are not ours."""

    def __init__(self, host, peer):
        self._host = host
        self._peer = peer

    @expose
    def get_metadata(self, objectId, as_lists=False):
        methods, oneways, attributes = self._host.get(objectId).members(self._peer.protocol)
        return {"methods": set(methods), "oneway": set(oneways), "attrs": set(attributes)}

    @expose
    def get_next_stream_item(self, stream_id):
        (stream,) = self._peer.streams.values()
        return next(stream)


class Hosting(Hosted):
    """A hosted object without a daemon."""

    def __init__(self, make):
        self._make = make
        self._class = type(make(None))

    def members(self, protocol):
        return exposed_members(self._class)

    def bind(self, peer):
        return self._make(peer)


class Host:
    """A daemon without sockets, with what the captured stock servers had."""

    def __init__(self, settings):
        nameserver = NameServer()
        nameserver.adopt(URI("PYRO:Pyro.NameServer@127.0.0.1:9090"), OWN_TAGS)
        nameserver.register("lab.camera", "PYRO:camera@127.0.0.1:5001", metadata=["optics"])
        nameserver.register("lab.plain", "PYRO:plain@127.0.0.1:5002")
        nameserver.register("lab.größe.☃", "PYRO:größe@127.0.0.1:5003")
        probe = Probe()
        self._hosted = {
            "Pyro.NameServer": HostedNameServer(nameserver.service, settings),
            "Pyro.Daemon": Hosting(lambda peer: DaemonObject(self, peer)),
            "lab.probe": Hosting(lambda _: probe),
        }

    def get(self, object_id):
        return self._hosted.get(object_id)

    def reference(self, value):
        if not isinstance(value, Probe):
            return None
        members = exposed_members(Probe)
        return RemoteReference(URI("PYRO:lab.probe@127.0.0.1:9090"), *members)

    def revive(self, reference):
        return reference

    def validate_handshake(self, peer, handshake):
        return "hello"


def conversations(protocol):
    found = {}
    for exchange in load(protocol):
        found.setdefault((exchange.scenario, exchange.serializer), []).append(exchange)
    return [
        pytest.param(protocol, exchanges, id=f"{protocol}-{scenario}-{serializer}")
        for (scenario, serializer), exchanges in found.items()
        if scenario not in DIFFERENT_ON_PURPOSE and (scenario, serializer) not in STOCK_FAILS
    ]


def replay(exchanges):
    """Our answers to what the client sent, as messages."""
    scenario = exchanges[0].scenario
    server_key = KEY if scenario in ("signed", "signed with everything", "signed by the server only") else None
    server_key = KEY if scenario == "signed with another key" else server_key
    settings = Settings(
        compression=scenario in ("compression", "signed with everything"),
        serializers_accepted=frozenset({"serpent"}) if "not accepted" in scenario else Settings().serializers_accepted,
    )
    session = ServerSession(
        Host(settings), settings, hmac_key=server_key, local=("127.0.0.1", 9090), remote=("127.0.0.1", 1)
    )
    decoder = Decoder(limit=10_000_000, hmac_key=server_key)
    answers = []
    for exchange in exchanges:
        if exchange.direction == "client":
            decoder.feed(session.receive_data(exchange.wire))
            while (call := session.next_call()) is not None:
                assert set(call.run()) <= {IN_WORKER}, "nothing here has to be waited for"
                session.finish(call)
            decoder.feed(session.data_to_send())
            while (message := decoder.next_message()) is not None:
                answers.append(message)
    return answers


def neutral(value):
    """A value in the form that the captures describe values in."""
    if isinstance(value, URI):
        return Uri(str(value))
    if isinstance(value, RemoteReference):
        return Reference(str(value.uri))
    if isinstance(value, BatchFailure):
        return Failure(neutral(value.exception))
    if isinstance(value, BaseException):
        kind = NamingError if isinstance(value, NamingError) else type(value)
        module = "errors" if issubclass(kind, PyroError) else kind.__module__
        return Raised(f"{module}.{kind.__name__}", value.args, sorted(vars(value)))
    if isinstance(value, dict):
        return {key: neutral(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(neutral(part) for part in value)
    return value


def assert_alike(ours, stock):
    """The same value; of errors the same class, and words that begin as the stock's do."""
    if isinstance(stock, Failure):
        assert isinstance(ours, Failure)
        ours, stock = ours.exception, stock.exception
    if isinstance(stock, Raised):
        assert isinstance(ours, Raised)
        assert ours.name == stock.name.removeprefix("Pyro4.").removeprefix("Pyro5.")
        assert set(stock.attributes) <= {*ours.attributes, "_pyroTraceback"}
        assert str(ours.args[0]).startswith(str(stock.args[0])[:20]) if stock.args else not ours.args
    elif isinstance(stock, Reference):
        assert isinstance(ours, Reference)
        assert ours.uri.startswith("PYRO:lab.probe@127.0.0.1:")
    elif isinstance(stock, list) and stock and set(map(type, stock)) == {str}:
        assert sorted(ours) == sorted(stock)  # tags, which the stock servers give in any order
    elif isinstance(stock, list | tuple) and len(stock) == len(ours):
        assert type(ours) is type(stock)
        for part in range(len(stock)):
            assert_alike(ours[part], stock[part])
    elif isinstance(stock, dict) and "methods" in stock:
        for key in ("methods", "oneway", "attrs"):
            assert type(ours[key]) is type(stock[key])
            assert set(stock[key]) - {"annotated"} == set(ours[key]) - BEYOND_STOCK
    elif isinstance(stock, dict) and isinstance(ours, dict) and ours.keys() == stock.keys():
        for key in stock:
            assert_alike(ours[key], stock[key])
    else:
        assert (type(ours), ours) == (type(stock), stock)


@pytest.mark.parametrize(("protocol", "exchanges"), conversations(48) + conversations(502))
def test_our_answers_are_those_of_the_stock_server(protocol, exchanges: list[Exchange]):
    expected = [exchange.expected for exchange in exchanges if exchange.direction == "server"]
    answers = replay(exchanges)
    assert len(answers) >= len(expected)
    for ours, stock in zip(answers, expected, strict=False):
        if stock is None or stock.unreadable:
            continue
        assert (ours.type, ours.sequence) == (stock.type, stock.sequence)
        assert {name for name, bit in FLAGS.items() if ours.flags & bit} == stock.flags
        assert ours.serializer_id == stock.serializer_id
        assert (ours.correlation is None) == (stock.correlation is None)
        if ours.type is MessageType.PING:
            continue
        value = neutral(serializer_by_id(protocol, ours.serializer_id).loads(ours.data))
        if ours.type is MessageType.CONNECT_FAIL:
            assert value.startswith(stock.value)
        else:
            assert_alike(value, stock.value)
