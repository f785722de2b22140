"""The broadcast responder: tells clients that search the network where the name server is.

They ask by IPv4 broadcast, or by IPv6 multicast, for there is no broadcast in IPv6.
"""

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
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address
from types import TracebackType
from typing import Final, Self

from pyronym.client.multicast import interfaces_of, multicast_group
from pyronym.rpc.offences import Offence
from pyronym.server.addresses import WILDCARDS, Place, address_towards, location, place_towards, unmapped
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

# Linux tells at which of its addresses a datagram arrived. Python names this option from version 3.12 on.
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8) if sys.platform == "linux" else None
_PKTINFO: Final = struct.Struct("@I4s4s")
"""``struct in_pktinfo``: interface, local address, address in the datagram's header."""
_IPV6_PKTINFO: Final = struct.Struct("@16sI")
"""``struct in6_pktinfo``: address in the datagram's header, interface."""
_ANCILLARY_SIZE: Final = socket.CMSG_SPACE(_PKTINFO.size) + socket.CMSG_SPACE(_IPV6_PKTINFO.size)

log = logging.getLogger(__name__)


class BroadcastServer:
    """Answers questions for the name server with its URI, `nsUri`.

    If that URI means all interfaces, each client gets the address at which its question came in. `places` are where the
    name server listens: if they are given, each client gets the one that is right for it instead.

    The responder listens at UDP (`bchost`, `bcport`), by default as NS_BCHOST and NS_BCPORT say; with `ipv6`, or if the
    URI or one of the places is one of IPv6, at an IPv6 address. On all IPv6 addresses (``::``) it hears IPv4 broadcasts
    too, and joins the groups that are among BROADCAST_ADDRS, on each interface that there is. It is served by a thread
    (`runInThread`), by a ``select`` loop that calls `processRequest` when it is readable, by a daemon
    (`Daemon.combine`), or by an asyncio loop (`attach`).

    Raises OSError, with the address and the system's error number, when it cannot listen there.
    """

    def __init__(
        self,
        nsUri: URI | str,
        bchost: str | None = None,
        bcport: int | None = None,
        ipv6: bool = False,
        *,
        places: Sequence[Place] = (),
        settings: Settings | None = None,
    ) -> None:
        settings = settings or config.settings
        self.nsUri = URI(nsUri)
        self._places = places
        host = bchost or settings.ns_bchost or ""
        if not host and (ipv6 or any(":" in part for part in (self.nsUri.host or "", *(p.address for p in places)))):
            host = "::"
        port = settings.ns_bcport if bcport is None else bcport
        self.sock = open_socket(host, port, socket.SOCK_DGRAM, settings)
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if _IP_PKTINFO is not None:
            self.sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            if host == "::":  # at one address no datagrams for a group arrive
                _join(self.sock, settings.broadcast_addrs)
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
            question, ancillary, _, asker = self.sock.recvmsg(len(QUESTION) + 1, _ANCILLARY_SIZE)
            if question != QUESTION:
                self._ignore(Offence.BROKEN_DATAGRAM, asker[0])
            elif not self._rate.allows(asker[0], time.monotonic()):
                self._ignore(Offence.DATAGRAMS, asker[0])
            else:
                self.sock.sendto(self._answer(ancillary, *asker), asker)
        except BlockingIOError:
            pass
        except OSError as problem:
            log.debug("cannot answer a question for the name server: %s", problem)

    def _ignore(self, why: Offence, asker: str) -> None:
        # One line a minute for all of them: whoever sends datagrams can name any sender.
        if self.offences.note(why, "datagrams", time.monotonic()):
            log.warning("broadcast server: ignoring a datagram from %s: %s", asker, why)

    def _answer(
        self, ancillary: Iterable[tuple[int, int, bytes]], asker: str, _: int, flow: int = 0, interface: int = 0
    ) -> bytes:
        uri = URI(self.nsUri)
        if self._places or uri.host in WILDCARDS:
            here = _local_address(ancillary) or address_towards(unmapped(asker), interface)
            if self._places:
                place = place_towards(self._places, here)
                uri.host, uri.port = place.host, place.port
            if uri.host in WILDCARDS:
                uri.host = here
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


def _join(sock: socket.socket, hosts: Iterable[str]) -> None:
    """Hear what is sent to the IPv6 groups among `hosts`, on all interfaces, or on the one that a zone names."""
    for group in filter(None, map(multicast_group, hosts)):
        for interface in interfaces_of(group):
            try:
                membership = _IPV6_PKTINFO.pack(group.packed, interface)  # struct ipv6_mreq looks the same
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, membership)
            except OSError as problem:
                log.debug("cannot join the group %s on interface %d: %s", group, interface, problem)


def _local_address(ancillary: Iterable[tuple[int, int, bytes]]) -> str | None:
    """Where a datagram arrived, as far as the system has told."""
    here = None
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= _PKTINFO.size:
            _, local, _ = _PKTINFO.unpack_from(data)
            return socket.inet_ntoa(local)
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(data) >= _IPV6_PKTINFO.size:
            address = IPv6Address(data[:16])
            if not address.is_multicast and address.ipv4_mapped is None:
                here = str(address)
    return here
