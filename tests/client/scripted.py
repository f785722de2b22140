"""A small daemon for tests of clients: it answers as told, also in ways that no real one should."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pyronym.errors import PyroError
from pyronym.serializers.classes import BatchFailure
from pyronym.serializers.registry import serializer_by_id, serializer_by_name, serializer_id
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, Flag, Message, MessageType

LIMIT = 1_000_000


class Silence:
    """Given by a method: no answer is sent."""


class Hangup:
    """Given by a method: the connection is closed."""


@dataclass
class Raw:
    """Given by a method: these bytes are sent instead of an answer."""

    pieces: Iterable[bytes]


@dataclass
class Stream:
    """Given by a method: the answer is an item stream of this id."""

    stream_id: str


class ScriptedDaemon:
    """Serves `methods` by name until it is closed, to anyone, whatever the object.

    Without a `path` of a Unix socket it listens on a free port of `host`. With `refuse`, clients are refused for this
    reason; with `silent`, nothing is ever answered; the first `deaf` connections are closed at once. Messages over the
    `limit` are refused before they have come in full, and the connection is closed.
    """

    def __init__(
        self,
        methods: Mapping[str, Callable[..., object]] | None = None,
        *,
        attributes: Iterable[str] = (),
        oneway: Iterable[str] = (),
        protocol: int = PYRO4,
        object_id: str = "thing",
        host: str = "127.0.0.1",
        path: str | None = None,
        hmac_key: bytes | None = None,
        refuse: str | None = None,
        silent: bool = False,
        deaf: int = 0,
        limit: int = LIMIT,
    ) -> None:
        self.methods = dict(methods or {})
        self.attributes, self.oneway = list(attributes), list(oneway)
        self.protocol = protocol
        self.hmac_key = hmac_key
        self.refuse = refuse
        self.silent = silent
        self.deaf = deaf
        self.limit = limit
        self.calls: list[str] = []
        self.handshakes: list[Any] = []
        self.connections = 0
        family = socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        self._listener.bind(path if path else (host, 0))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.port = 0 if path else self._listener.getsockname()[1]
        self.location = f"./u:{path}" if path else f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.uri = f"PYRO:{object_id}@{self.location}"
        self._threads[0].start()

    def __enter__(self) -> ScriptedDaemon:
        return self

    def __exit__(self, *outcome: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self.drop_connections()
        for thread in self._threads[1:]:
            thread.join()
        self._listener.close()

    def drop_connections(self) -> None:
        for sock in self._open:
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections <= self.deaf:
                sock.close()
                continue
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        decoder = Decoder(limit=self.limit, hmac_key=self.hmac_key)
        with sock:
            try:
                while data := sock.recv(65536):
                    decoder.feed(data)
                    while (message := decoder.next_message()) is not None:
                        pieces = self._answer(message)
                        if pieces is None:
                            return
                        for piece in pieces:
                            sock.sendall(piece)
            except OSError:
                pass  # the client is gone
            except PyroError as problem:
                self._refuse_with(sock, problem)

    def _refuse_with(self, sock: socket.socket, problem: PyroError) -> None:
        name = "marshal"
        identity = serializer_id(self.protocol, name)
        serializer = serializer_by_name(self.protocol, name)
        header = getattr(problem, "header", None)
        if header is not None and header.type == MessageType.INVOKE:
            data, kind, flags, sequence = serializer.dumps(problem), MessageType.RESULT, Flag.EXCEPTION, header.sequence
        else:
            data, kind, flags, sequence = serializer.dumps(str(problem)), MessageType.CONNECT_FAIL, 0, 0
        refusal = Message(self.protocol, kind, identity, flags, sequence, data)
        sock.sendall(encode(refusal, limit=LIMIT, hmac_key=self.hmac_key))

    def _answer(self, message: Message) -> Iterable[bytes] | None:
        """What to send; None to close."""
        if self.silent:
            return []
        if message.protocol != self.protocol:
            raise PyroError(f"invalid protocol version: {message.protocol}")
        if message.type is MessageType.CONNECT:
            return self._welcome(message)
        serializer = serializer_by_id(self.protocol, message.serializer_id)
        _, method, args, kwargs = serializer.loads_call(message.data)
        self.calls.append(method)
        if message.flags & Flag.BATCH:
            outcome: object = self._batch(args)
        else:
            outcome = self._outcome(method, args, kwargs)
        if outcome is Hangup:
            return None
        if message.flags & Flag.ONEWAY or outcome is Silence:
            return []
        if isinstance(outcome, Raw):
            return outcome.pieces
        annotations: dict[str, bytes] = {}
        flags = 0
        if isinstance(outcome, Exception):
            flags = Flag.EXCEPTION
        elif isinstance(outcome, Stream):
            flags = Flag.EXCEPTION | Flag.ITEM_STREAM
            annotations["STRM"] = outcome.stream_id.encode()
            outcome = PyroError("result of call is an iterator")
        data = serializer.dumps(outcome)
        answer = message._replace(type=MessageType.RESULT, flags=flags, data=data, annotations=annotations)
        return [encode(answer, limit=LIMIT, hmac_key=self.hmac_key)]

    def _welcome(self, message: Message) -> list[bytes]:
        serializer = serializer_by_id(self.protocol, message.serializer_id)
        self.handshakes.append(serializer.loads(message.data))
        if self.refuse is not None:
            raise PyroError(self.refuse)
        content: object = "welcome"
        if message.flags & Flag.METADATA or self.protocol != PYRO4:
            content = {"handshake": content, "meta": self.metadata()}
        answer = message._replace(type=MessageType.CONNECT_OK, data=serializer.dumps(content))
        return [encode(answer, limit=LIMIT, hmac_key=self.hmac_key)]

    def metadata(self) -> dict[str, list[str]]:
        return {"methods": list(self.methods), "oneway": self.oneway, "attrs": self.attributes}

    def _outcome(self, method: str, args: Any, kwargs: Any) -> object:
        if method == "get_metadata":
            return self.metadata()
        try:
            return self.methods[method](*args, **kwargs)
        except Exception as problem:
            problem._pyroTraceback = ["remote line\n"]  # type: ignore[attr-defined]
            return problem

    def _batch(self, calls: Any) -> list[object]:
        results: list[object] = []
        for method, args, kwargs in calls:
            outcome = self._outcome(method, args, kwargs)
            if isinstance(outcome, Exception):
                results.append(BatchFailure(outcome))
                break
            results.append(outcome)
        return results
