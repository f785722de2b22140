"""The nodes of a name server, and which of them to ask."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from pyronym.errors import PyroError
from pyronym.uri import URI, name_servers_at

log = logging.getLogger(__name__)

HASTE: Final = 0.25
"""Seconds that a node gets until the next one is tried or asked, too: a machine that is off, or frozen, costs no more.
RFC 8305 starts the next attempt to connect after as long. Within a site a hundredth of that is much.
"""


class Nodes:
    """The nodes of a name server, the one to be asked first in front."""

    def __init__(self, uris: Iterable[URI]) -> None:
        self._uris = deque(uris)

    def __len__(self) -> int:
        return len(self._uris)

    @property
    def first(self) -> URI:
        """The one to ask."""
        return self._uris[0]

    def in_order(self) -> tuple[URI, ...]:
        """All of them, in the order to ask them."""
        return tuple(self._uris)

    def learn(self, uris: Iterable[URI]) -> None:
        """There are these, too."""
        self._uris.extend(uri for uri in uris if uri not in self._uris)

    def answers(self, uri: URI) -> None:
        """Put the node at `uri` in front: it answers."""
        self._uris.rotate(-self._uris.index(uri))

    def is_gone(self, uri: URI) -> None:
        """The node at `uri` does not answer: unless another one is in front already, the next one is now."""
        if self._uris and self._uris[0] == uri:
            self._uris.rotate(-1)


def known_nodes(asked: URI, told: object, default_port: int) -> tuple[URI, ...]:
    """The nodes of a name server, from what the one at `asked` has told of them. It is the first of them."""
    addresses = [node.get("address") for node in told if isinstance(node, Mapping)] if isinstance(told, list) else []
    uris = [asked]
    for address in addresses[1:]:  # the first one is itself, at the address that it knows
        if isinstance(address, str) and address:
            try:
                uris += name_servers_at(address, default_port)
            except PyroError:
                log.warning("a name server tells of a node without an address: %r", address)
    return tuple(dict.fromkeys(uris))
