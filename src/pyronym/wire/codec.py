"""From bytes to messages and back. The protocol is told by the first six bytes of a stream.

Every size is checked against the limit when the header is read: a peer that announces too much is refused before
anything is kept for it.
"""

from __future__ import annotations

import struct
from copy import copy
from typing import Final, Protocol

from pyronym.errors import Header, ProtocolError, SecurityError
from pyronym.wire import pyro4, pyro5
from pyronym.wire.compression import compress as compressed_or_none
from pyronym.wire.compression import decompress
from pyronym.wire.frame import FrameHeader, check_size
from pyronym.wire.message import CORRELATION_SIZE, PYRO4, PYRO5, Message, MessageType

_TAG: Final = b"PYRO"
_START_SIZE: Final = 6
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

    def check_key(self, hmac_key: bytes | None) -> None: ...
    def read_header(self, buffer: bytearray) -> FrameHeader: ...
    def read_payload(
        self, header: FrameHeader, payload: bytes, hmac_key: bytes | None
    ) -> tuple[dict[str, bytes], bytes | None, bytes]: ...
    def write_annotations(self, message: Message, data: bytes, hmac_key: bytes | None) -> bytes: ...
    def write_header(self, message: Message, compressed: bool, annotations_length: int, data_length: int) -> bytes: ...


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
    wire.check_key(hmac_key)
    if message.correlation is not None and len(message.correlation) != CORRELATION_SIZE:
        raise ProtocolError(f"correlation id of {len(message.correlation)} bytes (expected {CORRELATION_SIZE}, a uuid)")
    smaller = None
    if compress and len(message.data) >= wire.COMPRESS_FROM:
        smaller = compressed_or_none(message.data, wire.COMPRESS_LEVEL)
    data = message.data if smaller is None else smaller
    annotations = wire.write_annotations(message, data, hmac_key)
    check_size(len(annotations) + len(message.data), limit)
    try:
        header = wire.write_header(message, smaller is not None, len(annotations), len(data))
    except struct.error as problem:
        raise ProtocolError(
            f"message does not fit protocol {message.protocol}: {problem} (type {message.type}, "
            f"serializer id {message.serializer_id}, sequence {message.sequence}, {len(data)} bytes of data)"
        ) from None
    return b"".join((header, annotations, data))


class Decoder:
    """Takes one stream of bytes in pieces of any size and gives its messages.

    Call `feed` with what arrived, then `next_message` until it gives None. `limit` is in bytes, for annotations and
    data together, as they come and again after decompression. With an `hmac_key` every message must be signed with it;
    without one (None or empty) none may be signed.
    """

    def __init__(self, *, limit: int, hmac_key: bytes | None = None) -> None:
        self.protocol: int | None = None
        """What the peer speaks: PYRO4 or PYRO5, or None until the first six bytes have been read."""
        self._limit = limit
        self._hmac_key = hmac_key
        # Deleting from the front of a bytearray moves its start and copies only when half of it is gone, so that many
        # small messages in one piece cost no more than their bytes.
        self._buffer = bytearray()
        self._format: _Format | None = None
        self._header: FrameHeader | None = None
        self._failure: ProtocolError | SecurityError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that are held and not yet given out as messages."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream. After an error they are dropped."""
        if self._failure is None:
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
            self._buffer = bytearray()
            raise

    def _next_message(self) -> Message | None:
        buffer = self._buffer
        wire = self._format
        if wire is None or (self._header is None and not buffer.startswith(wire.START)):
            wire = _recognise(bytes(buffer[:_START_SIZE]), self.protocol)
            if wire is None:
                return None
            self._format = wire
            self.protocol = wire.PROTOCOL
        if len(buffer) < wire.HEADER_SIZE:
            return None
        header = self._header
        if header is None:
            header = self._header = wire.read_header(buffer)
            self._check(header, wire)
        end = wire.HEADER_SIZE + header.annotations_length + header.data_length
        if len(buffer) < end:
            return None
        with memoryview(buffer) as view:
            payload = bytes(view[wire.HEADER_SIZE : end])
        message = self._message(header, payload, wire)
        del buffer[:end]
        self._header = None
        return message

    def _check(self, header: FrameHeader, wire: _Format) -> None:
        if header.type not in _TYPES:
            raise ProtocolError(f"invalid msg type {header.type} received (expected 1 to {len(_TYPES)})")
        if header.data_length < 0:
            raise ProtocolError(f"negative data length in the header: {header.data_length}")
        wire.check_key(self._hmac_key)
        check_size(header.annotations_length + header.data_length, self._limit)

    def _message(self, header: FrameHeader, payload: bytes, wire: _Format) -> Message:
        annotations, correlation, data = wire.read_payload(header, payload, self._hmac_key)
        if header.compressed:
            data = decompress(data, header.annotations_length, self._limit)
        return Message(
            wire.PROTOCOL,
            _TYPES[header.type],
            header.serializer_id,
            header.flags,
            header.sequence,
            data,
            annotations,
            correlation,
        )


def _recognise(start: bytes, known: int | None) -> _Format | None:
    """The format of a message by its first six bytes, None when fewer have come that may still become a message.

    `known` is the protocol of the messages before. Raises ProtocolError for anything else.
    """
    tag = start[: len(_TAG)]
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
