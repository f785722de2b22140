"""Helpers for the tests of the wire: decoding in one go, and messages written by hand, field by field."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

from pyronym.wire.codec import Decoder
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType

LIMIT = 1 << 20
KEY = b"a shared secret"
FLAGS = {name: bit for name, bit in vars(Flag).items() if isinstance(bit, int)}
PROTOCOLS = (PYRO4, PYRO5)


def decode(*pieces: bytes, hmac_key: bytes | None = None, limit: int = LIMIT) -> list[Message]:
    """All messages of a stream that comes in these pieces. Each is asked for as soon as it may be there."""
    decoder = Decoder(limit=limit, hmac_key=hmac_key)
    messages = []
    for piece in pieces:
        decoder.feed(piece)
        while (message := decoder.next_message()) is not None:
            messages.append(message)
    assert decoder.buffered == 0, "bytes were left over"
    return messages


def split(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    """The stream in pieces that end at these places."""
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    return [stream[start:end] for start, end in pairwise(places)]


def pyro4_bytes(
    data: bytes = b"data",
    *,
    chunks: bytes = b"",
    version: int = 48,
    kind: int = 4,
    flags: int = 0,
    sequence: int = 7,
    serializer_id: int = 1,
    data_length: int | None = None,
    annotations_length: int | None = None,
    reserved: int = 0,
    checksum: int | None = None,
) -> bytes:
    """A message of protocol 48, with anything wrong that is asked for. Written from the table of the format."""
    data_length = len(data) if data_length is None else data_length
    annotations_length = len(chunks) if annotations_length is None else annotations_length
    if checksum is None:
        numbers = kind + version + data_length + annotations_length + serializer_id + flags + sequence
        checksum = (numbers + 0x34E9) & 0xFFFF
    header = struct.pack(
        ">4sHHHHiHHHH",
        b"PYRO",
        version,
        kind,
        flags,
        sequence,
        data_length,
        serializer_id,
        annotations_length,
        reserved,
        checksum,
    )
    return header + chunks + data


def pyro5_bytes(
    data: bytes = b"data",
    *,
    chunks: bytes = b"",
    version: int = 502,
    kind: int = 4,
    flags: int = 0,
    sequence: int = 7,
    serializer_id: int = 1,
    data_length: int | None = None,
    annotations_length: int | None = None,
    correlation: bytes = bytes(16),
    reserved: int = 0,
    magic: int = 0x4DC5,
) -> bytes:
    """A message of protocol 502, with anything wrong that is asked for. Written from the table of the format."""
    data_length = len(data) if data_length is None else data_length
    annotations_length = len(chunks) if annotations_length is None else annotations_length
    header = struct.pack(
        ">4sHBBHHII16sHH",
        b"PYRO",
        version,
        kind,
        serializer_id,
        flags,
        sequence,
        data_length,
        annotations_length,
        correlation,
        reserved,
        magic,
    )
    return header + chunks + data


WRITERS = {PYRO4: pyro4_bytes, PYRO5: pyro5_bytes}


def chunk(protocol: int, name: bytes, value: bytes) -> bytes:
    """An annotation chunk, written from the table of the format."""
    return struct.pack(">4sH" if protocol == PYRO4 else ">4sI", name, len(value)) + value


NAMES = st.text(st.characters(max_codepoint=127), min_size=4, max_size=4).filter(lambda n: n not in ("HMAC", "CORR"))


@st.composite
def messages(draw: st.DrawFn, protocol: int) -> Message:
    """Any message that can be written in the protocol."""
    flags = [bit for name, bit in FLAGS.items() if protocol == PYRO4 or name != "METADATA"]
    return Message(
        protocol,
        draw(st.sampled_from(MessageType)),
        draw(st.integers(0, 0xFFFF if protocol == PYRO4 else 0xFF)),
        sum(draw(st.sets(st.sampled_from(flags)))),
        draw(st.integers(0, 0xFFFF)),
        draw(st.binary(max_size=400) | st.binary(min_size=1, max_size=3).map(lambda piece: piece * 200)),
        draw(st.dictionaries(NAMES, st.binary(max_size=20), max_size=3)),
        draw(st.none() | st.binary(min_size=16, max_size=16)),
    )
