"""What systemd tells a service, and wants to be told: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

All of it is a few environment variables and datagrams. Without them nothing happens here.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final, NamedTuple

from pyronym.server.loop import LoopBase

FIRST_INHERITED: Final = 3
"""Descriptor of the first socket that systemd hands over."""

BEATS: Final = 2
"""Signs of life in the time within which there must be one."""

TLS_SOCKET: Final = "tls"
"""The name of a socket (FileDescriptorName=) at which TLS is spoken beside the plain port."""

log = logging.getLogger(__name__)


class Inherited(NamedTuple):
    """Sockets that systemd has opened, and that listen."""

    plain: list[socket.socket]
    tls: list[socket.socket]


class Supervisor:
    """systemd, as far as it watches over this process and wants to know how it is."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._interval = 0.0
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._interval = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 / BEATS

    def ready(self, status: str) -> None:
        """It serves, for the first time or again."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """It reads its files again; `ready` follows."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """It comes to its end."""
        self._tell("STOPPING=1", "STATUS=stopping")

    def watch(self, loop: LoopBase, status: Callable[[], str]) -> None:
        """Have `loop` give signs of life as long as it runs, and tell the status. One that is stuck gives none."""
        if self._address and self._interval:
            self._tell("WATCHDOG=1", f"STATUS={status()}")
            loop.call_later(self._interval, self.watch, loop, status)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifying:
                notifying.setblocking(False)  # systemd may be busy, and we must not be
                notifying.sendto("\n".join(lines).encode(), self._address)
        except OSError as problem:
            log.warning("cannot tell systemd at NOTIFY_SOCKET: %s", problem)


def inherited_sockets(environment: MutableMapping[str, str]) -> Inherited:
    """The sockets that systemd has opened for this process. Taken once: the variables are removed.

    Raises ValueError for sockets that are none to listen on.
    """
    found = Inherited([], [])
    process, count = environment.pop("LISTEN_PID", ""), int(environment.pop("LISTEN_FDS", "0"))
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if process != str(os.getpid()):
        return found
    for number in range(count):
        name = names[number] if number < len(names) else ""
        sock = socket.socket(fileno=FIRST_INHERITED + number)
        sock.set_inheritable(False)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ValueError(f"socket {name!r} of systemd does not listen (expected ListenStream= and Accept=no)")
        (found.tls if name == TLS_SOCKET else found.plain).append(sock)
    return found
