"""Asking several nodes the same, one after the other, and taking the first answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from pyronym.client.connection import Connection, late, open_connection
from pyronym.client.deadline import Deadline
from pyronym.client.network import Network, Stream
from pyronym.client.nodes import HASTE
from pyronym.errors import PyroError, TimeoutError
from pyronym.rpc.client import Answer
from pyronym.settings import Settings
from pyronym.uri import URI

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Stream)


class Race(Generic[S]):
    """One request that changes nothing, at several nodes. `request` gives its bytes for the connection to one."""

    def __init__(
        self,
        network: Network[S],
        request: Callable[[Connection[S]], bytes],
        settings: Settings,
        hmac_key: bytes | None,
        deadline: Deadline,
    ) -> None:
        self._network = network
        self._request = request
        self._settings = settings
        self._hmac_key = hmac_key
        self._deadline = deadline
        self._asked: dict[S, Connection[S]] = {}

    async def run(self, connection: Connection[S], others: Iterable[URI]) -> tuple[Connection[S], Answer]:
        """The first answer, and from whom it came: all other connections are closed.

        The name server at `connection` is asked. For each `HASTE` seconds without an answer one of the `others` is
        asked, too. Those that cannot be reached in as long are passed over, and tried again, with twice the time, when
        it was the turn of all.

        Raises ConnectionClosedError when all that were asked get lost, TimeoutError at the deadline, and as the
        session's `next_answer`. Then `connection` is closed, too.
        """
        answering: S | None = None
        try:
            await self._ask(connection)
            answering, answer = await self._answer(others)
            return self._asked[answering], answer
        except TimeoutError as problem:
            places = ", ".join(str(one.uri.location) for one in self._asked.values())
            raise late("receiving", places) from problem
        finally:
            for stream in self._asked:
                if stream is not answering:
                    stream.close()

    async def _answer(self, others: Iterable[URI]) -> tuple[S, Answer]:
        left, haste = list(others), HASTE
        while left:
            missed = []
            patience = haste
            for uri in left:
                found = await self._network.first_answer(self._asked, self._deadline.at_most(patience))
                if found is not None:
                    return found
                patience = haste if await self._reach(uri, haste) else 0.0
                if not patience:
                    missed.append(uri)
            left, haste = missed, 2 * haste
        while (found := await self._network.first_answer(self._asked, self._deadline.left())) is None:
            pass  # `left` raises when the deadline has passed
        return found

    async def _reach(self, uri: URI, seconds: float) -> bool:
        """Ask the node at `uri`, too. Whether that was possible within so many seconds."""
        deadline = self._deadline.within(seconds)
        try:
            await self._ask(
                await open_connection(self._network, uri, self._settings, deadline, hmac_key=self._hmac_key)
            )
        except PyroError as problem:
            log.debug("cannot ask the name server at %s, too: %s", uri.location, problem)
            return False
        return True

    async def _ask(self, connection: Connection[S]) -> None:
        self._asked[connection.stream] = connection
        await connection.stream.ask(connection.session, self._request(connection), self._deadline)
