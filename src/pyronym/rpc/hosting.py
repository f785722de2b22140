"""What a session needs to know of the daemon it belongs to: the objects, and who is asking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from pyronym.rpc.exposed import Members
from pyronym.serializers.classes import RemoteReference
from pyronym.wire.straight import Begun

T_co = TypeVar("T_co", covariant=True)

Step: TypeAlias = tuple[str, Any, Any]
"""A call of a batch: method, arguments, keywords."""

Address = tuple[str, int] | str | None
"""(host, port), the path of a Unix socket, or None where a socket has no address."""


@dataclass(slots=True, eq=False)
class Peer:
    """The other end of a session: its protocol, and the addresses of the connection as this side sees them."""

    protocol: int
    local: Address
    remote: Address
    streams: dict[str, Iterator[object]] = field(default_factory=dict)
    """Results that the peer fetches item by item, by stream id. They end with the session."""
    tls_subject: str | None = None
    """Whom the peer's TLS certificate names, as in ``CN=alice,O=Lab`` (see `pyronym.tls.subject_of`); it was checked
    against the CAs of the settings. None: it showed no certificate, or was not asked for one."""
    key_name: str | None = None
    """The name of the HMAC key that the peer signs with, where a server has several."""
    unix_user: str | None = None
    """The name of the user whose process is at the other end of a Unix socket."""


@dataclass(frozen=True, slots=True)
class LongWork(Generic[T_co]):
    """A result that takes long to make. Methods of inline objects return it instead; it is made in a worker thread."""

    do: Callable[[], T_co]


class StraightRoad(Protocol):
    """A shorter way to answer some requests of one connection, straight from their bytes."""

    begun: Begun | None
    """A call that `advance` has begun, and whose answer has to be waited for. Whoever takes it sets it to None."""

    def advance(self, data: bytes, out: list[bytes]) -> bytes:
        """Answer whole requests from the front of `data`, as long as they are of the kind that it knows. The answers
        are appended to `out`; what is left of `data` is returned. Stops after a call that has `begun`.
        """
        ...


class Hosted(ABC):
    """What an object id of a daemon stands for."""

    inline = False
    """The methods never block, so they run where the session runs; others run in a worker thread."""

    per_call = False
    """`bind` anew for each call, not once for a session."""

    require_expose = True
    """Peers may use only what is marked with ``@expose``, not all that is public."""

    @abstractmethod
    def members(self, protocol: int) -> Members:
        """What peers that speak `protocol` may use."""

    @abstractmethod
    def bind(self, peer: Peer) -> object:
        """The object that answers the calls of this peer."""

    def release(self, bound: object) -> None:  # noqa: B027  # most objects need not know
        """The session that `bound` was made for by `bind` has ended."""

    def together(self, bound: object, steps: Sequence[Step]) -> Generator[Any, Any, Sequence[object] | None]:
        """Perform several calls of a batch to `bound` as one, all of them or none. A generator as `Call.run` is. It
        gives the results, or None where the calls have to be performed one by one. What it raises, the first of them
        raises.
        """
        return None
        yield

    def straight_road(self, peer: Peer, hmac_key: bytes | None) -> StraightRoad | None:
        """A shorter way for requests to this object; most have none."""
        return None


class Host(Protocol):
    """A daemon, as its sessions see it."""

    def get(self, object_id: str) -> Hosted | None:
        """What `object_id` stands for."""
        ...

    def reference(self, value: object) -> RemoteReference | None:
        """How `value` travels if it is an object that is registered here."""
        ...

    def revive(self, reference: RemoteReference) -> object:
        """A proxy for what a peer passed a reference to."""
        ...

    def validate_handshake(self, peer: Peer, handshake: object) -> object:
        """The answer to a client's handshake; an exception refuses the connection with its words."""
        ...


class Deferred(Protocol):
    """A result that is not there yet. Futures of asyncio and of threads are such, and so is a commit."""

    def add_done_callback(self, callback: object, /) -> object:
        """Call `callback` with this object when the result is there."""
        ...

    def result(self) -> object:
        """The result, or its exception raised."""
        ...
