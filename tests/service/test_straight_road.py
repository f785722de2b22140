"""The straight road and the general road give the same answers: to real requests, odd ones, and hostile bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.rpc.session import ServerSession
from pyronym.serializers.registry import serializer_by_id, serializer_by_name, serializer_id
from pyronym.service.hosted import HostedNameServer
from pyronym.service.local import NameServer
from pyronym.service.own_record import OWN_TAGS
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType
from pyronym.wire.straight import Pyro4Road, Pyro5Road

LIMIT = 1 << 20
KEY = b"a shared secret"
ID = b"0123456789abcdef"
NAMES = ["lab.camera", "lab motor", "a", "n" * 40, "n" * 255, "größe", "it's", 'a "quote"', "back\\slash", "x\ny"]
SERIALIZERS = [(PYRO4, name) for name in ("serpent", "json", "msgpack", "marshal", "pickle")] + [
    (PYRO5, name) for name in ("serpent", "json", "msgpack", "marshal")
]
EACH = pytest.mark.parametrize(("protocol", "serializer"), SERIALIZERS)


class Host:
    """A daemon that has a name server and nothing else."""

    def __init__(self, settings):
        self.nameserver = NameServer()
        self.nameserver.adopt(URI("PYRO:Pyro.NameServer@0.0.0.0:9090"), OWN_TAGS)
        for number, name in enumerate(NAMES):
            self.nameserver.register(name, f"PYRO:object{number}@host:{number + 1}")
        self.nameserver.register("unix", "PYRO:größe@./u:/tmp/s")
        self.nameserver.register("by name", "PYRONAME:lab.camera")
        self._hosted = HostedNameServer(self.nameserver.service, settings)

    def get(self, object_id):
        return self._hosted if object_id == "Pyro.NameServer" else None

    def validate_handshake(self, peer, handshake):
        return "hello"


def connected(protocol, settings, key=None):
    """A session whose client has shaken hands."""
    session = ServerSession(Host(settings), settings, hmac_key=key, local=("127.0.0.1", 9090), remote=("127.0.0.1", 1))
    data = serializer_by_name(protocol, "serpent").dumps({"handshake": "hello", "object": "Pyro.NameServer"})
    connect = Message(protocol, MessageType.CONNECT, serializer_id(protocol, "serpent"), Flag.METADATA, 0, data)
    assert not session.receive_data(encode(connect, limit=LIMIT, hmac_key=key))
    assert session.next_call() is None
    session.data_to_send()
    return session


def request(protocol, serializer, method, *args, sequence=7, key=None, flags=0, correlation=None, **kwargs):
    data = serializer_by_name(protocol, serializer).dumps_call("Pyro.NameServer", method, args, kwargs)
    message = Message(
        protocol, MessageType.INVOKE, serializer_id(protocol, serializer), flags, sequence, data, {}, correlation
    )
    return encode(message, limit=LIMIT, hmac_key=key)


def answers(session, data, protocol, key=None):
    """What the session says to these bytes, as messages that can be compared: correlation ids are random."""
    straight = session.receive_data(data)
    while (call := session.next_call()) is not None:
        assert next(call.run(), "done") == "done", "nothing here has to be waited for"
        session.finish(call)
    decoder = Decoder(limit=LIMIT, hmac_key=key)
    decoder.feed(session.data_to_send())
    found = []
    while (message := decoder.next_message()) is not None:
        fixed = message.correlation if message.correlation == ID else message.correlation is not None
        data = message.data if not message.flags & Flag.EXCEPTION else str(_error(message, protocol))
        found.append(message._replace(correlation=fixed, data=data))
    return found, straight


def _error(message, protocol):
    return serializer_by_id(protocol, message.serializer_id).loads(message.data)


def both(data, protocol, key=None):
    """The answers of both roads, and whether the straight one was taken."""
    with_road, straight = answers(connected(protocol, Settings(), key), data, protocol, key)
    without, never = answers(connected(protocol, Settings(straight_road=False), key), data, protocol, key)
    assert not never
    return with_road, without, straight


@EACH
@pytest.mark.parametrize("name", [*NAMES, "unix", "by name", "nobody", "", "Pyro.NameServer"])
def test_lookups_are_answered_alike(protocol, serializer, name):
    with_road, without, _ = both(request(protocol, serializer, "lookup", name), protocol)
    assert with_road == without
    assert len(without) == 1


@EACH
def test_a_plain_lookup_takes_the_straight_road(protocol, serializer):
    for name in ("lab.camera", "n" * 40, "n" * 255, "unix", "by name"):
        assert both(request(protocol, serializer, "lookup", name), protocol)[2] == (serializer != "pickle"), name


@EACH
@pytest.mark.parametrize(
    ("method", "args", "kwargs"),
    [
        ("lookup", ("lab.camera", 0.0), {}),
        ("lookup", ("lab.camera", True), {}),
        ("lookup", ("lab.camera",), {"return_metadata": True}),
        ("lookup", (), {"name": "lab.camera"}),
        ("lookup", (), {}),
        ("lookup", (["lab.camera"],), {}),
        ("count", (), {}),
        ("ping", (), {}),
        ("nothing", ("lab.camera",), {}),
    ],
)
def test_other_calls_are_answered_alike(protocol, serializer, method, args, kwargs):
    with_road, without, _ = both(request(protocol, serializer, method, *args, **kwargs), protocol)
    assert with_road == without


@EACH
@pytest.mark.parametrize("flags", [Flag.ONEWAY, Flag.BATCH, Flag.KEEP_SERIALIZED, Flag.EXCEPTION])
def test_requests_with_flags_are_answered_alike(protocol, serializer, flags):
    with_road, without, straight = both(request(protocol, serializer, "lookup", "lab.camera", flags=flags), protocol)
    assert with_road == without
    assert not straight


@EACH
def test_a_correlation_id_comes_back(protocol, serializer):
    with_road, without, _ = both(request(protocol, serializer, "lookup", "lab.camera", correlation=ID), protocol)
    assert with_road == without
    assert without[0].correlation == ID


@pytest.mark.parametrize("serializer", ["serpent", "json", "msgpack", "marshal"])
def test_signed_requests_are_answered_alike_and_signed(serializer):
    data = request(PYRO4, serializer, "lookup", "lab.camera", key=KEY)
    with_road, without, straight = both(data, PYRO4, key=KEY)
    assert with_road == without
    assert straight


@pytest.mark.parametrize("position", range(24, 60))
def test_a_wrong_signature_is_refused_alike(position):
    data = bytearray(request(PYRO4, "serpent", "lookup", "lab.camera", key=KEY))
    data[position] ^= 1
    with_road, without, straight = both(bytes(data), PYRO4, key=KEY)
    assert with_road == without
    assert not straight


@EACH
def test_several_requests_in_one_piece_are_answered_in_order(protocol, serializer):
    names = ["lab.camera", "nobody", "a", "a", "größe", "lab motor"]
    data = b"".join(request(protocol, serializer, "lookup", name, sequence=n) for n, name in enumerate(names))
    with_road, without, _ = both(data, protocol)
    assert with_road == without
    assert [answer.sequence for answer in with_road] == [0, 1, 2, 3, 4, 5]


@EACH
def test_requests_in_pieces_are_answered_alike(protocol, serializer):
    data = b"".join(request(protocol, serializer, "lookup", "a", sequence=n) for n in range(4))
    expected = answers(connected(protocol, Settings(straight_road=False)), data, protocol)[0]
    for cut in range(1, len(data)):
        session = connected(protocol, Settings())
        first, _ = answers(session, data[:cut], protocol)
        second, _ = answers(session, data[cut:], protocol)
        assert first + second == expected


@pytest.mark.parametrize(
    "settings", [Settings(straight_road=False), Settings(compression=True), Settings(max_message_size=65535)]
)
def test_settings_can_close_the_road(settings):
    found, straight = answers(connected(PYRO4, settings), request(PYRO4, "serpent", "lookup", "a"), PYRO4)
    assert not straight
    assert b"object2" in found[0].data


def test_serializers_that_are_not_accepted_have_no_road():
    session = connected(PYRO4, Settings(serializers_accepted=frozenset({"serpent"})))
    found, straight = answers(session, request(PYRO4, "json", "lookup", "a"), PYRO4)
    assert not straight
    assert "not accepted" in found[0].data


def test_a_changed_record_is_seen_at_once():
    session = connected(PYRO4, Settings())
    host = session._host
    data = request(PYRO4, "serpent", "lookup", "a")
    first, straight = answers(session, data, PYRO4)
    assert straight
    host.nameserver.register("a", "PYRO:other@host:1")
    second, straight = answers(session, data, PYRO4)
    assert straight
    assert b"other" in second[0].data
    assert first != second
    host.nameserver.remove("a")
    gone, straight = answers(session, data, PYRO4)
    assert not straight
    assert gone[0].flags & Flag.EXCEPTION


@st.composite
def damaged_requests(draw):
    """Real requests with some bytes changed, cut out or put in."""
    protocol, serializer = draw(st.sampled_from(SERIALIZERS))
    name = draw(st.sampled_from(NAMES) | st.text(max_size=20))
    data = bytearray(request(protocol, serializer, "lookup", name) + request(protocol, serializer, "lookup", "a"))
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, len(data) - 1))
        kind = draw(st.sampled_from(["change", "remove", "insert"]))
        if kind == "change":
            data[position] = draw(st.integers(0, 255))
        elif kind == "remove" and len(data) > 1:
            del data[position]
        else:
            data.insert(position, draw(st.integers(0, 255)))
    return protocol, bytes(data)


@given(damaged_requests())
def test_damaged_requests_are_answered_alike(damaged):
    protocol, data = damaged
    with_road, without, _ = both(data, protocol)
    assert with_road == without


@given(st.binary(max_size=200))
def test_bytes_that_are_no_messages_are_nothing_to_it(data):
    def find(serializer_id, payload):
        raise AssertionError("this is no call")

    for road in (Pyro4Road(find), Pyro4Road(find, KEY), Pyro5Road(find)):
        out = []
        assert road.advance(data, out) == data
        assert out == []


def test_correlation_ids_are_all_different():
    out = []
    road = Pyro4Road(lambda serializer_id, payload: b"answer")
    assert road.advance(request(PYRO4, "serpent", "count") * 1000, out) == b""
    assert len({answer[30:46] for answer in out}) == 1000
