"""Starts name servers: makes the daemon and the broadcast responder beside it, says where they are, and serves them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Final, TextIO

from pyronym.server.broadcast import BroadcastServer
from pyronym.server.daemon import Daemon
from pyronym.server.nameserver import NameServerDaemon, uri_at
from pyronym.uri import NAMESERVER_NAME, URI

log = logging.getLogger(__name__)

EXPOSED: Final = (
    "listening on %s, and not all clients need TLS or an HMAC key: whoever can reach this address can do what the "
    "permissions allow to anyone; switch TLS on (--tls-cert FILE) or set keys (--keys FILE, without --unsigned-pyro5), "
    "see docs/security.md, or listen on localhost or a Unix socket"
)


def startNS(
    host: str | Sequence[str] | None = None,
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
    with ``daemon.attach()``. `host` may stand for several addresses, as in NameServerDaemon. There is no broadcast
    responder for Unix sockets, and for addresses that only this machine can reach.
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
            own = daemon.uriFor(NAMESERVER_NAME, nat=False)
            responder = BroadcastServer(own, bchost, bcport, places=daemon.places, settings=daemon._settings)
            responder.offences = daemon._offences
    except BaseException:
        daemon.close()
        raise
    return uri, daemon, responder


def startNSloop(
    host: str | Sequence[str] | None = None,
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
    """Say on `out` (the standard output) where a name server runs, serve it, and close it at the end."""
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
            log.warning(EXPOSED, ", ".join(place.address for place in daemon.places if not place.is_loopback))
        _say_where(uri, daemon, has_key, out)
        daemon.requestLoop()
    finally:
        if responder is not None:
            responder.close()
        daemon.close()
    print("NS shut down.", file=out, flush=True)


def _say_where(uri: URI, daemon: NameServerDaemon, has_key: bool, out: TextIO) -> None:
    for place in daemon.places:
        print(f"NS running on {place.location} ({place.address})", file=out)
    if not daemon.places:
        print(f"NS running on {daemon.locationStr} (Unix domain socket)", file=out)
    tls_only = daemon._settings.ssl and daemon.places
    if tls_only:
        print("This port speaks TLS: clients must have SSL on.", file=out)
    if not has_key and not (tls_only and daemon._settings.ssl_requireclientcert):
        print("Warning: HMAC key not set. Anyone can connect to this server!", file=out)
    if daemon.natLocationStr:
        print(f"internal URI = {daemon.uriFor(NAMESERVER_NAME, nat=False)}", file=out)
        print(f"external URI = {uri}", file=out)
    else:
        print(f"URI = {uri}", file=out)
    for place in daemon.places[1:]:
        print(f"another URI = {uri_at(place.location)}", file=out)
    if daemon.tlsLocationStr:
        print(f"URI with TLS = {uri_at(daemon.tlsLocationStr)}", file=out)
    out.flush()


def _why_no_broadcast(daemon: Daemon) -> str | None:
    """What a broadcast responder would be of no use for; None if it is of use."""
    if not daemon.places:
        return "a Unix domain socket"
    return "localhost" if all(place.is_loopback for place in daemon.places) else None
