"""The objects of a daemon by their ids."""

from __future__ import annotations

import inspect
import threading
import uuid
from contextlib import suppress
from typing import Any, Final

from pyronym.client.proxy import Proxy, proxies_from_references
from pyronym.errors import DaemonError
from pyronym.rpc.hosting import Hosted, Peer
from pyronym.serializers.classes import RemoteReference
from pyronym.server.hosted import HostedClass, HostedObject, Owner
from pyronym.settings import Settings
from pyronym.uri import DAEMON_NAME, URI
from pyronym.wire.message import PYRO4

# What is in most results, and never registered.
_PLAIN: Final = frozenset([str, int, float, bool, bytes, type(None)])


class Objects:
    """What is registered in one daemon; for its sessions, all that they see of the daemon (`rpc.hosting.Host`)."""

    def __init__(self, daemon: Owner, settings: Settings) -> None:
        self._daemon = daemon
        self._settings = settings
        self._lock = threading.Lock()
        self._hosted: dict[str, Hosted] = {}
        self.get = self._hosted.get
        self.by_id: dict[str, object] = {}

    def register(self, target: Any, object_id: str | None, force: bool) -> URI:
        """Register an object or a class, and give its URI. Raises as `Daemon.register`."""
        if object_id is not None and not isinstance(object_id, str):
            raise TypeError("objectId must be a string or None")
        object_id = object_id or f"obj_{uuid.uuid4().hex}"
        uri = self._daemon.uriFor(object_id)
        kind = HostedClass if inspect.isclass(target) else HostedObject
        hosted = kind(target, self._settings.require_expose)
        with self._lock:
            if not force:
                if getattr(target, "_pyroId", ""):
                    raise DaemonError("object or class already has a Pyro id")
                if object_id in self._hosted:
                    raise DaemonError("an object or class is already registered with that id")
            target._pyroId = object_id
            target._pyroDaemon = self._daemon
            self.add(object_id, target, hosted)
        return uri

    def add(self, object_id: str, target: object, hosted: Hosted) -> None:
        """Have `object_id` stand for `hosted`."""
        self.by_id[object_id] = target
        self._hosted[object_id] = hosted

    def unregister(self, object_or_id: object) -> None:
        """Forget an object, or whatever has an id. Raises as `Daemon.unregister`."""
        if object_or_id is None:
            raise ValueError("object or objectid argument expected")
        object_id = object_or_id if isinstance(object_or_id, str) else getattr(object_or_id, "_pyroId", None)
        if object_id is None:
            raise DaemonError("object isn't registered")
        if object_id == DAEMON_NAME:
            return
        with self._lock:
            target = self.by_id.pop(object_id, None)
            self._hosted.pop(object_id, None)
        for name in ("_pyroId", "_pyroDaemon"):
            with suppress(AttributeError):  # it was hosted without having been registered by `register`
                delattr(target, name)

    def id_of(self, target: object) -> str:
        """The id of an object. DaemonError if it is not registered."""
        object_id = getattr(target, "_pyroId", None)
        if object_id is None or object_id not in self.by_id:
            raise DaemonError("object isn't registered in this daemon")
        return str(object_id)

    def reference_to(self, object_id: str, nat: bool = True) -> RemoteReference:
        """How the object of this id travels. DaemonError if there is none."""
        hosted = self.get(object_id)
        if hosted is None:
            raise DaemonError("object isn't registered in this daemon")
        methods, oneway, attributes = hosted.members(PYRO4)
        return RemoteReference(self._daemon.uriFor(object_id, nat), oneway, methods, attributes)

    # For the sessions

    def reference(self, value: Any) -> RemoteReference | None:
        """How `value` travels if it is registered here, or an instance of a class that is."""
        if type(value) in _PLAIN or getattr(value, "_pyroDaemon", None) is not self._daemon:
            return None
        object_id = value._pyroId
        registered = self.by_id.get(object_id)
        if registered is value or (inspect.isclass(registered) and isinstance(value, registered)):
            return self.reference_to(object_id)
        return None

    def revive(self, reference: RemoteReference) -> Proxy:
        """A proxy for what a client passed."""
        proxy: Proxy = proxies_from_references(reference, self._settings)
        return proxy

    def validate_handshake(self, peer: Peer, handshake: object) -> object:
        """The daemon's answer to a client's handshake."""
        return self._daemon.validateHandshake(peer, handshake)
