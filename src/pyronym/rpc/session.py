"""The server's side of one connection, as a state machine: bytes in, calls out, bytes to send.

The shell around it feeds what the socket gives (`receive_data`), takes calls (`next_call`) until there is none,
performs each (`Call.run`), hands it back (`finish`), and sends `data_to_send`. Of a call that has `begun` when data was
received, it only waits for the outcome, and tells it (`finish_begun`). Handshakes, pings and everything that goes wrong
before a method is called are answered in here. When `closing` is set, the shell sends what is left and closes the
connection; when the connection ends, it calls `close`.

States: CONNECTING until a handshake is accepted, then READY; CLOSED after a refused handshake, after bytes that
are no messages, and when the connection ends.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Iterator

from pyronym.errors import DaemonError, ProtocolError, PyroError, SerializeError
from pyronym.rpc.call import LARGE_PAYLOAD, Binder, Call, method_of
from pyronym.rpc.hosting import Address, Host, Peer, StraightRoad
from pyronym.rpc.offences import Complaint, Offence, complaint_about
from pyronym.rpc.replies import NO_FLAGS, Replies
from pyronym.rpc.tally import Lane, Tally
from pyronym.settings import Settings
from pyronym.wire.codec import Decoder
from pyronym.wire.keys import KeyRing
from pyronym.wire.message import PYRO4, Flag, Message, MessageType
from pyronym.wire.straight import Begun, DeclinedError

log = logging.getLogger(__name__)


class State(enum.Enum):
    """Where a session stands."""

    CONNECTING = enum.auto()
    READY = enum.auto()
    CLOSED = enum.auto()


class ServerSession:
    """One client's connection to a daemon.

    `local` and `remote` are the addresses of its socket. Not thread-safe: one thread feeds and drains it; only a
    `Call` that it gave out may be run elsewhere meanwhile. With a KeyRing as `hmac_key` the key that the client's first
    message is signed with is that of the connection; before that is known, nothing is signed. `tally` counts the calls.
    """

    def __init__(
        self,
        host: Host,
        settings: Settings,
        *,
        hmac_key: bytes | KeyRing | None = None,
        local: Address,
        remote: Address,
        tally: Tally | None = None,
    ) -> None:
        self._host = host
        self._settings = settings
        self._replies = Replies(settings, None if isinstance(hmac_key, KeyRing) else hmac_key)
        self._decoder = Decoder(
            limit=min(settings.message_limit, settings.max_handshake_size),
            hmac_key=hmac_key,
            unsigned_pyro5=settings.unsigned_pyro5,
            unpack_at_once=LARGE_PAYLOAD,
            max_annotations=settings.max_annotations,
        )
        self._out: list[bytes] = []
        self._state = State.CONNECTING
        self._current: Call | Begun | None = None
        self._straight: StraightRoad | None = None
        self._tally = tally
        self.lane: Lane | None = None
        """Where the calls are counted that the straight road answers; None before there is one."""
        self.begun: Begun | None = None
        """A call that has just begun. Whoever takes it sets this to None, waits for it, and calls `finish_begun`."""
        self._refusal: str | None = None
        self.complaints: list[Complaint] = []
        """What the client did wrong. For whoever takes note of it, and empties this."""
        self.notes_calls = settings.access_log
        """Whether each call is to be noted by whoever performs it. Then none is answered straight."""
        self.peer = Peer(0, local, remote)
        self._binder = Binder(host, self.peer)

    @property
    def closing(self) -> bool:
        """Nothing more is read: send `data_to_send`, then close the connection."""
        return self._state is State.CLOSED

    @property
    def busy(self) -> bool:
        """A call is out whose reply must come before any other, or that is to be read: what comes now must wait."""
        return self._current is not None

    @property
    def held(self) -> int:
        """Bytes that have come and wait: for the rest of their message, for a call that is out, or to be read."""
        return self._decoder.buffered + (self._current.held if isinstance(self._current, Call) else 0)

    def turn_away(self, reason: str) -> None:
        """Refuse the client, in words of its protocol, as soon as it has said which that is."""
        self._refusal = reason

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes from the connection. What is returned, if anything, is to be sent: the answer to all of them, or
        to those before a call that has `begun`. If neither is there ask for `next_call` next.
        """
        straight, out = self._straight, self._out
        if straight is not None and self._current is None and not self._decoder.buffered and not out:
            data = straight.advance(data, out)
            lane = self.lane
            if lane is not None:
                lane.answered += len(out)
            if straight.begun is not None:
                self._current = self.begun = straight.begun
                straight.begun = None
                self._decoder.feed(data)
                return self.data_to_send() if out else b""
            if not data:
                return out.pop() if len(out) == 1 else self.data_to_send()
        self._decoder.feed(data)
        return b""

    def data_to_send(self) -> bytes:
        """What is to be sent, in one piece; each byte is given once."""
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def next_call(self) -> Call | None:
        """The next call to perform; None when more bytes are needed, or while the session is `busy` or `closing`."""
        while self._current is None and self._state is not State.CLOSED:
            try:
                message = self._decoder.next_message()
                if message is None:
                    return None
                if self._state is State.CONNECTING and self._decoder.key is not None:
                    self.peer.key_name = self._decoder.key.name
                    self._replies.hmac_key = self._decoder.key.secret
                call = self._handle(message)
            except PyroError as problem:
                self._break_off(problem)
                return None
            if call is not None:
                if not call.detached or not call.is_read:
                    self._current = call
                return call
        return None

    def read(self, call: Call) -> bool:
        """A call has been read, in a worker thread. Whether this was all that the session had to wait for."""
        if call is not self._current or not call.detached:
            return False
        self._current = None
        return True

    def finish(self, call: Call) -> None:
        """Take back a call that has run. Its reply, if it has one, is among the next `data_to_send`."""
        if call is self._current:
            self._current = None
        if call.reply:
            self._out.append(call.reply)
        self.complaints += call.complaints
        if self._tally is not None:
            self._tally.note(self.peer.protocol, call.method, call.result)
        if call.fatal:
            self.close()

    def finish_begun(self, problem: Exception | None) -> bytes | Call:
        """What the call that had begun waits for is there: its reply, to be sent. If there is a `problem` instead: a
        call to perform, by which the general road tells of that or, after a DeclinedError, does what was asked for.
        """
        begun, self._current = self._current, None
        assert isinstance(begun, Begun), "only one call is out at a time"
        if problem is None:
            if self.lane is not None:
                self.lane.awaited[method_of(begun)] += 1
            return begun.reply
        request, replies = begun.request, self._replies
        failure = None if isinstance(problem, DeclinedError) else problem
        serializer = replies.accepted_serializer(request)
        self._current = Call(request, serializer, self._binder, self._settings, replies, failure)
        return self._current

    def close(self) -> None:
        """The connection has ended or must end. Results that were being streamed are dropped."""
        self._state = State.CLOSED
        if isinstance(self._current, Call):
            self._current.forget()
        self._binder.close()
        streams = list(self.peer.streams.values())
        self.peer.streams.clear()
        for stream in streams:
            _close_stream(stream)

    def _handle(self, message: Message) -> Call | None:
        expected = MessageType.CONNECT if self._state is State.CONNECTING else MessageType.INVOKE
        if message.type is MessageType.PING and self._state is State.READY:
            self._out.append(self._replies.answer(message, MessageType.PING, b"pong"))
            return None
        if message.type is not expected:
            raise ProtocolError(
                f"invalid msg type {message.type:d} received (expected {expected:d}, {expected.name.lower()})"
            )
        if expected is MessageType.CONNECT:
            self._connect(message)
            return None
        try:
            serializer = self._replies.accepted_serializer(message)
        except SerializeError as problem:
            self._complain(problem)
            self._out.append(self._replies.error(message, problem))
            self.close()
            return None
        return Call(message, serializer, self._binder, self._settings, self._replies)

    def _connect(self, message: Message) -> None:
        if self._refusal is not None:
            refusal = self._replies.refusal(message.protocol, message.sequence, self._refusal)
            self._out.append(refusal)
            self.close()
            return
        self.peer.protocol = message.protocol
        try:
            serializer = self._replies.accepted_serializer(message)
        except SerializeError as problem:
            self._refuse(self._replies.refusal(message.protocol, message.sequence, str(problem)), problem)
            return
        try:
            answer, flags = self._handshake(message, serializer.loads(message.unpacked().data))
            data = serializer.dumps(answer)
        except Exception as problem:  # whatever a validator or the data lead to, the client is told
            reason = serializer.dumps(str(problem))
            self._refuse(self._replies.answer(message, MessageType.CONNECT_FAIL, reason), problem)
            return
        self._state = State.READY
        self._decoder.limit = self._settings.message_limit
        self._out.append(self._replies.answer(message, MessageType.CONNECT_OK, data, flags))

    def _handshake(self, message: Message, data: object) -> tuple[object, int]:
        if not isinstance(data, dict) or "handshake" not in data:
            raise ProtocolError("invalid connect data (expected a dict with the keys handshake and object)")
        answer = self._host.validate_handshake(self.peer, data["handshake"])
        if message.protocol == PYRO4 and not message.flags & Flag.METADATA:
            return answer, NO_FLAGS  # such clients do not say here which object they want
        object_id = data.get("object")
        hosted = self._host.get(object_id) if isinstance(object_id, str) else None
        if hosted is None:
            raise DaemonError("unknown object")
        if not self.notes_calls:
            self._straight = hosted.straight_road(self.peer, self._replies.hmac_key)
        if self._tally is not None and self._straight is not None:
            self.lane = self._tally.lanes[message.protocol]
        collect: Callable[[frozenset[str]], object] = sorted if message.protocol == PYRO4 else set
        methods, oneway, attributes = hosted.members(message.protocol)
        meta = {"methods": collect(methods), "oneway": collect(oneway), "attrs": collect(attributes)}
        return {"handshake": answer, "meta": meta}, message.flags & Flag.METADATA

    def _break_off(self, problem: PyroError) -> None:
        """The stream of messages cannot go on: tell the peer as well as its protocol allows, and close."""
        header = getattr(problem, "header", None)
        protocol = header.protocol if header else self._decoder.protocol or PYRO4
        sequence = header.sequence if header else 0
        if self._state is State.CONNECTING:
            self._refuse(self._replies.refusal(protocol, sequence, str(problem)), problem)
            return
        self._complain(problem)
        if header is not None:
            request = Message(protocol, MessageType.INVOKE, header.serializer_id, NO_FLAGS, sequence, b"")
            self._out.append(self._replies.error(request, problem))
        self.close()

    def _complain(self, problem: Exception) -> bool:
        """Note what the client did wrong, if that is why there is this error."""
        complaint = complaint_about(problem)
        if complaint is not None:
            self.complaints.append(complaint)
        return complaint is not None

    def _refuse(self, refusal: bytes, problem: Exception) -> None:
        if not self._complain(problem):
            self.complaints.append(Complaint(Offence.REFUSED_HANDSHAKE, f"{Offence.REFUSED_HANDSHAKE}: {problem}"))
        self._out.append(refusal)
        self.close()


def _close_stream(stream: Iterator[object]) -> None:
    close = getattr(stream, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception:
        log.debug("a stream's generator failed while it was closed", exc_info=True)
