"""The straight road through the wire: common calls are read, answered and their results written at one go.

Such a call has no annotations but the signature of Pyro4, and no flags but those for a batch and for compressed data.
What is not recognised here is for `codec`, which knows everything; what is, is read and written as `codec` would
(``tests/service/test_straight_road.py`` holds both beside each other). For speed there is one loop for each protocol
with everything in it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple, TypeAlias, TypeVar

from pyronym.errors import ProtocolError
from pyronym.wire import pyro4, pyro5
from pyronym.wire.compression import compress, decompress
from pyronym.wire.frame import COMPRESSED_BIT
from pyronym.wire.message import CORRELATION_SIZE, PYRO4, PYRO5, Flag, Message, MessageType
from pyronym.wire.pyro4 import CHECKSUM_SEED, CORRELATION_HEAD, LONE_CORRELATION
from pyronym.wire.pyro5 import CORRELATION_BIT, MAGIC

K = TypeVar("K")
V = TypeVar("V")

MAX_CALL: Final = 1 << 16
"""Bytes of a call, plain. Larger ones would take too long to be answered before others have their turn."""

_MAX_REMEMBERED: Final = 4096
"""Compressed payloads that are remembered in each direction."""

_MAX_SIZE_REMEMBERED: Final = 4096
"""Bytes, plain, of what is worth remembering: a batch does not come again."""

_BATCH: Final = Flag.BATCH
_FLAGS: Final = (0, COMPRESSED_BIT, _BATCH, _BATCH | COMPRESSED_BIT)
_SIGNATURE_HEAD: Final = b"HMAC\x00\x14"
_SIGNATURE_SIZE: Final = 26
_SHA1: Final = hashlib.sha1
_BLOCK_SIZE: Final = 64
"""Bytes that SHA-1 takes at a time."""


class DeclinedError(Exception):
    """What was begun cannot be done in this way, and nothing has been: the general road has to be taken."""


class Begun(NamedTuple):
    """A call that has begun, as the session needs it to finish it."""

    deferred: object
    reply: bytes
    """The message to send if `deferred` succeeds."""
    protocol: int
    serializer_id: int
    flags: int
    sequence: int
    payload: bytes
    correlation: bytes | None = None

    @property
    def request(self) -> Message:
        """The call as the general road has it. Few need it: to make it for each takes 0.3 microseconds."""
        return Message(
            self.protocol,
            MessageType.INVOKE,
            self.serializer_id,
            self.flags,
            self.sequence,
            self.payload,
            correlation=self.correlation,
        )


Pending: TypeAlias = tuple[object, bytes]
"""A call that has begun: what has to be waited for, and the payload of the answer if that succeeds. If it fails, its
error is the answer, unless it is a DeclinedError.
"""

Find = Callable[[int, bytes, int], bytes | Pending | None]
"""The payload of the answer to a call, by its serializer id, payload, and whether it is a batch (not 0). None if that
is for the general road."""


def remember(known: dict[K, V], key: K, value: V, limit: int) -> None:
    """Keep a value in `known`. When there are as many as `limit` already, it starts again with none."""
    if len(known) >= limit:
        known.clear()
    known[key] = value


class Squeeze:
    """Compressed payloads of one protocol, and what they unfold to: those that were seen lately are remembered.

    To compress an answer of 500 bytes takes 15 microseconds, to find it here 0.1. Compresses nothing unless `active`.
    """

    def __init__(self, protocol: int, *, active: bool) -> None:
        wire = pyro4 if protocol == PYRO4 else pyro5
        self._from = wire.COMPRESS_FROM
        self._level = wire.COMPRESS_LEVEL
        self._active = active
        self._plain: dict[bytes, bytes] = {}
        self._compressed: dict[bytes, bytes | None] = {}

    def plain(self, payload: bytes) -> bytes | None:
        """What was compressed; None if it is broken or too large, which `codec` has words for."""
        known = self._plain.get(payload)
        if known is not None:
            return known
        try:
            plain = decompress(payload, 0, MAX_CALL)
        except ProtocolError:
            return None
        if len(plain) <= _MAX_SIZE_REMEMBERED:
            remember(self._plain, payload, plain, _MAX_REMEMBERED)
        return plain

    def compressed(self, payload: bytes) -> bytes | None:
        """The payload compressed; None where that is not worth while."""
        if not self._active or len(payload) < self._from:
            return None
        if len(payload) > _MAX_SIZE_REMEMBERED:
            return compress(payload, self._level)
        try:
            return self._compressed[payload]
        except KeyError:
            compressed = compress(payload, self._level)
            remember(self._compressed, payload, compressed, _MAX_REMEMBERED)
            return compressed


def signatures(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA1 (RFC 2104) with one key. Its two hashes begin with the key, and go on from there for each message: 1.7
    microseconds, where `hmac.digest` takes 4.4."""
    block = (key if len(key) <= _BLOCK_SIZE else _SHA1(key).digest()).ljust(_BLOCK_SIZE, b"\0")
    inner_start = _SHA1(bytes(byte ^ 0x36 for byte in block))
    outer_start = _SHA1(bytes(byte ^ 0x5C for byte in block))

    def signature(data: bytes) -> bytes:
        inner, outer = inner_start.copy(), outer_start.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()

    return signature


class Pyro4Road:
    """Calls of protocol 48, all signed if there is a key."""

    _HEADER: Final = Struct("!10sHiHHHH")
    _RESULT: Final = Struct("!10sHiHHHH6s16s")
    _CALL: Final = b"PYRO\x00\x30\x00\x04\x00\x00"
    _FLAGGED_CALLS: Final = {b"PYRO\x00\x30\x00\x04\x00" + bytes([flags]): flags for flags in _FLAGS}
    _RESULTS: Final = {flags: b"PYRO\x00\x30\x00\x05\x00" + bytes([flags]) for flags in _FLAGS}

    def __init__(self, find: Find, squeeze: Squeeze, hmac_key: bytes | None = None) -> None:
        self.begun: Begun | None = None
        self._find = find
        self._squeeze = squeeze
        self._signature = signatures(hmac_key) if hmac_key else None
        self._annotations = _SIGNATURE_SIZE if hmac_key else 0
        self._next_id = _CorrelationIds().next

    def advance(self, data: bytes, out: list[bytes]) -> bytes:
        """Answer calls from the front of `data` as long as they are recognised: the results go to `out`. The rest.

        Stops after a call whose answer has to be waited for, and leaves that in `begun`.
        """
        position, size, expected = 0, len(data), self._annotations
        while position < size:
            start = position + 24 + expected
            if start >= size:
                break
            kind, sequence, length, serializer_id, annotations, _, checksum = self._HEADER.unpack_from(data, position)
            end = start + length
            flags = 0 if kind == self._CALL else self._FLAGGED_CALLS.get(kind)
            if (
                flags is None
                or annotations != expected
                or not start < end <= size
                or length > MAX_CALL
                or checksum != (4 + CHECKSUM_SEED + flags + sequence + length + serializer_id + annotations) & 0xFFFF
            ):
                break
            call = data[start:end]
            if self._signature is not None and not hmac.compare_digest(
                data[position + 24 : start], _SIGNATURE_HEAD + self._signature(call)
            ):
                break
            payload = self._squeeze.plain(call) if flags & COMPRESSED_BIT else call
            if payload is None:
                break
            batch = flags & _BATCH
            answer = self._find(serializer_id, payload, batch)
            if answer is None:
                break
            position = end
            if isinstance(answer, tuple):
                deferred, result = answer
                reply = self._result(sequence, serializer_id, batch, result)
                self.begun = Begun(deferred, reply, PYRO4, serializer_id, batch, sequence, payload)
                break
            out.append(self._result(sequence, serializer_id, batch, answer))
        return data[position:]

    def _result(self, sequence: int, serializer_id: int, flags: int, payload: bytes) -> bytes:
        compressed = self._squeeze.compressed(payload)
        if compressed is not None:
            payload = compressed
            flags |= COMPRESSED_BIT
        correlation = self._next_id()
        length = len(payload)
        size = LONE_CORRELATION + self._annotations
        checksum = (5 + CHECKSUM_SEED + flags + sequence + length + serializer_id + size) & 0xFFFF
        head = self._RESULT.pack(
            self._RESULTS[flags], sequence, length, serializer_id, size, 0, checksum, CORRELATION_HEAD, correlation
        )
        if self._signature is None:
            return head + payload
        return head + _SIGNATURE_HEAD + self._signature(payload + correlation) + payload


class Pyro5Road:
    """Calls of protocol 502."""

    _HEADER: Final = Struct("!7sBHHII16sHH")
    _CALL: Final = b"PYRO\x01\xf6\x04"
    _RESULT: Final = b"PYRO\x01\xf6\x05"
    _KNOWN_FLAGS: Final = COMPRESSED_BIT | _BATCH | CORRELATION_BIT

    def __init__(self, find: Find, squeeze: Squeeze) -> None:
        self.begun: Begun | None = None
        self._find = find
        self._squeeze = squeeze
        self._next_id = _CorrelationIds().next

    def advance(self, data: bytes, out: list[bytes]) -> bytes:
        """Answer calls from the front of `data` as long as they are recognised: the results go to `out`. The rest.

        Stops after a call whose answer has to be waited for, and leaves that in `begun`.
        """
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
                kind != self._CALL
                or flags & ~self._KNOWN_FLAGS
                or annotations
                or magic != MAGIC
                or not start < end <= size
                or length > MAX_CALL
            ):
                break
            call = data[start:end]
            payload = self._squeeze.plain(call) if flags & COMPRESSED_BIT else call
            if payload is None:
                break
            batch = flags & _BATCH
            answer = self._find(serializer_id, payload, batch)
            if answer is None:
                break
            position = end
            if not flags & CORRELATION_BIT:
                correlation = self._next_id()
            if isinstance(answer, tuple):
                deferred, result = answer
                reply = self._result(sequence, serializer_id, batch, correlation, result)
                self.begun = Begun(deferred, reply, PYRO5, serializer_id, batch, sequence, payload, correlation)
                break
            out.append(self._result(sequence, serializer_id, batch, correlation, answer))
        return data[position:]

    def _result(self, sequence: int, serializer_id: int, flags: int, correlation: bytes, payload: bytes) -> bytes:
        flags |= CORRELATION_BIT
        compressed = self._squeeze.compressed(payload)
        if compressed is not None:
            payload = compressed
            flags |= COMPRESSED_BIT
        head = self._HEADER.pack(self._RESULT, serializer_id, flags, sequence, len(payload), 0, correlation, 0, MAGIC)
        return head + payload


class _CorrelationIds:
    """Random correlation ids. To ask the system for many at a time takes a seventh of asking for each."""

    _MANY: Final = 256

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def next(self) -> bytes:
        used = self._used
        if used >= len(self._pool):
            self._pool = os.urandom(CORRELATION_SIZE * self._MANY)
            used = 0
        self._used = used + CORRELATION_SIZE
        return self._pool[used : self._used]
