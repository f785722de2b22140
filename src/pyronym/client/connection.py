"""One connection to a daemon: a socket, and the session that knows what its bytes mean."""

from __future__ import annotations

import builtins
import socket
import ssl

from pyronym.client.deadline import ENDLESS, Deadline
from pyronym.client.dialing import dial
from pyronym.errors import ConnectionClosedError, TimeoutError
from pyronym.rpc.client import Answer, ClientSession, OtherProtocolError, Welcome
from pyronym.rpc.exposed import Members
from pyronym.settings import Settings
from pyronym.tls import explained
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

_RECEIVE_SIZE = 65536
"""Bytes that are asked of the socket at once."""

_FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6", socket.AF_UNIX: "Unix"}


class Connection:
    """A connection whose handshake is done. `uri` is the object's, `members` what it offers, None if not asked for.

    Not thread-safe. After any error of `exchange` or `send` it has to be closed.
    """

    def __init__(self, uri: URI, sock: socket.socket, session: ClientSession) -> None:
        self.uri = uri
        self.session = session
        self.members: Members | None = None
        self._sock = sock
        self._limited = True  # whether the socket has a timeout, as far as is known

    @property
    def family(self) -> str:
        """How the daemon is reached: IPv4, IPv6 or Unix."""
        return _FAMILIES.get(self._sock.family, "unknown family")

    def shake_hands(self, opening: bytes, deadline: Deadline) -> None:
        """Send the session's connect message and take the answer to it. Raises as `open_connection` does."""
        answer = self.exchange(opening, deadline)
        assert isinstance(answer, Welcome), "nothing else answers a connect message"
        self.members = answer.members

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send a request that has no answer. Raises ConnectionClosedError or TimeoutError."""
        try:
            if self._limited or deadline is not ENDLESS:
                self._limit(deadline)
            self._sock.sendall(data)
        except OSError as problem:
            raise _translated(problem, "sending", self.uri) from problem

    def exchange(self, data: bytes, deadline: Deadline) -> Answer:
        """The answer to a request. Raises ConnectionClosedError, TimeoutError, or as the session's `next_answer`."""
        # A daemon that refuses a request may close before it has read all of it; its answer says why.
        try:  # noqa: SIM105  (suppress takes 0.5 us more, of the six of a call)
            self.send(data, deadline)
        except ConnectionClosedError:
            pass
        session = self.session
        while (answer := session.next_answer()) is None:
            session.receive_data(self._receive(deadline))
        return answer

    def _receive(self, deadline: Deadline) -> bytes:
        try:
            if self._limited or deadline is not ENDLESS:
                self._limit(deadline)
            data = self._sock.recv(_RECEIVE_SIZE)
        except OSError as problem:
            raise _translated(problem, "receiving", self.uri) from problem
        if not data:
            raise ConnectionClosedError(f"receiving: not enough data: {self.uri.location} closed the connection")
        return data

    def _limit(self, deadline: Deadline) -> None:
        left = deadline.left()
        self._sock.settimeout(left)
        self._limited = left is not None

    def close(self) -> None:
        """Close the socket. May be called again."""
        self._sock.close()

    def __del__(self) -> None:
        # Proxies are dropped without being released: that is how Pyro programs are written.
        self._sock.close()


def _translated(problem: OSError, doing: str, uri: URI) -> ConnectionClosedError | TimeoutError:
    if isinstance(problem, builtins.TimeoutError):
        return TimeoutError(f"{doing}: timeout: no answer from {uri.location} in time")
    return ConnectionClosedError(f"{doing}: connection lost: {uri.location}: {explained(problem)}")


def open_connection(
    uri: URI,
    settings: Settings,
    deadline: Deadline,
    *,
    protocol: int | None = None,
    likely: int = PYRO4,
    hmac_key: bytes | None = None,
    serializer: str | None = None,
    handshake: object = "hello",
) -> Connection:
    """Connect to the object at a PYRO `uri` and shake hands.

    Without a `protocol` (PYRO4 or PYRO5) the `likely` one is tried, and then the one that the daemon answers in.
    Raises CommunicationError when it cannot be reached or refuses, TimeoutError at the deadline, SerializeError when
    there is no such serializer or it cannot write the handshake, SecurityError when HMAC keys do not fit.
    """

    def attempt(spoken: int) -> Connection:
        session = ClientSession(spoken, str(uri.location), settings, hmac_key=hmac_key)
        opening = session.connect(str(uri.object), handshake, serializer=serializer or settings.serializer)
        connection = Connection(uri, dial(uri, settings, deadline), session)
        try:
            connection.shake_hands(opening, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    if protocol is not None:
        return attempt(protocol)
    try:
        return attempt(likely)
    except OtherProtocolError as other:
        return attempt(other.protocol)
    except ConnectionClosedError as problem:
        if hmac_key or isinstance(problem.__cause__, ssl.SSLError):
            raise  # only Pyro4 has keys; and a TLS alert is a refusal of another kind
    # The refusal of a foreign protocol can get lost when the daemon closes at once after sending it.
    return attempt(PYRO5 if likely == PYRO4 else PYRO4)
