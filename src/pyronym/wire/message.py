"""What travels on the wire, free of the differences between the two protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple

PYRO4: Final = 48
PYRO5: Final = 502
"""The protocol versions, as peers name them in their first six bytes. A `protocol: int` is always one of these two."""

CORRELATION_SIZE: Final = 16
"""Bytes of a correlation id: a uuid."""


NO_ANNOTATIONS: Final[Mapping[str, bytes]] = MappingProxyType({})


class MessageType(IntEnum):
    """The kinds of message. Both protocols use the same numbers."""

    CONNECT = 1
    CONNECT_OK = 2
    CONNECT_FAIL = 3
    INVOKE = 4
    RESULT = 5
    PING = 6


class Flag:
    """The flags of a message, to be combined with ``|``.

    They mean the same for both protocols; each codec translates them. Compression has no flag here: the data of a
    Message is always plain. Plain numbers, because testing one bit of an ``enum.IntFlag`` takes CPython half a
    microsecond, and several are tested for each message.
    """

    EXCEPTION: Final = 1
    """The result is an exception that the call raised."""
    ONEWAY: Final = 4
    """No result is wanted."""
    BATCH: Final = 8
    """The data holds a list of calls, or their list of results."""
    METADATA: Final = 16
    """The object's members: asked for by a connect, or in its answer. Pyro5 has no bit for it: they always are."""
    ITEM_STREAM: Final = 32
    """The result is an iterator whose items are fetched one by one."""
    KEEP_SERIALIZED: Final = 64
    """The arguments are a blob that is passed on as it came."""


class Message(NamedTuple):
    """One message of either protocol. (A named tuple: it is made four times as fast as a frozen dataclass.)"""

    protocol: int
    """PYRO4 or PYRO5."""
    type: MessageType
    serializer_id: int
    """As on that protocol's wire; the same number may mean another serializer in the other protocol."""
    flags: int
    """Members of `Flag`, combined."""
    sequence: int
    """0 to 65535. An answer repeats that of its request."""
    data: bytes
    """What a serializer wrote. Never compressed, but where `unpack` is there."""
    annotations: Mapping[str, bytes] = NO_ANNOTATIONS
    """By names of four ASCII characters, without those that the protocol itself uses (HMAC and CORR of Pyro4)."""
    correlation: bytes | None = None
    """16 bytes that a request and its answers have in common, or None."""
    unpack: Callable[[], bytes] | None = None
    """Makes the plain data of a message that a Decoder was told not to unpack at once; raises what that would have."""

    def unpacked(self) -> Message:
        """The message with its plain data. Raises ProtocolError where there is none, or too much."""
        return self if self.unpack is None else self._replace(data=self.unpack(), unpack=None)
