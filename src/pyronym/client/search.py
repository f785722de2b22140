"""Finding a name server. What is found is a connection; the faces in `locate` and `aio` make a proxy of it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from pyronym.client.connection import Connection, open_connection
from pyronym.client.deadline import Deadline
from pyronym.client.dialing import Target, addresses
from pyronym.client.multicast import interfaces_of, multicast_group
from pyronym.client.network import Network, Stream
from pyronym.client.nodes import HASTE, Nodes, known_nodes
from pyronym.errors import NameServerNotFoundError, PyroError, TimeoutError
from pyronym.settings import Settings
from pyronym.tls import explained
from pyronym.uri import URI, is_link_local, name_servers_at

log = logging.getLogger(__name__)

S = TypeVar("S", bound=Stream)

QUESTION: Final = b"GET_NSURI"
ANSWER_SIZE: Final = 2048
"""Bytes of a broadcast answer that are read; it is one URI."""
_BROADCAST_TRIES = 4
"""How often the question is broadcast, evenly spread over the time there is. Datagrams get lost."""
_DEBIAN_ADDRESS = "127.0.1.1"
"""What Debian gives the host's own name, and so where a name server started with that name listens."""


def named_nodes(host: str | None, port: int | None, settings: Settings) -> tuple[URI, ...]:
    """The name servers at `host`, or without one those of NS_HOST if it names several; none where one has to be found.

    `port` is that of hosts without one. Raises PyroError when they are no hosts.
    """
    if host:
        return name_servers_at(host, port or settings.ns_port)
    return name_servers_at(settings.ns_host, port or settings.ns_port) if "," in settings.ns_host else ()


async def find_name_server(
    network: Network[S],
    nodes: Sequence[URI],
    port: int | None,
    broadcast: bool,
    settings: Settings,
    hmac_key: bytes | None,
    deadline: Deadline,
    *,
    known: Nodes | None = None,
) -> Connection[S]:
    """A connection to the first of the `nodes` that answers, or without any to a name server that can be found.

    `port` is that of the name server, and of the broadcast where one is made. Without nodes the settings say where:
    NS_HOST if that is this machine, then whoever answers a broadcast, then NS_HOST wherever it is. `known` learns of
    the one that is found, which is asked for the nodes that it knows, too. Ends within the LOCATE_TIMEOUT of the
    settings. Raises NameServerNotFoundError, PyroError when NS_HOST is no host.
    """
    search = _Search(network, settings, hmac_key, deadline.within(settings.locate_timeout), known)
    if nodes:
        return await search.first_of(nodes)
    (own,) = name_servers_at(settings.ns_host, settings.ns_port)
    (near,) = name_servers_at(settings.ns_host, port or settings.ns_port)
    steps: list[_Step[S]] = []
    tried = set()
    if _is_local(near):
        debian = URI(near)
        debian.host = _DEBIAN_ADDRESS
        tried = {near, debian}
        steps.append(lambda share: search.connect(near, share))
        if near != debian and near.host and ":" not in near.host:
            steps.append(lambda share: search.connect_to_debian(debian, share))
    if broadcast:
        bcport = port or settings.ns_bcport
        steps += [partial(search.ask_everyone, family, bcport) for family in broadcast_families(settings)]
    if own not in tried:
        steps.append(lambda share: search.connect(own, share))
    return await search.run(steps)


_Step = Callable[[Deadline], Awaitable["Connection[S] | None"]]


class _Search(Generic[S]):
    """One search: its steps share the time, and what they find out goes into `attempts`."""

    def __init__(
        self,
        network: Network[S],
        settings: Settings,
        hmac_key: bytes | None,
        deadline: Deadline,
        known: Nodes | None,
    ) -> None:
        self._network = network
        self._settings = settings
        self._hmac_key = hmac_key
        self._deadline = deadline
        self._known = known
        self._attempts: dict[str, str] = {}
        self._late: set[URI] = set()  # those that may only have been too slow

    async def run(self, steps: Sequence[_Step[S]]) -> Connection[S]:
        """What the first successful step finds. Each gets an even part of the time that is left when it begins."""
        try:
            for number, step in enumerate(steps):
                found = await step(self._deadline.share(len(steps) - number))
                if found is not None:
                    return found
        except TimeoutError as problem:
            self._attempts["further places"] = f"not tried: {problem}"
        raise NameServerNotFoundError(self._attempts.items())

    async def first_of(self, nodes: Sequence[URI]) -> Connection[S]:
        """A connection to the first of `nodes` that answers; each has `HASTE` seconds at first, and those
        that were only late an even share of the rest.
        """
        if len(nodes) == 1:
            return await self.run([partial(self.connect, nodes[0])])
        return await self.run(
            [
                *(partial(self._connect_in_haste, uri) for uri in nodes),
                *(partial(self._connect_late, uri) for uri in nodes),
            ]
        )

    async def _connect_in_haste(self, uri: URI, deadline: Deadline) -> Connection[S] | None:
        return await self.connect(uri, deadline.within(HASTE))

    async def _connect_late(self, uri: URI, deadline: Deadline) -> Connection[S] | None:
        return await self.connect(uri, deadline) if uri in self._late else None

    async def connect(self, uri: URI, deadline: Deadline) -> Connection[S] | None:
        """A connection to the name server at `uri`, if there is one."""
        try:
            connection = await open_connection(self._network, uri, self._settings, deadline, hmac_key=self._hmac_key)
            if self._known is not None:
                await self._learn(self._known, connection, deadline)
            return connection
        except PyroError as problem:
            if isinstance(problem, TimeoutError):
                self._late.add(uri)
            log.debug("no name server at %s: %s", uri.location, problem)
            cause = problem.__cause__ or problem
            self._attempts[str(uri.location)] = explained(cause) if isinstance(cause, OSError) else str(cause)
            return None

    async def _learn(self, known: Nodes, connection: Connection[S], deadline: Deadline) -> None:
        """Have `known` know the name server that was found, and all that it knows of, if it is one that does."""
        told: object = None
        if connection.members is not None and "nodes" in connection.members.methods:
            try:
                told = await connection.call("nodes", (), {}, self._settings.serializer, deadline)
            except BaseException:
                connection.close()
                raise
        known.learn(known_nodes(connection.uri, told, self._settings.ns_port))

    async def connect_to_debian(self, uri: URI, deadline: Deadline) -> Connection[S] | None:
        """As `connect`, if this machine's own name stands for 127.0.1.1. If nobody says so in time, it does not."""
        try:
            found = await addresses(self._network, socket.gethostname(), 0, socket.SOCK_STREAM, deadline)
        except (OSError, ValueError, TimeoutError):
            return None
        if any(address[0] == _DEBIAN_ADDRESS for _, address in found):
            return await self.connect(uri, deadline)
        return None

    async def ask_everyone(self, family: socket.AddressFamily, port: int, deadline: Deadline) -> Connection[S] | None:
        """A connection to the first name server that answers a broadcast, in IPv6 a multicast, and can be reached."""
        hosts = broadcast_hosts(self._settings, family)
        where = f"broadcast to {', '.join(hosts)}, port {port}"
        why = "no answer"
        seen = set()
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                targets = await self._broadcast_targets(hosts, family, port, deadline)
                for number in range(_BROADCAST_TRIES):
                    wait = deadline.share(_BROADCAST_TRIES - number)
                    _ask(sock, targets)
                    while (uri := await self._next_answer(sock, wait)) is not None:
                        if uri not in seen and (found := await self.connect(uri, deadline.share(2))):
                            return found
                        seen.add(uri)
        except (OSError, TimeoutError) as problem:
            why = str(problem)
        self._attempts[where] = why if not seen else "no answer that leads to a name server"
        return None

    async def _broadcast_targets(
        self, hosts: Sequence[str], family: socket.AddressFamily, port: int, deadline: Deadline
    ) -> list[_Question]:
        targets: list[_Question] = []
        for host in hosts:
            numeric = numeric_host(host)
            interfaces = [0]
            if group := multicast_group(host):
                numeric, interfaces = socket.inet_ntop(family, group.packed), interfaces_of(group)
            found = await addresses(self._network, numeric, port, socket.SOCK_DGRAM, deadline)
            targets += [(target, interface) for target in found if target[0] == family for interface in interfaces]
        return targets

    async def _next_answer(self, sock: socket.socket, deadline: Deadline) -> URI | None:
        """The next URI that arrives, None at the deadline. What else arrives is dropped: anyone may send to it."""
        while True:
            try:
                data, sender = await self._network.receive(sock, ANSWER_SIZE, deadline)
            except TimeoutError:
                return None
            if (uri := uri_answered(data, sender)) is not None:
                return uri


def uri_answered(data: bytes, sender: tuple[Any, ...]) -> URI | None:
    """The URI that the answer to a broadcast has, as this machine can use it; None if it has none."""
    try:
        uri = URI(data.decode("utf-8"))
    except (PyroError, UnicodeDecodeError):
        log.debug("ignoring a broadcast answer that is no URI: %r", data[:100])
        return None
    if uri.protocol != "PYRO":
        return None
    if is_link_local(uri.host or "") and "%" not in str(uri.host):
        uri.host = f"{uri.host}%{sender[3]}"  # the server cannot know what we call the interface
    return uri


_Question = tuple[Target, int]
"""Where to send the question to, and for a multicast the index of the interface to send it by; otherwise 0."""


def broadcast_families(settings: Settings) -> list[socket.AddressFamily]:
    """By which IP versions to ask everyone: by the older one, where all servers listen, before the newer."""
    families = [socket.AF_INET6] if settings.prefer_ip_version == 6 else [socket.AF_INET, socket.AF_INET6]
    return [family for family in families if broadcast_hosts(settings, family)]


def broadcast_hosts(settings: Settings, family: socket.AddressFamily) -> list[str]:
    """Those of BROADCAST_ADDRS to ask by one IP version. Only addresses with a colon are of IPv6."""
    return [host for host in settings.broadcast_addrs if (":" in host) == (family == socket.AF_INET6)]


def numeric_host(host: str) -> str:
    """One of BROADCAST_ADDRS, without the words that stand for an address."""
    return {"<broadcast>": "255.255.255.255", "": "0.0.0.0"}.get(host, host)


def _ask(sock: socket.socket, targets: Sequence[_Question]) -> None:
    """Send the question to all of `targets`. OSError when it can be sent to none."""
    problem = OSError("no address to send to")
    sent = False
    for (_, address), interface in targets:
        try:
            if interface:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
            sock.sendto(QUESTION, address)
            sent = True
        except OSError as failure:
            problem = failure
    if not sent:
        raise problem


def _is_local(uri: URI) -> bool:
    host = uri.host or ""
    return uri.sockname is not None or host in ("localhost", "::1") or host.startswith("127.")
