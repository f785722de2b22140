"""How the messages that a server sends are made: results, errors and refusals, in the peer's protocol."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from pyronym.errors import PyroError, SerializeError
from pyronym.serializers.registry import Serializer, serializer_by_id, serializer_by_name, serializer_id
from pyronym.settings import Settings
from pyronym.wire.codec import encode
from pyronym.wire.message import CORRELATION_SIZE, PYRO4, Flag, Message, MessageType

NO_FLAGS = 0

LARGEST_REPLY: Final = 0x7FFFFFFF
"""Bytes: as many as Pyro4's header can announce. What a stranger may send is limited by the settings; what he is
answered is as large as what is here, like the list of a million names."""


class Replies:
    """Makes the server's messages of one connection, as bytes. Those to Pyro4 clients are signed with `hmac_key`."""

    def __init__(self, settings: Settings, hmac_key: bytes | None) -> None:
        self._settings = settings
        self.hmac_key = hmac_key

    def accepted_serializer(self, request: Message) -> Serializer:
        """The serializer that `request` is written in. SerializeError if it is unknown or not accepted here."""
        serializer = serializer_by_id(request.protocol, request.serializer_id)
        if serializer.name not in self._settings.serializers_accepted:
            accepted = ", ".join(sorted(self._settings.serializers_accepted))
            raise SerializeError(
                f"message used serializer that is not accepted: {request.serializer_id} "
                f"({serializer.name}; accepted: {accepted})"
            )
        return serializer

    def answer(self, request: Message, kind: MessageType, data: bytes, flags: int = NO_FLAGS) -> bytes:
        """An answer to `request`. Each carries the correlation id of its request, or a fresh one."""
        return self._encode(
            Message(
                request.protocol,
                kind,
                request.serializer_id,
                flags,
                request.sequence,
                data,
                correlation=request.correlation or _new_correlation(),
            )
        )

    def error(
        self,
        request: Message,
        problem: BaseException,
        flags: int = NO_FLAGS,
        annotations: Mapping[str, bytes] | None = None,
    ) -> bytes:
        """An answer that raises `problem` at the peer, in the serializer of `request`; in marshal if that is unknown.

        Pyro4's error answers carry no correlation id.
        """
        try:
            serializer = serializer_by_id(request.protocol, request.serializer_id)
        except SerializeError:
            serializer = serializer_by_name(request.protocol, "marshal")
        try:
            data = serializer.dumps(problem)
        except Exception as failure:
            words = f"Error serializing exception: {failure}. Original exception: {type(problem)}: {problem}"
            # Half a surrogate pair in its words may be why it could not be written.
            data = serializer.dumps(PyroError(words.encode("ascii", "backslashreplace").decode("ascii")))
        return self._encode(
            Message(
                request.protocol,
                MessageType.RESULT,
                serializer_id(request.protocol, serializer.name),
                Flag.EXCEPTION | flags,
                request.sequence,
                data,
                annotations or {},
                None if request.protocol == PYRO4 else request.correlation or _new_correlation(),
            )
        )

    def refusal(self, protocol: int, sequence: int, reason: str) -> bytes:
        """A CONNECT_FAIL to a message that was not understood, so it is in marshal and has no correlation id."""
        data = serializer_by_name(protocol, "marshal").dumps(reason)
        identity = serializer_id(protocol, "marshal")
        return self._encode(Message(protocol, MessageType.CONNECT_FAIL, identity, NO_FLAGS, sequence, data))

    def _encode(self, message: Message) -> bytes:
        return encode(
            message,
            limit=LARGEST_REPLY,
            hmac_key=self.hmac_key if message.protocol == PYRO4 else None,
            compress=self._settings.compression,
        )


def _new_correlation() -> bytes:
    return os.urandom(CORRELATION_SIZE)
