"""The shortest way through the wire: calls and results without anything special, read and written at one go.

What these classes do not recognise is for `codec`, which knows everything; what they recognise, they read and write as
`codec` would (``tests/service/test_straight_road.py`` holds both beside each other). A plain call has no flags and no
annotations but the signature of Pyro4.
"""

from __future__ import annotations

import hmac
import os
from struct import Struct
from typing import Final, NamedTuple

_SIGNATURE_HEAD: Final = b"HMAC\x00\x14"
_SIGNATURE_SIZE: Final = 26
_CORRELATION_HEAD: Final = b"CORR\x00\x10"
_CORRELATION_SIZE: Final = 22
_CHECKSUM_SEED: Final = 48 + 0x34E9
_POOL: Final = 16 * 256


class PlainCall(NamedTuple):
    """A call message that is whole, and where its data is."""

    serializer_id: int
    sequence: int
    correlation: bytes | None
    start: int
    end: int


class Pyro4Plain:
    """Plain messages of protocol 48, signed if there is a key."""

    _HEADER: Final = Struct("!8sHHiHHHH")
    _CALL: Final = b"PYRO\x00\x30\x00\x04"
    _RESULT: Final = b"PYRO\x00\x30\x00\x05"

    def __init__(self, hmac_key: bytes | None) -> None:
        self._key = hmac_key or None
        self._annotations = _SIGNATURE_SIZE if hmac_key else 0
        self._random = _RandomIds()

    def call(self, buffer: bytes, start: int) -> PlainCall | None:
        """The plain call that begins at `start`, if there is one, whole and rightly signed."""
        data_start = start + 24 + self._annotations
        if len(buffer) <= data_start:
            return None
        kind, flags, sequence, length, serializer_id, annotations, _, checksum = self._HEADER.unpack_from(buffer, start)
        end = data_start + length
        if (
            kind != self._CALL
            or flags
            or annotations != self._annotations
            or not data_start < end <= len(buffer)
            or checksum != (4 + _CHECKSUM_SEED + sequence + length + serializer_id + annotations) & 0xFFFF
        ):
            return None
        if self._key is not None and not self._is_signed(buffer, start + 24, data_start, end):
            return None
        return PlainCall(serializer_id, sequence, None, data_start, end)

    def _is_signed(self, buffer: bytes, start: int, data_start: int, end: int) -> bool:
        assert self._key is not None, "without a key there is nothing to check"
        signature = buffer[start + 6 : data_start]
        expected = hmac.digest(self._key, buffer[data_start:end], "sha1")
        return buffer.startswith(_SIGNATURE_HEAD, start) and hmac.compare_digest(signature, expected)

    def result(self, call: PlainCall, data: bytes) -> bytes:
        """The result message for a plain call."""
        correlation = self._random.next()
        annotations = _CORRELATION_HEAD + correlation
        if self._key is not None:
            annotations += _SIGNATURE_HEAD + hmac.digest(self._key, data + correlation, "sha1")
        size = len(annotations)
        length = len(data)
        checksum = (5 + _CHECKSUM_SEED + call.sequence + length + call.serializer_id + size) & 0xFFFF
        header = self._HEADER.pack(self._RESULT, 0, call.sequence, length, call.serializer_id, size, 0, checksum)
        return header + annotations + data


class Pyro5Plain:
    """Plain messages of protocol 502."""

    _HEADER: Final = Struct("!7sBHHII16sHH")
    _CALL: Final = b"PYRO\x01\xf6\x04"
    _RESULT: Final = b"PYRO\x01\xf6\x05"
    _HAS_CORRELATION: Final = 64
    _MAGIC: Final = 0x4DC5

    def __init__(self) -> None:
        self._random = _RandomIds()

    def call(self, buffer: bytes, start: int) -> PlainCall | None:
        """The plain call that begins at `start`, if there is one, and whole."""
        data_start = start + 40
        if len(buffer) <= data_start:
            return None
        kind, serializer_id, flags, sequence, length, annotations, correlation, _, magic = self._HEADER.unpack_from(
            buffer, start
        )
        end = data_start + length
        if kind != self._CALL or flags & ~self._HAS_CORRELATION or annotations or magic != self._MAGIC:
            return None
        if not data_start < end <= len(buffer):
            return None
        return PlainCall(serializer_id, sequence, correlation if flags else None, data_start, end)

    def result(self, call: PlainCall, data: bytes) -> bytes:
        """The result message for a plain call."""
        correlation = call.correlation or self._random.next()
        return (
            self._HEADER.pack(
                self._RESULT,
                call.serializer_id,
                self._HAS_CORRELATION,
                call.sequence,
                len(data),
                0,
                correlation,
                0,
                self._MAGIC,
            )
            + data
        )


class _RandomIds:
    """Correlation ids. Asking the system for 256 at a time takes 0.1 microseconds for each, one at a time 0.7."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def next(self) -> bytes:
        used = self._used
        if used >= len(self._pool):
            self._pool = os.urandom(_POOL)
            used = 0
        self._used = used + 16
        return self._pool[used : used + 16]
