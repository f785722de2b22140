"""From a URI to a connected stream."""

from __future__ import annotations

import builtins
import socket
import ssl
from typing import Any, TypeVar

from pyronym.client.deadline import Deadline
from pyronym.client.network import Network, Stream, Tls
from pyronym.errors import CommunicationError, TimeoutError
from pyronym.settings import Settings
from pyronym.tls import client_context, explained
from pyronym.uri import URI

S = TypeVar("S", bound=Stream)

Target = tuple[int, tuple[Any, ...] | str]
"""An address family, and an address of it in the form that sockets want: it differs for each family."""


async def dial(network: Network[S], uri: URI, settings: Settings, deadline: Deadline) -> S:
    """A stream to the daemon of a PYRO `uri`, by TLS where SSL is on and it is no Unix socket.

    Raises CommunicationError, or TimeoutError at the deadline; ValueError when the TLS files cannot be used.
    """
    tls = Tls(client_context(settings), uri.host or "") if settings.ssl and not uri.sockname else None
    try:
        targets = await _targets(network, uri, settings, deadline)
        while True:
            (family, address), *rest = targets
            try:
                share = deadline.share(len(targets))
                return await network.connect(_new_socket(family, settings), address, tls, str(uri.location), share)
            except OSError as problem:
                if not rest or isinstance(problem, ssl.SSLError):  # the daemon is here; another would hide what it said
                    raise
                targets = rest
    except (TimeoutError, builtins.TimeoutError) as problem:
        raise TimeoutError(f"cannot connect to {uri.location}: timed out") from problem
    except (OSError, ValueError, OverflowError) as problem:  # the latter two: no host name or port can be such
        words = explained(problem) if tls is not None and isinstance(problem, OSError) else problem
        raise CommunicationError(f"cannot connect to {uri.location}: {words}") from problem


async def _targets(network: Network[S], uri: URI, settings: Settings, deadline: Deadline) -> list[Target]:
    """The addresses to try, in the order to try them; at least one."""
    if uri.sockname:
        return [(socket.AF_UNIX, uri.sockname)]
    targets = await addresses(network, uri.host or "", uri.port or 0, socket.SOCK_STREAM, deadline)
    if settings.prefer_ip_version:
        preferred = socket.AF_INET6 if settings.prefer_ip_version == 6 else socket.AF_INET
        targets.sort(key=lambda target: target[0] != preferred)
    return targets


async def addresses(
    network: Network[S], host: str, port: int, kind: socket.SocketKind, deadline: Deadline
) -> list[Target]:
    """The addresses of a host, at least one. OSError or ValueError when it has none, TimeoutError at the deadline."""
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # not an address but a name
        found = await network.in_thread(lambda: socket.getaddrinfo(host, port, type=kind), deadline)
    return [(family, address) for family, _, _, _, address in found]


def _new_socket(family: int, settings: Settings) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if family != socket.AF_UNIX and settings.sock_nodelay:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
