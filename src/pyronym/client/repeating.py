"""Which calls are made again after a failure, and when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import MappingProxyType
from typing import Final, TypeVar

from pyronym.client.connection import Connection
from pyronym.client.network import Stream
from pyronym.client.nodes import Nodes
from pyronym.errors import ConnectionClosedError, NotSentError, TimeoutError, UncertainError, UnchangedError
from pyronym.rpc.client import Failure

S = TypeVar("S", bound=Stream)
T = TypeVar("T")

READS: Final = frozenset({"lookup", "list", "yplookup", "count", "ping", "watch", "nodes", "liveness", "leases"})
"""The methods of name servers that change nothing: to call them twice does no harm."""

AT_ONCE: Final = READS - {"watch"}
"""Those of them that are answered as soon as may be: while there is no answer, other nodes are asked, too."""

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


async def call_again(once: Callable[[], Awaitable[T]], retries: int) -> T:
    """What `once` gives, which is called so often again while the connection fails or the answer does not come."""
    while True:
        try:
            return await once()
        except (ConnectionClosedError, TimeoutError):
            if retries <= 0:
                raise
            retries -= 1


async def call_node(
    connect: Callable[[], Awaitable[Connection[S]]],
    ask: Callable[[Connection[S]], Awaitable[T]],
    methods: Iterable[str],
    nodes: Nodes,
) -> T:
    """What `ask` gives, which calls `methods` at the node that `connect` leads to.

    Both are called again when the node gets lost, at most once for each node and once more, as the first may have gone
    long ago; with methods that change something only where they certainly were not carried out. Otherwise those raise
    UncertainError. A node that cannot change anything now is left, too, but only one for each call: it may have taken
    its time to find out.
    """
    methods = tuple(methods)
    asked = ", ".join(methods)
    harmless = READS.issuperset(methods)
    moved = len(nodes) == 1
    for left in reversed(range(len(nodes) + 1)):
        connection = await connect()
        try:
            answer = await ask(connection)
        except (ConnectionClosedError, TimeoutError) as problem:
            nodes.is_gone(connection.uri)
            if not harmless and not isinstance(problem, NotSentError):
                raise UncertainError(asked, str(problem), _ADVICE.get(asked, _OTHER_ADVICE)) from problem
            if not left or isinstance(problem, TimeoutError):
                raise
            continue
        if not (isinstance(answer, Failure) and isinstance(answer.exception, UnchangedError)):
            return answer
        nodes.is_gone(connection.uri)
        if moved or not left:
            return answer
        moved = True
    raise AssertionError("the last try gives something or raises")
