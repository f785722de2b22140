"""The nodes of a name server, and which of them to ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from pyronym.uri import URI


class Nodes:
    """The nodes of a name server, the one to be asked first in front."""

    def __init__(self, uris: Iterable[URI]) -> None:
        self._uris = deque(uris)

    def __len__(self) -> int:
        return len(self._uris)

    def in_order(self) -> tuple[URI, ...]:
        """All of them, in the order to ask them."""
        return tuple(self._uris)

    def answers(self, uri: URI) -> None:
        """Put the node at `uri` in front: it answers."""
        self._uris.rotate(-self._uris.index(uri))

    def is_gone(self, uri: URI) -> None:
        """The node at `uri` does not answer: unless another one is in front already, the next one is now."""
        if self._uris and self._uris[0] == uri:
            self._uris.rotate(-1)
