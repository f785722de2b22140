"""Name servers, for programs on an event loop: the faces are in `pyronym.aio`."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from pyronym.client.aio.network import LOOP
from pyronym.client.aio.pool import LoopConnection
from pyronym.client.aio.proxy import Items, Proxy
from pyronym.client.deadline import Deadline
from pyronym.client.endpoint import key_bytes
from pyronym.client.following import POLL, Follower
from pyronym.client.name_server import NameServerEndpoint, uri_of
from pyronym.client.nodes import Nodes
from pyronym.client.repeating import AT_ONCE, call_node
from pyronym.client.resolving import checked_uri, resolve_uri
from pyronym.client.search import find_name_server, named_nodes
from pyronym.client.watching import Event, pauses
from pyronym.errors import CommunicationError, NameServerNotFoundError
from pyronym.rpc.client import Answer
from pyronym.settings import Settings, config
from pyronym.uri import URI

log = logging.getLogger(__name__)


async def locate_ns(
    host: str | None = None,
    port: int | None = None,
    broadcast: bool = True,
    hmac_key: str | bytes | None = None,
    *,
    settings: Settings | None = None,
) -> NameServer:
    """A connected proxy for a name server; arguments and errors are those of `pyronym.locateNS`.

    `settings` are those of `pyronym.config` unless given.
    """
    settings, key = settings or config.settings, key_bytes(hmac_key)
    nodes = named_nodes(host, port, settings)
    known = Nodes(nodes)
    connection = await find_name_server(LOOP, nodes, port, broadcast, settings, key, Deadline(None), known=known)
    proxy = NameServer(uri_of(known.in_order()), settings=settings, hmac_key=key)
    proxy._pyroAdopt(connection)
    proxy._pyroNodes.answers(connection.uri)
    proxy._pyroPool.keep(connection)
    return proxy


async def resolve(uri: str | URI, hmac_key: str | bytes | None = None, *, settings: Settings | None = None) -> URI:
    """The PYRO URI that a PYRONAME or PYROMETA URI stands for, as `pyronym.resolve` says."""
    settings = settings or config.settings
    deadline = Deadline(settings.commtimeout)
    return await resolve_uri(LOOP, checked_uri(uri), settings, key_bytes(hmac_key), deadline)


class NameServer(NameServerEndpoint, Proxy):
    """A proxy for a name server, which moves to the next node when its node gets lost, if it has several.

    Calls that change nothing (`pyronym.client.repeating.READS`) are made again there, and so are changes that certainly
    have not been carried out. Otherwise a change raises UncertainError, which says what to do. While a node has no
    answer to what can be answered at once, others are asked, too, and the first answer counts. If none comes in time
    the call ends with a TimeoutError, and the next one goes to another node.
    """

    def watch(self, prefix: str = "", *, poll: float = POLL) -> Watch:
        """The changes of the names with a prefix: ``async for change in nameserver.watch("lab."): ...``.

        `poll`: seconds after which a name server that is silent has to say that it is there; it has 5 more for that.
        """
        return Watch(NameServer(self._pyroUri, settings=self._pyroSettings, hmac_key=self._pyroKey), prefix, poll)

    async def _pyroCall(self, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Any:
        deadline = Deadline(self._pyroTimeout)

        async def connect() -> LoopConnection:
            return await self._pyroPool.take(deadline)

        async def ask(connection: LoopConnection) -> Answer | Items | None:
            return await self._pyroAsk(connection, method, args, kwargs, deadline)

        return self._pyroOutcome(await call_node(connect, ask, [method], self._pyroNodes))

    async def _pyroExchange(
        self,
        connection: LoopConnection,
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        deadline: Deadline,
    ) -> tuple[LoopConnection, Answer]:
        if method not in AT_ONCE:
            return await super()._pyroExchange(connection, method, args, kwargs, deadline)
        answering, answer = await self._pyroAskNodes(LOOP, connection, method, args, kwargs, deadline)
        if answering is not connection:
            self._pyroPool.replace(connection, answering)
        return answering, answer

    def _pyroIsUsable(self, connection: LoopConnection) -> bool:
        return super()._pyroIsUsable(connection) and connection.uri == self._pyroNodes.first


class Watch:
    """An asynchronous iterator over what happens to the names with a prefix; never ends by itself.

    It gives `Change` and `Reset`, the first of which is a Reset with all names that there are. ``event.apply(names)``
    keeps a dict right, whichever it is. A Reset also comes when the name server was replaced or its history is too
    short; otherwise no change is missed and none comes twice, whatever happens to connections and nodes. It has a
    connection of its own. While there is no name server it looks for one. A wait for the next event can be cancelled:
    the watch goes on when it is asked again.

    Raises NamingError when the name server has no watch, SecurityError when it may not be used.
    """

    def __init__(self, name_server: NameServer, prefix: str, poll: float) -> None:
        self._follower = Follower(LOOP, name_server, prefix, poll, listing=True)
        self._events: deque[Event] = deque()
        self._pauses = pauses()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            try:
                self._events.extend(await self._follower.next_events())
                self._pauses = pauses()
            except (CommunicationError, NameServerNotFoundError) as problem:
                log.info("a watch has lost its name server: %s", problem)
                await asyncio.sleep(next(self._pauses))
        return self._events.popleft()

    async def aclose(self) -> None:
        """Close the connection. If more events are asked for, another one is made."""
        self._follower.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._follower.connection is not None:
            self._follower.connection.stream.close_soon()
