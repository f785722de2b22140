"""What the ids of a daemon's objects stand for: objects that users registered, classes, and the daemon itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from pyronym.errors import DaemonError, PyroError
from pyronym.rpc.exposed import Members, expose, exposed_members
from pyronym.rpc.hosting import Hosted, Peer
from pyronym.uri import URI

log = logging.getLogger(__name__)


class Owner(Protocol):
    """A daemon, as what it hosts sees it."""

    def describe(self) -> str:
        """Where it is, and how many objects it has."""
        ...

    def registered(self) -> list[str]:
        """The ids of all objects."""
        ...

    def uriFor(self, objectOrId: object, nat: bool = True) -> URI:
        """The URI of an object."""
        ...

    def hosted(self, object_id: str) -> Hosted | None:
        """What an id stands for."""
        ...

    def validateHandshake(self, conn: Peer, data: object) -> object:
        """The answer to a client's handshake."""
        ...


class HostedObject(Hosted):
    """One object for all clients."""

    def __init__(self, target: object, require_expose: bool) -> None:
        self._target = target
        self.require_expose = require_expose

    def members(self, protocol: int) -> Members:
        """What all peers may use."""
        return exposed_members(type(self._target), self.require_expose)

    def bind(self, peer: Peer) -> object:
        """The object."""
        return self._target


class HostedClass(Hosted):
    """A class whose instances are made when they are needed, as its `behavior` says."""

    def __init__(self, cls: type, require_expose: bool) -> None:
        mode, creator = getattr(cls, "_pyroInstancing", ("session", None))
        self.per_call = mode == "percall"
        self._cls = cls
        self._create: Callable[[type], object] = creator or (lambda cls: cls())
        self.require_expose = require_expose
        self._lock = threading.Lock() if mode == "single" else None
        self._single: object = None

    def members(self, protocol: int) -> Members:
        """What all peers may use."""
        return exposed_members(self._cls, self.require_expose)

    def bind(self, peer: Peer) -> object:
        """An instance: the only one, or else one that is made now."""
        if self._lock is None:
            return self._instance()
        with self._lock:
            if self._single is None:
                self._single = self._instance()
            return self._single

    def _instance(self) -> object:
        try:
            instance = self._create(self._cls)
            if not isinstance(instance, self._cls):
                raise TypeError("instance creator returned object of different type")
        except Exception:
            log.exception("could not create an instance of %r for a client", self._cls)
            raise
        return instance


@expose
class DaemonObject:
    """The daemon as its clients see it, under the id Pyro.Daemon."""

    def __init__(self, daemon: Owner, peer: Peer) -> None:
        self._daemon = daemon
        self._peer = peer

    def ping(self) -> None:
        """Do nothing: that it returns shows that the daemon works."""

    def registered(self) -> list[str]:
        """The ids of all objects."""
        return self._daemon.registered()

    def info(self) -> str:
        """Where the daemon is and how many objects it has."""
        return self._daemon.describe()

    def get_metadata(self, objectId: str, as_lists: bool = False) -> dict[str, object]:
        """The members of an object, under the keys methods, oneway and attrs; as sets, or as lists."""
        hosted = self._daemon.hosted(objectId)
        if hosted is None:
            raise DaemonError("unknown object")
        methods, oneway, attributes = hosted.members(self._peer.protocol)
        collect: Callable[[frozenset[str]], object] = sorted if as_lists else set
        return {"methods": collect(methods), "oneway": collect(oneway), "attrs": collect(attributes)}

    def get_next_stream_item(self, streamId: str) -> object:
        """The next item of a result that is being streamed; StopIteration when there is none."""
        stream = self._peer.streams.get(streamId)
        if stream is None:
            raise PyroError("item stream terminated")
        try:
            return next(stream)
        except Exception:
            self._peer.streams.pop(streamId, None)
            raise

    def close_stream(self, streamId: str) -> None:
        """No more items of this stream are wanted."""
        stream = self._peer.streams.pop(streamId, None)
        close = getattr(stream, "close", None)
        if close is not None:
            close()


class HostedDaemon(Hosted):
    """The daemon itself. Its methods run in threads, because items of streams come from code of users."""

    def __init__(self, daemon: Owner) -> None:
        self._daemon = daemon

    def members(self, protocol: int) -> Members:
        """The methods of DaemonObject."""
        return exposed_members(DaemonObject)

    def bind(self, peer: Peer) -> DaemonObject:
        """The daemon, for this peer and its streams."""
        return DaemonObject(self._daemon, peer)
