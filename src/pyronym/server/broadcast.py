"""The broadcast responder: tells clients that search the network where the name server is."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from pyronym.rpc.offences import Offence
from pyronym.server.addresses import address_towards, location, unmapped
from pyronym.server.limits import Offences, RateLimit
from pyronym.server.listening import open_socket
from pyronym.server.loop import Watchers
from pyronym.settings import Settings, config
from pyronym.uri import URI

QUESTION: Final = b"GET_NSURI"

ANSWERS_PER_SECOND: Final = 20.0
ANSWERS_AT_ONCE: Final = 200
"""For each asker. Anyone can send a question in the name of another, who then gets the answers: they must not become
more than he hardly notices. Hundreds of programs that start together on one host still get theirs."""

DATAGRAMS_PER_SECOND: Final = 1000.0
DATAGRAMS_AT_ONCE: Final = 500
"""From all together, that the thread takes. What comes faster waits in the socket, which drops what it has no room for:
a thread that never waits would keep the name server in the same process from its work."""

REST_SECONDS: Final = 0.02
"""How long the thread takes none after so many."""

WILDCARDS: Final = frozenset(["", "0.0.0.0", "::"])
"""Hosts that mean all interfaces. No client can reach a server by them."""

# Linux tells at which of its addresses a datagram arrived. Python names this option from version 3.12 on.
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8) if sys.platform == "linux" else None
_PKTINFO: Final = struct.Struct("@I4s4s")
"""``struct in_pktinfo``: interface, local address, address in the datagram's header."""

log = logging.getLogger(__name__)


class BroadcastServer:
    """Answers questions for the name server with its URI, `nsUri`.

    If that URI means all interfaces, each client gets the address at which its question came in. The responder listens
    at UDP (`bchost`, `bcport`), by default as NS_BCHOST and NS_BCPORT say; with `ipv6`, or if the URI is one of IPv6,
    at an IPv6 address. It is served by a thread (`runInThread`), by a ``select`` loop that calls `processRequest` when
    it is readable, by a daemon (`Daemon.combine`), or by an asyncio loop (`attach`).

    Raises OSError, with the address and the system's error number, when it cannot listen there.
    """

    def __init__(
        self,
        nsUri: URI | str,
        bchost: str | None = None,
        bcport: int | None = None,
        ipv6: bool = False,
        *,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or config.settings
        self.nsUri = URI(nsUri)
        host = bchost or settings.ns_bchost or ""
        if not host and (ipv6 or ":" in (self.nsUri.host or "")):
            host = "::"
        port = settings.ns_bcport if bcport is None else bcport
        self.sock = open_socket(host, port, socket.SOCK_DGRAM, settings)
        self.sock.setblocking(False)
        if self.sock.family == socket.AF_INET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if _IP_PKTINFO is not None:
                self.sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        name = self.sock.getsockname()
        self.locationStr = location(host or name[0], name[1])
        self._rate = RateLimit(ANSWERS_PER_SECOND, ANSWERS_AT_ONCE)
        self.offences = Offences()
        """Counts datagrams that were not answered."""
        self._watchers = Watchers()
        self._thread: threading.Thread | None = None
        self._stop_reading, self._stop_writing = os.pipe()
        log.info("broadcast server created on %s", self.locationStr)

    def fileno(self) -> int:
        """The descriptor that is readable when there is a question; -1 when the responder is closed."""
        return self.sock.fileno()

    def getPort(self) -> int:
        """The UDP port."""
        port: int = self.sock.getsockname()[1]
        return port

    def processRequest(self) -> None:
        """Answer one question, if there is one. Never waits, never raises."""
        try:
            question, ancillary, _, asker = self.sock.recvmsg(len(QUESTION) + 1, socket.CMSG_SPACE(_PKTINFO.size))
            if question != QUESTION:
                self._ignore(Offence.BROKEN_DATAGRAM, asker)
            elif not self._rate.allows(asker[0], time.monotonic()):
                self._ignore(Offence.DATAGRAMS, asker)
            else:
                self.sock.sendto(self._answer(ancillary, asker[0]), asker)
        except BlockingIOError:
            pass
        except OSError as problem:
            log.debug("cannot answer a question for the name server: %s", problem)

    def _ignore(self, why: Offence, asker: tuple[str, int]) -> None:
        # One line a minute for all of them: whoever sends datagrams can name any sender.
        if self.offences.note(why, "datagrams", time.monotonic()):
            log.warning("broadcast server: ignoring a datagram from %s: %s", asker[0], why)

    def _answer(self, ancillary: Iterable[tuple[int, int, bytes]], asker: str) -> bytes:
        uri = URI(self.nsUri)
        if uri.host in WILDCARDS:
            uri.host = _local_address(ancillary) or unmapped(address_towards(asker))
        log.debug("telling %s that the name server is at %s", asker, uri.location)
        return str(uri).encode("iso-8859-1")

    def runInThread(self) -> threading.Thread:
        """Answer questions in a thread, which is given back, until `close`."""
        self._thread = threading.Thread(target=self._serve, name="pyronym broadcast server", daemon=True)
        self._thread.start()
        return self._thread

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.sock, selectors.EVENT_READ)
            selector.register(self._stop_reading, selectors.EVENT_READ)
            pace = RateLimit(DATAGRAMS_PER_SECOND, DATAGRAMS_AT_ONCE)
            while all(key.fileobj is self.sock for key, _ in selector.select()):
                if pace.allows("all", time.monotonic()):
                    self.processRequest()
                else:
                    select.select([self._stop_reading], [], [], REST_SECONDS)

    def attach(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Let an asyncio loop serve this, the running one if none is given. To be called in the thread of that loop."""
        self._watchers.add(loop or asyncio.get_running_loop(), self.fileno(), self.processRequest)

    def close(self) -> None:
        """Stop answering and close the socket. Once is enough, more does no harm."""
        if self.sock.fileno() < 0:
            return
        self._watchers.remove_all()
        os.close(self._stop_writing)
        if self._thread is not None:
            self._thread.join()
        os.close(self._stop_reading)
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _local_address(ancillary: Iterable[tuple[int, int, bytes]]) -> str | None:
    """Where a datagram arrived, as far as the system has told."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO.size:
            _, local, _ = _PKTINFO.unpack_from(data)
            return socket.inet_ntoa(local)
    return None
