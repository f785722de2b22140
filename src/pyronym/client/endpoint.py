"""What proxies of both kinds know of the object that they stand for: where it is, how to talk to it, what it offers."""

# ruff: noqa: N815 (the attributes have the names that Pyro4's users know)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pyronym.client.connection import Connection, open_connection
from pyronym.client.deadline import Deadline
from pyronym.client.network import Network, Stream
from pyronym.client.resolving import resolve_uri
from pyronym.rpc.exposed import Members
from pyronym.rpc.references import replace_values
from pyronym.serializers.classes import RemoteReference
from pyronym.settings import Settings, config
from pyronym.uri import URI
from pyronym.wire.message import PYRO4, PYRO5

S = TypeVar("S", bound=Stream)

_PROTOCOLS: Final = {4: PYRO4, 5: PYRO5}

# What copy and pickle look for on any object; asking a daemon whether it has these would open a connection.
_NEVER_REMOTE: Final = frozenset(["__getnewargs__", "__getnewargs_ex__", "__getinitargs__", "__deepcopy__"])


class Endpoint:
    """The object at `uri`. `protocol`, `settings` and `hmac_key` as the proxies say."""

    _pyroUri: URI
    """Where the object is."""
    _pyroProtocol: int | None
    """4, 5, or None to find out."""
    _pyroSettings: Settings
    _pyroTimeout: float | None
    """Seconds that a call may take from its turn to its answer, connecting included; None or 0: without end."""
    _pyroSerializer: str | None
    """Name of the serializer; None: that of the settings."""
    _pyroMaxRetries: int
    """How often a call is made again after a lost connection or a timeout. It may then happen more than once."""
    _pyroHandshake: object
    """What is shown to the daemon's `validateHandshake`."""
    _pyroMethods: set[str]
    _pyroAttrs: set[str]
    _pyroOneway: set[str]
    """Methods whose calls return None at once."""
    _pyroLikely: int
    _pyroKey: bytes | None

    def __init__(
        self,
        uri: str | URI,
        *,
        protocol: int | None = None,
        settings: Settings | None = None,
        hmac_key: str | bytes | None = None,
    ) -> None:
        if not isinstance(uri, str | URI):
            raise TypeError(f"expected Pyro URI, not {type(uri).__name__}")
        if protocol is not None and protocol not in _PROTOCOLS:
            raise ValueError(f"invalid protocol: {protocol!r} (expected 4 for Pyro4, 5 for Pyro5, or None to find out)")
        self._pyroUri = URI(uri)
        self._pyroProtocol = protocol
        self._pyroHandshake = "hello"
        self._pyroSerializer = None
        self._pyroMethods, self._pyroAttrs, self._pyroOneway = set(), set(), set()
        self._pyroKey = key_bytes(hmac_key)
        self._pyroPrepare(settings or config.settings)

    def _pyroPrepare(self, settings: Settings) -> None:
        """Set what is neither copied nor pickled."""
        self._pyroSettings = settings
        self._pyroTimeout = settings.commtimeout
        self._pyroMaxRetries = settings.max_retries
        self._pyroLikely = PYRO4

    async def _pyroOpen(self, network: Network[S], deadline: Deadline) -> Connection[S]:
        """A new connection to the object."""
        return await open_connection(
            network,
            await self._pyroResolve(network, deadline),
            self._pyroSettings,
            deadline,
            protocol=_PROTOCOLS[self._pyroProtocol] if self._pyroProtocol else None,
            likely=self._pyroLikely,
            hmac_key=self._pyroKey,
            serializer=self._pyroSerializerName(),
            handshake=self._pyroHandshake,
        )

    async def _pyroResolve(self, network: Network[S], deadline: Deadline) -> URI:
        return await resolve_uri(network, self._pyroUri, self._pyroSettings, self._pyroKey, deadline)

    def _pyroAdopt(self, connection: Connection[Any]) -> None:
        """Learn from a new connection."""
        self._pyroLikely = connection.session.protocol
        if connection.members is not None:
            self._pyroLearn(connection.members)

    def _pyroLearn(self, members: Members) -> None:
        self._pyroAttrs = set(members.attributes)
        self._pyroOneway = set(members.oneway)
        self._pyroMethods = set(members.methods)  # the last, because others look there without a lock

    def _pyroSerializerName(self) -> str:
        return self._pyroSerializer or self._pyroSettings.serializer

    def _pyroRequest(
        self,
        connection: Connection[Any],
        method: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        *,
        oneway: bool = False,
        batch: bool = False,
    ) -> bytes:
        """The bytes of a call of the object, as `ClientSession.invoke` says."""
        object_id, serializer = str(connection.uri.object), self._pyroSerializerName()
        return connection.session.invoke(
            object_id, method, args, kwargs, serializer=serializer, oneway=oneway, batch=batch
        )

    def _pyroMissing(self, name: str, kind: str = "attribute or method") -> AttributeError:
        return AttributeError(f"remote object '{self._pyroUri}' has no exposed {kind} '{name}'")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Endpoint) and other._pyroUri == self._pyroUri

    def __hash__(self) -> int:
        return hash(self._pyroUri)

    def _pyroReference(self) -> RemoteReference:
        """How a proxy travels to a peer. As in Pyro4 its key goes with it, for whoever can read the network."""
        return RemoteReference(
            uri=self._pyroUri,
            oneway=frozenset(self._pyroOneway),
            methods=frozenset(self._pyroMethods),
            attributes=frozenset(self._pyroAttrs),
            hmac_key=self._pyroKey,
            handshake=self._pyroHandshake,
            serializer=self._pyroSerializer,
        )


def is_local(name: str) -> bool:
    """Whether an attribute of this name is never one of the remote object."""
    return name.startswith("_pyro") or name in _NEVER_REMOTE


def revived(value: Any, kind: type[Endpoint], settings: Settings) -> Any:
    """`value` with a proxy of this kind in the place of each reference to a remote object in it, at any depth."""

    def revive(part: object) -> object:
        if not isinstance(part, RemoteReference):
            return part
        proxy = kind(part.uri, settings=settings, hmac_key=part.hmac_key)
        proxy._pyroHandshake = part.handshake
        proxy._pyroSerializer = part.serializer
        proxy._pyroLearn(Members(part.methods, part.oneway, part.attributes))
        return proxy

    return replace_values(value, revive)


def key_bytes(key: str | bytes | None) -> bytes | None:
    """An HMAC key as bytes; None for none, which an empty one is, too."""
    if not key:
        return None
    return key.encode("utf-8") if isinstance(key, str) else bytes(key)
