"""Protocol 502, that of Pyro5: a header of 40 bytes, annotation chunks, data. Integers are big-endian.

===== ==========================================================================================================
bytes field
===== ==========================================================================================================
4     ``PYRO``
2     version 502
1     message type
1     serializer id
2     flags: 1 exception, 2 compressed, 4 oneway, 8 batch, 16 item stream, 32 keep serialized, 64 has a correlation id
2     sequence number
4     data length
4     annotations length, all chunks with their heads
16    correlation id
2     reserved
2     magic number 0x4DC5
===== ==========================================================================================================

A chunk is 4 ASCII characters, its length in 4 bytes, its bytes. There are no signatures.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from typing import Final, NoReturn

from pyronym.errors import ProtocolError, SecurityError
from pyronym.wire.frame import COMPRESSED_BIT, FrameHeader, read_chunks, write_chunks
from pyronym.wire.keys import Key, KeyRing
from pyronym.wire.message import CORRELATION_SIZE, PYRO5, Message

PROTOCOL = PYRO5
START = b"PYRO\x01\xf6"
HEADER_SIZE = 40
COMPRESS_FROM = 101
COMPRESS_LEVEL = 4

_HEADER = Struct(f"!6sBBHHII{CORRELATION_SIZE}sHH")
_CHUNK_HEAD = Struct("!4sI")
MAGIC: Final = 0x4DC5
"""At a fixed place in every header."""
_SAME_FLAGS: Final = 0b1101
"""The bits that are those of `Flag`."""
_LOWER_FLAGS: Final = 0b110000
"""The bits that are half of those of `Flag`, because protocol 502 has none for METADATA."""
CORRELATION_BIT: Final = 64
"""The flag of a message that has a correlation id."""
NO_CORRELATION: Final = bytes(CORRELATION_SIZE)
"""What is in its place in others."""


def check_key(hmac_key: bytes | KeyRing) -> NoReturn:
    """Raise SecurityError: a key is set, and nothing in this protocol could prove that the peer has it too."""
    raise SecurityError(
        "hmac key config not symmetric: a key is set on this side, but protocol 502 (Pyro5) carries no signatures"
    )


def find_key(buffer: bytes, start: int, header: FrameHeader, data: bytes, keys: KeyRing) -> Key:
    """Raise SecurityError, as `check_key`."""
    check_key(keys)


def read_header(buffer: bytes | bytearray, start: int) -> FrameHeader:
    """The header at `start` in a buffer that holds at least `HEADER_SIZE` bytes from there, which begin with `START`.

    Raises ProtocolError when the magic number is wrong.
    """
    fields = _HEADER.unpack_from(buffer, start)
    _, kind, serializer_id, flags, sequence, data_length, annotations_length, correlation, _, magic = fields
    if magic != MAGIC:
        raise ProtocolError(f"invalid magic number {magic:#06x} in the header (expected {MAGIC:#06x})")
    return FrameHeader(
        kind,
        serializer_id,
        flags & _SAME_FLAGS | (flags & _LOWER_FLAGS) << 1,
        flags & COMPRESSED_BIT != 0,
        sequence,
        annotations_length,
        data_length,
        correlation if flags & CORRELATION_BIT else None,
    )


def read_annotations(
    buffer: bytes, start: int, header: FrameHeader, data: bytes, hmac_key: bytes | None, most: int
) -> tuple[Mapping[str, bytes], bytes | None]:
    """Annotations, which are at `start`, and correlation id of a message.

    Raises ProtocolError for broken chunks, and for more than `most`.
    """
    return read_chunks(buffer, start, header.annotations_length, _CHUNK_HEAD, most), header.correlation


def write_head(message: Message, data: bytes, compressed: bool, hmac_key: bytes | None) -> bytes:
    """Header and annotations of a message with `data` as it will be sent.

    Raises ProtocolError when the annotations cannot be written, struct.error when a number does not fit its field.
    """
    _, kind, serializer_id, all_flags, sequence, _, annotations, correlation, _ = message
    chunks = write_chunks(annotations.items(), _CHUNK_HEAD) if annotations else b""
    flags = all_flags & _SAME_FLAGS | all_flags >> 1 & _LOWER_FLAGS
    if compressed:
        flags |= COMPRESSED_BIT
    if correlation is not None:
        flags |= CORRELATION_BIT
    header = _HEADER.pack(
        START,
        kind,
        serializer_id,
        flags,
        sequence,
        len(data),
        len(chunks),
        correlation or NO_CORRELATION,
        0,
        MAGIC,
    )
    return header + chunks
