"""From a URI to a connected socket."""

from __future__ import annotations

import builtins
import socket
import ssl
from typing import Any

from pyronym.client.deadline import Deadline, run_until
from pyronym.errors import CommunicationError, TimeoutError
from pyronym.settings import Settings
from pyronym.tls import client_context, explained
from pyronym.uri import URI

Target = tuple[int, tuple[Any, ...] | str]
"""An address family, and an address of it in the form that sockets want: it differs for each family."""


def dial(uri: URI, settings: Settings, deadline: Deadline) -> socket.socket:
    """A socket that is connected to the daemon of a PYRO `uri`, by TLS where SSL is on and it is no Unix socket.

    Raises CommunicationError, or TimeoutError at the deadline; ValueError when the TLS files cannot be used.
    """
    context = client_context(settings) if settings.ssl and not uri.sockname else None
    try:
        targets = _targets(uri, settings, deadline)
        while True:
            (family, address), *rest = targets
            try:
                share = deadline.share(len(targets))
                sock = _connected(family, address, settings, share)
                return sock if context is None else _secured(sock, context, uri.host or "", share)
            except OSError as problem:
                if not rest or isinstance(problem, ssl.SSLError):  # the daemon is here; another would hide what it said
                    raise
                targets = rest
    except (TimeoutError, builtins.TimeoutError) as problem:
        raise TimeoutError(f"cannot connect to {uri.location}: timed out") from problem
    except (OSError, ValueError, OverflowError) as problem:  # the latter two: no host name or port can be such
        words = explained(problem) if context is not None and isinstance(problem, OSError) else problem
        raise CommunicationError(f"cannot connect to {uri.location}: {words}") from problem


def _targets(uri: URI, settings: Settings, deadline: Deadline) -> list[Target]:
    """The addresses to try, in the order to try them; at least one."""
    if uri.sockname:
        return [(socket.AF_UNIX, uri.sockname)]
    targets = addresses(uri.host or "", uri.port or 0, socket.SOCK_STREAM, deadline)
    if settings.prefer_ip_version:
        preferred = socket.AF_INET6 if settings.prefer_ip_version == 6 else socket.AF_INET
        targets.sort(key=lambda target: target[0] != preferred)
    return targets


def addresses(host: str, port: int, kind: socket.SocketKind, deadline: Deadline) -> list[Target]:
    """The addresses of a host, at least one. OSError or ValueError when it has none, TimeoutError at the deadline."""
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # not an address but a name
        found = run_until(deadline, lambda: socket.getaddrinfo(host, port, type=kind))
    return [(family, address) for family, _, _, _, address in found]


def _connected(family: int, address: tuple[Any, ...] | str, settings: Settings, deadline: Deadline) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(deadline.left())
        sock.connect(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if family != socket.AF_UNIX and settings.sock_nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _secured(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> socket.socket:
    """`sock` after its TLS handshake."""
    try:
        sock.settimeout(deadline.left())
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise
