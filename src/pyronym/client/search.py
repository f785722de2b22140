"""Finding a name server. What is found is a connection; the faces in `locate` make a proxy of it."""

from __future__ import annotations

import builtins
import logging
import socket
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address

from pyronym.client.connection import Connection, open_connection
from pyronym.client.deadline import Deadline
from pyronym.client.dialing import Target, addresses
from pyronym.client.multicast import interfaces_of, multicast_group
from pyronym.errors import NameServerNotFoundError, PyroError, TimeoutError
from pyronym.settings import Settings
from pyronym.tls import explained
from pyronym.uri import NAMESERVER_NAME, URI

log = logging.getLogger(__name__)

_QUESTION = b"GET_NSURI"
_ANSWER_SIZE = 2048
"""Bytes of a broadcast answer that are read; it is one URI."""
_BROADCAST_TRIES = 4
"""How often the question is broadcast, evenly spread over the time there is. Datagrams get lost."""
_DEBIAN_ADDRESS = "127.0.1.1"
"""What Debian gives the host's own name, and so where a name server started with that name listens."""


def find_name_server(
    host: str | None, port: int | None, broadcast: bool, settings: Settings, hmac_key: bytes | None, deadline: Deadline
) -> Connection:
    """A connection to the name server at `host`, or without a host to any that can be found.

    `port` is that of the name server, and of the broadcast where one is made. Without a host the settings say where:
    NS_HOST if that is this machine, then whoever answers a broadcast, then NS_HOST wherever it is. Ends within the
    LOCATE_TIMEOUT of the settings. Raises NameServerNotFoundError, PyroError when `host` is no host.
    """
    search = _Search(settings, hmac_key, deadline.within(settings.locate_timeout))
    if host:
        uri = _name_server_uri(host, port or settings.ns_port)
        return search.run([lambda share: search.connect(uri, share)])
    own = _name_server_uri(settings.ns_host, settings.ns_port)
    steps: list[_Step] = []
    tried = set()
    if _is_local(settings.ns_host):
        near = _name_server_uri(settings.ns_host, port or settings.ns_port)
        debian = _name_server_uri(_DEBIAN_ADDRESS, port or settings.ns_port)
        tried = {near, debian}
        steps.append(lambda share: search.connect(near, share))
        if near != debian and ":" not in settings.ns_host:
            steps.append(lambda share: search.connect(debian, share) if _is_debian_name(share) else None)
    if broadcast:
        bcport = port or settings.ns_bcport
        steps += [partial(search.ask_everyone, family, bcport) for family in _broadcast_families(settings)]
    if own not in tried:
        steps.append(lambda share: search.connect(own, share))
    return search.run(steps)


_Step = Callable[[Deadline], Connection | None]


class _Search:
    """One search: its steps share the time, and what they find out goes into `attempts`."""

    def __init__(self, settings: Settings, hmac_key: bytes | None, deadline: Deadline) -> None:
        self._settings = settings
        self._hmac_key = hmac_key
        self._deadline = deadline
        self._attempts: list[tuple[str, str]] = []

    def run(self, steps: list[_Step]) -> Connection:
        """What the first successful step finds. Each gets an even part of the time that is left when it begins."""
        try:
            for number, step in enumerate(steps):
                found = step(self._deadline.share(len(steps) - number))
                if found is not None:
                    return found
        except TimeoutError as problem:
            self._attempts.append(("further places", f"not tried: {problem}"))
        raise NameServerNotFoundError(self._attempts)

    def connect(self, uri: URI, deadline: Deadline) -> Connection | None:
        """A connection to the name server at `uri`, if there is one."""
        try:
            return open_connection(uri, self._settings, deadline, hmac_key=self._hmac_key)
        except PyroError as problem:
            log.debug("no name server at %s: %s", uri.location, problem)
            cause = problem.__cause__ or problem
            why = explained(cause) if isinstance(cause, OSError) else str(cause)
            self._attempts.append((str(uri.location), why))
            return None

    def ask_everyone(self, family: socket.AddressFamily, port: int, deadline: Deadline) -> Connection | None:
        """A connection to the first name server that answers a broadcast, in IPv6 a multicast, and can be reached."""
        hosts = _broadcast_hosts(self._settings, family)
        where = f"broadcast to {', '.join(hosts)}, port {port}"
        why = "no answer"
        seen = set()
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                targets = _broadcast_targets(hosts, family, port, deadline)
                for number in range(_BROADCAST_TRIES):
                    wait = deadline.share(_BROADCAST_TRIES - number)
                    _ask(sock, targets)
                    for uri in _answers(sock, wait):
                        if uri not in seen and (found := self.connect(uri, deadline.share(2))):
                            return found
                        seen.add(uri)
        except (OSError, TimeoutError) as problem:
            why = str(problem)
        self._attempts.append((where, why if not seen else "no answer that leads to a name server"))
        return None


def _broadcast_families(settings: Settings) -> list[socket.AddressFamily]:
    """By which IP versions to ask everyone: by the older one, where all servers listen, before the newer."""
    families = [socket.AF_INET6] if settings.prefer_ip_version == 6 else [socket.AF_INET, socket.AF_INET6]
    return [family for family in families if _broadcast_hosts(settings, family)]


def _broadcast_hosts(settings: Settings, family: socket.AddressFamily) -> list[str]:
    """Those of BROADCAST_ADDRS to ask by one IP version. Only addresses with a colon are of IPv6."""
    return [host for host in settings.broadcast_addrs if (":" in host) == (family == socket.AF_INET6)]


_Question = tuple[Target, int]
"""Where to send the question to, and for a multicast the index of the interface to send it by; otherwise 0."""


def _broadcast_targets(
    hosts: list[str], family: socket.AddressFamily, port: int, deadline: Deadline
) -> list[_Question]:
    targets: list[_Question] = []
    for host in hosts:
        numeric = {"<broadcast>": "255.255.255.255", "": "0.0.0.0"}.get(host, host)
        interfaces = [0]
        if group := multicast_group(host):
            numeric, interfaces = socket.inet_ntop(family, group.packed), interfaces_of(group)
        found = addresses(numeric, port, socket.SOCK_DGRAM, deadline)
        targets += [(target, interface) for target in found if target[0] == family for interface in interfaces]
    return targets


def _ask(sock: socket.socket, targets: list[_Question]) -> None:
    """Send the question to all of `targets`. OSError when it can be sent to none."""
    problem = OSError("no address to send to")
    sent = False
    for (_, address), interface in targets:
        try:
            if interface:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
            sock.sendto(_QUESTION, address)
            sent = True
        except OSError as failure:
            problem = failure
    if not sent:
        raise problem


def _answers(sock: socket.socket, deadline: Deadline) -> Iterator[URI]:
    """The URIs that arrive until the deadline. What else arrives is dropped: anyone may send to this socket."""
    while True:
        try:
            sock.settimeout(deadline.left())
            data, sender = sock.recvfrom(_ANSWER_SIZE)
        except (TimeoutError, builtins.TimeoutError):
            return
        try:
            uri = URI(data.decode("utf-8"))
        except (PyroError, UnicodeDecodeError):
            log.debug("ignoring a broadcast answer that is no URI: %r", data[:100])
            continue
        if uri.protocol == "PYRO":
            if _lacks_zone(uri):
                uri.host = f"{uri.host}%{sender[3]}"  # the server cannot know what we call the interface
            yield uri


def _lacks_zone(uri: URI) -> bool:
    """Whether the address means something only along with an interface, and names none."""
    host = uri.host or ""
    try:
        return "%" not in host and ip_address(host).version == 6 and ip_address(host).is_link_local
    except ValueError:  # a name
        return False


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _is_debian_name(deadline: Deadline) -> bool:
    """Whether this machine's own name stands for 127.0.1.1. If the resolver does not say in time, it does not."""
    try:
        found = addresses(socket.gethostname(), 0, socket.SOCK_STREAM, deadline)
    except (OSError, ValueError, TimeoutError):
        return False
    return any(address[0] == _DEBIAN_ADDRESS for _, address in found)


def _name_server_uri(host: str, port: int) -> URI:
    if URI.isUnixsockLocation(host):
        return URI(f"PYRO:{NAMESERVER_NAME}@{host}")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return URI(f"PYRO:{NAMESERVER_NAME}@{host}:{port}")
