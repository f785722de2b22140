"""The faces of the search for a name server, with the signatures that Pyro4's users know."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pyronym.client.blocking import BLOCKING, SocketStream
from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.client.endpoint import key_bytes
from pyronym.client.name_server import NameServerEndpoint, uri_of
from pyronym.client.network import run
from pyronym.client.nodes import Nodes
from pyronym.client.proxy import Proxy
from pyronym.client.repeating import AT_ONCE, call_node
from pyronym.client.resolving import checked_uri, resolve_uri
from pyronym.client.search import find_name_server, named_nodes
from pyronym.rpc.client import BATCH_METHOD, Answer, Failure
from pyronym.settings import Settings, config
from pyronym.uri import URI


def locateNS(
    host: str | None = None, port: int | None = None, broadcast: bool = True, hmac_key: str | bytes | None = None
) -> Proxy:
    """A connected proxy for a name server, found as `locate` says, with the settings of `pyronym.config`."""
    return locate(host, port, broadcast, hmac_key, settings=config.settings)


def locate(
    host: str | None = None,
    port: int | None = None,
    broadcast: bool = True,
    hmac_key: str | bytes | None = None,
    *,
    settings: Settings,
) -> Proxy:
    """A connected proxy for the name server at `host`, or without a host for one somewhere in the network.

    `host` is a name, an address (IPv6 with or without brackets) or ``./u:`` and the path of a Unix socket, and may have
    a port of its own: ``ns1:9090``. Without it NS_HOST is asked if it is this machine, then everyone, by a broadcast,
    if `broadcast` says so, then NS_HOST wherever it is. `port` is that of the name server and, without a host, of the
    broadcast.

    Several hosts, separated by commas, here or in NS_HOST, are the nodes of one name server: the proxy is for the first
    that answers, and moves on when that gets lost, as NameServerProxy says. So it is, too, where the name server that
    was found tells of others.

    Raises NameServerNotFoundError, with what was tried and why it failed, after LOCATE_TIMEOUT seconds at the latest.
    """
    key = key_bytes(hmac_key)
    nodes = named_nodes(str(host) if host else None, port, settings)
    known = Nodes(nodes)
    connection = run(find_name_server(BLOCKING, nodes, port, broadcast, settings, key, Deadline(None), known=known))
    if len(known) > 1:
        proxy: Proxy = NameServerProxy(uri_of(known.in_order()), settings=settings, hmac_key=key)
    else:
        proxy = Proxy(connection.uri, settings=settings, hmac_key=key)
    proxy._pyroAdopt(connection)
    return proxy


class NameServerProxy(NameServerEndpoint, Proxy):
    """A proxy for a name server of several nodes, which moves to the next one when its node gets lost.

    Calls that change nothing (`pyronym.client.repeating.READS`) are made again there, and so are changes that certainly
    have not been carried out. Otherwise a change raises UncertainError, which says what to do. While a node has no
    answer to what can be answered at once, others are asked, too, and the first answer counts. If none comes in time
    the call ends with a TimeoutError, and the next one goes to another node.
    """

    def _pyroBind(self) -> bool:
        """Connect. False if connected already. The URI stays: it names all nodes."""
        with self._pyroLock:
            if self._pyroConnection is not None:
                return False
            self._pyroConnect(Deadline(self._pyroTimeout))
            return True

    def _pyroAdopt(self, connection: Connection[SocketStream]) -> None:
        super()._pyroAdopt(connection)
        self._pyroNodes.answers(connection.uri)

    def _pyroCall(self, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Any:
        return self._pyroInvokeAtNode([method], method, args, kwargs)

    def _pyroInvokeBatch(
        self, calls: Sequence[tuple[str, Sequence[object], Mapping[str, object]]], oneway: bool = False
    ) -> Any:
        methods = sorted({method for method, _, _ in calls})
        return self._pyroInvokeAtNode(methods, BATCH_METHOD, calls, {}, oneway=oneway, batch=True)

    def _pyroInvokeAtNode(
        self,
        methods: Collection[str],
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        oneway: bool = False,
        batch: bool = False,
    ) -> Any:
        async def connect() -> Connection[SocketStream]:
            # A request to a node that has ended since the last call would seem to be sent, and to be uncertain.
            connection = self._pyroConnection
            if connection is not None and (connection.stream.ended() or connection.uri != self._pyroNodes.first):
                self._pyroRelease()
            return self._pyroConnect(Deadline(self._pyroTimeout))

        async def ask(connection: Connection[SocketStream]) -> Answer | None:
            if oneway or not AT_ONCE.issuperset(methods):
                return self._pyroAsk(method, args, kwargs, None, oneway, batch)
            return await self._pyroAskAtOnce(connection, method, args, kwargs, batch)

        with self._pyroLock:
            return self._pyroOutcome(run(call_node(connect, ask, methods, self._pyroNodes)))

    async def _pyroAskAtOnce(
        self,
        connection: Connection[SocketStream],
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        batch: bool,
    ) -> Answer:
        try:
            answering, answer = await self._pyroAskNodes(
                BLOCKING, connection, method, args, kwargs, Deadline(self._pyroTimeout), batch=batch
            )
        except BaseException:
            if connection.stream.ended():  # not where nothing was asked, because an argument cannot be serialized
                self._pyroRelease()
            raise
        if answering is not connection:
            self._pyroAdopt(answering)
        if isinstance(answer, Failure) and answer.ends_connection:
            self._pyroRelease()
        return answer


def resolve(uri: str | URI, hmac_key: str | bytes | None = None) -> URI:
    """The PYRO URI that a PYRONAME or PYROMETA URI stands for; a PYRO URI comes back as it is.

    The name server is the one that the URI names, or is located. Of several objects with all tags of a PYROMETA URI one
    is chosen at random. Raises NamingError when there is none, TypeError for what is no URI.
    """
    return resolve_with(uri, hmac_key, settings=config.settings)


def resolve_with(uri: str | URI, hmac_key: str | bytes | None = None, *, settings: Settings) -> URI:
    """`resolve`, with these settings."""
    deadline = Deadline(settings.commtimeout)
    return run(resolve_uri(BLOCKING, checked_uri(uri), settings, key_bytes(hmac_key), deadline))
