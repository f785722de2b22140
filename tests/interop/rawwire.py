"""The wire by hand: whole messages as bytes, and a socket that says exactly what a test wants it to say.

Independent of the product's own codec, so that one cannot hide the other's mistakes. Pyro4: 24-byte header with a
checksum. Pyro5: 40-byte header with a magic number.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, NamedTuple

CONNECT, CONNECT_OK, CONNECT_FAIL, INVOKE, RESULT, PING = range(1, 7)
EXCEPTION, COMPRESSED, ONEWAY, BATCH = 1, 2, 4, 8  # the same bits in both protocols

SERIALIZER_IDS = {
    4: {"serpent": 1, "json": 2, "marshal": 3, "pickle": 4, "dill": 5, "msgpack": 6, "cloudpickle": 7},
    5: {"serpent": 1, "marshal": 2, "json": 3, "msgpack": 4},
}

TIMEOUT = 10.0
"""Seconds for an answer, or for the server to hang up."""


def message(
    dialect: int,
    kind: int,
    data: bytes = b"",
    *,
    serializer: str | int = "json",
    flags: int = 0,
    sequence: int = 0,
    annotations: bytes = b"",
    announced: int | None = None,
    version: int | None = None,
) -> bytes:
    """A whole message. `announced` is the data length that the header claims, when that is not the truth."""
    serializer_id = SERIALIZER_IDS[dialect][serializer] if isinstance(serializer, str) else serializer
    length = len(data) if announced is None else announced
    if dialect == 4:
        number = version or 48
        total = kind + number + length + len(annotations) + serializer_id + flags + sequence + 0x34E9
        fields = (b"PYRO", number, kind, flags, sequence, length, serializer_id, len(annotations), 0, total & 0xFFFF)
        header = struct.pack("!4sHHHHiHHHH", *fields)
    else:
        fields5 = (
            b"PYRO",
            version or 502,
            kind,
            serializer_id,
            flags,
            sequence,
            length,
            len(annotations),
            bytes(16),
            0,
        )
        header = struct.pack("!4sHBBHHII16sHH", *fields5, 0x4DC5)
    return header + annotations + data


def connect_message(dialect: int, object_id: str = "Pyro.NameServer") -> bytes:
    """What a client says first, in json."""
    data = json.dumps({"handshake": "hello", "object": object_id}).encode()
    return message(dialect, CONNECT, data, flags=16 if dialect == 4 else 0)


def call_message(dialect: int, method: str, *args: object, sequence: int = 1) -> bytes:
    """A call of the name server's method, in json."""
    call = {"object": "Pyro.NameServer", "method": method, "params": args, "kwargs": {}}
    return message(dialect, INVOKE, json.dumps(call).encode(), sequence=sequence)


class Answer(NamedTuple):
    """A message that came from the server, its annotations left out."""

    kind: int
    flags: int
    sequence: int
    serializer: int
    data: bytes

    @property
    def is_refusal(self) -> bool:
        """Whether this says that something went wrong."""
        return self.kind == CONNECT_FAIL or (self.kind == RESULT and bool(self.flags & EXCEPTION))


class RawPeer:
    """A connection to a name server over which bytes go out as they are."""

    def __init__(self, address: tuple[str, int], dialect: int) -> None:
        self.dialect = dialect
        self.socket = socket.create_connection(address, TIMEOUT)

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def shake_hands(self) -> None:
        self.send(connect_message(self.dialect))
        answer = self.receive()
        assert answer is not None
        assert answer.kind == CONNECT_OK, answer

    def call(self, method: str, *args: object) -> Any:  # whatever json can say
        """The result of a call, as json has it."""
        self.send(call_message(self.dialect, method, *args))
        answer = self.receive()
        assert answer is not None
        assert (answer.kind, answer.flags & EXCEPTION) == (RESULT, 0), answer
        return json.loads(answer.data)

    def receive(self) -> Answer | None:
        """The next message; None when the server hung up instead. TimeoutError when it does neither."""
        header = self._exactly(24 if self.dialect == 4 else 40)
        if header is None:
            return None
        if self.dialect == 4:
            _, version, kind, flags, sequence, length, serializer, annotations, _, _ = struct.unpack(
                "!4sHHHHiHHHH", header
            )
        else:
            _, version, kind, serializer, flags, sequence, length, annotations = struct.unpack(
                "!4sHBBHHII", header[:20]
            )
        assert version == (48 if self.dialect == 4 else 502)
        body = self._exactly(annotations + length)
        return None if body is None else Answer(kind, flags, sequence, serializer, body[annotations:])

    def is_hung_up(self) -> bool:
        """Wait until the server hangs up, whatever it says before."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            return False
        return True

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
        return data
