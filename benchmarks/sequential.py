"""One client that makes one lookup after the other. Runs in the interpreter of the client that is measured.

Usage: python sequential.py MODULE PORT SECONDS NAME, where MODULE is what has the Proxy; prints lookups a second.
       python sequential.py bare PORT SECONDS HANDSHAKE REQUEST ANSWER_SIZE, with prepared bytes in hexadecimal.
"""

import importlib
import socket
import sys
import time
from collections.abc import Callable


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls a second, after a start that does not count."""
    for _ in range(500):
        call()
    begin = time.perf_counter()
    calls = 0
    while (took := time.perf_counter() - begin) < seconds:
        for _ in range(100):
            call()
        calls += 100
    return calls / took


def bare_rate(port: int, seconds: float, handshake: bytes, request: bytes, answer_size: int) -> float:
    """With a blocking socket and prepared bytes."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if handshake:
            sock.sendall(handshake)
            sock.recv(65536)

        def call() -> None:
            sock.sendall(request)
            received = len(sock.recv(65536))
            while received < answer_size:
                received += len(sock.recv(65536))

        return rate(call, seconds)


def proxy_rate(module: str, port: int, seconds: float, name: str) -> float:
    """With a Proxy of the stock kind or ours."""
    with importlib.import_module(module).Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{port}") as proxy:
        return rate(lambda: proxy.lookup(name), seconds)


if __name__ == "__main__":
    kind, port, seconds, *rest = sys.argv[1:]
    if kind == "bare":
        handshake, request = map(bytes.fromhex, rest[:2])
        print(bare_rate(int(port), float(seconds), handshake, request, int(rest[2])))
    else:
        print(proxy_rate(kind, int(port), float(seconds), rest[0]))
