"""Discovery on real networks: hosts made of network namespaces, which find the server by broadcast and by multicast.

The server has a link to each of three clients: A and B with addresses of both IP versions, C with nothing but the
address that IPv6 gives every link.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from namespaces import Host, hosts_or_skip, link
from processes import PYRONYM, SCRIPTS, NameServer, Process, run, stopping

LOCATE = """
import json
from pyronym import locateNS
with locateNS() as found:
    print(json.dumps([str(found._pyroUri), str(found.lookup("Pyro.NameServer"))]))
"""

LOCATE_ON_A_LOOP = """
import asyncio, json, sys, uvloop
from pyronym import aio
async def main():
    async with await aio.locate_ns() as found:
        print(json.dumps([str(found._pyroUri), str(await found.lookup("Pyro.NameServer"))]))
with asyncio.Runner(loop_factory={"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].new_event_loop) as runner:
    runner.run(main())
"""

LOCATE_STOCK = """
import json
from peer import locate
with locate() as found:
    print(json.dumps([str(found._pyroUri), str(found.lookup("Pyro.NameServer"))]))
"""


@dataclass
class Networks:
    server: Host
    a: Host
    b: Host
    c: Host


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    with hosts_or_skip("s", "a", "b", "c") as made:
        server, a, b, c = made
        link(server, a, "net-a", ["10.97.1.1/24", "fd97:1::1/64", "fe80::11/64"], ["10.97.1.2/24", "fd97:1::2/64"])
        # A and B have one more network, so that there is a choice by which to ask: for A it comes last, for B first.
        link(a, b, "net-x", ["10.97.9.1/24", "fd97:9::1/64"], ["10.97.9.2/24", "fd97:9::2/64"])
        link(server, b, "net-b", ["10.97.2.1/24", "fd97:2::1/64", "fe80::21/64"], ["10.97.2.2/24", "fd97:2::2/64"])
        link(server, c, "net-c", ["fe80::31/64"], ["fe80::32/64"])
        for host, device in ((a, "net-a"), (b, "net-b")):  # no route further: to ask for names takes stock Pyro no time
            host.run("ip", "route", "add", "255.255.255.255", "dev", device)
        yield Networks(*made)


@pytest.fixture
def serving(networks: Networks) -> Iterator[object]:
    processes: list[Process] = []

    def start(*options: str, env: Mapping[str, str] | None = None) -> NameServer:
        processes.append(Process(networks.server.command(PYRONYM, "serve", *options), env=env))
        return NameServer(processes[-1])

    with stopping(processes):
        yield start
        for process in processes:
            assert process.terminate() == 0


def found(host: Host, prefer: int, *program: str, **environment: str) -> list[str]:
    """What our client on a host finds, and what the server that it finds says of itself."""
    settings = {"PYRO_PREFER_IP_VERSION": str(prefer), "PYRO_LOCATE_TIMEOUT": "10", **environment}
    return json.loads(host.run(sys.executable, "-c", *(program or (LOCATE,)), env=settings))


def found_by_stock(host: Host, python: Path) -> list[str]:
    written = host.run(python, "-W", "ignore", "-c", LOCATE_STOCK, env={"PYTHONPATH": str(SCRIPTS)})
    return json.loads(written.splitlines()[-1])


def uri(address: str) -> str:
    return f"PYRO:Pyro.NameServer@{address}:9090"


def test_on_several_addresses_each_stock_client_is_told_the_one_on_its_network(
    networks: Networks, serving, stock4_python: Path, stock5_python: Path
) -> None:
    serving("-n", "10.97.1.1", "-n", "10.97.2.1", "-n", "127.0.0.1")
    assert found_by_stock(networks.a, stock4_python) == [uri("10.97.1.1")] * 2
    assert found_by_stock(networks.b, stock5_python) == [uri("10.97.2.1")] * 2
    assert found(networks.b, 4) == [uri("10.97.2.1")] * 2


def test_on_all_interfaces_each_client_is_told_an_address_of_the_version_it_asks_by(
    networks: Networks, serving, stock4_python: Path
) -> None:
    serving("-n", "0.0.0.0", "-n", "::")
    assert found(networks.a, 6) == [uri("[fd97:1::1]")] * 2
    assert found(networks.b, 6) == [uri("[fd97:2::1]")] * 2
    assert found(networks.b, 4) == [uri("10.97.2.1")] * 2
    assert found_by_stock(networks.a, stock4_python) == [uri("10.97.1.1")] * 2


def test_where_broadcast_finds_nothing_multicast_does(networks: Networks, serving) -> None:
    """On a link without other addresses, too, where the client has to add the name of its interface."""
    serving("-n", "::")
    index = networks.c.run("cat", "/sys/class/net/net-c/ifindex").strip()
    asked, told = found(networks.c, 4, PYRO_LOCATE_TIMEOUT="2")
    assert asked == uri(f"[fe80::31%{index}]")
    assert told == uri("[fe80::31]")
    assert found(networks.c, 6) == [asked, told]
    for loop in ("asyncio", "uvloop"):
        assert found(networks.c, 6, LOCATE_ON_A_LOOP, loop) == [asked, told]


def test_a_server_at_one_ipv6_address_is_found_from_its_network(networks: Networks, serving) -> None:
    serving("-n", "fd97:2::1", "-n", "10.97.1.1")
    assert found(networks.b, 6) == [uri("[fd97:2::1]")] * 2
    assert found(networks.a, 4) == [uri("10.97.1.1")] * 2


def test_with_a_group_of_their_own_server_and_client_find_each_other(networks: Networks, serving) -> None:
    chosen = {"PYRO_BROADCAST_ADDRS": "ff15::1234%net-a"}
    serving("-n", "fd97:1::1", env=chosen)
    assert found(networks.a, 6, **chosen) == [uri("[fd97:1::1]")] * 2
    with pytest.raises(AssertionError, match="broadcast to ff15::d059:524f, port 9091: no answer"):
        found(networks.a, 6, PYRO_LOCATE_TIMEOUT="0.5")


def test_the_doctor_tells_on_which_networks_a_name_server_answers(networks: Networks, serving) -> None:
    server = serving("-n", "0.0.0.0", "-n", "::", "-p", "9090", "-s", "memory")
    assert server.port == 9090
    found = {}
    for host in (networks.a, networks.c):
        findings = json.loads(host.run(PYRONYM, "doctor", "--json"))
        found[host] = [finding["text"] for finding in findings if finding["check"] == "discovery"]
        assert {finding["level"] for finding in findings} == {"ok"}
    assert found[networks.a] == [
        "on net-a (UDP port 9091) a name server answers: 10.97.1.1:9090, [fd97:1::1]:9090",
        "nobody answers on lo, net-x",
    ]
    assert found[networks.c][0].startswith("on net-c (UDP port 9091) a name server answers: [fe80::31%")


def test_the_doctor_warns_where_nobody_answers(networks: Networks) -> None:
    done = run(networks.a.command(PYRONYM, "doctor"))
    assert done.status == 1
    assert done.stdout.startswith("warning\tdiscovery\tno name server answers on lo, net-a, net-x (UDP port 9091): ")
    assert "error\tport\tlocalhost:9090: nothing listens there\t" in done.stdout
