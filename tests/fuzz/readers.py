"""What is fuzzed: functions that take any bytes, and raise nothing but what nobody expected."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from fuzz.frames import PROTOCOLS, captured, greetings
from fuzz.session import Host, answers
from pyronym.errors import PyroError
from pyronym.serializers.registry import serializer_by_name
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.codec import Decoder
from pyronym.wire.message import PYRO4

SERIALIZERS = ("serpent", "json", "marshal", "msgpack", "pickle")
SETTINGS = Settings(serializers_accepted=frozenset([*SERIALIZERS, "dill", "cloudpickle"]))
GREETINGS = {number: greetings(protocol)[0].wire() for number, protocol in enumerate(PROTOCOLS)}
LIMIT = 1 << 16


def _reader(name: str) -> Callable[[bytes], None]:
    serializer = serializer_by_name(PYRO4, name)

    def read(data: bytes) -> None:
        for load in (serializer.loads, serializer.loads_call):
            with suppress(PyroError):
                repr(load(data))

    return read


def _wire(data: bytes) -> None:
    """The first byte says whether a key is set, and into how many pieces the rest is cut."""
    decoder = Decoder(limit=LIMIT, hmac_key=b"key" if data[:1] > b"\x7f" else None)
    size = 1 + (data[0] & 0x7F if data else 0) * 8
    try:
        for start in range(1, len(data), size):
            decoder.feed(data[start : start + size])
            while decoder.next_message() is not None:
                pass
    except PyroError:
        pass


def _session(data: bytes) -> None:
    """The first byte says whether there is a handshake before the rest, and in which protocol."""
    first = data[0] if data else 0
    pieces = [GREETINGS[first & 1]] if first & 2 else []
    answers(Host(SETTINGS), [*pieces, data[1:]])


def _uri(data: bytes) -> None:
    with suppress(PyroError):
        str(URI(data.decode("utf-8", "surrogateescape")))


TARGETS: dict[str, Callable[[bytes], None]] = {
    **{name: _reader(name) for name in SERIALIZERS},
    "wire": _wire,
    "session": _session,
    "uri": _uri,
}


def seeds(target: str) -> set[bytes]:
    """What stock clients were recorded to send, as inputs of a target."""
    found = set()
    for number, protocol in enumerate(PROTOCOLS):
        for frame in captured(protocol):
            if target == frame.name:
                found.add(frame.data)
            elif target == "wire":
                found.add(b"\x7f" + frame.wire())
            elif target == "session":
                found.add(bytes([number | 2]) + frame.wire())
    if target == "uri":
        found |= {
            b"PYRO:a@b:1",
            b"PYRO:a@[::1]:1",
            b"PYRO:a@./u:p",
            b"PYRONAME:a@b",
            b"PYROMETA:a,b@b:9",
            b"PYRO:a@b@c\n",
        }
    return found
