"""Addresses of sockets, in the form in which they travel inside this program."""

from __future__ import annotations

import socket

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
