"""IPv6 groups among the addresses that a search asks. How they are asked: tests/interop/test_discovery.py."""

from __future__ import annotations

import socket

import pytest

from pyronym.client.multicast import interfaces_of, multicast_group


@pytest.mark.parametrize("text", ["<broadcast>", "0.0.0.0", "224.0.0.1", "::1", "fd00::1", "localhost", "", "ff15::%"])
def test_what_is_no_ipv6_group_is_none(text: str) -> None:
    assert multicast_group(text) is None


def test_a_group_is_on_all_interfaces_or_on_the_one_of_its_zone() -> None:
    everywhere = [index for index, _ in socket.if_nameindex()]
    lo = socket.if_nametoindex("lo")
    zones = {"": everywhere, "%lo": [lo], f"%{lo}": [lo], "%missing": []}
    for zone, interfaces in zones.items():
        group = multicast_group(f"ff15::1{zone}")
        assert group is not None
        assert group.packed == socket.inet_pton(socket.AF_INET6, "ff15::1")
        assert interfaces_of(group) == interfaces
