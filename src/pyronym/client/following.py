"""Following a name server from one connection to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from pyronym.client.connection import Connection
from pyronym.client.deadline import Deadline
from pyronym.client.name_server import NameServerEndpoint
from pyronym.client.network import Network, Stream
from pyronym.client.watching import Event, Position
from pyronym.errors import ConnectionClosedError, TimeoutError

S = TypeVar("S", bound=Stream)

POLL: Final = 30.0
"""Seconds that the name server holds back its answer while nothing changes."""
_GRACE: Final = 5.0
"""Seconds that an answer may take on top of that, before its node is taken to be gone."""


class Follower(Generic[S]):
    """Follows the names with a prefix at any node of the name server of `endpoint`; `listing` and `since` as Position
    says.
    """

    def __init__(
        self,
        network: Network[S],
        endpoint: NameServerEndpoint,
        prefix: str,
        poll: float,
        *,
        listing: bool,
        since: int | None = None,
    ) -> None:
        self._network = network
        self._endpoint = endpoint
        self._poll = poll
        self._position = Position(prefix, poll, listing, since)
        self.connection: Connection[S] | None = None
        """That to the node that is followed."""

    async def next_events(self) -> list[Event]:
        """What happened next, perhaps nothing yet; ends after `poll` seconds.

        Raises CommunicationError when the node gets lost and NameServerNotFoundError when there is none. Then, and when
        it was cancelled, it goes on at the next call, with another node if need be, and nothing is missed. NamingError
        when the name server has no watch.
        """
        if self.connection is None:
            self.connection = await self._endpoint._pyroOpen(self._network, Deadline(None))
        try:
            return await self._position.next_events(self._call)
        except BaseException as problem:
            if isinstance(problem, ConnectionClosedError | TimeoutError):
                self._endpoint._pyroNodes.is_gone(self.connection.uri)
            self.close()
            raise

    async def _call(self, method: str, kwargs: Mapping[str, object]) -> Any:
        assert self.connection is not None, "it is open while something is asked"
        serializer, deadline = self._endpoint._pyroSerializerName(), Deadline(self._poll + _GRACE)
        return await self.connection.call(method, (), kwargs, serializer, deadline)

    def close(self) -> None:
        """Close the connection; the next call makes another one."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
