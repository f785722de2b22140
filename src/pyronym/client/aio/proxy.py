"""The proxy for programs on an event loop."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from pyronym.client.aio.network import LOOP
from pyronym.client.aio.pool import LoopConnection, Pool
from pyronym.client.deadline import Deadline
from pyronym.client.endpoint import Endpoint, is_local, revived
from pyronym.client.repeating import call_again
from pyronym.rpc.client import Answer, Failure, ItemStream, Result
from pyronym.settings import Settings
from pyronym.uri import DAEMON_NAME, URI

CONNECTIONS: Final = 4
"""How many connections a proxy has at most, if nothing else is said. Stock daemons have a thread for each."""


_ACCESSORS: Final = frozenset({"__getattr__", "__setattr__"})
"""The methods that stand for access to attributes."""


class Member:
    """A method or an attribute of a remote object: it is called, or awaited for its value."""

    __slots__ = ("_name", "_proxy")

    def __init__(self, proxy: Proxy, name: str) -> None:
        self._proxy = proxy
        self._name = name

    async def __call__(self, *args: object, **kwargs: object) -> Any:  # whatever the remote method returns
        """Call it. Raises what the remote method raises, and as said for Proxy."""
        return await self._proxy._pyroCall(self._name, args, kwargs)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._proxy._pyroCall("__getattr__", (self._name,), {}).__await__()

    def __repr__(self) -> str:
        return f"<remote member {self._name} of {self._proxy._pyroUri}>"


class Proxy(Endpoint):
    """Stands for the remote object at `uri` in a program on an event loop: ``await proxy.method(1)``.

    ``await proxy.attribute`` reads an attribute, ``await proxy._pyroSet("attribute", 2)`` sets it. Several calls may be
    made at the same time: each uses one of at most `connections` connections, which are opened when they are needed
    and kept. A call that is cancelled closes its connection; whether it was carried out is not known. The proxy belongs
    to the loop of its first call. `protocol`, `settings` and `hmac_key` as for `pyronym.Proxy`.

    Calls raise what the remote method raised, with its traceback as ``_pyroTraceback``; CommunicationError when there
    is no connection to be had, ConnectionClosedError when it ends during the call, TimeoutError when the answer does
    not come in time; SerializeError for arguments that cannot travel; AttributeError for what the object does not
    have. Iterators arrive as asynchronous ones: ``async for item in await proxy.items()``.
    """

    def __init__(
        self,
        uri: str | URI,
        *,
        protocol: int | None = None,
        settings: Settings | None = None,
        hmac_key: str | bytes | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        if connections < 1:
            raise ValueError(f"invalid number of connections: {connections!r} (expected 1 or more)")
        super().__init__(uri, protocol=protocol, settings=settings, hmac_key=hmac_key)
        self._pyroPool = Pool(self._pyroConnect, self._pyroIsUsable, connections)

    # Connecting

    async def _pyroConnect(self, deadline: Deadline) -> LoopConnection:
        connection = await self._pyroOpen(LOOP, deadline)
        self._pyroAdopt(connection)
        return connection

    def _pyroIsUsable(self, connection: LoopConnection) -> bool:
        return not connection.stream.ended()

    async def _pyroBind(self) -> None:
        """Connect, if that was not done before."""
        self._pyroPool.give(await self._pyroPool.take(Deadline(self._pyroTimeout)))

    def _pyroRelease(self) -> None:
        """Close all connections, those that are in use as soon as they are not. The next call makes another one."""
        self._pyroPool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pyroPool.finish()

    # Calling

    async def _pyroCall(self, method: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Any:
        """Call `method`, and again as often as `_pyroMaxRetries` says while the connection fails."""

        async def once() -> Answer | Items | None:
            deadline = Deadline(self._pyroTimeout)
            return await self._pyroAsk(await self._pyroPool.take(deadline), method, args, kwargs, deadline)

        return self._pyroOutcome(await call_again(once, self._pyroMaxRetries))

    async def _pyroAsk(
        self,
        connection: LoopConnection,
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        deadline: Deadline,
    ) -> Answer | Items | None:
        """The answer to a call on a connection from the pool, None for one that has none."""
        lent = False
        try:
            self._pyroCheck(method, args)
            oneway = method in self._pyroOneway
            if oneway:
                data = self._pyroRequest(connection, method, args, kwargs, oneway=True)
                await connection.stream.send(data, deadline)
                return None
            connection, answer = await self._pyroExchange(connection, method, args, kwargs, deadline)
            if isinstance(answer, Failure) and answer.ends_connection:
                connection.close()
            if isinstance(answer, ItemStream):
                lent = True
                self._pyroPool.lend(connection)
                return Items(self, connection, answer.stream_id)
            return answer
        finally:
            if not lent:
                self._pyroPool.give(connection)

    async def _pyroExchange(
        self,
        connection: LoopConnection,
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        deadline: Deadline,
    ) -> tuple[LoopConnection, Answer]:
        """The answer to a call, and the connection of the pool that it came by; the one that is given if it fails."""
        data = self._pyroRequest(connection, method, args, kwargs)
        return connection, await connection.stream.exchange(connection.session, data, deadline)

    def _pyroCheck(self, method: str, args: Sequence[object]) -> None:
        """Raise AttributeError for what the object is known not to have."""
        if not self._pyroSettings.metadata:
            return
        if method in _ACCESSORS:
            if args[0] not in self._pyroAttrs:
                raise self._pyroMissing(str(args[0]))
        elif method not in self._pyroMethods:
            raise self._pyroMissing(method)

    def _pyroOutcome(self, answer: Answer | Items | None) -> Any:  # whatever the remote method returns
        if isinstance(answer, Result):
            value = answer.value
            return revived(value, Proxy, self._pyroSettings) if answer.holds_references else value
        if isinstance(answer, Failure):
            raise answer.exception
        return answer

    async def _pyroSet(self, name: str, value: object) -> None:
        """Set an attribute of the remote object. Raises as a call does."""
        await self._pyroCall("__setattr__", (name, value), {})

    # What programs write: names that are looked up in the remote object

    def __getattr__(self, name: str) -> Member:
        if is_local(name) or name.startswith("__"):  # Python and its tools look for such on any object
            raise AttributeError(name)
        return Member(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_pyro"):
            raise AttributeError(f"cannot set {name!r} here (write: await proxy._pyroSet({name!r}, value))")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} at {id(self):#x}; {self._pyroPool}; for {self._pyroUri}>"


class Items:
    """The items of an iterator in a daemon, which has a connection of its own until they end.

    ``await items.aclose()``, or dropping it, ends the iterator there.
    """

    def __init__(self, proxy: Proxy, connection: LoopConnection, stream_id: str) -> None:
        self._proxy = proxy
        self._connection: LoopConnection | None = connection
        self._stream_id = stream_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:  # whatever the remote iterator gives
        connection = self._connection
        if connection is None:
            raise StopAsyncIteration
        args, serializer = (self._stream_id,), self._proxy._pyroSerializerName()
        data = connection.session.invoke(DAEMON_NAME, "get_next_stream_item", args, {}, serializer=serializer)
        deadline = Deadline(self._proxy._pyroTimeout)
        answer = await connection.stream.exchange(connection.session, data, deadline)
        if isinstance(answer, Failure):
            self._connection = None
            if isinstance(answer.exception, StopIteration):
                self._proxy._pyroPool.keep(connection)
                raise StopAsyncIteration
            connection.close()
        return self._proxy._pyroOutcome(answer)

    async def aclose(self) -> None:
        """Give up the items that are left: the daemon drops them with the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def __del__(self) -> None:
        if self._connection is not None:
            self._connection.stream.close_soon()
