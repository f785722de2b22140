"""Takes clients from a listening socket and gives each a connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Final

from pyronym.server.handshake import begin_tls
from pyronym.server.loop import LoopBase
from pyronym.tls import ServerCertificates

ACCEPT_AT_ONCE: Final = 32
"""Clients that are accepted before the loop looks after those who are connected."""

PAUSE_SECONDS: Final = 0.1
"""How long no client is accepted after the system had no room for one. To try so often costs nothing that counts."""

LOG_SECONDS: Final = 60.0
"""How often that is logged."""

log = logging.getLogger(__name__)


class Acceptor:
    """Accepts the clients of a listening socket, which belongs to it from here on. With `certificates`, by TLS only.

    Not `asyncio.Server`: when the process has no descriptors left, that one logs a traceback for each place in the
    backlog, again and again.
    """

    def __init__(
        self,
        loop: LoopBase,
        sock: socket.socket,
        new_protocol: Callable[[], asyncio.Protocol],
        certificates: ServerCertificates | None = None,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._new_protocol = new_protocol
        self._certificates = certificates
        self._pause: asyncio.TimerHandle | None = None
        self._logged_at = -LOG_SECONDS
        sock.setblocking(False)
        self._start()

    def _start(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as problem:
                if time.monotonic() - self._logged_at >= LOG_SECONDS:
                    self._logged_at = time.monotonic()
                    log.error("cannot accept clients, trying again every %g s: %s", PAUSE_SECONDS, problem)
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(PAUSE_SECONDS, self._start)
                return
            if _has_left(client):
                client.close()
            else:
                self._loop.spawn(self._welcome(client))

    async def _welcome(self, client: socket.socket) -> None:
        try:
            client.setblocking(False)
            if self._certificates is None:
                await self._loop.connect_accepted_socket(self._new_protocol, client)
            else:
                await begin_tls(self._loop, client, self._new_protocol, self._certificates)
        except OSError as problem:  # it has gone already
            log.debug("a client that was accepted cannot be served: %s", problem)
            client.close()
        except asyncio.CancelledError:
            client.close()
            raise

    def close(self) -> None:
        """Stop listening. To be called on the loop."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()


def _has_left(client: socket.socket) -> bool:
    """Whether a client closed its connection without a word. To find that out here costs a tenth of welcoming it, and
    those who come and go as fast as they can keep others waiting in the backlog.
    """
    try:
        return client.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
