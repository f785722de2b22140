"""The straight road through the wire: plain calls are read, answered and their results written at one go.

A plain call has no flags, and no annotations but the signature of Pyro4. What is not recognised here is for `codec`,
which knows everything; what is, is read and written as `codec` would (``tests/service/test_straight_road.py`` holds
both beside each other). For speed there is one loop for each protocol with everything in it.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from struct import Struct
from typing import Final

Find = Callable[[int, bytes], bytes | None]
"""The payload of the answer to a call, by its serializer id and payload; None if that is for the general road."""

_CHECKSUM_SEED: Final = 48 + 0x34E9
_SIGNATURE_HEAD: Final = b"HMAC\x00\x14"
_SIGNATURE_SIZE: Final = 26
_CORRELATION_HEAD: Final = b"CORR\x00\x10"
_CORRELATION_SIZE: Final = 22


class Pyro4Road:
    """Plain calls of protocol 48, all signed if there is a key."""

    _HEADER: Final = Struct("!10sHiHHHH")
    _RESULT: Final = Struct("!10sHiHHHH6s16s")
    _CALL_START: Final = b"PYRO\x00\x30\x00\x04\x00\x00"
    _RESULT_START: Final = b"PYRO\x00\x30\x00\x05\x00\x00"

    def __init__(self, find: Find, hmac_key: bytes | None = None) -> None:
        self._find = find
        self._key = hmac_key or None
        self._annotations = _SIGNATURE_SIZE if hmac_key else 0
        self._next_id = _CorrelationIds().next

    def advance(self, data: bytes, out: list[bytes]) -> bytes:
        """Answer calls from the front of `data` as long as they are recognised: the results go to `out`. The rest."""
        position, size, expected = 0, len(data), self._annotations
        while position < size:
            start = position + 24 + expected
            if start >= size:
                break
            kind, sequence, length, serializer_id, annotations, _, checksum = self._HEADER.unpack_from(data, position)
            end = start + length
            if (
                kind != self._CALL_START
                or annotations != expected
                or not start < end <= size
                or checksum != (4 + _CHECKSUM_SEED + sequence + length + serializer_id + annotations) & 0xFFFF
            ):
                break
            payload = data[start:end]
            if self._key is not None and not self._is_signed(self._key, data[position + 24 : start], payload):
                break
            answer = self._find(serializer_id, payload)
            if answer is None:
                break
            out.append(self._result(sequence, serializer_id, answer))
            position = end
        return data[position:]

    def _is_signed(self, key: bytes, annotations: bytes, payload: bytes) -> bool:
        return hmac.compare_digest(annotations, _SIGNATURE_HEAD + hmac.digest(key, payload, "sha1"))

    def _result(self, sequence: int, serializer_id: int, payload: bytes) -> bytes:
        correlation = self._next_id()
        length = len(payload)
        size = _CORRELATION_SIZE + self._annotations
        checksum = (5 + _CHECKSUM_SEED + sequence + length + serializer_id + size) & 0xFFFF
        head = self._RESULT.pack(
            self._RESULT_START, sequence, length, serializer_id, size, 0, checksum, _CORRELATION_HEAD, correlation
        )
        if self._key is None:
            return head + payload
        return head + _SIGNATURE_HEAD + hmac.digest(self._key, payload + correlation, "sha1") + payload


class Pyro5Road:
    """Plain calls of protocol 502."""

    _HEADER: Final = Struct("!7sBHHII16sHH")
    _CALL_START: Final = b"PYRO\x01\xf6\x04"
    _RESULT_START: Final = b"PYRO\x01\xf6\x05"
    _HAS_CORRELATION: Final = 64
    _MAGIC: Final = 0x4DC5

    def __init__(self, find: Find) -> None:
        self._find = find
        self._next_id = _CorrelationIds().next

    def advance(self, data: bytes, out: list[bytes]) -> bytes:
        """Answer calls from the front of `data` as long as they are recognised: the results go to `out`. The rest."""
        position, size = 0, len(data)
        while position < size:
            start = position + 40
            if start >= size:
                break
            kind, serializer_id, flags, sequence, length, annotations, correlation, _, magic = self._HEADER.unpack_from(
                data, position
            )
            end = start + length
            if (
                kind != self._CALL_START
                or flags & ~self._HAS_CORRELATION
                or annotations
                or magic != self._MAGIC
                or not start < end <= size
            ):
                break
            answer = self._find(serializer_id, data[start:end])
            if answer is None:
                break
            if not flags:
                correlation = self._next_id()
            head = self._HEADER.pack(
                self._RESULT_START,
                serializer_id,
                self._HAS_CORRELATION,
                sequence,
                len(answer),
                0,
                correlation,
                0,
                self._MAGIC,
            )
            out.append(head + answer)
            position = end
        return data[position:]


class _CorrelationIds:
    """Random ids of 16 bytes. To ask the system for many at a time takes a seventh of asking for each."""

    _MANY: Final = 256

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def next(self) -> bytes:
        used = self._used
        if used >= len(self._pool):
            self._pool = os.urandom(16 * self._MANY)
            used = 0
        self._used = used + 16
        return self._pool[used : used + 16]
