"""From bytes to messages and back. The protocol is told by the first six bytes of a stream.

Every size is checked against the limit when the header is read: a peer that announces too much is refused before
anything is kept for it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from copy import copy
from functools import partial
from typing import Final, Protocol

from pyronym.errors import Header, ProtocolError, SecurityError
from pyronym.wire import pyro4, pyro5
from pyronym.wire.compression import compress as compressed_or_none
from pyronym.wire.compression import decompress, unfolds_beyond
from pyronym.wire.frame import MAX_CHUNKS, FrameHeader, check_size
from pyronym.wire.keys import Key, KeyRing
from pyronym.wire.message import CORRELATION_SIZE, NO_ANNOTATIONS, PYRO4, PYRO5, Message, MessageType

_TAG: Final = b"PYRO"
_START_SIZE: Final = 6
_TLS_STARTS: Final = (b"\x15\x03", b"\x16\x03")
"""How TLS begins: with an alert or a handshake, of any version."""
_UNSUPPORTED: Final = "invalid data or unsupported protocol version"
"""What stock peers say about both. Programs match on it."""

_TYPES: Final = {int(kind): kind for kind in MessageType}


class _Format(Protocol):
    """What the modules `pyro4` and `pyro5` have in common."""

    PROTOCOL: int
    START: bytes
    HEADER_SIZE: int
    COMPRESS_FROM: int
    COMPRESS_LEVEL: int

    def check_key(self, hmac_key: bytes | KeyRing) -> None: ...
    def find_key(self, buffer: bytes, start: int, header: FrameHeader, data: bytes, keys: KeyRing) -> Key: ...
    def read_header(self, buffer: bytes | bytearray, start: int) -> FrameHeader: ...
    def read_annotations(
        self, buffer: bytes, start: int, header: FrameHeader, data: bytes, hmac_key: bytes | None, most: int
    ) -> tuple[Mapping[str, bytes], bytes | None]: ...
    def write_head(self, message: Message, data: bytes, compressed: bool, hmac_key: bytes | None) -> bytes: ...


_FORMATS: Final[dict[int, _Format]] = {PYRO4: pyro4, PYRO5: pyro5}


def encode(message: Message, *, limit: int, hmac_key: bytes | None = None, compress: bool = False) -> bytes:
    """The bytes that stand for `message` in its protocol.

    `limit` is in bytes, for the annotations and the plain data together. Without an `hmac_key` (None or empty) nothing
    is signed. With `compress` the data is compressed where the stock peers think it worth while (Pyro4: from 200 bytes,
    Pyro5: over 100) and where it gets smaller.

    Raises MessageTooLargeError over the limit, SecurityError for a key in Pyro5, which has no signatures, and
    ProtocolError when an annotation or a number cannot be written in that protocol.
    """
    wire = _FORMATS.get(message.protocol)
    if wire is None:
        raise ProtocolError(f"unknown protocol {message.protocol} (expected {PYRO4} or {PYRO5})")
    if hmac_key:
        wire.check_key(hmac_key)
    if message.correlation is not None and len(message.correlation) != CORRELATION_SIZE:
        raise ProtocolError(f"correlation id of {len(message.correlation)} bytes (expected {CORRELATION_SIZE}, a uuid)")
    plain = data = message.data
    if compress and len(plain) >= wire.COMPRESS_FROM:
        data = compressed_or_none(plain, wire.COMPRESS_LEVEL) or plain
    try:
        head = wire.write_head(message, data, data is not plain, hmac_key)
    except struct.error as problem:
        check_size(len(plain), limit)
        raise ProtocolError(
            f"message does not fit protocol {message.protocol}: {problem} (type {message.type}, "
            f"serializer id {message.serializer_id}, sequence {message.sequence}, {len(data)} bytes of data)"
        ) from None
    check_size(len(head) - wire.HEADER_SIZE + len(plain), limit)
    return head + data


class Decoder:
    """Takes one stream of bytes in pieces of any size and gives its messages.

    Call `feed` with what arrived, then `next_message` until it gives None. `limit` is in bytes, for annotations and
    data together, as they come and again after decompression. With an `hmac_key` every message must be signed with it;
    without one (None or empty) none may be signed. With a KeyRing the first message must be signed with one of its
    keys, `key` from then on, and all others with the same. With `unsigned_pyro5` messages of Pyro5, which cannot be
    signed, are taken all the same. Compressed data that unfolds to more than `unpack_at_once` bytes is left to whoever
    takes the message (`Message.unpack`): 16 MiB take 40 milliseconds. A message may have `max_annotations`, a signature
    and Pyro4's correlation id among them.
    """

    def __init__(
        self,
        *,
        limit: int,
        hmac_key: bytes | KeyRing | None = None,
        unsigned_pyro5: bool = False,
        unpack_at_once: int | None = None,
        max_annotations: int = MAX_CHUNKS,
    ) -> None:
        self.protocol: int | None = None
        """What the peer speaks: PYRO4 or PYRO5, or None until the first six bytes have been read."""
        self.key: Key | None = None
        """The key of the ring that the first message was signed with."""
        self.limit = limit
        """What it is for the messages that come next."""
        self._unpack_at_once = unpack_at_once
        self._max_annotations = max_annotations
        self._hmac_key = None if isinstance(hmac_key, KeyRing) else hmac_key
        self._keys = hmac_key if isinstance(hmac_key, KeyRing) else None
        self._unsigned_pyro5 = unsigned_pyro5
        # What was fed is kept as it came as long as it is all there is, which saves two copies of most messages. Only
        # the beginning of a message whose rest comes later is copied, to a bytearray that grows until it is complete.
        self._buffer: bytes | bytearray = b""
        self._start = 0  # of the message that comes next, in the buffer
        self._format: _Format | None = None
        self._header: FrameHeader | None = None
        self._failure: ProtocolError | SecurityError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that are held and not yet given out as messages."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream. After an error they are dropped."""
        if self._failure is not None:
            return
        if not self._buffer:
            self._buffer = data
            return
        if not isinstance(self._buffer, bytearray):
            self._buffer = bytearray(memoryview(self._buffer)[self._start :])
        elif self._start:
            del self._buffer[: self._start]
        self._start = 0
        self._buffer += data

    def next_message(self) -> Message | None:
        """The next message, or None when it has not come in full.

        Raises ProtocolError (or its MessageTooLargeError) or SecurityError when the stream cannot go on, with `header`
        set where the header of the refused message was understood. Every later call raises an equal error.
        """
        if self._failure is not None:
            raise copy(self._failure)
        try:
            return self._next_message()
        except (ProtocolError, SecurityError) as failure:
            if self._format is not None and self._header is not None:
                kind, serializer_id, sequence = self._header.type, self._header.serializer_id, self._header.sequence
                failure.header = Header(self._format.PROTOCOL, kind, serializer_id, sequence)
            # A copy, for it has no traceback: what was raised leads back here through its frames, and such a circle
            # would keep the refused message in memory until the garbage collector comes by.
            self._failure = copy(failure)
            self._drop_buffer()
            raise

    def _drop_buffer(self) -> None:
        self._buffer = b""
        self._start = 0

    def _next_message(self) -> Message | None:
        buffer, start, wire, header = self._buffer, self._start, self._format, self._header
        if not buffer:
            return None
        if header is None:
            if wire is None or not buffer.startswith(wire.START, start):
                wire = _recognise(bytes(buffer[start : start + _START_SIZE]), self.protocol)
                if wire is None:
                    return None
                self._format = wire
                self.protocol = wire.PROTOCOL
                if self._unsigned_pyro5 and wire.PROTOCOL == PYRO5:
                    self._hmac_key = self._keys = None
            if len(buffer) - start < wire.HEADER_SIZE:
                return None
            header = self._header = wire.read_header(buffer, start)
            self._check(header, wire)
        assert wire is not None, "a header was read by its format"
        end = start + wire.HEADER_SIZE + header.annotations_length + header.data_length
        if len(buffer) < end:
            return None
        if isinstance(buffer, bytearray):
            with memoryview(buffer) as view:
                message = self._message(header, bytes(view[start:end]), 0, wire)
        else:
            message = self._message(header, buffer, start, wire)
        if end == len(buffer):
            self._drop_buffer()
        else:
            self._start = end
        self._header = None
        return message

    def _check(self, header: FrameHeader, wire: _Format) -> None:
        if header.type not in _TYPES:
            raise ProtocolError(f"invalid msg type {header.type} received (expected 1 to {len(_TYPES)})")
        if header.data_length < 0:
            raise ProtocolError(f"negative data length in the header: {header.data_length}")
        expected = self._hmac_key or self._keys
        if expected is not None:
            wire.check_key(expected)
        check_size(header.annotations_length + header.data_length, self.limit)

    def _message(self, header: FrameHeader, buffer: bytes, start: int, wire: _Format) -> Message:
        kind, serializer_id, flags, compressed, sequence, annotations_length, data_length, correlation = header
        start += wire.HEADER_SIZE
        middle = start + annotations_length
        data = buffer[middle : middle + data_length]
        annotations: Mapping[str, bytes] = NO_ANNOTATIONS
        if self._keys is not None and self.key is None:
            self.key = wire.find_key(buffer, start, header, data, self._keys)
            self._hmac_key = self.key.secret
        if annotations_length or self._hmac_key:
            most = self._max_annotations
            annotations, correlation = wire.read_annotations(buffer, start, header, data, self._hmac_key, most)
        unpack = None
        if compressed:
            unpack = partial(decompress, data, annotations_length, self.limit)
            if self._unpack_at_once is None or not unfolds_beyond(data, self._unpack_at_once):
                data, unpack = unpack(), None
        return Message(
            wire.PROTOCOL, _TYPES[kind], serializer_id, flags, sequence, data, annotations, correlation, unpack
        )


def _recognise(start: bytes, known: int | None) -> _Format | None:
    """The format of a message by its first six bytes, None when fewer have come that may still become a message.

    `known` is the protocol of the messages before. Raises ProtocolError for anything else.
    """
    tag = start[: len(_TAG)]
    if start[:2] in _TLS_STARTS:
        raise ProtocolError(f"{_UNSUPPORTED}: the peer speaks TLS (SSL must be on at both ends, or at none)")
    if not _TAG.startswith(tag):
        raise ProtocolError(f"{_UNSUPPORTED}: a message begins with {start!r} (expected {_TAG!r})")
    if len(start) < _START_SIZE:
        return None
    version = int.from_bytes(start[len(_TAG) :], "big")
    if known is not None and version != known:
        words = f"the peer changed from version {known} to {version} within one connection"
    elif version in _FORMATS:
        return _FORMATS[version]
    else:
        words = f"the peer speaks version {version} (expected {PYRO4}, that of Pyro4, or {PYRO5}, that of Pyro5)"
    failure = ProtocolError(f"{_UNSUPPORTED}: {words}")
    failure.version = version
    raise failure
