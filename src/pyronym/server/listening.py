"""Sockets that a daemon listens on, and clear words when an address cannot be used.

Every failure is an OSError with the system's own number, of the class that goes with it: programs catch these.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from typing import Final

from pyronym.server.addresses import location
from pyronym.settings import Settings

BACKLOG: Final = 1024
"""Clients that the system keeps waiting until the loop accepts them. Linux takes no more than net.core.somaxconn."""

PATH_BYTES: Final = 107
"""Length of a Unix socket's path; Linux has room for that and a zero (macOS: 103)."""

_ADVICE: Final = {
    errno.EADDRINUSE: "another program listens there; stop it or choose another port, 0 for any that is free",
    errno.EADDRNOTAVAIL: "this machine has no such address; use one of its own, or '' for all of them",
    errno.EACCES: "no permission; ports below 1024 and foreign folders need special rights",
    errno.ENOENT: "the folder does not exist; make it first",
    errno.ENOTDIR: "a part of the path is no folder",
}


def open_socket(
    host: str, port: int, kind: socket.SocketKind, settings: Settings, *, one_version: bool = False
) -> socket.socket:
    """A socket that is bound to (host, port); an empty host means all interfaces, port 0 any that is free.

    With `one_version` the host ``::`` means all interfaces by IPv6 only, so that there can be another for IPv4.

    Raises OSError with the address in its words, ValueError for what is no port.
    """
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"invalid port: {port!r} (expected a number from 0 to 65535)")
    family, address = _resolve(host or "0.0.0.0", port, kind, settings)
    sock = socket.socket(family, kind)
    try:
        if settings.sock_reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if one_version and family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError as problem:
        sock.close()
        raise unusable(location(host or "0.0.0.0", port), problem) from problem
    return sock


def listen_tcp(host: str, port: int, settings: Settings, *, one_version: bool = False) -> socket.socket:
    """A TCP socket that listens. Arguments and errors as `open_socket`."""
    sock = open_socket(host, port, socket.SOCK_STREAM, settings, one_version=one_version)
    try:
        # The sockets of connections inherit these. Keepalive finds out about clients that vanished without a word.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, settings.sock_nodelay)
        sock.listen(BACKLOG)
    except OSError as problem:
        sock.close()
        raise unusable(location(host, port), problem) from problem
    return sock


def listen_unix(path: str) -> socket.socket:
    """A Unix socket that listens. One at `path` that nobody listens to any more is replaced.

    Raises OSError with the path in its words, ValueError for a path that no URI can hold.
    """
    if ":" in path or not path:
        raise ValueError(f"invalid unix socket path: {path!r} (expected a path without colons)")
    if len(os.fsencode(path)) > PATH_BYTES:
        raise OSError(
            errno.ENAMETOOLONG,
            f"cannot listen on {path}: the path is longer than {PATH_BYTES} bytes; use a shorter one",
        )
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as problem:
        sock.close()
        raise unusable(path, problem) from problem
    return sock


class SocketFile:
    """The file of a Unix socket that was just bound, to be removed at the end."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove the file, unless another program has put its own in its place."""
        with suppress(OSError):
            if _identity(self._path) == self._identity:
                os.unlink(self._path)


def unusable(where: str, problem: OSError) -> OSError:
    """`problem` with words that say which address it is about, and what can be done."""
    reason = problem.strerror or str(problem)
    advice = _ADVICE.get(problem.errno or 0)
    message = f"cannot listen on {where}: {reason}" + (f" ({advice})" if advice else "")
    kind = socket.gaierror if isinstance(problem, socket.gaierror) else OSError
    return kind(problem.errno, message)


def _resolve(host: str, port: int, kind: socket.SocketKind, settings: Settings) -> tuple[int, tuple[object, ...]]:
    """Address family and address of a host, of the preferred IP version if it has both."""
    preferred = {4: socket.AF_INET, 6: socket.AF_INET6}.get(settings.prefer_ip_version)
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as problem:
        if isinstance(problem, UnicodeError):  # from the rules for international names
            problem = socket.gaierror(socket.EAI_NONAME, f"no host name can be like this: {problem}")
        raise unusable(location(host, port), problem) from None
    found.sort(key=lambda entry: preferred not in (None, entry[0]))
    family, _, _, _, address = found[0]
    return family, address


def _remove_stale(path: str) -> None:
    """Remove the file of a socket whose program has ended."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return  # binding will say that it is in use
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except BlockingIOError:
            pass  # somebody listens, with more clients waiting than can be accepted


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
