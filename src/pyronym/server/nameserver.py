"""The name server as a process knows it: a daemon with the name server in it, and the broadcast responder beside it."""

from __future__ import annotations

import logging
import resource
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, TextIO

from pyronym.directory.record import Change
from pyronym.errors import PyroError, StorageError
from pyronym.rpc.hosting import Address, Peer
from pyronym.rpc.offences import Offence
from pyronym.rpc.tally import Asked
from pyronym.server.addresses import Place, hosts_and_ports, location
from pyronym.server.broadcast import BroadcastServer
from pyronym.server.daemon import Daemon
from pyronym.server.loop import LoopBase
from pyronym.server.probing import Probing
from pyronym.server.pulse import Pulse
from pyronym.service.chronicle import Chronicle
from pyronym.service.guard import Audit, Guard, told
from pyronym.service.hosted import HostedNameServer
from pyronym.service.liveness import Suspect
from pyronym.service.local import NameServer
from pyronym.service.own_record import OWN_TAGS
from pyronym.service.permissions import Client, Permissions
from pyronym.settings import Settings, config
from pyronym.storage.base import Storage
from pyronym.storage.choose import storage_by_name
from pyronym.tls import ServerCertificates
from pyronym.uri import NAMESERVER_NAME, URI

log = logging.getLogger(__name__)


EXPOSED: Final = (
    "listening on %s, and not all clients need TLS or an HMAC key: whoever can reach this address can do what the "
    "permissions allow to anyone; switch TLS on (--tls-cert FILE) or set keys (--keys FILE, without --unsigned-pyro5), "
    "see docs/security.md, or listen on localhost or a Unix socket"
)


SLOW_SECONDS: Final = 1.0
"""A client that lets the server wait for longer is told of as a slow one."""


class Measures(NamedTuple):
    """What a daemon has counted so far."""

    connections: int
    """That are open."""
    requests: Mapping[Asked, int]
    offences: Mapping[Offence, int]
    pulse: Pulse


class NameServerDaemon(Daemon):
    """A daemon that contains a name server, `nameserver`, and serves Pyro4 and Pyro5 clients from it.

    Arguments that are None come from the settings; `storage` is ``memory``, ``sql:FILE``, ``dbm:FILE`` or
    ``etcd://HOST:PORT/PREFIX``, or one that is open already; in any case it is closed with the daemon. Raises
    ValueError for other storages and for TLS files that cannot be used, StorageError if the storage cannot be used,
    OSError if the address cannot be.

    It listens on `host`, or on several: a text with commas, or a sequence of texts. Each is HOST, HOST:PORT or
    [IPV6]:PORT, where `port` is for those that name none. Each client is told the address of the name server that it
    came in at; `locationStr` and `uriFor` tell the first. A name that has several addresses stands for one of them, as
    PREFER_IP_VERSION says.

    Where the settings have SSL on, the port speaks TLS. With a `tls_port` that one does, on all hosts, while `port` is
    plain: for the time of moving over. `sockets` that listen already stand for hosts, ports and `unixsocket`,
    `tls_sockets` for the port with TLS.

    Where the settings have NS_AUTOCLEAN on, records whose objects are gone are removed; see docs/operating.md.

    `keys` (HMAC keys by name), `permissions` (what clients may do) and `audit` (told of what they do) can be changed at
    any time; each counts for clients that connect from then on.
    """

    def __init__(
        self,
        host: str | Sequence[str] | None = None,
        port: int | None = None,
        unixsocket: str | None = None,
        nathost: str | None = None,
        natport: int | None = None,
        storage: str | Storage | None = None,
        *,
        tls_port: int | None = None,
        sockets: Sequence[socket.socket] = (),
        tls_sockets: Sequence[socket.socket] = (),
        settings: Settings | None = None,
        loop: LoopBase | None = None,
    ) -> None:
        settings = settings or config.settings
        if isinstance(storage, str | None):
            storage = storage_by_name(storage, settings)
        self.nameserver = NameServer(storage, settings=settings)
        certificates = None
        try:
            hosts = settings.host if host is None else host
            addresses = hosts_and_ports(hosts, settings.ns_port if port is None else port)
            if tls_port is not None or tls_sockets:
                if unixsocket:
                    raise ValueError("cannot use tls_port together with unixsocket")
                certificates = ServerCertificates(settings)
                settings = replace(settings, ssl=False)
            super().__init__(
                *addresses[0],
                unixsocket,
                nathost=nathost,
                natport=natport,
                also=[] if unixsocket else addresses[1:],
                sockets=sockets,
                settings=settings,
                loop=loop,
            )
        except BaseException:
            self.nameserver.close()
            raise
        self.nameserver.service.deliver = self._loop.post
        self.nameserver.service.gather_by(self._loop.at_end_of_turn)
        self._probing: Probing | None = None
        self._audit: Audit | None = None
        self._chronicle: Chronicle | None = None
        self.tlsLocationStr: str | None = None
        """Where TLS is spoken, if it is a place beside `locationStr`; seen from beyond the NAT, if there is one."""
        try:
            own_uris = self._own_uris()
            if certificates is not None:
                hosts = list(dict.fromkeys(host for host, _ in addresses))
                self._listen_for_tls(hosts, tls_port, tls_sockets, certificates, own_uris)
            self._host_name_server(own_uris)
        except BaseException:
            self.close()
            raise

    def _host_name_server(self, own_uris: Mapping[Address, URI]) -> None:
        existing = self.nameserver.count()
        self._hosted = HostedNameServer(self.nameserver.service, self._settings, own_uris, self._tally)
        self.nameserver.service.node.traffic = self._traffic
        self._host_object(NAMESERVER_NAME, self.nameserver, self._hosted)
        self.nameserver.adopt(self.uriFor(NAMESERVER_NAME), OWN_TAGS)
        if self._settings.ns_autoclean:
            self._probing = self._begin_probing()
        log.info("name server created on %s, %d records in the storage", self.locationStr, existing)

    def _own_uris(self) -> dict[Address, URI]:
        """The name server's URI at each place where it listens."""
        uris = {_key(place): _uri_at(place.location) for place in self.places}
        if self.places:
            uris[_key(self.places[0])] = self.uriFor(NAMESERVER_NAME)
        return uris

    def _listen_for_tls(
        self,
        hosts: Sequence[str],
        port: int | None,
        sockets: Sequence[socket.socket],
        certificates: ServerCertificates,
        own_uris: dict[Address, URI],
    ) -> None:
        places = [self._entrance.also_with(sock, "", certificates) for sock in sockets]
        if port is not None:
            alone = len(hosts) == 1
            places += [self._entrance.also_at(host, port, certificates, alone=alone) for host in hosts]
        for place in places:
            told = place.location
            if self.tlsLocationStr is None:
                nathost = self.uriFor(NAMESERVER_NAME).host if self.natLocationStr else None
                self.tlsLocationStr = told = location(nathost or place.host, place.port)
            own_uris[_key(place)] = _uri_at(told)

    def _begin_probing(self) -> Probing:
        from_here = all(place.is_loopback for place in self.places)
        service = self.nameserver.service
        probing = Probing(
            service, self._settings, self._readers, self._offences, self._remove_dead, all_from_here=from_here
        )
        self._hosted.witness = probing.witness
        service.state_of = probing.state_of
        self._loop.spawn(probing.run())
        return probing

    def _remove_dead(self, suspects: Sequence[Suspect]) -> None:
        """Remove the records of objects that are gone, as far as they have not changed since."""
        reasons = {suspect.record.name: f"{suspect.state}: {suspect.why}" for suspect in suspects}

        def note(changes: Sequence[Change], error: PyroError | None) -> None:
            for (name, _), about in zip(changes, told(changes, error), strict=True):
                fields = {"name": name, "reason": reasons[name], "outcome": about["outcome"]}
                log.info("removing %r, %s: %s", *fields.values(), extra={"fields": fields})
                if self._hosted.audit is not None:
                    self._hosted.audit({"who": "probe", "from": None, "what": "remove", "why": reasons[name], **about})

        with suppress(StorageError):  # it is in the log, and the next round tries again
            self.nameserver.service.remove_unchanged([suspect.record for suspect in suspects], note)

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
        return self._audit

    @audit.setter
    def audit(self, audit: Audit | None) -> None:
        self._audit = audit
        self._choose_takers()

    def keep_chronicle(self) -> Chronicle:
        """Remember what is changed from here on: by clients that connect from then on, and by the name server."""
        self._chronicle = Chronicle(self._settings.max_history, time.time)
        self._choose_takers()
        return self._chronicle

    def _choose_takers(self) -> None:
        """Have what is changed told to those who want to know."""
        takers: list[Audit] = [taker for taker in (self._audit, self._chronicle) if taker is not None]
        self._hosted.audit = takers[0] if len(takers) == 1 else partial(_tell_all, takers) if takers else None

    def guard_for(self, client: Client, peer: Peer) -> Guard:
        """The name service as a client may use it that does not speak a protocol of ours."""
        return self._hosted.guard_for(client, peer)

    @property
    def wants_keys(self) -> bool:
        """Whether all clients need an HMAC key."""
        return bool(self._pyroHmacKey or self.keys) and not self._settings.unsigned_pyro5

    @property
    def is_protected(self) -> bool:
        """Whether TLS, or HMAC keys for all, stand before the server, or only this machine can reach it."""
        if all(place.is_loopback for place in self.places):
            return True
        return self._settings.ssl or self.wants_keys

    @property
    def measures(self) -> Measures:
        """What has been counted, for those who watch over the server. From any thread."""
        counts = {} if self._tally is None else self._tally.counts()
        return Measures(len(self._clients), counts, self.offences, self._clients.pulse)

    def _traffic(self) -> dict[str, object]:
        connections, requests, offences, pulse = self.measures
        slow = self._clients.patience.slow(time.monotonic(), SLOW_SECONDS)
        return {
            "connections": connections,
            "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "slow": {phase.value: count for phase, count in slow.items()},
            "requests": [{**asked._asdict(), "count": count} for asked, count in requests.items()],
            "offences": {str(what): count for what, count in offences.items()},
            "loop_lag": pulse.lag,
            "latencies": {
                method: {"calls": spread.count, "seconds": spread.total}
                for method, spread in list(pulse.latencies.items())
            },
        }

    def _leave(self) -> None:
        self.nameserver.service.end_watches()

    def _release(self) -> None:
        if self._probing is not None:
            self._probing.close()
        self.nameserver.close()


def _tell_all(takers: Sequence[Audit], line: dict[str, object]) -> None:
    for taker in takers:
        taker(line)


def _key(place: Place) -> Address:
    """By which `HostedNameServer` knows the clients that came in at a place."""
    return ("" if place.is_everywhere else place.address), place.port


def _uri_at(where: str) -> URI:
    return URI(f"PYRO:{NAMESERVER_NAME}@{where}")


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
        print(f"another URI = {_uri_at(place.location)}", file=out)
    if daemon.tlsLocationStr:
        print(f"URI with TLS = {_uri_at(daemon.tlsLocationStr)}", file=out)
    out.flush()


def _why_no_broadcast(daemon: Daemon) -> str | None:
    """What a broadcast responder would be of no use for; None if it is of use."""
    if not daemon.places:
        return "a Unix domain socket"
    return "localhost" if all(place.is_loopback for place in daemon.places) else None
