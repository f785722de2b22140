"""The name server as a process knows it: a daemon with the name server in it, and the broadcast responder beside it."""

from __future__ import annotations

import logging
import socket
import sys
from dataclasses import replace
from ipaddress import ip_address
from typing import Final, TextIO

from pyronym.server.addresses import location, unmapped
from pyronym.server.broadcast import BroadcastServer
from pyronym.server.daemon import Daemon
from pyronym.server.loop import LoopBase
from pyronym.service.guard import Audit
from pyronym.service.hosted import HostedNameServer
from pyronym.service.local import NameServer
from pyronym.service.own_record import OWN_TAGS
from pyronym.service.permissions import Permissions
from pyronym.settings import Settings, config
from pyronym.storage.base import Storage
from pyronym.storage.choose import storage_by_name
from pyronym.tls import ServerCertificates
from pyronym.uri import NAMESERVER_NAME, URI

log = logging.getLogger(__name__)


EXPOSED: Final = (
    "listening on %s without TLS or HMAC keys: whoever can reach this address can read and change all names; "
    "switch TLS on (--tls-cert FILE) or set keys (--keys FILE), see docs/security.md, or listen on localhost or a Unix "
    "socket"
)


class NameServerDaemon(Daemon):
    """A daemon that contains a name server, `nameserver`, and serves Pyro4 and Pyro5 clients from it.

    Arguments that are None come from the settings; `storage` is ``memory``, ``sql:FILE``, ``dbm:FILE`` or
    ``etcd://HOST:PORT/PREFIX``, or one that is open already; in any case it is closed with the daemon. Raises
    ValueError for other storages and for TLS files that cannot be used, StorageError if the storage cannot be used,
    OSError if the address cannot be.

    Where the settings have SSL on, the port speaks TLS. With a `tls_port` that one does, while `port` is plain: for the
    time of moving over. Each client is told the address of the name server at the port that it came in on.

    `keys` (HMAC keys by name), `permissions` (what clients may do) and `audit` (told of what they do) can be changed at
    any time; each counts for clients that connect from then on.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        unixsocket: str | None = None,
        nathost: str | None = None,
        natport: int | None = None,
        storage: str | Storage | None = None,
        *,
        tls_port: int | None = None,
        settings: Settings | None = None,
        loop: LoopBase | None = None,
    ) -> None:
        settings = settings or config.settings
        if isinstance(storage, str | None):
            storage = storage_by_name(storage, settings)
        self.nameserver = NameServer(storage, settings=settings)
        certificates = None
        try:
            if tls_port is not None:
                if unixsocket:
                    raise ValueError("cannot use tls_port together with unixsocket")
                certificates = ServerCertificates(settings)
                settings = replace(settings, ssl=False)
            super().__init__(
                host,
                settings.ns_port if port is None else port,
                unixsocket,
                nathost=nathost,
                natport=natport,
                settings=settings,
                loop=loop,
            )
        except BaseException:
            self.nameserver.close()
            raise
        self.nameserver.service.deliver = self._loop.post
        self.tlsLocationStr: str | None = None
        """Where TLS is spoken, if it is a place beside `locationStr`; seen from beyond the NAT, if there is one."""
        try:
            other_uris = {}
            if certificates is not None and tls_port is not None:
                host = settings.host if host is None else str(host)
                bound_host, bound_port = self._listen_also(host, tls_port, certificates)
                self.tlsLocationStr = location(nathost or settings.nathost or host or bound_host, bound_port)
                other_uris[bound_port] = URI(f"PYRO:{NAMESERVER_NAME}@{self.tlsLocationStr}")
            existing = self.nameserver.count()
            self._hosted = HostedNameServer(self.nameserver.service, settings, other_uris)
            self._host_object(NAMESERVER_NAME, self.nameserver, self._hosted)
            self.nameserver.adopt(self.uriFor(NAMESERVER_NAME), OWN_TAGS)
        except BaseException:
            self.close()
            raise
        log.info("name server created on %s, %d records in the storage", self.locationStr, existing)

    @property
    def permissions(self) -> Permissions | None:
        """What clients may do; None: everything."""
        return self._hosted.permissions

    @permissions.setter
    def permissions(self, permissions: Permissions | None) -> None:
        self._hosted.permissions = permissions

    @property
    def audit(self) -> Audit | None:
        """Takes the lines of the audit log."""
        return self._hosted.audit

    @audit.setter
    def audit(self, audit: Audit | None) -> None:
        self._hosted.audit = audit

    @property
    def is_protected(self) -> bool:
        """Whether HMAC keys or TLS stand between the network and the server, or only this machine can reach it."""
        name = self.sock.getsockname()
        if not isinstance(name, tuple) or ip_address(unmapped(name[0])).is_loopback:
            return True
        return bool(self._settings.ssl or self._pyroHmacKey or self.keys)

    def _leave(self) -> None:
        self.nameserver.service.end_watches()

    def _release(self) -> None:
        self.nameserver.close()


def startNS(
    host: str | None = None,
    port: int | None = None,
    enableBroadcast: bool = True,
    bchost: str | None = None,
    bcport: int | None = None,
    unixsocket: str | None = None,
    nathost: str | None = None,
    natport: int | None = None,
    storage: str | None = None,
    hmac: bytes | str | None = None,
) -> tuple[URI, NameServerDaemon, BroadcastServer | None]:
    """Make a name server for a loop of one's own: (its URI, the daemon to serve, the broadcast responder or None).

    The daemon listens at once and answers as soon as it is served: with ``daemon.requestLoop()``, in a ``select`` loop
    over ``daemon.sockets`` with ``daemon.events(ready)``, with ``other_daemon.combine(daemon)``, or in an asyncio loop
    with ``daemon.attach()``. There is no broadcast responder for Unix sockets, for IPv6 and for addresses that only
    this machine can reach.
    """
    daemon = NameServerDaemon(host, port, unixsocket, nathost=nathost, natport=natport, storage=storage)
    return with_responder(daemon, enableBroadcast, bchost, bcport, hmac)


def with_responder(
    daemon: NameServerDaemon,
    enable_broadcast: bool,
    bchost: str | None,
    bcport: int | None,
    hmac_key: bytes | str | None,
) -> tuple[URI, NameServerDaemon, BroadcastServer | None]:
    """What `startNS` gives, for a daemon that is there already. If it fails, the daemon is closed."""
    try:
        daemon._pyroHmacKey = hmac_key
        uri = daemon.uriFor(NAMESERVER_NAME)
        responder = None
        if enable_broadcast and _why_no_broadcast(daemon) is None:
            # The internal address: those who hear a broadcast are on this side of a NAT.
            responder = BroadcastServer(daemon.uriFor(NAMESERVER_NAME, nat=False), bchost, bcport)
    except BaseException:
        daemon.close()
        raise
    return uri, daemon, responder


def startNSloop(
    host: str | None = None,
    port: int | None = None,
    enableBroadcast: bool = True,
    bchost: str | None = None,
    bcport: int | None = None,
    unixsocket: str | None = None,
    nathost: str | None = None,
    natport: int | None = None,
    storage: str | None = None,
    hmac: bytes | str | None = None,
) -> None:
    """Start a name server, say on the standard output where it runs, and serve until it is shut down or interrupted."""
    uri, daemon, responder = startNS(
        host, port, enableBroadcast, bchost, bcport, unixsocket, nathost, natport, storage, hmac
    )
    serve(uri, daemon, responder, enable_broadcast=enableBroadcast, has_key=bool(hmac))


def serve(
    uri: URI,
    daemon: NameServerDaemon,
    responder: BroadcastServer | None,
    *,
    enable_broadcast: bool = True,
    has_key: bool = False,
    out: TextIO | None = None,
) -> None:
    """Announce on `out` (the standard output) where a name server runs, serve it, and close it at the end."""
    out = sys.stdout if out is None else out
    try:
        reason = _why_no_broadcast(daemon)
        if enable_broadcast and reason:
            print(f"Not starting broadcast server for {reason}.", file=out)
        if responder is not None:
            print(f"Broadcast server running on {responder.locationStr}", file=out)
            responder.runInThread()
        existing = daemon.nameserver.count()
        if existing > 1:  # the name server's own record does not count
            print(f"Persistent store contains {existing} existing registrations.", file=out)
        if not daemon.is_protected:
            log.warning(EXPOSED, _bound_to(daemon))
        print(f"NS running on {daemon.locationStr} ({_bound_to(daemon)})", file=out)
        tls_only = daemon._settings.ssl and daemon.sock.family != socket.AF_UNIX
        if tls_only:
            print("This port speaks TLS: clients must have SSL on.", file=out)
        if not has_key and not (tls_only and daemon._settings.ssl_requireclientcert):
            print("Warning: HMAC key not set. Anyone can connect to this server!", file=out)
        if daemon.natLocationStr:
            print(f"internal URI = {daemon.uriFor(NAMESERVER_NAME, nat=False)}", file=out)
            print(f"external URI = {uri}", file=out)
        else:
            print(f"URI = {uri}", file=out)
        if daemon.tlsLocationStr:
            print(f"URI with TLS = PYRO:{NAMESERVER_NAME}@{daemon.tlsLocationStr}", file=out)
        out.flush()
        daemon.requestLoop()
    finally:
        if responder is not None:
            responder.close()
        daemon.close()
    print("NS shut down.", file=out, flush=True)


def _bound_to(daemon: Daemon) -> str:
    """The address that the server listens on, as the start message names it."""
    name = daemon.sock.getsockname()
    return name[0] if isinstance(name, tuple) else "Unix domain socket"


def _why_no_broadcast(daemon: Daemon) -> str | None:
    """What a broadcast responder would be of no use for; None if it is of use."""
    name = daemon.sock.getsockname()
    if not isinstance(name, tuple):
        return "a Unix domain socket"
    if daemon.sock.family == socket.AF_INET6:
        return "IPv6"
    return "localhost" if name[0].startswith("127.") else None
