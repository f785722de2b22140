"""Resolving names from memory, which a watch of the name server keeps right."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from pyronym.client.blocking import BLOCKING
from pyronym.client.endpoint import key_bytes
from pyronym.client.following import Follower
from pyronym.client.locate import NameServerProxy, locate, resolve_with
from pyronym.client.name_server import uri_of
from pyronym.client.network import run
from pyronym.client.proxy import Proxy
from pyronym.client.resolving import checked_uri, object_address
from pyronym.client.search import named_nodes
from pyronym.client.watching import Change, Event, pauses
from pyronym.errors import CommunicationError, NameServerNotFoundError, PyroError, UnknownNameError
from pyronym.settings import Settings, config
from pyronym.uri import URI

log = logging.getLogger(__name__)

_POLL: Final = 5.0
"""Seconds that a name server which is silent may be asleep before answers from memory end, but for a grace."""
_WITHOUT_WATCH: Final = 60.0
"""Seconds until a name server that has no watch is asked for it again: it may have been replaced by another one."""


class Resolver:
    """Knows what names stand for: a name that was asked for once is answered from memory.

    A watch, in a thread of its own, follows the name server at `host` and `port` (as for `locateNS`; several nodes are
    tried in turn) and corrects what is in memory; `prefix` narrows it to the names that begin so, and others are always
    asked for. While the watch is down, each question goes to the name server. When that fails, too, CommunicationError
    or NameServerNotFoundError is raised, or with `stale_if_error` the answer is the last one that was known.

    An answer from memory is out of date for as long as a change takes to arrive. If the network loses the name server
    without a word, that is 10 seconds at most; then the watch is down.

    Its methods may be called from any thread, and never wait for each other if the answer is in memory. To be closed,
    or used in a ``with`` statement. Raises NameServerNotFoundError if neither `host` nor NS_HOST says which the name
    servers are, and none can be found.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        prefix: str = "",
        stale_if_error: bool = False,
        hmac_key: str | bytes | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._settings = settings or config.settings
        self._key = key_bytes(hmac_key)
        self._prefix = prefix
        self._stale_if_error = stale_if_error
        nodes = named_nodes(host, port, self._settings)
        if not nodes:
            with locate(host, port, hmac_key=self._key, settings=self._settings) as found:
                nodes = (found._pyroUri,)
        self._asked = NameServerProxy(uri_of(nodes), settings=self._settings, hmac_key=self._key)
        self._asked._pyroTimeout = self._patience()
        self._fresh: dict[str, URI] = {}  # the answers that the watch keeps right
        self._known: dict[str, URI] = {}  # all answers there were
        self._questions: dict[str, object] = {}  # those under way, as far as there was no news of their names
        self._lock = threading.Lock()  # for changes of what is above
        self._node: Proxy | None = None  # the node that is watched
        self._up = threading.Event()
        self._closing = threading.Event()
        self._follower = Follower(BLOCKING, self._asked, prefix, _POLL, listing=False)
        self._thread = threading.Thread(target=self._follow, name="pyronym-resolver", daemon=True)
        self._thread.start()

    def lookup(self, name: str) -> URI:
        """The URI that `name` stands for, not to be changed.

        Raises UnknownNameError, NamingError if it stands for no address of an object, and as said for the class.
        """
        try:
            return self._fresh[name]
        except KeyError:
            return self._ask(name)

    def resolve(self, uri: str | URI) -> URI:
        """The PYRO URI that a PYRONAME URI without a location stands for; others are resolved as by `pyronym.resolve`.

        Raises as `lookup`, TypeError for what is no URI.
        """
        whole = checked_uri(uri)
        if whole.protocol == "PYRONAME" and whole.location is None:
            return self.lookup(str(whole.object))
        return resolve_with(whole, self._key, settings=self._settings)

    @property
    def watching(self) -> bool:
        """Whether the watch is up, so that answers come from memory."""
        return self._up.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the watch is up, so many seconds at most. Whether it is."""
        return self._up.wait(timeout)

    def close(self) -> None:
        """End the watch. From then on nothing is answered from memory. May be called again."""
        self._closing.set()
        while self._thread.is_alive():
            connection = self._follower.connection
            if connection is not None:
                connection.stream.interrupt()
            self._thread.join(0.05)  # it may have been about to connect
        self._asked._pyroRelease()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _patience(self) -> float:
        return self._settings.commtimeout or self._settings.locate_timeout

    # Asking

    def _ask(self, name: str) -> URI:
        """Ask the node that is watched, so that the watch tells of all that happens to the answer; else any other."""
        node = self._node
        if node is not None and name.startswith(self._prefix):
            question = self._questions[name] = object()
            try:
                uri = self._learn(name, node)
            except CommunicationError as problem:
                log.info("%s is asked elsewhere: %s", name, problem)
            else:
                with self._lock:
                    # If there was news of it meanwhile, this answer may be older, and the news will not come again.
                    if self._questions.get(name) is question:
                        self._fresh[name] = uri
                return uri
            finally:
                with self._lock:
                    if self._questions.get(name) is question:
                        del self._questions[name]
        try:
            return self._learn(name, self._asked)
        except (CommunicationError, NameServerNotFoundError):
            if self._stale_if_error and name in self._known:
                return self._known[name]
            raise

    def _learn(self, name: str, node: Proxy) -> URI:
        try:
            uri = object_address(node.lookup(name), name)
        except UnknownNameError:
            self._known.pop(name, None)
            raise
        self._known[name] = uri
        return uri

    # Watching, in the thread

    def _follow(self) -> None:
        tries = pauses()
        while not self._closing.is_set():
            try:
                events = run(self._follower.next_events())
            except (CommunicationError, NameServerNotFoundError) as problem:
                self._forget()
                log.info("the watch of a resolver is down: %s", problem)
                self._closing.wait(next(tries))
            except Exception as problem:  # whatever the name server raises; the thread has to go on
                self._forget()
                log.warning("a resolver cannot watch, and asks for each name: %s", problem)
                self._closing.wait(_WITHOUT_WATCH)
            else:
                tries = pauses()
                self._take(events)
        self._forget()
        self._follower.close()

    def _take(self, events: Iterable[Event]) -> None:
        assert self._follower.connection is not None, "it has just given the events"
        with self._lock:
            if self._node is None:
                self._node = Proxy(self._follower.connection.uri, settings=self._settings, hmac_key=self._key)
                self._node._pyroTimeout = self._patience()
            for event in events:
                if isinstance(event, Change):
                    self._correct(event)
                else:
                    self._start_anew()
        self._up.set()

    def _correct(self, change: Change) -> None:
        """Of names that nobody asked for nothing is kept. What is no address is asked for again, for its error."""
        self._questions.pop(change.name, None)
        self._fresh.pop(change.name, None)
        if self._known.pop(change.name, None) is None or change.uri is None:
            return
        try:
            self._fresh[change.name] = self._known[change.name] = object_address(change.uri, change.name)
        except PyroError as problem:
            log.debug("%s", problem)

    def _start_anew(self) -> None:
        self._questions.clear()
        self._fresh.clear()

    def _forget(self) -> None:
        self._up.clear()
        with self._lock:
            node, self._node = self._node, None
            self._start_anew()
        if node is not None:
            node._pyroRelease()
