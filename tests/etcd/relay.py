"""Something between a node and etcd that can hold answers back."""

import socket
import threading
from contextlib import suppress


class Relay:
    """Takes connections at `location` and passes on what is sent to and fro; answers only while they are not held."""

    def __init__(self, target):
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.location = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        self._flowing.clear()

    def release(self):
        self._flowing.set()

    def cut(self):
        """End all connections; answers that are held back are lost."""
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.release()
        self.cut()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        for sock in [self._server, *self._sockets]:
            sock.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                upstream = socket.create_connection(self._target)
                self._sockets += [client, upstream]
                for source, sink, gate in ((client, upstream, None), (upstream, client, self._flowing)):
                    threading.Thread(target=_pass_on, args=(source, sink, gate), daemon=True).start()


def _pass_on(source, sink, gate):
    with suppress(OSError):
        while data := source.recv(65536):
            if gate is not None:
                gate.wait()
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
