"""A name server of one or several nodes, as the object of a proxy."""

# ruff: noqa: N815 (the attributes are named like those of all proxies)

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.client.endpoint import Endpoint
from pyronym.client.network import Network, Stream
from pyronym.client.nodes import Nodes
from pyronym.client.search import find_name_server
from pyronym.settings import Settings
from pyronym.uri import NAMESERVER_NAME, URI, name_servers_at

S = TypeVar("S", bound=Stream)


class NameServerEndpoint(Endpoint):
    """Is connected to the first of its nodes that answers, beginning with the one that did last."""

    _pyroNodes = Nodes(())

    def _pyroPrepare(self, settings: Settings) -> None:
        super()._pyroPrepare(settings)
        self._pyroNodes = Nodes(name_servers_at(str(self._pyroUri.location), settings.ns_port))

    async def _pyroOpen(self, network: Network[S], deadline: Deadline) -> Connection[S]:
        nodes = self._pyroNodes
        connection = await find_name_server(
            network, nodes.in_order(), None, False, self._pyroSettings, self._pyroKey, deadline
        )
        nodes.answers(connection.uri)
        return connection


def uri_of(nodes: Sequence[URI]) -> URI:
    """The URI of the name server that has these nodes."""
    if len(nodes) == 1:
        return nodes[0]
    return URI(f"PYRONAME:{NAMESERVER_NAME}@{','.join(str(node.location) for node in nodes)}")
