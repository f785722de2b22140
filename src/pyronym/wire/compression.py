"""Compressed data, read without trust in what it may grow to."""

from __future__ import annotations

import zlib

from pyronym.errors import ProtocolError
from pyronym.wire.frame import check_size


def decompress(data: bytes, annotations_length: int, limit: int) -> bytes:
    """What a zlib stream stands for. At most one byte more than `limit` leaves is ever built.

    Raises MessageTooLargeError when the result and the annotations exceed `limit` bytes, ProtocolError when `data`
    is not exactly one whole stream.
    """
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, limit - annotations_length + 1)
    except zlib.error as problem:
        raise ProtocolError(f"compressed data is broken: {problem}") from None
    check_size(annotations_length + len(plain), limit)
    if not stream.eof:
        raise ProtocolError(f"compressed data is cut off: its {len(data)} bytes are not a whole zlib stream")
    if stream.unused_data:
        raise ProtocolError(f"compressed data is followed by {len(stream.unused_data)} bytes that do not belong to it")
    return plain


def unfolds_beyond(data: bytes, size: int) -> bool:
    """Whether a zlib stream has, or may stand for, more than `size` bytes. Finds out in time that grows with `size`."""
    if len(data) > size:
        return True
    try:
        return len(zlib.decompressobj().decompress(data, size + 1)) > size
    except zlib.error:
        return False


def compress(data: bytes, level: int) -> bytes | None:
    """`data` as a zlib stream, or None when that is not smaller."""
    compressed = zlib.compress(data, level)
    return compressed if len(compressed) < len(data) else None
