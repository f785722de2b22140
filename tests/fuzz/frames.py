"""Messages that may be wrong in any of their fields, and the bytes for them.

Independent of the product's codec, which refuses to write what is not right.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from functools import cache
from typing import NamedTuple

from captures.load import load

PROTOCOLS = (48, 502)
CONNECT = 1
INVOKE = 4
COMPRESSED = 2
HEADER_SIZES = {48: 24, 502: 40}
SERIALIZER_NAMES = {
    48: {1: "serpent", 2: "json", 3: "marshal", 4: "pickle", 5: "dill", 6: "msgpack", 7: "cloudpickle"},
    502: {1: "serpent", 2: "marshal", 3: "json", 4: "msgpack"},
}
_HEADERS = {48: struct.Struct("!4sHHHHiHHHH"), 502: struct.Struct("!4sHBBHHII16sHH")}
_CHUNK_HEADS = {48: struct.Struct("!4sH"), 502: struct.Struct("!4sI")}
_CHECKSUM_SEED = 0x34E9
_MAGIC = 0x4DC5


class Frame(NamedTuple):
    """One message. The lengths are those that the header announces; None: the true ones."""

    protocol: int
    kind: int
    serializer: int
    flags: int
    sequence: int
    annotations: bytes
    data: bytes
    correlation: bytes = bytes(16)
    data_length: int | None = None
    annotations_length: int | None = None
    version: int | None = None

    @property
    def name(self) -> str | None:
        """Of the serializer; None if there is none with this number."""
        return SERIALIZER_NAMES[self.protocol].get(self.serializer)

    def wire(self, key: bytes | None = None) -> bytes:
        """The message with a right checksum, or magic number. With a key also the right signature."""
        annotations = self.annotations + (self._signature(key) if key and self.protocol == 48 else b"")
        version = self.protocol if self.version is None else self.version
        length = len(self.data) if self.data_length is None else self.data_length
        chunks = len(annotations) if self.annotations_length is None else self.annotations_length
        kind, serializer, flags, sequence = (
            number & 0xFFFF for number in (self.kind, self.serializer, self.flags, self.sequence)
        )
        if self.protocol == 48:
            length = (length + 2**31) % 2**32 - 2**31
            chunks &= 0xFFFF
            checksum = (version + kind + flags + sequence + length + serializer + chunks + _CHECKSUM_SEED) & 0xFFFF
            fields: tuple[object, ...] = (version, kind, flags, sequence, length, serializer, chunks, 0, checksum)
        else:
            fields = (version, kind & 255, serializer & 255, flags, sequence, length % 2**32, chunks % 2**32)
            fields += (self.correlation, 0, _MAGIC)
        return _HEADERS[self.protocol].pack(b"PYRO", *fields) + annotations + self.data

    def _signature(self, key: bytes) -> bytes:
        digest = hmac.new(key, self.data, hashlib.sha1)
        for _, value in sorted(split_chunks(48, self.annotations).items()):
            digest.update(value)
        return chunk(48, b"HMAC", digest.digest())


def chunk(protocol: int, name: bytes, value: bytes) -> bytes:
    """One annotation."""
    return _CHUNK_HEADS[protocol].pack(name, len(value)) + value


def split_chunks(protocol: int, annotations: bytes) -> dict[bytes, bytes]:
    """The annotations as far as they can be read."""
    head = _CHUNK_HEADS[protocol]
    chunks: dict[bytes, bytes] = {}
    while len(annotations) >= head.size:
        name, size = head.unpack_from(annotations)
        chunks[name] = annotations[head.size : head.size + size]
        annotations = annotations[head.size + size :]
    return chunks


def parse(wire: bytes) -> Frame:
    """The frame of a whole message that is right; the signature is taken off."""
    protocol = int.from_bytes(wire[4:6], "big")
    fields = _HEADERS[protocol].unpack_from(wire)
    if protocol == 48:
        _, _, kind, flags, sequence, _, serializer, length, _, _ = fields
        correlation = bytes(16)
    else:
        _, _, kind, serializer, flags, sequence, _, length, correlation, _, _ = fields
    middle = HEADER_SIZES[protocol] + length
    chunks = split_chunks(protocol, wire[HEADER_SIZES[protocol] : middle])
    annotations = b"".join(chunk(protocol, name, value) for name, value in chunks.items() if name != b"HMAC")
    return Frame(protocol, kind, serializer, flags, sequence, annotations, wire[middle:], correlation)


def sizes_of_answers(protocol: int, stream: bytes) -> list[int]:
    """How long each whole message in a stream of answers is."""
    sizes = []
    start = 0
    while start + HEADER_SIZES[protocol] <= len(stream):
        fields = _HEADERS[protocol].unpack_from(stream, start)
        length, chunks = (fields[5], fields[7]) if protocol == 48 else (fields[6], fields[7])
        sizes.append(HEADER_SIZES[protocol] + length + chunks)
        start += sizes[-1]
    return sizes


@cache
def captured(protocol: int) -> tuple[Frame, ...]:
    """What stock clients were recorded to say, each distinct payload once."""
    found = {}
    for exchange in load(protocol):
        if exchange.direction == "client" and exchange.expected is not None:
            frame = parse(exchange.wire)
            found[frame.kind, frame.serializer, frame.flags, frame.annotations, frame.data] = frame
    return tuple(found.values())


@cache
def greetings(protocol: int) -> tuple[Frame, ...]:
    """Captured handshakes that a name server accepts."""
    return tuple(
        frame
        for frame in captured(protocol)
        if frame.kind == CONNECT
        and b"Pyro.NameServer" in frame.data
        and frame.name is not None
        and not frame.flags & COMPRESSED
    )
