"""Name servers of several nodes: which node to ask, and which calls are made again at another one."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from types import MappingProxyType
from typing import Final, TypeVar

from pyronym.client.connection import Connection
from pyronym.client.network import Stream
from pyronym.errors import ConnectionClosedError, NotSentError, TimeoutError, UncertainError
from pyronym.uri import URI

S = TypeVar("S", bound=Stream)
T = TypeVar("T")

READS: Final = frozenset({"lookup", "list", "yplookup", "count", "ping", "watch", "nodes"})
"""The methods of name servers that change nothing: to call them twice does no harm."""

_ADVICE: Final = MappingProxyType(
    {
        "register": "look the name up; to register it again does no harm, but with safe=True it may find itself there",
        "register_unique": "list the names with your prefix and look for your URI before you register again",
        "set_metadata": "look the name up with return_metadata=True; to set it again does no harm",
        "remove": "look the name up; to remove it again does no harm",
        "renew": "renew again: that does no harm",
    }
)
"""What to do when it is not known whether the name server has carried out a change."""
_OTHER_ADVICE: Final = "find out what the name server has before you call it again"


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


async def call_node(
    connect: Callable[[], Awaitable[Connection[S]]],
    ask: Callable[[Connection[S]], Awaitable[T]],
    methods: Iterable[str],
    nodes: Nodes,
) -> T:
    """What `ask` gives, which calls `methods` at the node that `connect` leads to.

    Both are called again when the node gets lost, at most once for each node and once more, as the first may have gone
    long ago; with methods that change something only where they certainly were not carried out. Otherwise those raise
    UncertainError.
    """
    methods = tuple(methods)
    asked = ", ".join(methods)
    harmless = READS.issuperset(methods)
    for left in reversed(range(len(nodes) + 1)):
        connection = await connect()
        try:
            return await ask(connection)
        except (ConnectionClosedError, TimeoutError) as problem:
            nodes.is_gone(connection.uri)
            if not harmless and not isinstance(problem, NotSentError):
                raise UncertainError(asked, str(problem), _ADVICE.get(asked, _OTHER_ADVICE)) from problem
            if not left or isinstance(problem, TimeoutError):
                raise
    raise AssertionError("the last try gives something or raises")
