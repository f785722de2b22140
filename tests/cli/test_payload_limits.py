"""The limits that hold for a whole process, which the serve command sets at its start."""

from collections.abc import Callable

import pytest

from processes import NameServer, NameServers
from pyronym.client.locate import locate
from pyronym.client.proxy import Proxy
from pyronym.errors import ProtocolError, SerializeError
from pyronym.serializers.bounds import DEEPEST, LIMITS
from pyronym.serializers.registry import serializer_by_name
from pyronym.settings import SERIALIZER_NAMES, Settings
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Message, MessageType

SERIALIZERS = [name for name in SERIALIZER_NAMES if name not in ("dill", "cloudpickle")]


def nested(levels: int, inner: Callable[[object], object]) -> object:
    value: object = 1
    for _ in range(levels):
        value = inner(value)
    return value


def at(server: NameServer, serializer: str = "serpent") -> Proxy:
    return locate(server.host, server.port, settings=Settings(serializer=serializer))


@pytest.mark.parametrize("inner", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}], ids=["list", "tuple", "dict"])
@pytest.mark.parametrize("name", SERIALIZERS)
def test_as_deep_as_can_be_set_is_read_and_written(
    name: str, inner: Callable[[object], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LIMITS, "depth", DEEPEST)
    serializer = serializer_by_name(PYRO4, name)
    data = serializer.dumps(nested(DEEPEST, inner))
    value = serializer.loads(data)
    assert serializer.loads(serializer.dumps(value)) == value
    monkeypatch.setattr(LIMITS, "depth", DEEPEST - 2)
    with pytest.raises(SerializeError, match=f"nested too deep.*the limit is {DEEPEST - 2}"):
        serializer.loads(data)


@pytest.mark.parametrize("serializer", ["serpent", "json", "marshal", "msgpack"])
def test_a_server_takes_as_much_as_it_was_told(serve: NameServers, serializer: str) -> None:
    server = serve(env={"PYRONYM_MAX_DEPTH": "10", "PYRONYM_MAX_ELEMENTS": "1000"})
    with at(server, serializer) as nameserver:
        with pytest.raises(SerializeError, match=r"nested too deep.*the limit is 10 levels"):
            nameserver.lookup(nested(12, lambda value: [value]))
        with pytest.raises(
            SerializeError, match=r"too many elements in .*limit is 1000\)|exceeds max_array_len\(1000\)"
        ):
            nameserver.lookup(list(range(1001)))
        assert nameserver.count() == 1


@pytest.mark.parametrize("protocol", [PYRO4, PYRO5])
def test_a_message_has_so_many_annotations_and_no_more(protocol: int) -> None:
    def message(number: int) -> bytes:
        annotations = {f"A{index:03}": b"x" for index in range(number)}
        call = Message(protocol, MessageType.INVOKE, 1, 0, 1, b"data", annotations)
        return encode(call, limit=10_000)

    decoder = Decoder(limit=10_000, max_annotations=3)
    decoder.feed(message(3))
    assert decoder.next_message() is not None
    decoder.feed(message(4))
    with pytest.raises(ProtocolError, match=r"^more than 3 annotation chunks in one message$"):
        decoder.next_message()
