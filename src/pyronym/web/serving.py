"""The HTTP side as a thread with a loop of its own: however busy it is, it does not stall the wire."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from pyronym.tls import ServerCertificates, subject_of
from pyronym.web.app import Web

MOST_CONNECTIONS: Final = 256
"""At a time. Further ones are answered with 503."""

IDLE_SECONDS: Final = 15
"""How long a connection may be silent after an answer."""

HEAD_SECONDS: Final = 10.0
"""How long a client may take from its connection, or from the first byte of a request, to the end of the headers."""

UNREAD_SECONDS: Final = 60.0
"""How long a client may leave answers unread."""

MAX_HEAD: Final = 64 * 1024
"""Bytes of these. A name of 4096 characters can take 48 KiB."""

STOP_SECONDS: Final = 5.0


class HttpServer:
    """Serves `web` at a listening socket, which belongs to it from here on; by TLS if there are `certificates`."""

    def __init__(self, web: Web, sock: socket.socket, certificates: ServerCertificates | None) -> None:
        self._web = web
        self._sock = sock
        config = Config(
            web.app,
            http=_Connection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            loop="asyncio",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # or else whoever is on this machine could say that he is somebody else
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=MAX_HEAD,
            ssl_context_factory=None if certificates is None else lambda *_: _context(certificates),
        )
        self._server = Server(config)
        self._thread = threading.Thread(target=self._run, name="pyronym-http", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End: requests that are being answered have a second for it."""
        self._server.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._web.streams.end)
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve([self._sock])


def _context(certificates: ServerCertificates) -> ssl.SSLContext:
    """A context that lets each client have the certificate that is there when it comes."""
    context = certificates.context()

    def renew(client: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        client.context = certificates.context()

    context.sni_callback = renew  # called without a name, too
    return context


class _Connection(H11Protocol):
    """One connection: knows the client's certificate, and does not wait for the client without end.

    It is cut off, not closed: to close it would wait until the client has read what is left.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_ends: asyncio.TimerHandle | None = None
        self._unread_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Begin to wait for a request."""
        super().connection_made(transport)
        subject = subject_of(transport.get_extra_info("peercert"))
        app = self.app

        async def with_subject(scope: Any, receive: Any, send: Any) -> None:
            scope["tls_subject"] = subject
            await app(scope, receive, send)

        self.app = with_subject
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and self._head_ends is not None:
            self._head_ends.cancel()
            self._head_ends = None
        elif self._head_ends is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()

    def connection_lost(self, problem: Exception | None) -> None:
        """The client has gone."""
        for timer in (self._head_ends, self._unread_ends):
            if timer is not None:
                timer.cancel()
        super().connection_lost(problem)

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._unread_ends = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read them."""
        if self._unread_ends is not None:
            self._unread_ends.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """The client has no further request."""
        self.transport.abort()

    def _expect_head(self) -> None:
        self._head_ends = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
