"""The beginning of a connection at a port that speaks TLS."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pyronym.errors import PyroError
from pyronym.rpc.replies import Replies
from pyronym.server.addresses import plain_address
from pyronym.server.loop import LoopBase
from pyronym.settings import Settings
from pyronym.tls import HandshakeRefusedError, ServerCertificates, explained
from pyronym.wire.codec import Decoder
from pyronym.wire.message import PYRO4

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take from being accepted to the end of its handshake."""

REFUSAL_SECONDS: Final = 2.0
"""How long a client that is refused may take to read that and close. Closing at once would destroy the refusal on its
way, if bytes of the client are unread."""

SHUTDOWN_SECONDS: Final = 1.0
"""How long a connection that we close waits for the client to confirm. Stock clients that are idle do not."""

_START_SIZE: Final = 6
"""Bytes by which a client is recognised: a Pyro client's tag and version."""

_TLS_START: Final = b"\x16"
"""The first byte of a handshake, in all versions."""

_NEEDS_TLS: Final = "this port speaks TLS: set SSL and SSL_CACERTS in the client (PYRO_SSL=1, PYRO_SSL_CACERTS=FILE)"

log = logging.getLogger(__name__)


async def begin_tls(
    loop: LoopBase,
    client: socket.socket,
    new_protocol: Callable[[], asyncio.Protocol],
    certificates: ServerCertificates,
) -> None:
    """Shake hands with a client that was just accepted, and give it a connection.

    One that is refused is told why: by an alert, or if it speaks without TLS in its own protocol. One that does not
    shake hands in time is dropped. OSError: it has gone.
    """
    remote = plain_address(client.getpeername())
    # By the spare descriptor the client can be told what is wrong: the loop closes the other when a handshake fails.
    with client.dup() as spare:
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                start = await _first_bytes(loop, client)
                if start.startswith(_TLS_START):
                    await loop.connect_accepted_socket(
                        new_protocol,
                        client,
                        ssl=certificates.context(),
                        ssl_handshake_timeout=2 * HANDSHAKE_SECONDS,  # the limit above comes first
                        ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                    )
                    return
        except TimeoutError:
            log.warning("refused %s: no TLS handshake within %g s", remote, HANDSHAKE_SECONDS)
            client.close()
        except HandshakeRefusedError as problem:
            log.warning("refused %s: %s", remote, explained(problem))
            await _tell(loop, spare, problem.alert)
        else:
            client.close()
            if start:
                log.warning("refused %s: it speaks without TLS at a port for TLS only", remote)
                await _tell(loop, spare, _plain_refusal(start))


async def _first_bytes(loop: LoopBase, client: socket.socket) -> bytes:
    """What the client says first, left where it is for whoever reads next; nothing if it has said goodbye."""
    readable = loop.create_future()
    loop.add_reader(client, _tell_of, readable)
    try:
        await readable
    finally:
        loop.remove_reader(client)
    return client.recv(_START_SIZE, socket.MSG_PEEK)


def _tell_of(event: asyncio.Future[None]) -> None:
    if not event.done():
        event.set_result(None)


def _plain_refusal(start: bytes) -> bytes:
    """What tells a client without TLS what is wrong, in the protocol of which its first bytes are."""
    decoder = Decoder(limit=0)
    decoder.feed(start)
    with suppress(PyroError):  # it speaks something else, and learns that much from an answer that it cannot read
        decoder.next_message()
    return Replies(Settings(), None).refusal(decoder.protocol or PYRO4, 0, _NEEDS_TLS)


async def _tell(loop: LoopBase, client: socket.socket, words: bytes) -> None:
    with suppress(OSError):  # it has gone, or the time is over
        async with asyncio.timeout(REFUSAL_SECONDS):
            await loop.sock_sendall(client, words)
            client.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(client, 65536):
                pass
