"""Addresses of sockets, in the form in which they travel inside this program."""

from __future__ import annotations

import pwd
import re
import socket
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from pyronym.rpc.hosting import Address

WILDCARDS: Final = frozenset(["", "0.0.0.0", "::"])
"""Hosts that mean all interfaces. No client can reach a server by them."""

_MAPPED = "::ffff:"
"""How an IPv6 socket shows the address of an IPv4 peer."""

_HOST_AND_PORT: Final = re.compile(r"(?:\[(?P<ipv6>[^][]+)]|(?P<host>[^][:]*))(?::(?P<port>[0-9]{1,5}))?")


class Place(NamedTuple):
    """Where a server listens: at a numeric `address` and a `port`. `host`: how its user calls the address."""

    host: str
    address: str
    port: int

    @property
    def location(self) -> str:
        """Host and port as they are written in a URI."""
        return location(self.host, self.port)

    @property
    def is_everywhere(self) -> bool:
        """Whether these are all interfaces."""
        return self.address in WILDCARDS

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.address).is_loopback


def hosts_and_ports(hosts: object, port: int) -> list[tuple[str, int]]:
    """What to listen on: `hosts` is anything whose text is one or several with commas, or a sequence of such.

    Each is HOST, HOST:PORT or [IPV6]:PORT; `port` is for those that name none. An empty one means all interfaces, and
    is taken only if it is the only one. Of equal ones there is one. ValueError for other forms.
    """
    several = hosts if isinstance(hosts, Sequence) and not isinstance(hosts, str) else [hosts]
    texts = [text.strip() for host in several for text in str(host).split(",")]
    if not texts or (len(texts) > 1 and "" in texts):
        raise ValueError(f"invalid host: {hosts!r} (expected hosts; for all interfaces 0.0.0.0 or ::)")
    return list(dict.fromkeys(_host_and_port(text, port) for text in texts))


def _host_and_port(text: str, port: int) -> tuple[str, int]:
    if text.count(":") > 1 and "[" not in text:
        return text, port  # an IPv6 address
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        raise ValueError(f"invalid host: {text!r} (expected HOST, HOST:PORT or [IPV6]:PORT)")
    return match["ipv6"] or match["host"], int(match["port"] or port)


def place_towards(places: Sequence[Place], here: str) -> Place:
    """Which of `places` is for a client that reaches this machine at its address `here`, or would.

    The one with this address; else one of the same IP version, for all interfaces rather than for one, and not only for
    this machine unless the client is on it. If there is none such, one for all interfaces, or else the first.
    """
    address = ip_address(here)
    same = [place for place in places if ip_address(place.address).version == address.version]
    wishes: tuple[Callable[[Place], bool], ...] = (
        lambda place: place.address == here,
        lambda place: place in same and place.is_everywhere,
        lambda place: place in same and place.is_loopback == address.is_loopback,
        lambda place: place.is_everywhere,  # bound to :: alone it serves IPv4 too
    )
    return next((place for wish in wishes for place in places if wish(place)), places[0])


def plain_address(name: object) -> Address:
    """What ``getsockname`` and ``getpeername`` give, as (host, port) or path; None for a socket without a name."""
    if isinstance(name, tuple):
        return unmapped(name[0]), name[1]
    return name if isinstance(name, str) and name else None


def unmapped(host: str) -> str:
    """`host`, as the IPv4 address that it is if it is one in IPv6's clothes."""
    return host.removeprefix(_MAPPED) if "." in host else host


def location(host: str, port: int) -> str:
    """Host and port as they are written in a URI."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def family_name(sock: socket.socket) -> str:
    """What Pyro's users call the address family of a socket."""
    return {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}.get(sock.family, "Unix")


def address_towards(host: str, interface: int = 0) -> str:
    """The address of this machine from which packets to `host`, a numeric address, leave. OSError if none do.

    `interface`: the index of the one that leads to `host`, where the address alone does not say it.
    """
    family, rest = (socket.AF_INET6, (0, interface)) if ":" in host else (socket.AF_INET, ())
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9, *rest))  # sends nothing; the port does not matter, only 0 is refused
        name: str = probe.getsockname()[0]
        return name


def unix_user(sock: Any) -> str | None:
    """The name of the user whose process is at the other end of a Unix socket, or his number if he has no name.

    None for other sockets, and on systems that do not say it. `sock`: a socket, or what uvloop shows as one.
    """
    if sock.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return _user_name(user)


@lru_cache(maxsize=1024)  # to ask where the users are kept can take long
def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
