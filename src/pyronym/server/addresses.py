"""Addresses of sockets, in the form in which they travel inside this program."""

from __future__ import annotations

import pwd
import socket
import struct
from functools import lru_cache
from typing import Any

from pyronym.rpc.hosting import Address

_MAPPED = "::ffff:"
"""How an IPv6 socket shows the address of an IPv4 peer."""


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


def address_towards(host: str) -> str:
    """The address of this machine from which packets to `host`, a numeric address, leave. OSError if none do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # sends nothing; the port does not matter, only 0 is refused
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
