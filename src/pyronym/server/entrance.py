"""Where the clients of a daemon come in: the sockets on which it listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

from pyronym.server.accepting import Acceptor
from pyronym.server.addresses import Place, unmapped
from pyronym.server.listening import SocketFile, listen_tcp, listen_unix
from pyronym.server.loop import LoopBase
from pyronym.settings import Settings
from pyronym.tls import ServerCertificates


class Entrance:
    """Listens, and has `loop` give each client that comes in a protocol of its own, from `new_protocol`."""

    def __init__(self, loop: LoopBase, settings: Settings, new_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._loop = loop
        self._settings = settings
        self._new_protocol = new_protocol
        self._acceptors: list[Acceptor] = []
        self._file: SocketFile | None = None
        self.places: list[Place] = []
        """Where clients are welcome since `open`; none for a Unix socket."""

    def open(
        self, addresses: Sequence[tuple[str, int]], path: str | None, sockets: Sequence[socket.socket]
    ) -> tuple[socket.socket, str]:
        """Listen at all addresses, or at none and raise; with `sockets` or a `path`, only there. The first socket, and
        where it is, as URIs say it.

        Raises OSError, with the address and the system's error number, when it cannot listen there; ValueError for
        sockets of another kind, and when the settings have SSL on and the TLS files cannot be used.
        """
        try:
            if sockets:
                return self._open_with(sockets)
            if path:
                return self._open_path(path)
            return self._open_all(addresses)
        except BaseException:
            self.close()
            raise

    def also_at(self, host: str, port: int, certificates: ServerCertificates, *, alone: bool) -> Place:
        """Listen at one more address, for TLS only. `alone`: the only one of its kind. Errors as those of `open`."""
        return self.also_with(listen_tcp(host, port, self._settings, one_version=not alone), host, certificates)

    def also_with(self, sock: socket.socket, host: str, certificates: ServerCertificates | None) -> Place:
        """Welcome the clients of one more TCP socket that listens, at what its user calls `host`; with `certificates`
        by TLS only. ValueError for other sockets.
        """
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise ValueError(f"cannot listen at {sock.getsockname()} as well (expected TCP sockets or one Unix socket)")
        self._accept_from(sock, certificates)
        name = sock.getsockname()
        return Place(host or name[0], unmapped(name[0]), name[1])

    def close(self) -> None:
        """Stop listening. To be called on the loop."""
        for acceptor in self._acceptors:
            acceptor.close()

    def remove_file(self) -> None:
        """Remove the file of the Unix socket, if there is one that was made here."""
        if self._file is not None:
            self._file.remove()

    def _open_with(self, sockets: Sequence[socket.socket]) -> tuple[socket.socket, str]:
        first = sockets[0]
        if first.family == socket.AF_UNIX and len(sockets) == 1:
            self._accept_from(first, None)
            return first, f"./u:{first.getsockname()}"
        certificates = self._certificates()
        self.places += [self.also_with(sock, "", certificates) for sock in sockets]
        return first, self.places[0].location

    def _open_path(self, path: str) -> tuple[socket.socket, str]:
        sock = listen_unix(path)
        self._file = SocketFile(path)
        self._accept_from(sock, None)
        return sock, f"./u:{path}"

    def _open_all(self, addresses: Sequence[tuple[str, int]]) -> tuple[socket.socket, str]:
        certificates = self._certificates()
        one_version = len(addresses) > 1
        opened = []
        for host, port in addresses:
            opened.append(listen_tcp(host, port, self._settings, one_version=one_version))
            self.places.append(self.also_with(opened[-1], host, certificates))
        return opened[0], self.places[0].location

    def _certificates(self) -> ServerCertificates | None:
        return ServerCertificates(self._settings) if self._settings.ssl else None

    def _accept_from(self, sock: socket.socket, certificates: ServerCertificates | None) -> None:
        self._acceptors.append(Acceptor(self._loop, sock, self._new_protocol, certificates))
