"""The name server as a hosted object: each client gets it in its own dialect, and from its own point of view."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from pyronym.directory.record import Change
from pyronym.errors import PyroError
from pyronym.rpc.exposed import Members, exposed_members
from pyronym.rpc.hosting import Address, Hosted, Peer, Step, StraightRoad
from pyronym.rpc.tally import Tally
from pyronym.service import pyro4, pyro5, requests
from pyronym.service.guard import Audit, Guard, told
from pyronym.service.nameservice import NameService
from pyronym.service.permissions import OPEN, Client, Permissions
from pyronym.service.pipeline import Note
from pyronym.service.straight_road import Requests, straight_road
from pyronym.service.together import together
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.message import PYRO4


class HostedNameServer(Hosted):
    """What the object id `Pyro.NameServer` stands for in a daemon. Answers come straight from memory: inline.

    `own_uris`: the name server's URI for clients that come in at these addresses, where it may be another than that of
    its record. An empty host stands for all. `tally` counts what is answered.
    """

    inline = True

    def __init__(
        self,
        service: NameService,
        settings: Settings,
        own_uris: Mapping[Address, URI] = MappingProxyType({}),
        tally: Tally | None = None,
    ) -> None:
        self.permissions: Permissions | None = None
        """What clients may do; None: everything. A client gets what is set when it connects."""
        self.witness: Callable[[Peer], Note | None] = lambda peer: None
        """Who is told of what a client registers."""
        self._audit: Audit | None = None
        self._service = service
        self._own_uris = own_uris
        self._settings = settings
        lanes = (tally or Tally()).lanes
        self._requests = {protocol: Requests(service, protocol, settings, lane) for protocol, lane in lanes.items()}

    @property
    def audit(self) -> Audit | None:
        """Told of what clients change, of what they were refused, and of what has gone because leases ended."""
        return self._audit

    @audit.setter
    def audit(self, audit: Audit | None) -> None:
        self._audit = audit
        self._service.expiry.note = None if audit is None else partial(_take_down_expiry, audit)

    def members(self, protocol: int) -> Members:
        """The methods of the dialect that goes with `protocol`."""
        return exposed_members(_dialect(protocol))

    def bind(self, peer: Peer) -> requests.NameServer:
        """The name server for one client."""
        own_uri = self._own_uris.get(peer.local)
        if own_uri is None and isinstance(peer.local, tuple):
            own_uri = self._own_uris.get(("", peer.local[1]))
        service = self._guard(peer) or self._service
        client = peer.remote[0] if isinstance(peer.remote, tuple) else None
        return _dialect(peer.protocol)(service, peer.local, own_uri, self._settings, client)

    def release(self, bound: object) -> None:
        """A client has gone."""
        assert isinstance(bound, requests.NameServer), "that is what `bind` gives"
        bound.disconnected()

    def together(self, bound: object, steps: Sequence[Step]) -> Generator[Any, Any, Sequence[object] | None]:
        """Plain registrations go into the storage together, and are waited for once."""
        assert isinstance(bound, requests.NameServer), "that is what `bind` gives"
        return together(bound, steps)

    def straight_road(self, peer: Peer, hmac_key: bytes | None) -> StraightRoad | None:
        """The straight road for one client."""
        requests, guard = self._requests[peer.protocol], self._guard(peer)
        if guard is not None:
            requests = requests.on_behalf_of(guard)
        return straight_road(requests, peer.protocol, self._settings, hmac_key)

    def _guard(self, peer: Peer) -> Guard | None:
        """What stands between this client and the service; None: nothing."""
        witness = self.witness(peer)
        limited = self._settings.max_names_per_client
        if self.permissions is None and self._audit is None and witness is None and not limited:
            return None
        host = peer.remote[0] if isinstance(peer.remote, tuple) else None
        return self._guard_for(Client(peer.tls_subject, peer.key_name, peer.unix_user, host), peer.remote, witness)

    def guard_for(self, client: Client, peer: Peer) -> Guard:
        """The service as a client may use it that does not speak a protocol of ours."""
        return self._guard_for(client, peer.remote, self.witness(peer))

    def _guard_for(self, client: Client, remote: Address, witness: Note | None) -> Guard:
        address = "unix socket"
        if isinstance(remote, tuple):
            host, port = remote
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return Guard(self._service, (self.permissions or OPEN).grant(client), address, self._audit, witness)


def _dialect(protocol: int) -> type[requests.NameServer]:
    return pyro4.NameServer if protocol == PYRO4 else pyro5.NameServer


def _take_down_expiry(audit: Audit, changes: Sequence[Change], error: PyroError | None) -> None:
    for about in told(changes, error):
        audit({"who": "the name server", "from": None, "what": "expire", **about})
