"""How many names each client has registered: pure, and told of everything that happens."""

from __future__ import annotations

from collections import Counter

from pyronym.errors import LimitError


class Quota:
    """Lets each client have so many names at a time, its `limit`. Not thread-safe.

    Names that were there before, and those that are registered inside of the process, are nobody's.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._clients: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def take(self, client: str, name: str) -> None:
        """`name` is the client's from now on, whoever had it. LimitError if the client has so many others."""
        if self._clients.get(name) == client:
            return
        if self._counts[client] >= self._limit:
            raise LimitError(
                f"too many names: {client} has registered {self._limit} (MAX_NAMES_PER_CLIENT): remove some first"
            )
        self.release(name)
        self._clients[name] = client
        self._counts[client] += 1

    def release(self, name: str) -> None:
        """There is no record of this name any more."""
        client = self._clients.pop(name, None)
        if client is not None:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]
