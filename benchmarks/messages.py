"""Prepared bytes for the load generator: what is sent to whom, and how the end of an answer is known."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyronym.serializers.registry import serializer_by_name, serializer_id
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType

__all__ = ["PYRO4", "PYRO5", "Call", "Exchange", "Wire"]

NAME_SERVER = "Pyro.NameServer"
COUNTER = "########"
"""The generator puts a number in its place that is another one in every request. Not in signed or compressed ones."""
LIMIT = 1 << 28

NAMES = [f"lab.hall{number % 10}.device.{number:04}" for number in range(1000)]
"""What is looked up. All of one length, so that all answers are."""
SPREAD_NAMES = [f"lab.spread.device.{number:06}" for number in range(100_000)]
"""So many that a server cannot remember the answers to the last few thousand requests and be done."""
LONG_NAMES = ["/".join(f"{name}.section{number}" for number in range(12)) for name in NAMES[:100]]
"""Names with which requests and answers are worth compressing."""

Call = tuple[str, Sequence[object], Mapping[str, object]]


@dataclass(frozen=True)
class Exchange:
    """What the generator sends: a handshake (may be empty), then the requests in turn."""

    handshake: bytes
    requests: Sequence[bytes]
    reply: str
    """``pyro``, ``grpc``, or the size of every answer in bytes."""


def uri(name: str) -> str:
    """A URI of the usual length, another one for each name."""
    return f"PYRO:obj_{hashlib.md5(name.encode()).hexdigest()}@10.20.30.40:50123"


def lookup(name: str) -> Call:
    """A call as clients make it."""
    return ("lookup", (name,), {})


def register(name: str = f"lab.durable.{COUNTER}") -> Call:
    """A call as clients make it; by default with another name each time."""
    return ("register", (name, uri(name), False, None), {})


@dataclass(frozen=True)
class Wire:
    """How a client speaks to a name server."""

    protocol: int = PYRO4
    serializer: str = "serpent"
    key: bytes | None = None
    compress: bool = False

    def calls(self, calls: Sequence[Call]) -> Exchange:
        """One request for each call."""
        return Exchange(self._connect(), [self._invoke(*call) for call in calls], "pyro")

    def batch(self, calls: Sequence[Call]) -> Exchange:
        """A single request with all calls."""
        return Exchange(self._connect(), [self._invoke("<batch>", list(calls), {}, Flag.BATCH)], "pyro")

    def idle(self) -> Exchange:
        """Only a handshake."""
        return Exchange(self._connect(), [], "pyro")

    def ask(self, port: int, *calls: Call) -> bytes:
        """Make some calls over a connection of their own; the bytes of the last answer. RuntimeError for errors."""
        return self._converse(port, self.calls(calls))

    def ask_in_batches(self, port: int, calls: Sequence[Call], size: int = 1000) -> None:
        """Make many calls over a connection of their own. RuntimeError if a whole batch fails."""
        requests = [self.batch(calls[first : first + size]).requests[0] for first in range(0, len(calls), size)]
        self._converse(port, Exchange(self._connect(), requests, "pyro"))

    def _converse(self, port: int, exchange: Exchange) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
            for request in (exchange.handshake, *exchange.requests):
                answer = self.send(sock, request)
        return answer

    def send(self, sock: socket.socket, request: bytes) -> bytes:
        """Send one request over a connection; the bytes of its answer. RuntimeError for errors."""
        sock.sendall(request)
        decoder = Decoder(limit=LIMIT, hmac_key=self.key)
        received = b""
        while (answer := decoder.next_message()) is None:
            piece = sock.recv(65536)
            if not piece:
                raise RuntimeError("the server closed the connection")
            decoder.feed(piece)
            received += piece
        if answer.flags & Flag.EXCEPTION or answer.type is MessageType.CONNECT_FAIL:
            raise RuntimeError(f"the server answers with an error: {answer.data[:300]!r}")
        return received

    def _connect(self) -> bytes:
        greeting = {"handshake": "hello", "object": NAME_SERVER}
        data = serializer_by_name(self.protocol, self.serializer).dumps(greeting)
        return self._message(MessageType.CONNECT, Flag.METADATA, data)

    def _invoke(self, method: str, args: Sequence[object], kwargs: Mapping[str, object], flags: int = 0) -> bytes:
        data = serializer_by_name(self.protocol, self.serializer).dumps_call(NAME_SERVER, method, args, kwargs)
        return self._message(MessageType.INVOKE, flags, data)

    def _message(self, kind: MessageType, flags: int, data: bytes) -> bytes:
        identity = serializer_id(self.protocol, self.serializer)
        message = Message(self.protocol, kind, identity, flags, 1, data)
        return encode(message, limit=LIMIT, hmac_key=self.key, compress=self.compress)


def echo(like: Exchange, answer: bytes) -> Exchange:
    """The requests of another exchange, for a server that answers all of them with as many bytes as `answer`."""
    return Exchange(b"", like.requests, str(len(answer)))


def redis_set(name: str) -> bytes:
    """The command that puts a URI under a name."""
    return _redis("SET", name, uri(name))


def redis_gets() -> Exchange:
    """One GET for each of NAMES."""
    size = len(uri(NAMES[0]))
    return Exchange(b"", [_redis("GET", name) for name in NAMES], str(len(f"${size}\r\n") + size + 2))


def _redis(*words: str) -> bytes:
    return "".join((f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words))).encode()


def etcd_puts() -> Exchange:
    """Puts of the same record that `register` sends, over gRPC: HTTP/2 frames with literal headers (RFC 7540, 7541)."""
    name = f"lab.durable.{COUNTER}"
    put = _protobuf_text(1, name) + _protobuf_text(2, uri(name))
    headers = b"\x83\x86" + b"".join(  # POST, http
        (
            _header(b"\x04", "/etcdserverpb.KV/Put"),  # :path
            _header(b"\x01", "127.0.0.1"),  # :authority
            _header(b"\x0f\x10", "application/grpc"),  # content-type
            _header(b"\x00\x02te", "trailers"),
        )
    )
    request = _frame(1, 0x4, headers) + _frame(0, 0x1, b"\0" + len(put).to_bytes(4) + put)
    # Settings as they are; and never wait for us to confirm what we have received.
    window = _frame(8, 0, (0x7FFF0000 - 65535).to_bytes(4))
    handshake = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, b"") + window
    return Exchange(handshake, [request], "grpc")


def _protobuf_text(field: int, text: str) -> bytes:
    assert len(text) < 128
    return bytes((field << 3 | 2, len(text))) + text.encode()


def _header(start: bytes, value: str) -> bytes:
    assert len(value) < 127
    return start + bytes((len(value),)) + value.encode()


def _frame(kind: int, flags: int, content: bytes) -> bytes:
    return len(content).to_bytes(3) + bytes((kind, flags)) + bytes(4) + content
