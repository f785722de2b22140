"""Protocol 48, that of Pyro4: a header of 24 bytes, annotation chunks, data. Integers are big-endian.

===== ==================================================================================================
bytes field
===== ==================================================================================================
4     ``PYRO``
2     version 48
2     message type
2     flags: 1 exception, 2 compressed, 4 oneway, 8 batch, 16 metadata, 32 item stream, 64 keep serialized
2     sequence number
4     data length, signed
2     serializer id
2     annotations length, all chunks with their heads
2     reserved
2     checksum: the sum of all other numbers and 0x34E9, its lower 16 bits
===== ==================================================================================================

A chunk is 4 ASCII characters, its length in 2 bytes, its bytes. Two belong to the protocol: ``CORR``, a correlation id,
and ``HMAC``, the signature.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from struct import Struct
from typing import Final

from pyronym.errors import ProtocolError, SecurityError
from pyronym.wire.frame import COMPRESSED_BIT, FrameHeader, read_chunks, write_chunks
from pyronym.wire.keys import Key, KeyRing
from pyronym.wire.message import CORRELATION_SIZE, NO_ANNOTATIONS, PYRO4, Message

PROTOCOL = PYRO4
START = b"PYRO\x00\x30"
HEADER_SIZE = 24
COMPRESS_FROM = 200
COMPRESS_LEVEL = -1

_HEADER = Struct("!6sHHHiHHHH")
_CHUNK_HEAD = Struct("!4sH")
CHECKSUM_SEED: Final = 0x34E9 + PROTOCOL
"""What is in the checksum of every message."""
_FLAGS: Final = 0b1111101
"""The bits of `Flag`, which has Pyro4's numbers."""
_MAX_ANNOTATIONS: Final = 0xFFFF
_SIGNATURE: Final = "HMAC"
_CORRELATION: Final = "CORR"
CORRELATION_HEAD: Final = _CHUNK_HEAD.pack(_CORRELATION.encode(), CORRELATION_SIZE)
"""The name and length of the chunk with a correlation id."""
LONE_CORRELATION: Final = len(CORRELATION_HEAD) + CORRELATION_SIZE
"""Bytes of annotations that are nothing but a correlation id."""


def check_key(hmac_key: bytes | KeyRing) -> None:
    """Any key will do: this protocol carries signatures."""


def find_key(buffer: bytes, start: int, header: FrameHeader, data: bytes, keys: KeyRing) -> Key:
    """The key that a message with `data` is signed with. Arguments as for `read_annotations`.

    Raises SecurityError if it is none of `keys`, or there is no signature, ProtocolError for broken chunks.
    """
    chunks = read_chunks(buffer, start, header.annotations_length, _CHUNK_HEAD)
    signature = chunks.pop(_SIGNATURE, None)
    if signature is None:
        raise SecurityError("hmac key config not symmetric: keys are set on this side, but the message is not signed")
    key = keys.find(lambda secret: hmac.compare_digest(signature, _signature(secret, data, chunks)))
    if key is None:
        raise SecurityError(
            "message hmac mismatch: the signature is not that of this message with any of the keys set on this side"
        )
    return key


def read_header(buffer: bytes | bytearray, start: int) -> FrameHeader:
    """The header at `start` in a buffer that holds at least `HEADER_SIZE` bytes from there, which begin with `START`.

    Raises ProtocolError when the checksum is wrong.
    """
    fields = _HEADER.unpack_from(buffer, start)
    _, kind, flags, sequence, data_length, serializer_id, annotations_length, _, checksum = fields
    expected = (kind + flags + sequence + data_length + serializer_id + annotations_length + CHECKSUM_SEED) & 0xFFFF
    if checksum != expected:
        raise ProtocolError(f"header checksum mismatch: {checksum:#06x} (expected {expected:#06x})")
    return FrameHeader(
        kind,
        serializer_id,
        flags & _FLAGS,
        flags & COMPRESSED_BIT != 0,
        sequence,
        annotations_length,
        data_length,
        None,
    )


def read_annotations(
    buffer: bytes, start: int, header: FrameHeader, data: bytes, hmac_key: bytes | None, most: int
) -> tuple[Mapping[str, bytes], bytes | None]:
    """Annotations, which are at `start`, and correlation id of a message with `data`, whose signature is right.

    Raises SecurityError for a signature that is missing, wrong, or not expected. ProtocolError for broken chunks, and
    for more than `most`.
    """
    length = header.annotations_length
    if length == LONE_CORRELATION and not hmac_key and buffer.startswith(CORRELATION_HEAD, start):
        return NO_ANNOTATIONS, buffer[start + len(CORRELATION_HEAD) : start + length]  # nearly all of stock's answers
    annotations = read_chunks(buffer, start, length, _CHUNK_HEAD, most)
    _verify(annotations.pop(_SIGNATURE, None), hmac_key, data, annotations)
    correlation = annotations.pop(_CORRELATION, None)
    if correlation is not None and len(correlation) != CORRELATION_SIZE:
        raise ProtocolError(f"annotation CORR holds {len(correlation)} bytes (expected {CORRELATION_SIZE}, a uuid)")
    return annotations, correlation


def write_head(message: Message, data: bytes, compressed: bool, hmac_key: bytes | None) -> bytes:
    """Header and annotations of a message with `data` as it will be sent, among them correlation id and signature.

    Raises ProtocolError when the annotations cannot be written: wrong names, or more than 65,535 bytes. Raises
    struct.error when a number does not fit its field.
    """
    _, kind, serializer_id, flags, sequence, _, annotations, correlation, _ = message
    if annotations or hmac_key:
        chunks = _write_annotations(message, data, hmac_key)
    elif correlation is not None:
        chunks = CORRELATION_HEAD + correlation
    else:
        chunks = b""
    flags = flags & _FLAGS | (COMPRESSED_BIT if compressed else 0)
    size, length = len(data), len(chunks)
    checksum = (kind + flags + sequence + size + serializer_id + length + CHECKSUM_SEED) & 0xFFFF
    return _HEADER.pack(START, kind, flags, sequence, size, serializer_id, length, 0, checksum) + chunks


def _write_annotations(message: Message, data: bytes, hmac_key: bytes | None) -> bytes:
    chunks = dict(message.annotations)
    if _SIGNATURE in chunks or _CORRELATION in chunks:
        raise ProtocolError("annotation names HMAC and CORR belong to protocol 48 itself: choose another name")
    if message.correlation is not None:
        chunks[_CORRELATION] = message.correlation
    if hmac_key:
        chunks[_SIGNATURE] = _signature(hmac_key, data, chunks)
    length = _CHUNK_HEAD.size * len(chunks) + sum(map(len, chunks.values()))
    if length > _MAX_ANNOTATIONS:
        raise ProtocolError(
            f"annotations of {length} bytes do not fit protocol 48 (at most {_MAX_ANNOTATIONS}, with 6 for each name)"
        )
    return write_chunks(chunks.items(), _CHUNK_HEAD)


def _signature(hmac_key: bytes, data: bytes, chunks: Mapping[str, bytes]) -> bytes:
    """SHA-1 over the data and all chunks' values in the order of their names. The header is not covered."""
    digest = hmac.new(hmac_key, data, "sha1")
    for name in sorted(chunks):
        digest.update(chunks[name])
    return digest.digest()


def _verify(signature: bytes | None, hmac_key: bytes | None, data: bytes, chunks: Mapping[str, bytes]) -> None:
    if not hmac_key:
        if signature is not None:
            raise SecurityError("hmac key config not symmetric: the message is signed, but no key is set on this side")
        return
    if signature is None:
        raise SecurityError("hmac key config not symmetric: a key is set on this side, but the message is not signed")
    if not hmac.compare_digest(signature, _signature(hmac_key, data, chunks)):
        raise SecurityError(
            "message hmac mismatch: the signature is not that of this message with the key set on this side"
        )
