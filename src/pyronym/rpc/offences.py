"""What clients can do wrong, by the names under which it is counted and logged."""

from __future__ import annotations

import enum
from typing import NamedTuple

from pyronym.errors import (
    LimitError,
    MessageTooLargeError,
    ProtocolError,
    SecurityError,
    SerializeError,
    SlowPatternError,
)


class Offence(enum.StrEnum):
    """The kinds. A server counts each of them."""

    BROKEN_MESSAGE = "broken message"
    LARGE_MESSAGE = "message too large"
    BROKEN_PAYLOAD = "broken payload"
    """One that its serializer cannot read, or that is nested too deep or has too many elements."""
    REFUSED_HANDSHAKE = "refused handshake"
    FORBIDDEN = "forbidden"
    """A wrong signature, a class that may not be named, or what permissions do not allow."""
    SLOW_PATTERN = "slow regular expression"
    OVER_LIMIT = "registration over a limit"
    """A name, URI or tag that is too long, or too many tags or names."""
    LOOPBACK_URI = "registration of a loopback URI"
    """From another machine, which alone the URI means anything to."""
    CONNECTIONS = "too many connections"
    HANDSHAKE_TIME = "handshake not finished in time"
    MESSAGE_TIME = "message not finished in time"
    UNREAD = "answers not read in time"
    HELD = "too much memory held"
    IDLE = "idle"
    DATAGRAMS = "too many datagrams"
    BROKEN_DATAGRAM = "broken datagram"


class Complaint(NamedTuple):
    """Something that a client did wrong, and the words about it."""

    offence: Offence
    words: str


_KINDS: tuple[tuple[type[Exception], Offence], ...] = (
    (MessageTooLargeError, Offence.LARGE_MESSAGE),
    (SerializeError, Offence.BROKEN_PAYLOAD),
    (ProtocolError, Offence.BROKEN_MESSAGE),
    (SecurityError, Offence.FORBIDDEN),
    (SlowPatternError, Offence.SLOW_PATTERN),
    (LimitError, Offence.OVER_LIMIT),
)


def complaint_about(problem: Exception) -> Complaint | None:
    """What a client did wrong, where that is why there is this error."""
    for kind, offence in _KINDS:
        if isinstance(problem, kind):
            return Complaint(offence, f"{offence}: {problem}")
    return None
