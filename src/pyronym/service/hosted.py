"""The name server as a hosted object: each client gets it in its own dialect, and from its own point of view."""

from __future__ import annotations

from pyronym.rpc.exposed import Members, exposed_members
from pyronym.rpc.hosting import Peer
from pyronym.service import pyro4, pyro5, requests
from pyronym.service.nameservice import NameService
from pyronym.wire.message import PYRO4


class HostedNameServer:
    """What the object id `Pyro.NameServer` stands for in a daemon. Answers come straight from memory: inline."""

    inline = True
    per_call = False

    def __init__(self, service: NameService) -> None:
        self._service = service

    def members(self, protocol: int) -> Members:
        """The methods of the dialect that goes with `protocol`."""
        return exposed_members(_dialect(protocol))

    def bind(self, peer: Peer) -> requests.NameServer:
        """The name server for one client."""
        return _dialect(peer.protocol)(self._service, peer.local)


def _dialect(protocol: int) -> type[requests.NameServer]:
    return pyro4.NameServer if protocol == PYRO4 else pyro5.NameServer
