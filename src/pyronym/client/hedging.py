"""Asking several nodes the same, one after the other, and taking the first answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

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

PATIENCE: Final = 5.0
"""Seconds that a node that could not be reached gets at most when it is tried again."""


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

        The name server at `connection` is asked. Each time that nothing comes for `HASTE` seconds one of the `others`
        is asked, too. Those that cannot be reached in as long are passed over, and tried again when it was the turn of
        all, with twice the time, but never more than `PATIENCE`.

        Raises ConnectionClosedError when all that were asked get lost, TimeoutError at the deadline, and as the
        session's `next_answer`. Then `connection` is closed, too. What `request` raises
        for `connection` is raised, too, and leaves it as it was.
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
                if (found := await self._first_answer(patience)) is not None:
                    return found
                patience = haste if await self._reach(uri, haste) else 0.0
                if not patience:
                    missed.append(uri)
            left, haste = missed, min(2 * haste, PATIENCE)
        while (found := await self._network.first_answer(self._asked, self._deadline.left())) is None:
            pass  # `left` raises when the deadline has passed
        return found

    async def _first_answer(self, patience: float) -> tuple[S, Answer] | None:
        """None when nothing has come for so many seconds: a large answer may take longer than that to arrive."""
        while True:
            found = await self._network.first_answer(self._asked, self._deadline.at_most(patience))
            heard = [stream.heard() for stream in self._asked]
            if found is not None or not any(heard):
                return found

    async def _reach(self, uri: URI, seconds: float) -> bool:
        """Ask the node at `uri`, too. Whether that was possible within so many seconds."""
        deadline = self._deadline.within(seconds)
        try:
            connection = await open_connection(self._network, uri, self._settings, deadline, hmac_key=self._hmac_key)
            await self._ask(connection)
        except PyroError as problem:
            log.debug("cannot ask the name server at %s, too: %s", uri.location, problem)
            return False
        return True

    async def _ask(self, connection: Connection[S]) -> None:
        data = self._request(connection)
        self._asked[connection.stream] = connection
        await connection.stream.ask(connection.session, data, self._deadline)
