"""Lookups a second from 50 connections with one request outstanding each: pyronym beside the stock name servers.

Each server runs in a process of its own, the load comes from this one, over raw sockets with prepared bytes. The
servers take turns, several times, so that a machine whose speed drifts is fair to all. Quote the ratios.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyronym.serializers.registry import serializer_by_name, serializer_id
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType

ROOT = Path(__file__).resolve().parent.parent
NAME_SERVER = "Pyro.NameServer"
LIMIT = 1 << 20
SERVERS = {
    "pyronym, Pyro4 wire": (PYRO4, [sys.executable, "-m", "pyronym.naming"], {}),
    "pyronym, Pyro5 wire": (PYRO5, [sys.executable, "-m", "pyronym.naming"], {}),
    "stock Pyro4, multiplex": (PYRO4, [".stock/pyro4/bin/pyro4-ns"], {"PYRO_SERVERTYPE": "multiplex"}),
    "stock Pyro5, multiplex": (PYRO5, [".stock/pyro5/bin/pyro5-ns"], {"PYRO_SERVERTYPE": "multiplex"}),
}


@contextmanager
def server(command: list[str], environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A name server process; its address."""
    process = subprocess.Popen(
        [*command, "-n", "127.0.0.1", "-p", "0"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("URI = "):
                host, _, port = line.strip().rpartition("@")[2].partition(":")
                yield host, int(port)
                return
        raise SystemExit(f"{command[0]} did not start; run: python tests/stock.py")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def message(protocol: int, kind: MessageType, data: bytes, flags: int = 0) -> bytes:
    """A request's bytes."""
    identity = serializer_id(protocol, "serpent")
    return encode(Message(protocol, kind, identity, flags, 1, data), limit=LIMIT)


def exchange(sock: socket.socket, request: bytes) -> Message:
    """Send one request and take its answer."""
    sock.sendall(request)
    decoder = Decoder(limit=LIMIT)
    while (answer := decoder.next_message()) is None:
        decoder.feed(sock.recv(65536))
    return answer


def connect(address: tuple[str, int], protocol: int) -> socket.socket:
    """A connection with its handshake done."""
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = serializer_by_name(protocol, "serpent").dumps({"handshake": "hello", "object": NAME_SERVER})
    assert exchange(sock, message(protocol, MessageType.CONNECT, data, Flag.METADATA)).type is MessageType.CONNECT_OK
    return sock


def call(protocol: int, method: str, *args: object) -> bytes:
    """The bytes of a call to the name server."""
    data = serializer_by_name(protocol, "serpent").dumps_call(NAME_SERVER, method, args, {})
    return message(protocol, MessageType.INVOKE, data)


def lookups_per_second(address: tuple[str, int], protocol: int, connections: int, seconds: float) -> float:
    """Measure one server for a while."""
    with ExitStack() as stack:
        socks = [stack.enter_context(connect(address, protocol)) for _ in range(connections)]
        exchange(socks[0], call(protocol, "register", "bench.object", "PYRO:object@127.0.0.1:4444"))
        request = call(protocol, "lookup", "bench.object")
        size = len(encode(exchange(socks[0], request), limit=LIMIT))
        selector = stack.enter_context(selectors.DefaultSelector())
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ)
            sock.sendall(request)
        answers = 0
        start = time.perf_counter()
        while (now := time.perf_counter()) - start < seconds:
            for key, _ in selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                received = len(sock.recv(size))
                while received < size:
                    received += len(sock.recv(size - received))
                sock.sendall(request)
                answers += 1
        return answers / (now - start)


def main() -> None:
    """Measure all servers in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each server and round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        running = {
            name: (protocol, stack.enter_context(server(command, environment)))
            for name, (protocol, command, environment) in SERVERS.items()
        }
        for _ in range(options.rounds):
            for name, (protocol, address) in running.items():
                rates[name].append(lookups_per_second(address, protocol, options.connections, options.seconds))
    for name, measured in rates.items():
        print(
            f"{name:24}{statistics.median(measured):10,.0f} lookups/s   ({min(measured):,.0f} to {max(measured):,.0f})"
        )
    for wire in ("4", "5"):
        ours = statistics.median(rates[f"pyronym, Pyro{wire} wire"])
        stock = statistics.median(rates[f"stock Pyro{wire}, multiplex"])
        print(f"Pyro{wire} wire: {ours / stock:.1f} times the stock server")


if __name__ == "__main__":
    main()
