"""The straight road and the general road give the same answers: to real requests, odd ones, and hostile bytes."""

import hmac
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyronym.directory.record import Change
from pyronym.naming_storage import SqlStorage
from pyronym.rpc.call import IN_WORKER, TOGETHER, Call
from pyronym.rpc.session import ServerSession
from pyronym.rpc.tally import Asked, Tally
from pyronym.serializers.classes import BatchFailure
from pyronym.serializers.registry import serializer_by_id, serializer_by_name, serializer_id
from pyronym.service.hosted import HostedNameServer
from pyronym.service.local import NameServer
from pyronym.service.own_record import OWN_TAGS
from pyronym.settings import Settings
from pyronym.storage.base import ChangeRefusedError
from pyronym.storage.mapping import MappingStore
from pyronym.storage.memory import MemoryStorage
from pyronym.uri import URI
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType
from pyronym.wire.straight import Pyro4Road, Pyro5Road, Squeeze

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

    def __init__(self, settings, storage=None):
        self.nameserver = NameServer(storage)
        self.nameserver.adopt(URI("PYRO:Pyro.NameServer@0.0.0.0:9090"), OWN_TAGS)
        for number, name in enumerate(NAMES):
            self.nameserver.register(name, f"PYRO:object{number}@host:{number + 1}")
        self.nameserver.register("unix", "PYRO:größe@./u:/tmp/s")
        self.nameserver.register("by name", "PYRONAME:lab.camera")
        self.tally = Tally()
        self._hosted = HostedNameServer(self.nameserver.service, settings, tally=self.tally)

    def get(self, object_id):
        return self._hosted if object_id == "Pyro.NameServer" else None

    def validate_handshake(self, peer, handshake):
        return "hello"


def connected(protocol, settings, key=None, storage=None):
    """A session whose client has shaken hands."""
    host = Host(settings, storage)
    addresses = {"local": ("127.0.0.1", 9090), "remote": ("127.0.0.1", 1)}
    session = ServerSession(host, settings, hmac_key=key, tally=host.tally, **addresses)
    data = serializer_by_name(protocol, "serpent").dumps({"handshake": "hello", "object": "Pyro.NameServer"})
    connect = Message(protocol, MessageType.CONNECT, serializer_id(protocol, "serpent"), Flag.METADATA, 0, data)
    assert not session.receive_data(encode(connect, limit=LIMIT, hmac_key=key))
    assert session.next_call() is None
    session.data_to_send()
    return session


def request(
    protocol, serializer, method, *args, sequence=7, key=None, flags=0, correlation=None, compress=False, **kwargs
):
    data = serializer_by_name(protocol, serializer).dumps_call("Pyro.NameServer", method, args, kwargs)
    return raw_request(protocol, serializer, data, sequence, key, flags, correlation, compress)


def raw_request(protocol, serializer, data, sequence=7, key=None, flags=0, correlation=None, compress=False):
    message = Message(
        protocol, MessageType.INVOKE, serializer_id(protocol, serializer), flags, sequence, data, {}, correlation
    )
    return encode(message, limit=LIMIT, hmac_key=key, compress=compress)


def batch(protocol, serializer, *calls, **options):
    """A batch as the stock clients send it: without keywords, of which our own dumps_call would make a dict."""
    data = serializer_by_name(protocol, serializer).dumps_call("Pyro.NameServer", "<batch>", list(calls), {})
    if serializer == "serpent":
        data = data.removesuffix(b"{})") + b"None)"
    return raw_request(protocol, serializer, data, flags=Flag.BATCH, **options)


def answers(session, data, protocol, key=None):
    """What the session says to these bytes, as messages that can be compared: correlation ids are random."""
    sent = session.receive_data(data)
    straight = bool(sent)
    if session.begun is not None:
        reply = finish_begun(session)
        if isinstance(reply, Call):
            perform(session, reply)
        else:
            sent += reply
    while (call := session.next_call()) is not None:
        perform(session, call)
    decoder = Decoder(limit=LIMIT, hmac_key=key)
    decoder.feed(sent + session.data_to_send())
    found = []
    while (message := decoder.next_message()) is not None:
        fixed = message.correlation if message.correlation == ID else message.correlation is not None
        data = message.data if not message.flags & Flag.EXCEPTION else str(_error(message, protocol))
        found.append(message._replace(correlation=fixed, data=data))
    return found, straight


def perform(session, call):
    steps = call.run()
    waited = next(steps, None)
    while waited is not None:
        waited = wait_for(waited, steps)
    session.finish(call)


def finish_begun(session):
    """What the session makes of a call that has begun, when the commit is there that it waits for."""
    begun, session.begun = session.begun, None
    try:
        begun.deferred.result()
    except Exception as problem:
        return session.finish_begun(problem)
    return session.finish_begun(None)


def wait_for(commit, steps):
    """Tell a call what a commit has come to; what it waits for next. (A worker thread is right here.)"""
    try:
        result = None if commit is IN_WORKER else commit.result()
    except Exception as problem:
        step = partial(steps.throw, problem)
    else:
        step = partial(steps.send, result)
    try:
        return step()
    except StopIteration:
        return None


def _error(message, protocol):
    return serializer_by_id(protocol, message.serializer_id).loads(message.data)


def both(data, protocol, key=None, compression=False):
    """The answers of both roads, with what is registered and counted afterwards; whether the straight one was taken."""
    found = []
    for straight_road in (True, False):
        settings = Settings(compression=compression, straight_road=straight_road)
        said, straight = answers(session := connected(protocol, settings, key), data, protocol, key)
        afterwards = session._host.nameserver.list(return_metadata=True), session._host.tally.counts()
        found.append(([*said, afterwards], straight))
    (with_road, straight), (without, never) = found
    assert not never
    return with_road, without, straight


@EACH
@pytest.mark.parametrize("name", [*NAMES, "unix", "by name", "nobody", "", "Pyro.NameServer"])
def test_lookups_are_answered_alike(protocol, serializer, name):
    with_road, without, _ = both(request(protocol, serializer, "lookup", name), protocol)
    assert with_road == without
    assert len(without) == 2


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


def test_the_straight_road_compares_signatures_in_constant_time(monkeypatch):
    session = connected(PYRO4, Settings(), KEY)
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *two: compared.append(two) or compare(*two))
    assert session.receive_data(request(PYRO4, "serpent", "lookup", "lab.camera", key=KEY))
    assert len(compared) == 1


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
    assert [answer.sequence for answer in with_road[:-1]] == [0, 1, 2, 3, 4, 5]


@EACH
def test_requests_in_pieces_are_answered_alike(protocol, serializer):
    data = b"".join(request(protocol, serializer, "lookup", "a", sequence=n) for n in range(4))
    expected = answers(connected(protocol, Settings(straight_road=False)), data, protocol)[0]
    for cut in range(1, len(data)):
        session = connected(protocol, Settings())
        first, _ = answers(session, data[:cut], protocol)
        second, _ = answers(session, data[cut:], protocol)
        assert first + second == expected


REGISTRATIONS = [
    ("new", "PYRO:obj@host:9090"),
    ("new", "PYRO:obj@host:9090", False),
    ("new", "PYRO:obj@host:9090", False, None),
    ("new", "PYRO:obj@host:9090", True),
    ("new", "PYRO:obj@host:9090", True, None),
    ("new", URI("PYRO:obj@host:9090")),
    ("new", URI("PYRO:obj@host:9090"), True),
    ("new", URI("PYRO:obj@host:0")),
    ("new", "PYRO:Pyro.NameServer@10.0.0.1:1"),
    ("a", "PYRO:obj@host:9090"),
    ("lab motor" * 100, "PYRO:obj_0123456789abcdef@host.lab.example:65535"),
]
ODD_REGISTRATIONS = [
    ("a", "PYRO:obj@host:9090", True),
    ("a", URI("PYRO:obj@host:9090"), True, None),
    ("Pyro.NameServer", "PYRO:obj@host:9090"),
    ("new", "PYRO:obj@host:9090", False, ["tag"]),
    ("new", "PYRO:obj@host:9090", False, []),
    ("new", "PYRO:obj@host:09090"),
    ("new", "PYRO:obj@host:999999"),
    ("new", "PYRO:obj@host"),
    ("new", "PYRO:obj"),
    ("new", "PYRO:o bj@host:1"),
    ("new", "PYRO:o@bj@host:1"),
    ("new", "PYRO:obj@[::1]:1"),
    ("new", "PYRO:obj@./u:/tmp/s"),
    ("new", "pyro:obj@host:1"),
    ("new", "PYRONAME:other"),
    ("new", URI("PYRO:obj@[::1]:1")),
    ("new", URI("PYRO:obj@./u:/tmp/s")),
    ("new", URI("PYRO:größe@host:1")),
    ("größe", "PYRO:obj@host:1"),
    ("", "PYRO:obj@host:1"),
    ("new", ""),
    ("new", 17),
    ("new",),
]


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
@pytest.mark.parametrize("arguments", REGISTRATIONS, ids=repr)
def test_a_plain_registration_takes_the_straight_road(protocol, arguments):
    with_road, without, straight = both(request(protocol, "serpent", "register", *arguments), protocol)
    assert with_road == without
    assert with_road[1][0][arguments[0]][0] == str(arguments[1])
    assert straight


@EACH
@pytest.mark.parametrize("arguments", REGISTRATIONS + ODD_REGISTRATIONS, ids=repr)
def test_registrations_are_answered_alike(protocol, serializer, arguments):
    with_road, without, _ = both(request(protocol, serializer, "register", *arguments), protocol)
    assert with_road == without


def registrations(count):
    """As many calls of a batch."""
    return [("register", (f"n{number}", f"PYRO:obj@host:{number}"), {}) for number in range(count)]


def one(protocol, **options):
    return request(protocol, "serpent", "register", "n0", "PYRO:obj@host:0", **options)


def several(protocol, **options):
    return batch(protocol, "serpent", *registrations(3), **options)


@pytest.mark.parametrize(("protocol", "correlation"), [(PYRO4, None), (PYRO5, None), (PYRO5, ID)])
@pytest.mark.parametrize(("register", "answer"), [(one, b"None"), (several, b"[None,None,None]")])
def test_what_is_registered_durably_is_answered_when_it_is_durable(tmp_path, protocol, correlation, register, answer):
    session = connected(protocol, Settings(), storage=SqlStorage(str(tmp_path / "names.sqlite")))
    data = register(protocol, correlation=correlation)
    assert session.receive_data(data + request(protocol, "serpent", "lookup", "n0")) == b""
    assert session.begun is not None, "it took the straight road"
    assert session.busy
    assert session.next_call() is None, "the lookup has to wait for the registration"
    assert session.data_to_send() == b""
    found, straight = answers(session, b"", protocol)
    assert not straight
    assert found[0].data == b"# serpent utf-8 python3.2\n" + answer
    assert b"'obj'" in found[1].data
    assert found[0].correlation == (correlation or True)
    session._host.nameserver.close()


def told(message, protocol):
    """What an answer says: the words of an error, or for each call of a batch."""
    if message.flags & Flag.EXCEPTION:
        return message.data
    results = serializer_by_id(protocol, message.serializer_id).loads(message.data)
    return [str(result.exception) if isinstance(result, BatchFailure) else result for result in results]


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
@pytest.mark.parametrize("register", [one, several])
def test_what_fails_on_its_way_to_the_disk_is_answered_alike(tmp_path, protocol, register):
    found = []
    for settings in (Settings(), Settings(straight_road=False)):
        session = connected(protocol, settings, storage=SqlStorage(str(tmp_path / f"{len(found)}.sqlite")))
        session._host.nameserver.service._changes._pipeline._committer._storage._db.close()
        (answer,), _ = answers(session, register(protocol), protocol)
        found.append((answer._replace(data=None), session._host.tally.counts(), str(told(answer, protocol))))
    assert "cannot write to" in found[1][2]
    assert found[0] == (*found[1][:2], found[1][2].replace("1.sqlite", "0.sqlite"))


class Refusing(MappingStore):
    """There is a name that it never takes."""

    def __init__(self, immediate):
        super().__init__(MemoryStorage())
        self.immediate = immediate

    def commit(self, changes):
        if any(name == "n1" for name, _ in changes):
            raise ChangeRefusedError("no")
        super().commit(changes)


def not_as_one(service):
    """Let the storage turn out not to take several records as one change."""
    pipeline = service._changes._pipeline
    service._changes.put_all = lambda changes: pipeline.write([Change("nobody", None)], False)


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
@pytest.mark.parametrize("settings", [Settings(), Settings(straight_road=False)])
@pytest.mark.parametrize("immediate", [True, False])
@pytest.mark.parametrize("prepare", [lambda service: None, not_as_one])
def test_registrations_that_are_refused_together_are_made_one_by_one(protocol, settings, immediate, prepare):
    session = connected(protocol, settings, storage=Refusing(immediate))
    service = session._host.nameserver.service
    prepare(service)
    (answer,), _ = answers(session, several(protocol), protocol)
    assert told(answer, protocol) == [None, "no"]
    assert session._host.tally.counts() == {Asked(protocol, "batch", "ChangeRefusedError"): 1}
    assert (service.get("n0") is not None, "n1" in service, "n2" in service) == (True, False, False)
    session._host.nameserver.close()


LOOKUPS = [("lookup", (name,), {}) for name in NAMES[:5]]


@EACH
@pytest.mark.parametrize(
    ("calls", "plain"),
    [
        (LOOKUPS, True),
        (LOOKUPS[:1], True),
        (LOOKUPS * 50, True),
        ([*LOOKUPS, ("lookup", ("by name",), {}), ("lookup", ("unix",), {})], True),
        ([], False),
        ([*LOOKUPS, ("lookup", ("nobody",), {}), *LOOKUPS], False),
        ([*LOOKUPS, ("lookup", ("Pyro.NameServer",), {})], False),
        ([*LOOKUPS, ("lookup", ("größe",), {})], False),
        ([*LOOKUPS, ("lookup", ("a",), {"return_metadata": True})], False),
        ([*LOOKUPS, ("lookup", ("a", True), {})], False),
        ([*LOOKUPS, ("count", (), {})], False),
        (LOOKUPS * 1000, False),
        (registrations(1), True),
        (registrations(TOGETHER), True),
        (
            [
                ("register", ("a", "PYRO:obj@host:1", False), {}),
                ("register", ("b", "PYRO:obj@host:1", False, None), {}),
            ],
            True,
        ),
        ([*registrations(2), ("register", ("a", URI("PYRO:obj@host:1")), {})], True),
        (registrations(TOGETHER + 1), False),
        ([*registrations(2), *registrations(1)], False),
        ([*registrations(2), *LOOKUPS], False),
        ([*registrations(2), ("register", ("new", "PYRO:obj@host:1", True), {})], False),
        ([*registrations(2), ("register", ("new", "PYRO:obj@host:1", False, ["tag"]), {})], False),
        ([*registrations(2), ("register", ("new", "PYRO:obj@host:1"), {"safe": False})], False),
        ([*registrations(2), ("register", ("new", "no uri"), {}), *registrations(1)], False),
        ([*registrations(2), ("register", ("größe", "PYRO:obj@host:1"), {})], False),
        ([*registrations(2), ("register", ("Pyro.NameServer", "PYRO:obj@host:1"), {}), *registrations(1)], False),
    ],
)
def test_batches_are_answered_alike(protocol, serializer, calls, plain):
    with_road, without, straight = both(batch(protocol, serializer, *calls), protocol)
    assert with_road == without
    assert straight == (plain and serializer == "serpent")
    assert both(request(protocol, serializer, "<batch>", *calls, flags=Flag.BATCH), protocol)[:2] == (without, without)


@EACH
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", ["a", "n" * 255, "lab" * 333])
def test_compressed_requests_and_answers_are_alike(protocol, serializer, compress, name):
    uri = f"PYRO:{'object' * 50}@host:1"
    data = request(protocol, "serpent", "register", name, uri, compress=compress, sequence=1)
    data += request(protocol, serializer, "lookup", name, compress=compress, sequence=2) * 2
    data += batch(protocol, serializer, *[("lookup", (name,), {})] * 20, compress=compress, sequence=3)
    data += batch(protocol, serializer, *registrations(20), compress=compress, sequence=4)
    plain_settings = both(data, protocol)
    assert plain_settings[0] == plain_settings[1]
    for _ in range(2):  # the second time the answer is remembered
        with_road, without, _ = both(data, protocol, compression=True)
        assert with_road == without == plain_settings[0]


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_a_compressed_lookup_takes_the_straight_road_and_comes_back_compressed(protocol):
    session = connected(protocol, Settings(compression=True))
    name, uri = "lab" * 333, f"PYRO:{'object' * 50}@host:1"
    session._host.nameserver.register(name, uri)
    data = request(protocol, "serpent", "lookup", name, compress=True)
    assert len(data) < 200
    first = session.receive_data(data)
    assert 0 < len(first) < 200
    assert len(session.receive_data(data)) == len(first)


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_what_compressed_data_unfolds_to_is_bounded(protocol):
    data = request(protocol, "serpent", "lookup", "n" * (1 << 18), compress=True)
    assert len(data) < 2000
    with_road, without, straight = both(data, protocol)
    assert with_road == without
    assert not straight


@pytest.mark.parametrize(
    "data",
    [
        request(PYRO4, "serpent", "lookup", "n" * 255, key=KEY, compress=True),
        batch(PYRO4, "serpent", *registrations(50), key=KEY, compress=True),
    ],
)
def test_signed_and_compressed_requests_are_answered_alike(data):
    with_road, without, straight = both(data, PYRO4, key=KEY, compression=True)
    assert with_road == without
    assert straight


@pytest.mark.parametrize("settings", [Settings(straight_road=False), Settings(max_message_size=65535)])
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
    uri = draw(st.sampled_from(["PYRO:obj@host:1", URI("PYRO:obj@host:1")]))
    compress = draw(st.booleans())
    requests = [
        request(protocol, serializer, "lookup", name, compress=compress),
        request(protocol, serializer, "register", name, uri, compress=compress),
        batch(protocol, serializer, ("lookup", (name,), {}), ("lookup", ("a",), {}), compress=compress),
        batch(protocol, serializer, ("register", (name, uri), {}), ("register", ("a", uri), {}), compress=compress),
        request(protocol, serializer, "lookup", "a"),
    ]
    data = bytearray(b"".join(draw(st.permutations(requests))[:2]))
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
    def find(serializer_id, payload, batch):
        raise AssertionError("this is no call")

    squeeze4, squeeze5 = Squeeze(PYRO4, active=False), Squeeze(PYRO5, active=False)
    for road in (Pyro4Road(find, squeeze4), Pyro4Road(find, squeeze4, KEY), Pyro5Road(find, squeeze5)):
        out = []
        assert road.advance(data, out) == data
        assert out == []


def test_correlation_ids_are_all_different():
    out = []
    road = Pyro4Road(lambda serializer_id, payload, batch: b"answer", Squeeze(PYRO4, active=False))
    assert road.advance(request(PYRO4, "serpent", "count") * 1000, out) == b""
    assert len({answer[30:46] for answer in out}) == 1000
