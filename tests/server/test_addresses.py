from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from pyronym.rpc.hosting import Address
from pyronym.server.addresses import (
    Place,
    address_towards,
    family_name,
    hosts_and_ports,
    location,
    place_towards,
    plain_address,
    unmapped,
)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("127.0.0.1", 80), ("127.0.0.1", 80)),
        (("::1", 80, 0, 0), ("::1", 80)),
        (("::ffff:10.0.0.7", 80, 0, 0), ("10.0.0.7", 80)),
        (("::ffff:0:1", 80, 0, 0), ("::ffff:0:1", 80)),
        ("/run/socket", "/run/socket"),
        ("", None),
        (b"\0abstract", None),
        (None, None),
    ],
)
def test_socket_names_become_addresses(name: object, address: Address) -> None:
    assert plain_address(name) == address


def test_only_ipv4_addresses_in_ipv6_form_are_changed() -> None:
    assert [unmapped(host) for host in ("::ffff:1.2.3.4", "::1", "host.example")] == ["1.2.3.4", "::1", "host.example"]


def test_ipv6_addresses_stand_in_brackets() -> None:
    assert location("::1", 5) == "[::1]:5"
    assert location("localhost", 5) == "localhost:5"


@pytest.mark.parametrize(("host", "ours"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.9", "127.0.0.1")])
def test_the_way_to_a_host_begins_at_an_address_of_ours(host: str, ours: str) -> None:
    assert address_towards(host) == ours


@pytest.mark.parametrize(
    ("family", "name"), [(socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6"), (socket.AF_UNIX, "Unix")]
)
def test_families_have_the_names_that_users_know(family: int, name: str) -> None:
    with socket.socket(family) as sock:
        assert family_name(sock) == name


@pytest.mark.parametrize(
    ("hosts", "addresses"),
    [
        ("localhost", [("localhost", 9090)]),
        ("", [("", 9090)]),
        ("::1", [("::1", 9090)]),
        ("[::1]", [("::1", 9090)]),
        ("[::1]:9099", [("::1", 9099)]),
        ("fe80::1%eth0", [("fe80::1%eth0", 9090)]),
        (":0", [("", 0)]),
        ("a:1, b ,[fd00::1]:2", [("a", 1), ("b", 9090), ("fd00::1", 2)]),
        (("a", "b:1"), [("a", 9090), ("b", 1)]),
        (["a", "a", "a:9090", "a:9091"], [("a", 9090), ("a", 9091)]),
        (ip_address("10.0.0.1"), [("10.0.0.1", 9090)]),
        ([ip_address("::1"), "a"], [("::1", 9090), ("a", 9090)]),
    ],
)
def test_hosts_to_listen_on_are_one_or_several(hosts: object, addresses: list[tuple[str, int]]) -> None:
    assert hosts_and_ports(hosts, 9090) == addresses


@pytest.mark.parametrize("hosts", ["a:", "a:x", "a:65536", "a:-1", "[::1", "[::1]9090", "[]:1", "[::1]:1:2"])
def test_what_is_no_host_is_refused_with_the_forms_that_are(hosts: str) -> None:
    with pytest.raises(ValueError, match=r"invalid host: .* \(expected HOST, HOST:PORT or \[IPV6\]:PORT\)"):
        hosts_and_ports(hosts, 9090)


@pytest.mark.parametrize("hosts", ["a,", ",", "a,,b", ["a", ""], []])
def test_an_empty_host_among_others_is_no_way_to_open_a_server_to_everyone(hosts: object) -> None:
    with pytest.raises(ValueError, match=r"invalid host: .* \(expected hosts; for all interfaces 0.0.0.0 or ::\)"):
        hosts_and_ports(hosts, 9090)


def places(*addresses: str) -> list[Place]:
    return [Place(f"host{number}", address, 9090) for number, address in enumerate(addresses)]


@pytest.mark.parametrize(
    ("addresses", "here", "right"),
    [
        (["10.0.0.1", "10.0.1.1"], "10.0.1.1", "10.0.1.1"),
        (["10.0.0.1", "10.0.1.1"], "10.0.9.1", "10.0.0.1"),
        (["0.0.0.0", "10.0.1.1"], "10.0.1.1", "10.0.1.1"),
        (["10.0.1.1", "0.0.0.0"], "10.0.9.1", "0.0.0.0"),
        (["0.0.0.0", "::"], "fd00::1", "::"),
        (["::", "0.0.0.0"], "10.0.0.1", "0.0.0.0"),
        (["::"], "10.0.0.1", "::"),
        (["10.0.0.1", "::"], "10.0.0.9", "10.0.0.1"),
        (["127.0.0.1", "10.0.0.1"], "10.0.0.9", "10.0.0.1"),
        (["10.0.0.1", "127.0.0.1"], "127.0.0.5", "127.0.0.1"),
        (["10.0.0.1", "fd00::1"], "fe80::7", "fd00::1"),
        (["127.0.0.1", "fd00::1"], "10.0.0.9", "127.0.0.1"),
    ],
)
def test_each_client_gets_the_place_that_is_right_for_it(addresses: list[str], here: str, right: str) -> None:
    assert place_towards(places(*addresses), here).address == right
