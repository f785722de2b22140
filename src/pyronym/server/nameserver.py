"""The daemon with the name server in it."""

from __future__ import annotations

import logging
import resource
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from pyronym.directory.record import Change
from pyronym.errors import PyroError, StorageError
from pyronym.rpc.hosting import Address, Peer
from pyronym.rpc.offences import Offence
from pyronym.rpc.tally import Asked
from pyronym.server.addresses import Place, hosts_and_ports, location
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
        uris = {_key(place): uri_at(place.location) for place in self.places}
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
            own_uris[_key(place)] = uri_at(told)

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


def uri_at(where: str) -> URI:
    """The URI of a name server at this location."""
    return URI(f"PYRO:{NAMESERVER_NAME}@{where}")
