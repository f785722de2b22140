"""A TCP relay that keeps a record of what passes through it. For `capture`."""

from __future__ import annotations

import select
import socket
import threading
from typing import NamedTuple

Address = tuple[str, int]


class Piece(NamedTuple):
    """Bytes as they arrived. `direction` says who sent them: client or server."""

    direction: str
    data: bytes


class Relay:
    """Listens on a free port of 127.0.0.1, passes one connection on to `target`, and keeps what passed in `pieces`.

    A context manager. At its end the client must have closed its connection.
    """

    def __init__(self, target: Address) -> None:
        self.pieces: list[Piece] = []
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._pass_on, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._thread.join(10)
        self._listener.close()
        if self._thread.is_alive():
            raise RuntimeError("the client did not connect, or did not close its connection")

    def _pass_on(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(self._target) as server:
            others = {client: server, server: client}
            names = {client: "client", server: "server"}
            while others:
                for source in select.select(list(others), [], [])[0]:
                    data = _receive(source)
                    if data:
                        self.pieces.append(Piece(names[source], data))
                        others[source].sendall(data)
                    else:
                        _end(others.pop(source))


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except ConnectionResetError:
        return b""


def _end(destination: socket.socket) -> None:
    try:
        destination.shutdown(socket.SHUT_WR)
    except OSError:  # the other side has gone already
        return
