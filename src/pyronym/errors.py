"""Everything that pyronym raises on purpose, in one tree::

    PyroError
    ├── CommunicationError
    │   ├── ConnectionClosedError
    │   │   └── NotSentError
    │   ├── TimeoutError
    │   ├── UncertainError
    │   └── ProtocolError
    │       ├── MessageTooLargeError
    │       └── SerializeError
    ├── NamingError
    │   ├── UnknownNameError
    │   ├── NameTakenError
    │   ├── RecordChangedError
    │   ├── BadPatternError
    │   ├── SlowPatternError
    │   ├── LimitError
    │   ├── StorageError
    │   │   └── UnchangedError
    │   └── NameServerNotFoundError
    ├── DaemonError
    └── SecurityError

The upper two levels, but for UncertainError, are Pyro4's own, so that its users' ``except`` clauses keep
their meaning. Below NamingError the tree is ours: it says which of the things that go wrong with names did.
A stock peer never sees those classes: what leaves the process is its own ``NamingError`` with the same words
(see ``pyronym.serializers``), and programs match on these words, so they start as the stock ones do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Header:
    """What was understood of a message that is refused: enough to answer it."""

    protocol: int
    """48 (Pyro4) or 502 (Pyro5)."""
    type: int
    """As on the wire; it may be one that no protocol has."""
    serializer_id: int
    sequence: int


class PyroError(Exception):
    """Base of all errors of remote objects and their naming."""


class CommunicationError(PyroError):
    """The network, or the peer at its other end, did not do what was needed."""


class ConnectionClosedError(CommunicationError):
    """The connection ended before the answer was complete."""


class NotSentError(ConnectionClosedError):
    """The connection ended before the request had been sent in full: it was not carried out."""


class UncertainError(CommunicationError):
    """The connection was lost, or the time was over, after a change had been sent: it may have been carried out or not.

    `method`: what was asked for; the words say how to find out.
    """

    def __init__(self, method: str, problem: str, advice: str) -> None:
        super().__init__(
            f"{method}: {problem}; the request had been sent, so whether it was carried out is not known ({advice})"
        )
        self.method = method
        self._parts = (method, problem, advice)

    def __reduce__(self) -> tuple[type[UncertainError], tuple[str, str, str], dict[str, object]]:
        return type(self), self._parts, self.__dict__


class TimeoutError(CommunicationError):
    """The answer did not come within the time that was set."""


class ProtocolError(CommunicationError):
    """The peer sent something that is not a message of a protocol that is spoken here."""

    header: Header | None = None
    """Of the message that is refused, where it was understood."""
    version: int | None = None
    """The protocol version that the peer speaks, where that is what is wrong."""


class MessageTooLargeError(ProtocolError):
    """A message is larger than the limit that the settings allow."""


class SerializeError(ProtocolError):
    """A value could not be turned into bytes, or bytes not into a value."""


class DaemonError(PyroError):
    """A daemon cannot do what it was asked, for example: the object is not registered in it."""


class SecurityError(PyroError):
    """The peer asked for something that is never allowed, or did not prove that it may."""

    header: Header | None = None
    """Of the message that is refused, where it was understood."""


class NamingError(PyroError):
    """Something is wrong with a name or with the name server. The subclasses say what."""

    @staticmethod
    def from_words(message: str) -> NamingError:
        """The subclass that a name server's message speaks of, or a plain NamingError.

        Stock name servers send one class for everything; only the words differ.
        """
        for start, make in _BY_WORDS:
            if message.startswith(start):
                return make(message[len(start) :])
        return NamingError(message)


class UnknownNameError(NamingError):
    """No record has this name. `name`: the name that was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown name: {name}")
        self.name = name

    def __reduce__(self) -> tuple[type[UnknownNameError], tuple[str], dict[str, object]]:
        return type(self), (self.name,), self.__dict__


class NameTakenError(NamingError):
    """A record has this name already and the caller asked not to replace it. `name`: that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"name already registered: {name}")
        self.name = name

    def __reduce__(self) -> tuple[type[NameTakenError], tuple[str], dict[str, object]]:
        return type(self), (self.name,), self.__dict__


class RecordChangedError(NamingError):
    """A change was to be made only to a certain record, and the name stands for another one now, or for none. `name`:
    that name. Nothing was changed.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"the record of {name!r} has changed meanwhile: look at it again, and decide anew")
        self.name = name

    def __reduce__(self) -> tuple[type[RecordChangedError], tuple[str], dict[str, object]]:
        return type(self), (self.name,), self.__dict__


class BadPatternError(NamingError):
    """A regular expression cannot be used. `reason`: what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid regex: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[BadPatternError], tuple[str], dict[str, object]]:
        return type(self), (self.reason,), self.__dict__


class SlowPatternError(NamingError):
    """A regular expression took longer than the name server allows; nothing was changed. `reason`: which, and what to
    do.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"regex takes too long: {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[SlowPatternError], tuple[str], dict[str, object]]:
        return type(self), (self.reason,), self.__dict__


class LimitError(NamingError):
    """A registration goes over a limit of the name server; nothing was changed. The message names the setting."""


class StorageError(NamingError):
    """The storage cannot be opened, read or written. Nothing was changed unless the message says so."""


class UnchangedError(StorageError):
    """A node cannot change now what it shares with others, and nothing was changed. Another node may be able to.

    `reason`: what cannot be changed, why, and what to do.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing was changed in {reason}")
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnchangedError], tuple[str], dict[str, object]]:
        return type(self), (self.reason,), self.__dict__


class NameServerNotFoundError(NamingError):
    """No name server answered. `attempts`: (where, why not) of each place that was tried."""

    def __init__(self, attempts: Iterable[tuple[str, str]] = ()) -> None:
        self.attempts = tuple(attempts)
        tried = "; ".join(f"{where}: {why}" for where, why in self.attempts)
        super().__init__("Failed to locate the nameserver" + (f" (tried {tried})" if tried else ""))

    def __reduce__(self) -> tuple[type[NameServerNotFoundError], tuple[object], dict[str, object]]:
        return type(self), (self.attempts,), self.__dict__


_BY_WORDS = (
    ("unknown name: ", UnknownNameError),
    ("name already registered: ", NameTakenError),
    ("invalid regex: ", BadPatternError),
    ("regex takes too long: ", SlowPatternError),
    ("nothing was changed in ", UnchangedError),
)
