"""Discovery: stock clients that know nothing but broadcast addresses find the name server.

All on the loopback interface: the server listens on all interfaces (bound to 127.0.0.1 it starts no responder), the
clients ask through 127.*.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import ask

from processes import NameServer, NameServers

ANSWER_TIMEOUT = 10.0
GARBAGE = (b"", b"GET_NSUR", b"GET_NSURI ", b"GET_NSURI\0", b"get_nsuri", b"\xff" * 60_000, b"GET_NSURI" * 50)


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A TCP port of 127.0.0.1 that refuses connections, and goes on refusing: nobody else can get it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.fixture
def pythons(stock4_python: Path, stock5_python: Path) -> dict[int, Path]:
    return {4: stock4_python, 5: stock5_python}


def broadcast_port(server: NameServer) -> int:
    return int(server.process.wait_for_line(r"^Broadcast server running on \S+:(\d+)$")[1])


@pytest.mark.parametrize("dialect", [4, 5])
@pytest.mark.parametrize(
    ("bound_to", "asked_at"),
    [("127.0.0.1", "127.0.0.1"), ("", "127.0.0.1"), ("", "127.255.255.255")],
    ids=["one-interface", "all-interfaces", "broadcast-address"],
)
def test_a_stock_client_finds_the_server_by_broadcast(
    dialect: int, bound_to: str, asked_at: str, serve: NameServers, dead_port: int, pythons: dict[int, Path]
) -> None:
    server = serve("--bcport", "0", *(["--bchost", bound_to] if bound_to else []), host="0.0.0.0")
    answers = ask(
        pythons[dialect],
        "",
        "ns = locate()",
        "str(ns._pyroUri)",
        "ns.register('a', 'PYRO:a@host:1')",
        "str(resolve('PYRONAME:a'))",
        env={
            "PYRO_NS_HOST": "127.0.0.1",
            "PYRO_NS_PORT": str(dead_port),
            "PYRO_NS_BCPORT": str(broadcast_port(server)),
            "PYRO_BROADCAST_ADDRS": asked_at,
        },
    )
    found = f"'PYRO:Pyro.NameServer@127.0.0.1:{server.port}'"
    assert answers == ["None", found, "None", "'PYRO:a@host:1'"]


@pytest.mark.parametrize("dialect", [4, 5])
def test_a_server_on_all_interfaces_gives_each_client_an_address_that_it_can_reach(
    dialect: int, serve: NameServers, pythons: dict[int, Path]
) -> None:
    server = serve("-x", host="0.0.0.0")
    reachable = f"PYRO:Pyro.NameServer@127.0.0.1:{server.port}"
    answers = ask(
        pythons[dialect],
        reachable,
        "str(ns.lookup('Pyro.NameServer'))",
        "str(ns.lookup('Pyro.NameServer', return_metadata=True)[0])",
        "ns.list()['Pyro.NameServer']",
        "ns.list(prefix='Pyro.', return_metadata=True)['Pyro.NameServer'][0]",
        f"str(resolve('PYRONAME:Pyro.NameServer@127.0.0.1:{server.port}'))",
        "connect(ns.lookup('Pyro.NameServer')).ping()",
    )
    assert answers == [repr(reachable)] * 5 + ["None"]


def ask_for_uri(port: int, question: bytes = b"GET_NSURI") -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(ANSWER_TIMEOUT)
        asking.sendto(question, ("127.0.0.1", port))
        return asking.recvfrom(200)[0].decode("iso-8859-1")


def test_garbage_datagrams_are_ignored_and_the_next_question_is_answered(serve: NameServers) -> None:
    server = serve("--bcport", "0", host="0.0.0.0")
    port = broadcast_port(server)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(ANSWER_TIMEOUT)
        for garbage in GARBAGE:
            asking.sendto(garbage, ("127.0.0.1", port))
        asking.sendto(b"GET_NSURI", ("127.0.0.1", port))
        answer = asking.recvfrom(200)[0]
        asking.setblocking(False)
        with pytest.raises(BlockingIOError):  # datagrams are answered in their order: the garbage got nothing
            asking.recvfrom(200)
    assert answer == f"PYRO:Pyro.NameServer@127.0.0.1:{server.port}".encode()


def test_the_responder_is_up_no_later_than_the_line_that_gives_the_uri(serve: NameServers) -> None:
    for _ in range(3):
        server = serve("--bcport", "0", host="0.0.0.0")
        lines = [line for line in server.process.lines if line.startswith(("Broadcast server", "URI = "))]
        assert [line[:3] for line in lines] == ["Bro", "URI"]
        assert ask_for_uri(broadcast_port(server)).endswith(f":{server.port}")


@pytest.mark.parametrize("options", [("127.0.0.1",), ("0.0.0.0", "-x")], ids=["loopback", "switched-off"])
def test_no_responder_where_it_makes_no_sense(options: tuple[str, ...], serve: NameServers) -> None:
    host, *more = options
    server = serve(*more, host=host)
    assert "Broadcast server running" not in server.process.output
