"""Wrong messages, made of right ones. The same random numbers give the same messages."""

from __future__ import annotations

import string
import zlib
from collections.abc import Callable
from random import Random
from typing import Final

from fuzz import hostile
from fuzz.frames import COMPRESSED, CONNECT, INVOKE, SERIALIZER_NAMES, Frame, captured, chunk, greetings
from pyronym.errors import PyroError
from pyronym.serializers.registry import serializer_by_name

_NUMBERS: Final = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000)
_METHODS: Final = (
    *("lookup", "register", "remove", "list", "set_metadata", "count", "ping", "yplookup", "<batch>", ""),
    *("__getattr__", "__setattr__", "__class__", "__init__", "_service", "__dict__", "lookup.__self__", "registered"),
    *("get_metadata", "get_next_stream_item", "close_stream", "info", "__len__", "__getitem__"),
)
_OBJECTS: Final = ("Pyro.NameServer", "Pyro.Daemon", "Pyro.Flame", "", "x" * 500, "\0")
_TEXTS: Final = (
    *("", "a", "Pyro.NameServer", "PYRO:a@b:1", "PYRO:a@./u:x", "PYROMETA:a,b", "PYRO:@[::1]:1", "\0", "\ud800", "é☃"),
    *("PYRO:" + "@" * 3000 + "\nx", "x" * 5000, "PYRO:a@b:" + "9" * 5000, "_service", "__class__"),
)
_KEYWORDS: Final = ("name", "uri", "safe", "metadata", "prefix", "return_metadata", "metadata_all", "meta_any", "self")


def conversation(random: Random, protocol: int, count: int, key: bytes | None) -> list[bytes]:
    """What one client sends: a handshake that is right, and `count` wrong messages; or nothing but wrong ones."""
    if random.random() < 0.15:
        return [mutant(random, protocol, key, CONNECT), *(mutant(random, protocol, key) for _ in range(count - 1))]
    return [random.choice(greetings(protocol)).wire(key), *(mutant(random, protocol, key) for _ in range(count))]


def mutant(random: Random, protocol: int, key: bytes | None, kind: int = INVOKE) -> bytes:
    """A message with something wrong; now and then it is still right."""
    frame = random.choice(greetings(protocol) if kind == CONNECT else captured(protocol))
    if frame.kind == CONNECT != kind and random.random() < 0.9:
        frame = frame._replace(kind=INVOKE)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        frame = random.choices(_CHANGES, _WEIGHTS)[0](random, frame)
    wire = frame.wire(key if random.random() < 0.97 else random.choice((None, b"another key")))
    if random.random() < 0.08:
        wire = _scrambled(random, wire)  # with the header, whose checksum or magic number is then wrong
    return wire


def _plain(frame: Frame) -> bytes:
    if not frame.flags & COMPRESSED:
        return frame.data
    try:
        return zlib.decompressobj().decompress(frame.data, 1_000_000)
    except zlib.error:
        return frame.data


def _with_payload(frame: Frame, data: bytes) -> Frame:
    if frame.flags & COMPRESSED:
        data = zlib.compress(data, 1)
    return frame._replace(data=data)


def _scrambled(random: Random, data: bytes) -> bytes:
    """Bytes with a few flipped, put in, taken out, repeated or set to a number that means much."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        place = random.randrange(len(changed) + 1)
        end = min(len(changed), place + int(2 ** random.uniform(0, 6)))
        way = random.randrange(6)
        if way == 0 and place < len(changed):
            changed[place] ^= 1 << random.randrange(8)
        elif way == 1:
            changed[place:place] = random.randbytes(random.choice((1, 2, 4, 8)))
        elif way == 2:
            del changed[place:end]
        elif way == 3:
            changed[place:place] = changed[place:end] * random.choice((1, 2, 50))
        elif way == 4:
            size = random.choice((1, 2, 4))
            number = random.choice(_NUMBERS) & (256**size - 1)
            changed[place : place + size] = number.to_bytes(size, random.choice(("big", "little")))
        elif place < len(changed):
            changed[place] = random.choice(b"()[]{}',:\"\\.eEjb-+0#\x00\xff\x80rNs0t)")
    return bytes(changed)


def _scramble_payload(random: Random, frame: Frame) -> Frame:
    return _with_payload(frame, _scrambled(random, _plain(frame)))


def _cut_payload(random: Random, frame: Frame) -> Frame:
    data = _plain(frame)
    return _with_payload(frame, data[: random.randrange(len(data) + 1)])


def _splice(random: Random, frame: Frame) -> Frame:
    other = random.choice(captured(frame.protocol))
    ours, theirs = _plain(frame), _plain(other)
    return _with_payload(frame, ours[: random.randrange(len(ours) + 1)] + theirs[random.randrange(len(theirs) + 1) :])


def _field(random: Random, frame: Frame) -> Frame:
    name = random.choice(("kind", "serializer", "flags", "sequence", "data_length", "annotations_length", "version"))
    if name == "kind":
        value = random.choice((1, 2, 3, 4, 4, 4, 5, 6, 6, 7, 0, 0xFF))
    elif name == "serializer":
        value = random.choice((*SERIALIZER_NAMES[frame.protocol], 0, 42, 255))
    elif name == "flags":
        value = frame.flags ^ 1 << random.randrange(16)
    elif name == "data_length":
        value = random.choice((*_NUMBERS, len(frame.data) + random.randrange(-9, 10), -1))
    elif name == "annotations_length":
        value = random.choice((*_NUMBERS, len(frame.annotations) + random.randrange(-9, 10)))
    elif name == "version":
        value = random.choice((frame.protocol, frame.protocol, 44, 47, 49, 501, 503, 0))
    else:
        value = random.choice(_NUMBERS)
    return frame._replace(**{name: value})


def _annotate(random: Random, frame: Frame) -> Frame:
    if frame.annotations and random.random() < 0.5:
        return frame._replace(annotations=_scrambled(random, frame.annotations)[:60_000])
    name = random.choice((b"CORR", b"HMAC", b"ABCD", b"\0\0\0\0", b"\xff\xff\xff\xff", random.randbytes(4)))
    value = random.randbytes(random.choice((0, 1, 15, 16, 17, 20, 1000)))
    annotations = frame.annotations + chunk(frame.protocol, name, value) * random.choice((1, 1, 2, 30))
    return frame._replace(annotations=annotations[:60_000])


def _compress(random: Random, frame: Frame) -> Frame:
    way = random.randrange(8)
    if way == 0:
        data = hostile.bomb(random.choice((1, 1, 1, 4, 15, 17, 64)))
    elif way == 1:
        data = _scrambled(random, zlib.compress(frame.data))
    else:
        data = zlib.compress(frame.data) + random.choice((b"", b"", b"", b"more"))
    return frame._replace(flags=frame.flags | COMPRESSED, data=data)


def _hostile_payload(random: Random, frame: Frame) -> Frame:
    name = random.choice(list(SERIALIZER_NAMES[frame.protocol].values()))
    data = random.choice(hostile.BUILDERS[name])(random)
    numbers = {known: number for number, known in SERIALIZER_NAMES[frame.protocol].items()}
    frame = frame._replace(serializer=numbers[name])
    if random.random() < 0.3:  # as the argument of a call that can be read up to there
        serializer = serializer_by_name(frame.protocol, name)
        call = serializer.dumps_call("Pyro.NameServer", random.choice(_METHODS), ["PLACEHOLDER"], {})
        place = serializer.dumps("PLACEHOLDER").removeprefix(b"# serpent utf-8 python3.2\n")
        if name in ("pickle", "dill", "cloudpickle"):
            place, data = place[2:-1], data[2:-1]
        if place in call:
            data = call.replace(place, data)
    return _with_payload(frame, data)


def _strange_call(random: Random, frame: Frame) -> Frame:
    """A call that can be read, and asks for something that it should not."""
    numbers = {name: number for number, name in SERIALIZER_NAMES[frame.protocol].items()}
    name = random.choice(list(numbers))
    method = random.choice(_METHODS)
    args: list[object] = [_value(random) for _ in range(random.choice((0, 1, 1, 2, 3, 5)))]
    kwargs = {random.choice(_KEYWORDS): _value(random) for _ in range(random.choice((0, 0, 1, 2)))}
    flags = frame.flags & ~COMPRESSED
    if random.random() < 0.2:
        flags |= 8
        args = [(random.choice(_METHODS), args, kwargs) for _ in range(random.choice((1, 3, 50)))]
    serializer = serializer_by_name(frame.protocol, name)
    try:
        data = serializer.dumps_call(random.choice((*_OBJECTS[:1] * 8, *_OBJECTS)), method, args, kwargs)
    except PyroError:
        return frame  # this serializer has no form for one of the values
    return frame._replace(serializer=numbers[name], flags=flags, data=data)


def _value(random: Random, depth: int = 0) -> object:
    way = random.randrange(14)
    if way < 6:
        return random.choice(_TEXTS)
    if way == 6:
        return "".join(random.choices(string.printable, k=random.randrange(30)))
    if way == 7:
        return random.choice((0, -1, 2**63, -(2**64), 2**14000, True, False, None))
    if way == 8:
        return random.choice((1.5, float("nan"), float("inf"), 1j))
    if way == 9:
        return random.randbytes(random.randrange(20))
    if depth > 3:
        return None
    parts = [_value(random, depth + 1) for _ in range(random.randrange(5))]
    if way == 10:
        return tuple(parts)
    if way == 11:
        return {part for part in parts if isinstance(part, str | int | float | bytes)}
    if way == 12:
        names = ("__class__", "state", "args", "attributes", "__exception__", "exception", "a")
        return {random.choice(names): part for part in parts} | random.choice(_CLASSES)
    return parts


_CLASSES: Final[tuple[dict[str, object], ...]] = (
    {},
    {"__class__": "Pyro4.core.URI", "state": ["PYRO", "a", None, "b", 1]},
    {"__class__": "Pyro5.core.URI", "state": ["PYROMETA", ["a", "b"], None, None, None]},
    {"__class__": "builtins.ValueError", "__exception__": True, "args": ["x"], "attributes": {"_pyroTraceback": ["y"]}},
    {"__class__": "UnicodeDecodeError", "__exception__": True, "args": ["utf8", "x", 5, 9, "r"], "attributes": {}},
    {"__class__": "builtins.SystemExit", "__exception__": True, "args": [1], "attributes": {}},
    {"__class__": "os.system"},
    {"__class__": "a__b"},
)

_CHANGES: Final[tuple[Callable[[Random, Frame], Frame], ...]] = (
    _scramble_payload,
    _cut_payload,
    _splice,
    _field,
    _annotate,
    _compress,
    _hostile_payload,
    _strange_call,
)
_WEIGHTS: Final = (30, 4, 10, 12, 6, 4, 10, 24)
