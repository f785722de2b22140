"""Lookups a second of one client with one request at a time: our Proxy beside stock ones and beside a bare echo.

Every row is a client process and a server process; the rows take turns, several times, so that a machine whose speed
drifts is fair to all. Quote the ratios. The echo is a raw blocking socket against an asyncio protocol (uvloop's where
that is installed) that sends the bytes of a lookup back. The responder answers our Proxy with prepared bytes, and so
shows what the client costs without our server.

Where the system puts the two processes decides more than what they do: waking a process on an idle core of a virtual
machine takes ten times as long as switching to it on the same core. So each row is measured with both on one core,
where only work counts, and with a core for each, where most of the time is waiting, as it is over a network.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pyronym.client.proxy import Proxy
from pyronym.rpc.client import ClientSession
from pyronym.serializers.registry import serializer_by_id, serializer_by_name
from pyronym.settings import Settings
from pyronym.uri import URI
from pyronym.wire.codec import Decoder, encode
from pyronym.wire.message import PYRO4, PYRO5, Flag, Message, MessageType

ROOT = Path(__file__).resolve().parent.parent
NAME_SERVER = "Pyro.NameServer"
NAME, URI_TEXT = "bench.object", "PYRO:bench@127.0.0.1:4444"
LIMIT = 1 << 20
BURST = 200
"""Requests between two looks at the clock."""
CORES = sorted(os.sched_getaffinity(0))
PLACEMENTS = {"one core": CORES[0], "two cores": CORES[-1]}
"""The core of the client; that of the server is the first."""

STOCK_CLIENT = f"""
import sys, time
from {{}} import Proxy
proxy = Proxy("PYRO:{NAME_SERVER}@" + sys.argv[1])
proxy.register("{NAME}", "{URI_TEXT}")
count, start, seconds = 0, time.perf_counter(), float(sys.argv[2])
while time.perf_counter() - start < seconds:
    for _ in range({BURST}):
        proxy.lookup("{NAME}")
    count += {BURST}
print(count / (time.perf_counter() - start))
"""

OURS = [sys.executable, __file__]
STOCK = {number: ROOT / f".stock/pyro{number}/bin/python" for number in (4, 5)}
SERVERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "echo": ([*OURS, "serve-echo"], {}),
    "responder 4": ([*OURS, "serve-responder", str(PYRO4)], {}),
    "responder 5": ([*OURS, "serve-responder", str(PYRO5)], {}),
    "pyronym": ([sys.executable, "-m", "pyronym.naming", "-n", "127.0.0.1", "-p", "0"], {}),
} | {
    f"stock Pyro{number}, {kind}": (
        [str(STOCK[number]), "-m", f"Pyro{number}{module}", "-n", "127.0.0.1", "-p", "0"],
        {"PYRO_SERVERTYPE": kind},
    )
    for number, module in ((4, ".naming"), (5, ".nameserver"))
    for kind in ("multiplex", "thread")
}


def stock_client(number: int) -> list[str]:
    """The command of a stock client, to be followed by address and duration."""
    return [str(STOCK[number]), "-c", STOCK_CLIENT.format("Pyro4" if number == 4 else "Pyro5.api")]


ROWS: dict[str, tuple[list[str], str]] = {
    "raw socket, echo": ([*OURS, "ask-raw", str(PYRO4)], "echo"),
    "raw socket, pyronym": ([*OURS, "ask-raw", str(PYRO4)], "pyronym"),
    "Proxy 4, responder": ([*OURS, "ask-proxy", "4"], "responder 4"),
    "Proxy 5, responder": ([*OURS, "ask-proxy", "5"], "responder 5"),
    "Proxy 4, pyronym": ([*OURS, "ask-proxy", "4"], "pyronym"),
    "Proxy 5, pyronym": ([*OURS, "ask-proxy", "5"], "pyronym"),
} | {name: (stock_client(int(name[10])), name) for name in SERVERS if name.startswith("stock")}
"""What asks, and which server it asks."""


# Servers


async def serve_echo() -> None:
    """Send back what comes."""

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.send = transport.write  # type: ignore[attr-defined]  # a stream's transport has it

        def data_received(self, data: bytes) -> None:
            self.send(data)

    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    announce(server.sockets[0])
    await server.serve_forever()


def serve_responder(protocol: int) -> None:
    """Answer one connection after the other: the first request with a welcome, the others with a lookup's answer."""
    serializer = serializer_by_name(protocol, "serpent")
    members = {"methods": ["lookup", "register"], "oneway": [], "attrs": []}
    welcome = serializer.dumps({"handshake": "hello", "meta": members})
    greeting = encode(Message(protocol, MessageType.CONNECT_OK, 1, Flag.METADATA, 0, welcome), limit=LIMIT)
    answer = Message(protocol, MessageType.RESULT, 1, 0, 0, serializer.dumps(URI(URI_TEXT)))
    answers = [encode(answer._replace(sequence=number), limit=LIMIT) for number in range(1 << 16)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        announce(listener)
        while True:
            sock, _ = listener.accept()
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.recv(65536)
                sock.sendall(greeting)
                number = 0
                while sock.recv(65536):
                    number = (number + 1) & 0xFFFF
                    sock.sendall(answers[number])


def announce(listener: socket.socket) -> None:
    """Say where the server listens, as name servers do."""
    print("URI = PYRO:x@{}:{}".format(*listener.getsockname()), flush=True)


@contextmanager
def server(command: list[str], environment: dict[str, str]) -> Iterator[str]:
    """A server process on the first core; its address."""
    process = subprocess.Popen(
        command,
        preexec_fn=pinned(CORES[0]),
        env={"PYTHONUNBUFFERED": "1", **os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("URI = "):
                yield line.strip().rpartition("@")[2]
                return
        raise SystemExit(f"{command} did not start (for the stock peers run: python tests/stock.py)")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


# Clients


def ask_raw(protocol: int, address: str, seconds: float) -> float:
    """Exchanges a second of the same bytes over a raw socket. An echo is not greeted in earnest, but answers, too."""
    host, _, port = address.partition(":")
    session = ClientSession(protocol, address, Settings())
    with socket.create_connection((host, int(port))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange(sock, session.connect(NAME_SERVER, "hello", serializer="serpent"))
        for method, args in (("register", (NAME, URI_TEXT)), ("lookup", (NAME,))):
            data = serializer_by_name(protocol, "serpent").dumps_call(NAME_SERVER, method, args, {})
            request = encode(Message(protocol, MessageType.INVOKE, 1, 0, 1, data), limit=LIMIT)
            exchange(sock, request)
        count, start = 0, time.perf_counter()
        while (now := time.perf_counter()) - start < seconds:
            for _ in range(BURST):
                sock.sendall(request)
                sock.recv(65536)
            count += BURST
        return count / (now - start)


def exchange(sock: socket.socket, request: bytes) -> None:
    """Send a request and take its whole answer, which must not be an error."""
    sock.sendall(request)
    decoder = Decoder(limit=LIMIT)
    while (answer := decoder.next_message()) is None:
        decoder.feed(sock.recv(65536))
    if answer.flags & Flag.EXCEPTION:
        raise SystemExit(serializer_by_id(answer.protocol, answer.serializer_id).loads(answer.data))


def ask_proxy(number: int, address: str, seconds: float) -> float:
    """Lookups a second of our Proxy."""
    with Proxy(f"PYRO:{NAME_SERVER}@{address}", protocol=number) as proxy:
        proxy.register(NAME, URI_TEXT)
        count, start = 0, time.perf_counter()
        while (now := time.perf_counter()) - start < seconds:
            for _ in range(BURST):
                proxy.lookup(NAME)
            count += BURST
        return count / (now - start)


# Together


def pinned(core: int) -> Callable[[], None]:
    """What a child process does first, to run on this core only."""
    return lambda: os.sched_setaffinity(0, {core})


def rate(row: str, address: str, seconds: float, core: int) -> float:
    """What one client process measures."""
    command = [*ROWS[row][0], address, str(seconds)]
    return float(subprocess.run(command, preexec_fn=pinned(core), check=True, stdout=subprocess.PIPE).stdout)


def measure(seconds: float, rounds: int, rows: list[str]) -> dict[str, dict[str, list[float]]]:
    """The rates of each row by placement, round by round."""
    rates: dict[str, dict[str, list[float]]] = {placement: {name: [] for name in rows} for placement in PLACEMENTS}
    with ExitStack() as stack:
        needed = {ROWS[name][1] for name in rows}
        running = {name: stack.enter_context(server(*SERVERS[name])) for name in needed}
        for _ in range(rounds):
            for placement, core in PLACEMENTS.items():
                for name in rows:
                    rates[placement][name].append(rate(name, running[ROWS[name][1]], seconds, core))
    return rates


def report(rates: dict[str, list[float]]) -> None:
    """Print a table; the ratios are medians of the ratios of each round."""

    def ratio(name: str, other: str) -> str:
        return f"{statistics.median(a / b for a, b in zip(rates[name], rates[other], strict=True)):.2f}"

    columns = [name for name in ("raw socket, echo", "stock Pyro4, multiplex", "stock Pyro4, thread") if name in rates]
    for name, measured in rates.items():
        spread = f"{min(measured):,.0f} to {max(measured):,.0f}"
        ratios = ", ".join(f"{ratio(name, other)} of {other}" for other in columns if other != name)
        print(f"  {name:24}{statistics.median(measured):8,.0f}/s  ({spread})  {ratios}")


def main() -> None:
    """Measure all rows, or play one of the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each row, placement and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="rows whose names hold one of these words, separated by semicolons")
    options = parser.parse_args()
    rows = [name for name in ROWS if any(word in name for word in options.only.split(";"))]
    for placement, rates in measure(options.seconds, options.rounds, rows).items():
        print(f"{placement}:")
        report(rates)


def run_echo() -> None:
    """Serve echoes with uvloop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve_echo())
    else:
        uvloop.run(serve_echo())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve-echo"]:
            run_echo()
        case ["serve-responder", protocol]:
            serve_responder(int(protocol))
        case ["ask-raw", protocol, address, seconds]:
            print(ask_raw(int(protocol), address, float(seconds)))
        case ["ask-proxy", number, address, seconds]:
            print(ask_proxy(int(number), address, float(seconds)))
        case _:
            main()
