"""One connection to a daemon: a stream, and the session that knows what its bytes mean."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from pyronym.client.deadline import Deadline
from pyronym.client.dialing import dial
from pyronym.client.network import Network, Stream
from pyronym.errors import ConnectionClosedError, ProtocolError, TimeoutError
from pyronym.rpc.client import ClientSession, Failure, OtherProtocolError, Result, Welcome
from pyronym.rpc.exposed import Members
from pyronym.settings import Settings
from pyronym.tls import explained
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

S = TypeVar("S", bound=Stream)

_FAMILIES = {int(socket.AF_INET): "IPv4", int(socket.AF_INET6): "IPv6", int(socket.AF_UNIX): "Unix"}


class Connection(Generic[S]):
    """A connection whose handshake is done. `uri` is the object's, `members` what it offers, None if not asked for."""

    def __init__(self, uri: URI, stream: S, session: ClientSession) -> None:
        self.uri = uri
        self.stream = stream
        self.session = session
        self.members: Members | None = None

    @property
    def family(self) -> str:
        """How the daemon is reached: IPv4, IPv6 or Unix."""
        return _FAMILIES.get(self.stream.family, "unknown family")

    async def shake_hands(self, opening: bytes, deadline: Deadline) -> None:
        """Send the session's connect message and take the answer to it. Raises as `open_connection` does."""
        answer = await self.stream.exchange(self.session, opening, deadline)
        assert isinstance(answer, Welcome), "nothing else answers a connect message"
        self.members = answer.members

    async def call(
        self, method: str, args: Sequence[object], kwargs: Mapping[str, object], serializer: str, deadline: Deadline
    ) -> object:
        """What a method of the object returns; raises what it raises, or as the stream's `exchange`."""
        data = self.session.invoke(str(self.uri.object), method, args, kwargs, serializer=serializer)
        answer = await self.stream.exchange(self.session, data, deadline)
        if isinstance(answer, Failure):
            raise answer.exception
        if not isinstance(answer, Result):
            raise ProtocolError(f"{method} of {self.uri} gives a {type(answer).__name__} (expected a result)")
        return answer.value

    def close(self) -> None:
        """Close the stream. May be called again."""
        self.stream.close()


def lost(
    doing: str,
    location: str,
    problem: BaseException | None = None,
    kind: type[ConnectionClosedError] = ConnectionClosedError,
) -> ConnectionClosedError:
    """The error of a stream that ended because of `problem`; without one the daemon has closed it."""
    if problem is None:
        return kind(f"{doing}: not enough data: {location} closed the connection")
    words = explained(problem) if isinstance(problem, OSError) else problem
    return kind(f"{doing}: connection lost: {location}: {words}")


def late(doing: str, location: str) -> TimeoutError:
    """The error of an answer that does not come in time."""
    return TimeoutError(f"{doing}: timeout: no answer from {location} in time")


async def open_connection(
    network: Network[S],
    uri: URI,
    settings: Settings,
    deadline: Deadline,
    *,
    protocol: int | None = None,
    likely: int = PYRO4,
    hmac_key: bytes | None = None,
    serializer: str | None = None,
    handshake: object = "hello",
) -> Connection[S]:
    """Connect to the object at a PYRO `uri` and shake hands.

    Without a `protocol` (PYRO4 or PYRO5) the `likely` one is tried, and then the one that the daemon answers in.
    Raises CommunicationError when it cannot be reached or refuses, TimeoutError at the deadline, SerializeError when
    there is no such serializer or it cannot write the handshake, SecurityError when HMAC keys do not fit.
    """

    async def attempt(spoken: int) -> Connection[S]:
        session = ClientSession(spoken, str(uri.location), settings, hmac_key=hmac_key)
        opening = session.connect(str(uri.object), handshake, serializer=serializer or settings.serializer)
        connection = Connection(uri, await dial(network, uri, settings, deadline), session)
        try:
            await connection.shake_hands(opening, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    if protocol is not None:
        return await attempt(protocol)
    try:
        return await attempt(likely)
    except OtherProtocolError as other:
        return await attempt(other.protocol)
    except ConnectionClosedError as problem:
        if hmac_key or isinstance(problem.__cause__, ssl.SSLError):
            raise  # only Pyro4 has keys; and a TLS alert is a refusal of another kind
    # The refusal of a foreign protocol can get lost when the daemon closes at once after sending it.
    return await attempt(PYRO5 if likely == PYRO4 else PYRO4)
