"""A name server of one or several nodes, as the object of a proxy."""

# ruff: noqa: N815 (the attributes are named like those of all proxies)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.client.endpoint import Endpoint
from pyronym.client.hedging import Race
from pyronym.client.network import Network, Stream
from pyronym.client.nodes import Nodes
from pyronym.client.search import find_name_server
from pyronym.rpc.client import Answer
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
            network, nodes.in_order(), None, False, self._pyroSettings, self._pyroKey, deadline, known=nodes
        )
        nodes.answers(connection.uri)
        return connection

    async def _pyroAskNodes(
        self,
        network: Network[S],
        connection: Connection[S],
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        deadline: Deadline,
        *,
        batch: bool = False,
    ) -> tuple[Connection[S], Answer]:
        """The first answer to a call that changes nothing, as Race says. Its node is in front then."""

        def request(asked: Connection[S]) -> bytes:
            return self._pyroRequest(asked, method, args, kwargs, batch=batch)

        nodes = self._pyroNodes
        others = [uri for uri in nodes.in_order() if uri != connection.uri]
        race = Race(network, request, self._pyroSettings, self._pyroKey, deadline)
        answering, answer = await race.run(connection, others)
        if answering is not connection:
            nodes.answers(answering.uri)
        return answering, answer


def uri_of(nodes: Sequence[URI]) -> URI:
    """The URI of the name server that has these nodes."""
    if len(nodes) == 1:
        return nodes[0]
    return URI(f"PYRONAME:{NAMESERVER_NAME}@{','.join(str(node.location) for node in nodes)}")
