"""The client's side of one connection, as a state machine: what to send, and what the answers mean.

A shell owns the socket. It calls `connect`, sends the bytes, feeds what arrives to `receive_data` until `next_answer`
gives the Welcome, and then does the same for each `invoke`. There is one request at a time. Every error that
`next_answer` raises ends the connection: the shell has to close it, or a late answer would be taken for the next one's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pyronym.errors import CommunicationError, ProtocolError, PyroError, SecurityError, SerializeError
from pyronym.rpc.exposed import Members
from pyronym.serializers.registry import Serializer, serializer_by_id, serializer_by_name, serializer_id
from pyronym.settings import Settings
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType
from pyronym.wire.plain_calls import LONGEST, plain_ways

BATCH_METHOD: Final = "<batch>"
"""Stands for the method in the invoke message of a batch."""

_ANSWERS: Final = {
    MessageType.CONNECT: (MessageType.CONNECT_OK, MessageType.CONNECT_FAIL),
    MessageType.INVOKE: (MessageType.RESULT,),
    MessageType.PING: (MessageType.PING,),
}

# To take a member from its enum takes Python 3.11 as long as calling a function: 0.1 us, and each call needs four.
_CONNECT: Final = MessageType.CONNECT
_INVOKE: Final = MessageType.INVOKE

_REFERENCE_MARK: Final = b"Proxy"
"""Is part of every serializer's form of a reference to a remote object, as the end of a class name."""

_NAMES: Final = {PYRO4: "Pyro4", PYRO5: "Pyro5"}


class OtherProtocolError(ProtocolError):
    """The daemon speaks the other one of the two protocols. `protocol`: which one that is."""

    def __init__(self, location: str, spoken: int, protocol: int) -> None:
        super().__init__(
            f"the daemon at {location} speaks {_NAMES[protocol]}, not {_NAMES[spoken]}"
            " (give the proxy that protocol, or none to have it found out)"
        )
        self.protocol = protocol


class Welcome(NamedTuple):
    """The connection is made. `handshake`: the daemon's answer to ours; `members`: what the object offers, if asked."""

    handshake: object
    members: Members | None


class Result(NamedTuple):
    """What a method returned. `holds_references`: there may be references to remote objects somewhere in it."""

    value: object
    holds_references: bool


class Failure(NamedTuple):
    """What a method raised. `ends_connection`: stock daemons close the connection after telling of it."""

    exception: BaseException
    ends_connection: bool


class ItemStream(NamedTuple):
    """A method returned an iterator; its items are fetched from the daemon by this id."""

    stream_id: str


class Pong(NamedTuple):
    """The answer to a ping."""


Answer = Welcome | Result | Failure | ItemStream | Pong


class _Form(NamedTuple):
    """A serializer, as calls name it and as messages do."""

    name: str
    identity: int
    serializer: Serializer


class ClientSession:
    """One connection to a daemon. `location` says where that is, for the words of errors.

    With an `hmac_key` the protocol must be Pyro4's; every request raises SecurityError else.
    """

    def __init__(self, protocol: int, location: str, settings: Settings, *, hmac_key: bytes | None = None) -> None:
        self.protocol = protocol
        self._location = location
        self._settings = settings
        self._hmac_key = hmac_key
        self._decoder = Decoder(limit=settings.message_limit, hmac_key=hmac_key)
        self._sequence = 0
        self._form: _Form | None = None  # that was used last, so that it is not looked for at each call: 0.6 us
        self._asked: _Form | None = None  # that of the request
        self._object_id = ""
        self._request: MessageType | None = None
        ways = plain_ways(protocol, settings.message_limit) if settings.straight_road and not hmac_key else None
        self._write = ways[0] if ways and not settings.compression else None
        self._read = ways[1] if ways else None
        self._payload: bytes | None = None  # of a plain result
        # Whether the decoder is between two messages of our protocol: then only may a plain result go past it.
        self._between = False

    @property
    def spoken(self) -> int | None:
        """The protocol that the daemon speaks, once it has said anything in one."""
        return self._decoder.protocol

    @property
    def waiting(self) -> bool:
        """Whether a request was made whose answer has not been taken yet."""
        return self._request is not None

    def connect(self, object_id: str, handshake: object, *, serializer: str) -> bytes:
        """The bytes that open the connection to a daemon's object. SerializeError, or MessageTooLargeError."""
        content = {"handshake": handshake}
        if self._settings.metadata or self.protocol == PYRO5:
            content["object"] = object_id
        self._object_id = object_id
        flags = Flag.METADATA if self._settings.metadata else 0
        form = self._form_of(serializer)
        return self._ask(MessageType.CONNECT, flags, form, form.serializer.dumps(content))

    def invoke(
        self,
        object_id: str,
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        serializer: str,
        oneway: bool = False,
        batch: bool = False,
    ) -> bytes:
        """The bytes of a call. No answer comes to a `oneway` one.

        For a `batch`, `method` is BATCH_METHOD and `args` are the calls, as (method, args, kwargs) tuples.
        Raises SerializeError or MessageTooLargeError, and the connection can be used as if nothing had been asked.
        """
        flags = (Flag.ONEWAY if oneway else 0) | (Flag.BATCH if batch else 0)
        form = self._form_of(serializer)
        return self._ask(_INVOKE, flags, form, form.serializer.dumps_call(object_id, method, args, kwargs))

    def ping(self) -> bytes:
        """The bytes that ask the daemon for a sign of life."""
        return self._ask(MessageType.PING, 0, self._form_of(self._settings.serializer), b"ping")

    def _form_of(self, name: str) -> _Form:
        form = self._form
        if form is None or form.name != name:
            serializer = serializer_by_name(self.protocol, name)
            form = self._form = _Form(name, serializer_id(self.protocol, name), serializer)
        return form

    def _ask(self, kind: MessageType, flags: int, form: _Form, data: bytes) -> bytes:
        if self._request is not None:
            raise PyroError(f"a call is under way on the connection to {self._location}; wait for its answer")
        # The connect message has number 0: that is what refusals of stock daemons carry, whatever they refuse.
        sequence = 0 if kind is _CONNECT else (self._sequence + 1) & 0xFFFF
        if self._write is not None and kind is _INVOKE and not flags and len(data) <= LONGEST:
            encoded = self._write(sequence, form.identity, data)
        else:
            encoded = encode(
                Message(self.protocol, kind, form.identity, flags, sequence, data),
                limit=self._settings.message_limit,
                hmac_key=self._hmac_key,
                compress=self._settings.compression,
            )
        self._sequence = sequence
        self._asked = form
        self._request = None if flags & Flag.ONEWAY else kind
        return encoded

    def receive_data(self, data: bytes) -> None:
        """Take bytes that came from the daemon. Call `next_answer` then."""
        if self._between and self._request is _INVOKE and self._payload is None and self._read is not None:
            assert self._asked is not None, "a request has a serializer"
            self._payload = self._read(self._sequence, self._asked.identity, data)
            if self._payload is not None:
                return
        self._between = False
        self._decoder.feed(data)

    def next_answer(self) -> Answer | None:
        """The answer to the request under way; None when more bytes are needed.

        Raises CommunicationError when the daemon refuses the connection, OtherProtocolError, ProtocolError and its
        family when the answer is not one to this request, SecurityError when it is not signed as it must be,
        PyroError when the object offers nothing at all.
        """
        payload = self._payload
        if payload is not None:
            assert self._asked is not None, "a request has a serializer"
            self._request = self._payload = None
            return Result(self._asked.serializer.loads(payload), _REFERENCE_MARK in payload)
        if self._between:
            return None
        message = self._next_message()
        if message is None:
            return None
        self._between = not self._decoder.buffered
        assert self._request is not None, "next_answer is for requests that have an answer"
        if message.type not in _ANSWERS[self._request]:
            raise ProtocolError(f"invalid msg type {int(message.type)} received from {self._location}")
        self._request = None
        if message.type is MessageType.CONNECT_OK:
            return self._welcome(message)
        if message.type is MessageType.CONNECT_FAIL:
            raise CommunicationError(f"connection to {self._location} rejected: {self._reason(message)}")
        if message.sequence != self._sequence:
            raise ProtocolError(f"invoke: reply sequence out of sync, got {message.sequence} expected {self._sequence}")
        return Pong() if message.type is MessageType.PING else self._result(message)

    def _next_message(self) -> Message | None:
        try:
            return self._decoder.next_message()
        finally:
            # Comes first: a message of the other protocol may also lack the signature that ours must have.
            spoken = self._decoder.protocol
            if spoken is not None and spoken != self.protocol:
                raise OtherProtocolError(self._location, self.protocol, spoken)

    def _load(self, message: Message) -> object:
        return serializer_by_id(self.protocol, message.serializer_id).loads(message.data)

    def _reason(self, message: Message) -> object:
        try:
            return self._load(message)
        except SerializeError as problem:
            return f"for a reason that cannot be read ({problem})"

    def _welcome(self, message: Message) -> Welcome:
        content = self._load(message)
        if self.protocol == PYRO4 and not message.flags & Flag.METADATA:
            return Welcome(content, None)
        if not isinstance(content, dict) or "handshake" not in content:
            raise ProtocolError(f"invalid connect answer from {self._location}: it has no 'handshake'")
        if not self._settings.metadata:
            return Welcome(content["handshake"], None)
        members = members_from_metadata(content.get("meta"))
        if not members.methods and not members.attributes:
            raise PyroError(
                f"remote object doesn't expose any methods or attributes: {self._object_id} at {self._location}"
                " (did its class forget @expose?)"
            )
        return Welcome(content["handshake"], members)

    def _result(self, message: Message) -> Result | Failure | ItemStream:
        if message.flags & Flag.ITEM_STREAM:
            return _item_stream(message)
        if message.flags & Flag.EXCEPTION:
            exception = self._load(message)
            if not isinstance(exception, BaseException):
                raise ProtocolError(
                    f"invalid error answer from {self._location}: {type(exception).__name__}, no exception"
                )
            return Failure(exception, isinstance(exception, CommunicationError | SecurityError))
        assert self._asked is not None, "a request has a serializer"
        if message.serializer_id != self._asked.identity:
            raise SerializeError(
                f"invalid serializer in response: {message.serializer_id} (expected {self._asked.identity})"
            )
        return Result(self._load(message), _REFERENCE_MARK in message.data)


def _item_stream(message: Message) -> ItemStream | Failure:
    stream_id = message.annotations.get("STRM", b"").decode("ascii", "replace")
    if stream_id:
        return ItemStream(stream_id)
    problem = ProtocolError("result of call is an iterator, but the server is not configured to allow streaming")
    return Failure(problem, ends_connection=False)


def members_from_metadata(metadata: object) -> Members:
    """What a daemon's description of an object says. ProtocolError when it is not such a description."""
    if not isinstance(metadata, dict):
        raise ProtocolError(f"invalid metadata of a remote object: {type(metadata).__name__} (expected a dict)")
    return Members(*(_names(metadata, key) for key in ("methods", "oneway", "attrs")))


def _names(metadata: dict[object, object], key: str) -> frozenset[str]:
    names = metadata.get(key)
    if not isinstance(names, Iterable) or isinstance(names, str | bytes):
        raise ProtocolError(f"invalid metadata of a remote object: {key!r} is no collection of names")
    found = list(names)
    if not all(isinstance(name, str) for name in found):
        raise ProtocolError(f"invalid metadata of a remote object: {key!r} holds things that are no names")
    return frozenset(found)
