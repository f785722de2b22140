"""The name server as a hosted object: each client gets it in its own dialect, and from its own point of view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pyronym.rpc.exposed import Members, exposed_members
from pyronym.rpc.hosting import Address, Hosted, Peer, StraightRoad
from pyronym.service import pyro4, pyro5, requests
from pyronym.service.guard import Audit, Guard
from pyronym.service.nameservice import NameService, Note
from pyronym.service.permissions import OPEN, Client, Permissions
from pyronym.service.straight_road import Requests, straight_road
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5


class HostedNameServer(Hosted):
    """What the object id `Pyro.NameServer` stands for in a daemon. Answers come straight from memory: inline.

    `own_uris`: the name server's URI for clients that come in at these addresses, where it may be another than that of
    its record. An empty host stands for all.
    """

    inline = True

    def __init__(
        self, service: NameService, settings: Settings, own_uris: Mapping[Address, URI] = MappingProxyType({})
    ) -> None:
        self.permissions: Permissions | None = None
        """What clients may do; None: everything. A client gets what is set when it connects."""
        self.audit: Audit | None = None
        """Told of what clients change, and of what they were refused."""
        self.witness: Callable[[Peer], Note | None] = lambda peer: None
        """Who is told of what a client registers."""
        self._service = service
        self._own_uris = own_uris
        self._settings = settings
        self._requests = {protocol: Requests(service, protocol, settings) for protocol in (PYRO4, PYRO5)}

    def members(self, protocol: int) -> Members:
        """The methods of the dialect that goes with `protocol`."""
        return exposed_members(_dialect(protocol))

    def bind(self, peer: Peer) -> requests.NameServer:
        """The name server for one client."""
        own_uri = self._own_uris.get(peer.local)
        if own_uri is None and isinstance(peer.local, tuple):
            own_uri = self._own_uris.get(("", peer.local[1]))
        service = self._guard(peer) or self._service
        return _dialect(peer.protocol)(service, peer.local, own_uri, self._settings)

    def straight_road(self, peer: Peer, hmac_key: bytes | None) -> StraightRoad | None:
        """The straight road for one client."""
        requests, guard = self._requests[peer.protocol], self._guard(peer)
        if guard is not None:
            requests = requests.on_behalf_of(guard)
        return straight_road(requests, peer.protocol, self._settings, hmac_key)

    def _guard(self, peer: Peer) -> Guard | None:
        """What stands between this client and the service; None: nothing."""
        witness = self.witness(peer)
        if self.permissions is None and self.audit is None and witness is None:
            return None
        host, address = None, "unix socket"
        if isinstance(peer.remote, tuple):
            host, port = peer.remote
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        client = Client(peer.tls_subject, peer.key_name, peer.unix_user, host)
        return Guard(self._service, (self.permissions or OPEN).grant(client), address, self.audit, witness)


def _dialect(protocol: int) -> type[requests.NameServer]:
    return pyro4.NameServer if protocol == PYRO4 else pyro5.NameServer
