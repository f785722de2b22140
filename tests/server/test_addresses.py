from __future__ import annotations

import socket

import pytest

from pyronym.rpc.hosting import Address
from pyronym.server.addresses import address_towards, family_name, location, plain_address, unmapped


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
