"""What the tests of daemons share: a thread that serves one, and a client made of a socket and the wire format."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pyronym.serializers.registry import serializer_by_name, serializer_id
from pyronym.server.daemon import Daemon
from pyronym.uri import DAEMON_NAME
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO5, Flag, Message, MessageType

PATIENCE = 10.0
"""Seconds after which something that should happen at once is taken not to happen."""

LIMIT = 64 * 1024 * 1024


@contextmanager
def serving(daemon: Daemon) -> Iterator[Daemon]:
    """Serve a daemon in a thread, and close it at the end."""
    thread = threading.Thread(target=daemon.requestLoop, name="request loop")
    thread.start()
    try:
        yield daemon
    finally:
        daemon.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def address_of(daemon: Daemon) -> tuple[str, int]:
    host, port = daemon.sock.getsockname()[:2]
    return host, port


class RawClient:
    """Sends messages to one object and takes those that come back, each when the test says so."""

    def __init__(
        self, daemon: Daemon, object_id: str = DAEMON_NAME, protocol: int = PYRO5, serializer: str = "serpent"
    ) -> None:
        self.sock = socket.create_connection(address_of(daemon), timeout=PATIENCE)
        self.object_id = object_id
        self.protocol = protocol
        self.serializer = serializer_by_name(protocol, serializer)
        self._serializer_id = serializer_id(protocol, serializer)
        self._decoder = Decoder(limit=LIMIT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def message(self, kind: MessageType, data: bytes, sequence: int = 0, flags: int = 0) -> bytes:
        return encode(Message(self.protocol, kind, self._serializer_id, flags, sequence, data), limit=LIMIT)

    def connect_message(self) -> bytes:
        data = self.serializer.dumps({"handshake": "hello", "object": self.object_id})
        return self.message(MessageType.CONNECT, data, flags=Flag.METADATA)

    def call_message(
        self, method: str, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None, **how: int
    ) -> bytes:
        return self.message(
            MessageType.INVOKE, self.serializer.dumps_call(self.object_id, method, args, kwargs or {}), **how
        )

    def connect(self) -> Self:
        self.sock.sendall(self.connect_message())
        assert self.receive().type is MessageType.CONNECT_OK
        return self

    def send(self, method: str, *args: object, **how: int) -> None:
        self.sock.sendall(self.call_message(method, args, **how))

    def receive(self) -> Message:
        """The next message. ConnectionError when the daemon has closed the connection."""
        while (message := self._decoder.next_message()) is None:
            data = self.sock.recv(256 * 1024)
            if not data:
                raise ConnectionError("closed by the daemon")
            self._decoder.feed(data)
        return message

    def value(self, message: Message) -> Any:
        """What an answer says; what it raises, raised."""
        value = self.serializer.loads(message.data)
        if message.flags & Flag.EXCEPTION:
            raise value  # type: ignore[misc]  # an exception, or the test fails
        return value

    def call(self, method: str, *args: object, **how: int) -> Any:
        self.send(method, *args, **how)
        return self.value(self.receive())

    def is_closed(self) -> bool:
        """Whether the daemon has closed the connection, or does so soon; nothing else may arrive."""
        assert self._decoder.next_message() is None
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def connected(daemon: Daemon, object_id: str = DAEMON_NAME, **how: Any) -> RawClient:
    client = RawClient(daemon, object_id, **how)
    try:
        return client.connect()
    except BaseException:
        client.sock.close()
        raise
