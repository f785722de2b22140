"""The daemon: hosts objects, and answers those who call them."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Protocol, Self, Unpack

from pyronym.client.aio.keeping import Options, Plan
from pyronym.client.announce import ThreadAnnouncement
from pyronym.client.announcing import LEASE
from pyronym.client.endpoint import key_bytes
from pyronym.client.locate import locate
from pyronym.client.proxy import Proxy, proxies_from_references
from pyronym.errors import DaemonError, PyroError
from pyronym.rpc.hosting import Address, Hosted, Peer
from pyronym.rpc.offences import Offence
from pyronym.rpc.session import ServerSession
from pyronym.rpc.tally import Tally
from pyronym.server.addresses import family_name, location
from pyronym.server.announced import Announced
from pyronym.server.clients import Clients
from pyronym.server.driving import Driving
from pyronym.server.entrance import Entrance
from pyronym.server.hosted import DaemonObject, HostedDaemon
from pyronym.server.limits import Admission, Offences, connection_limits
from pyronym.server.loop import LoopBase, ServerLoop, Watchers
from pyronym.server.objects import Objects
from pyronym.server.transport import Connection
from pyronym.server.workers import Workers
from pyronym.settings import Settings, config
from pyronym.uri import DAEMON_NAME, URI
from pyronym.wire.keys import KeyRing

GOODBYE_SECONDS: Final = 1.0
"""How long a daemon that closes waits for the calls that are still running."""

READERS: Final = 1
"""Threads that read very large calls. To read one of 16 MiB can take ten seconds and 250 MB."""

SEARCHERS: Final = 2
"""Threads that look through many names."""

CHANGEABLE: Final = frozenset(
    [
        *("max_connections", "max_connections_per_address", "max_message_size", "max_handshake_size", "max_held"),
        "max_annotations",
        *("handshake_timeout", "message_timeout", "unread_timeout", "idle_timeout"),
        *("serializers_accepted", "access_log"),
    ]
)
"""Settings that a daemon can change while it serves."""

CLOSE_SECONDS: Final = 5.0
"""How long `close` waits for another thread to stop serving."""

log = logging.getLogger(__name__)


class Combinable(Protocol):
    """What a daemon can serve along with itself: another daemon, or a broadcast responder."""

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let an asyncio loop serve it."""
        ...


class Daemon:
    """Hosts objects at one address, for Pyro4 and Pyro5 clients.

    Listens on (`host`, `port`), or on `unixsocket`: an empty host means all interfaces, port 0 any that is free. `host`
    and the NAT address come from the settings when they are None, the settings from `pyronym.config`. `nathost` and
    `natport` are the address that URIs give to clients beyond a NAT; `natport` 0 is the port that is listened on.
    `also` are further (host, port) to listen on; the daemon's URIs name the first. With several, the host ``::`` stands
    for IPv6 only. `sockets` that listen already are used instead of all these, and closed with the daemon: TCP sockets,
    or one Unix socket. With an `hmac_key`, Pyro4 clients must have the same. Where the settings have SSL on, a TCP port
    speaks TLS, and nothing else, with the certificate that they name; a Unix socket is always plain. `loop` is the
    asyncio loop that serves, and belongs to the daemon from here on; by default one that can be served in each of the
    ways below.

    It listens from here on, and answers as soon as it is served in one of these ways, by one thread at a time::

        daemon.requestLoop()                                        # until `shutdown`
        select.select(daemon.sockets, ...), daemon.events(ready)    # in a loop of one's own
        daemon.attach()                                             # by the running asyncio loop
        other_daemon.combine(daemon)                                # along with another daemon

    Ordinary methods of the objects run in worker threads, ``async def`` methods on the daemon's own asyncio loop,
    both while other clients are served.

    Raises OSError, with the address and the system's error number, when it cannot listen there; ValueError when the
    arguments contradict each other, and when the TLS files cannot be used.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int = 0,
        unixsocket: str | None = None,
        nathost: str | None = None,
        natport: int | None = None,
        *,
        also: Sequence[tuple[str, int]] = (),
        sockets: Sequence[socket.socket] = (),
        settings: Settings | None = None,
        hmac_key: str | bytes | None = None,
        loop: LoopBase | None = None,
    ) -> None:
        self._settings = settings = settings or config.settings
        nathost = nathost or settings.nathost
        if nathost and unixsocket:
            raise ValueError("cannot use nathost together with unixsocket")
        if natport is not None and not nathost:
            raise ValueError("must provide natport with nathost")
        if also and unixsocket:
            raise ValueError("cannot use further addresses together with unixsocket")
        self._pyroHmacKey = hmac_key
        self.keys: KeyRing | None = None
        """Several HMAC keys instead of one. Changing them changes nothing for open connections."""
        self._objects = Objects(self, settings)
        self._objects.add(DAEMON_NAME, DaemonObject(self, Peer(0, None, None)), HostedDaemon(self))
        self._offences = Offences()
        self._tally = Tally() if settings.metrics else None
        self._workers = Workers(settings.threadpool_size)
        self._readers = Workers(READERS)
        self._searchers = Workers(SEARCHERS)
        self._watchers = Watchers()
        self._announced = Announced()
        self._loop = loop or ServerLoop()
        self._driving = Driving(self._loop, self._finish)
        self._admission = Admission(*self._connection_limits())
        self._clients = self._new_clients()
        self._entrance = Entrance(self._loop, settings, lambda: Connection(self._clients))
        self.places: Final = self._entrance.places
        """Where clients are welcome; none for a Unix socket. The first is that of `locationStr`."""
        try:
            addresses = [(settings.host if host is None else str(host), port), *also]
            self.sock, self.locationStr = self._entrance.open(addresses, unixsocket, sockets)
        except BaseException:
            self._loop.close()
            raise
        self.natLocationStr: str | None = None
        if nathost:
            natport = settings.natport if natport is None else natport
            self.natLocationStr = location(nathost, natport or self.sock.getsockname()[1])
        log.debug("daemon created on %s, NAT %s", self.locationStr, self.natLocationStr)

    def _new_clients(self) -> Clients:
        return Clients(
            self._loop,
            self._workers,
            self._readers,
            self._searchers,
            self._new_session,
            lambda peer: self.clientDisconnect(peer),  # it may be replaced later
            self._settings,
            self._admission,
            self._offences,
        )

    def _connection_limits(self) -> tuple[int, int]:
        return connection_limits(self._settings, resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    def change_limits(self, **changes: Any) -> None:
        """Change some of the settings that are named in `CHANGEABLE`. On the daemon's loop; see `post`.

        Limits of connections, of time and of memory count at once; others for clients that connect from then on.
        """
        assert changes.keys() <= CHANGEABLE, "others are in use in many places"
        self._settings = replace(self._settings, **changes)
        self._admission.limit(*self._connection_limits())
        self._clients.limit(self._settings)

    def _new_session(self, local: Address, remote: Address) -> ServerSession:
        key = self._hmac_key if self.keys is None else self.keys
        return ServerSession(self._objects, self._settings, hmac_key=key, local=local, remote=remote, tally=self._tally)

    @property
    def _pyroHmacKey(self) -> bytes | None:
        """The key that messages of Pyro4 clients are signed with. Changing it changes nothing for open connections."""
        return self._hmac_key

    @_pyroHmacKey.setter
    def _pyroHmacKey(self, key: str | bytes | None) -> None:
        self._hmac_key = key_bytes(key)

    @property
    def offences(self) -> dict[Offence, int]:
        """How often clients were stopped from doing something, of each kind, since the daemon was made."""
        return self._offences.counts

    @property
    def settings(self) -> Settings:
        """What it was made with."""
        return self._settings

    # Objects

    @property
    def objectsById(self) -> dict[str, object]:
        """The objects and classes that are registered, by id."""
        return self._objects.by_id

    def register(self, obj_or_class: object, objectId: str | None = None, force: bool = False) -> URI:
        """Host an object, or a class whose instances are made as its `behavior` says, and give its URI.

        Without `objectId` it gets an id of its own. Raises DaemonError if it has an id already, or the id stands for
        something else, unless `force` says that this does not matter; AttributeError if it cannot take the attributes
        ``_pyroId`` and ``_pyroDaemon``.
        """
        return self._objects.register(obj_or_class, objectId, force)

    def unregister(self, objectOrId: object) -> None:
        """Stop hosting an object or a class. DaemonError if it is an object without an id; unknown ids are ignored."""
        object_id = objectOrId if isinstance(objectOrId, str) else getattr(objectOrId, "_pyroId", None)
        self._objects.unregister(objectOrId)
        self._announced.end(str(object_id))

    def announce(
        self,
        obj_or_class: object,
        name: str,
        lease: float = LEASE,
        metadata: Iterable[str] | None = None,
        *,
        objectId: str | None = None,
        **options: Unpack[Options],
    ) -> ThreadAnnouncement:
        """Host an object or a class, if that is not done already, and keep its URI registered under `name`.

        Arguments and errors as those of `register` and of `pyronym.announce`; if one fails nothing is left of the
        other. The announcement ends, within moments, when the object is unregistered or the daemon is closed; it can be
        ended before. While it waits for the name server, which may be in this daemon, this one is served if nobody else
        does that. From inside of an ``async def`` method or a hook of the daemon nothing is waited for.
        """
        is_new = not any(obj_or_class is known for known in self._objects.by_id.values())
        uri = self.register(obj_or_class, objectId) if is_new else self.uriFor(obj_or_class)
        try:
            announcement = ThreadAnnouncement(Plan.of(name, uri, lease, metadata, options))
            self._announced.add(str(uri.object), announcement)
            self._driving.wait_for(announcement.started, self._settings.polltimeout)
        except BaseException:
            if is_new:
                self.unregister(obj_or_class)
            raise
        return announcement

    def registered(self) -> list[str]:
        """The ids of all objects; the daemon's own is one of them."""
        return list(self._objects.by_id)

    def describe(self) -> str:
        """Where the daemon is and how many objects it has, in words for people."""
        return (
            f"{DAEMON_NAME} bound on {self.locationStr}, NAT {self.natLocationStr}, "
            f"{len(self.objectsById)} objects registered. Servertype: asyncio"
        )

    def hosted(self, object_id: str) -> Hosted | None:
        """How the object of this id is hosted; None if there is none."""
        return self._objects.get(object_id)

    def uriFor(self, objectOrId: object, nat: bool = True) -> URI:
        """The URI of an object, or of whatever has or will have an id; without `nat` at the internal address.

        DaemonError if it is an object that is not registered here.
        """
        object_id = objectOrId if isinstance(objectOrId, str) else self._objects.id_of(objectOrId)
        return URI(f"PYRO:{object_id}@{(nat and self.natLocationStr) or self.locationStr}")

    def proxyFor(self, objectOrId: object, nat: bool = True) -> Proxy:
        """A proxy for an object, or for what has an id. DaemonError if it is not registered here."""
        object_id = objectOrId if isinstance(objectOrId, str) else self._objects.id_of(objectOrId)
        proxy: Proxy = proxies_from_references(self._objects.reference_to(object_id, nat), self._settings)
        return proxy

    def _host_object(self, object_id: str, target: object, hosted: Hosted) -> None:
        """Host `target` in a way of its own."""
        self._objects.add(object_id, target, hosted)

    # What subclasses may change

    def validateHandshake(self, conn: Peer, data: object) -> object:
        """The answer to what a client says when it connects; whatever this raises refuses the connection.

        Runs on the daemon's loop, so it must not wait for anything.
        """
        return "hello"

    def clientDisconnect(self, conn: Peer) -> None:
        """Called when a client has gone. Runs on the daemon's loop, so it must not wait for anything."""

    def _leave(self) -> None:
        """Called once, on the loop, before the connections are closed: for calls that would not end for long."""

    def _release(self) -> None:
        """Called once, when the daemon is closed and answers nobody any more: for what a subclass has to give back."""

    # Serving

    @property
    def sockets(self) -> list[Daemon]:
        """What a ``select`` loop has to watch for this daemon; nothing when it is closed."""
        return [] if self._driving.closed else [self]

    def fileno(self) -> int:
        """The descriptor that is readable when `events` has something to do; -1 when the daemon is closed."""
        return self._loop.fileno()

    def requestLoop(self, loopCondition: Callable[[], object] | None = None) -> None:
        """Serve until `shutdown`, `request_stop` or KeyboardInterrupt, or until `loopCondition` gives something false.

        That is asked after each round of requests, and every POLLTIMEOUT seconds. Returns at once if the daemon is
        closed. Raises DaemonError while it is being served already, and where an asyncio loop is running.
        """
        if asyncio._get_running_loop() is not None:
            raise DaemonError("requestLoop would block the asyncio loop of this thread (call daemon.attach() instead)")
        with self._driving.hold() as is_open, suppress(KeyboardInterrupt):
            if is_open:
                log.info("daemon %s entering request loop", self.locationStr)
                self._loop.serve(loopCondition, self._settings.polltimeout)

    def events(self, eventsockets: Iterable[object] = ()) -> None:
        """Do what there is to do, for a short time at most. For loops of one's own, whenever `fileno` is readable.

        Raises DaemonError while another thread is serving.
        """
        with self._driving.hold() as is_open:
            if is_open:
                self._loop.turn()

    def attach(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Let an asyncio loop serve this daemon, the running one if none is given, until the daemon is closed.

        To be called in the thread of that loop. ``async def`` methods of the objects run in that thread too, but on the
        daemon's own loop: what they await must not belong to the other one.
        """
        if not self._driving.closed:
            self._watchers.add(loop or asyncio.get_running_loop(), self.fileno(), self.events)

    def combine(self, daemon: Combinable) -> None:
        """Serve another daemon, or a broadcast responder, along with this one, until that is closed."""
        self._loop.post(daemon.attach, self._loop)

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Have whoever serves this daemon call `function`. Never waits; also for signal handlers."""
        self._loop.post(function, *args)
        self._loop.wake()  # a signal may arrive while the loop waits

    def request_stop(self) -> None:
        """End `requestLoop`, or the next one as it starts. Never waits; also for signal handlers."""
        self._loop.interrupt()

    def shutdown(self) -> None:
        """End `requestLoop` and close the daemon; the same as `close`."""
        self.close()

    def close(self) -> None:
        """Stop listening, close all connections, and give everything back. Once is enough, more does no harm.

        Calls that are running are answered first, if that takes no longer than GOODBYE_SECONDS. From any thread.
        From inside of a remote method it returns at once, so that this call can be answered as well; the daemon is then
        closed by whoever serves it.
        """
        self._driving.ask_to_close()
        if self._driving.is_here or threading.current_thread() in self._workers:
            return
        with self._driving.hold(CLOSE_SECONDS):
            pass
        if not self._driving.closed:
            log.warning("daemon %s is not closed: another thread is serving it and does not stop", self.locationStr)

    def _finish(self) -> None:
        log.debug("daemon %s closing", self.locationStr)
        self._announced.end_all()
        self._entrance.remove_file()
        self._watchers.remove_all()
        try:
            self._loop.complete(self._say_goodbye())
        finally:
            self._workers.close()
            self._readers.close()
            self._searchers.close()
            self._loop.close()
            self.sock.close()
            self._release()

    async def _say_goodbye(self) -> None:
        self._entrance.close()
        self._leave()
        await self._clients.leave(GOODBYE_SECONDS)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GOODBYE_SECONDS)
        await self._clients.abort()
        await self._loop.shutdown_asyncgens()

    def __enter__(self) -> Self:
        if self._driving.closed:
            raise PyroError("cannot reuse this object")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = type(self)
        return (
            f"<{kind.__module__}.{kind.__qualname__} at {id(self):#x}; {self.locationStr} - "
            f"{family_name(self.sock)}; {len(self.objectsById)} objects>"
        )

    @staticmethod
    def serveSimple(
        objects: Mapping[Any, str | None],
        host: str | None = None,
        port: int = 0,
        daemon: Daemon | None = None,
        ns: bool = True,
        verbose: bool = True,
    ) -> None:
        """Host objects, a dict of object -> name or None, and serve until interrupted, in `daemon` or one that is made.

        With `ns` the names are registered in a name server, which is located first; otherwise they are the objects'
        ids. `verbose`: say on the standard output where they are.
        """
        say: Callable[..., None] = print if verbose else lambda *_: None
        with daemon or Daemon(host, port) as daemon:
            nameserver = locate(settings=daemon._settings) if ns else None
            with nameserver or nullcontext():
                for obj, name in objects.items():
                    uri = daemon.register(obj, None if ns else name)
                    say(f"Object {obj!r}:\n    uri = {uri}")
                    if nameserver is not None and name:
                        nameserver.register(name, uri)
                        say(f"    name = {name}")
            say("Pyro daemon running.")
            daemon.requestLoop()
