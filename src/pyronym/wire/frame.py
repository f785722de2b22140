"""What the formats of the two protocols have in common: header fields, annotation chunks, the size limit."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from pyronym.errors import MessageTooLargeError, ProtocolError

COMPRESSED_BIT: Final = 2
"""The flag bit for zlib data, in both protocols."""

MAX_CHUNKS: Final = 0xFFFF // 6
"""Annotation chunks in one message: as many as Pyro4's 16-bit total can hold. Pyro5 counts the total with 32 bits, so
that a message of empty chunks would otherwise become a dict of millions of entries, twenty times the message's size."""

_NAME_SIZE: Final = 4


class FrameHeader(NamedTuple):
    """The header of a message whose payload may still be on its way."""

    type: int
    serializer_id: int
    flags: int
    """Members of `message.Flag`."""
    compressed: bool
    sequence: int
    annotations_length: int
    data_length: int
    """As announced: a signed number in Pyro4."""
    correlation: bytes | None
    """Of Pyro5. In Pyro4 it is one of the annotations."""


def check_size(size: int, limit: int) -> None:
    """Raise MessageTooLargeError when annotations and data of `size` bytes exceed the limit."""
    if size > limit:
        raise MessageTooLargeError(
            f"max message size exceeded ({size} where max={limit}): send less at a time, or raise MAX_MESSAGE_SIZE "
            "(for a handshake: MAX_HANDSHAKE_SIZE)"
        )


def read_chunks(buffer: bytes, offset: int, length: int, head: Struct, most: int = MAX_CHUNKS) -> dict[str, bytes]:
    """The annotations in the `length` bytes from `offset` on. Of chunks with one name the last one counts.

    `head` is the name and length before each chunk. Raises ProtocolError when the chunks do not fill these bytes
    exactly, are more than `most`, or have names that are not ASCII.
    """
    chunks: dict[str, bytes] = {}
    end = offset + length
    count = 0
    while offset < end:
        start = offset + head.size
        if start > end:
            raise ProtocolError(
                f"annotation chunk cut off: {end - offset} bytes are left where {head.size} begin a chunk"
            )
        name, size = head.unpack_from(buffer, offset)
        offset = start + size
        if offset > end:
            raise ProtocolError(
                f"annotation chunk {name!r} of {size} bytes exceeds the {end - start} bytes left for it"
            )
        if not name.isascii():
            raise ProtocolError(f"invalid annotation name {name!r} (expected four ASCII characters)")
        count += 1
        if count > most:
            raise ProtocolError(f"more than {most} annotation chunks in one message")
        chunks[name.decode("ascii")] = buffer[start:offset]
    return chunks


def write_chunks(chunks: Iterable[tuple[str, bytes]], head: Struct) -> bytes:
    """The annotations as bytes, in the order given.

    Raises ProtocolError when a name is not four ASCII characters or there are more than `MAX_CHUNKS`.
    """
    parts: list[bytes] = []
    for name, value in chunks:
        if len(name) != _NAME_SIZE or not name.isascii():
            raise ProtocolError(f"invalid annotation name {name!r} (expected four ASCII characters)")
        parts += (head.pack(name.encode("ascii"), len(value)), value)
    if len(parts) > 2 * MAX_CHUNKS:
        raise ProtocolError(f"more than {MAX_CHUNKS} annotation chunks in one message")
    return b"".join(parts)
