"""IPv6 groups, by which a name server is searched for where there is no broadcast."""

from __future__ import annotations

import socket
from ipaddress import AddressValueError, IPv6Address


def multicast_group(text: str) -> IPv6Address | None:
    """The IPv6 group that `text` is the address of, with or without a zone; None if it is something else."""
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return None
    return address if address.is_multicast else None


def interfaces_of(group: IPv6Address) -> list[int]:
    """The indexes of the interfaces that a group is on: the one that its zone names, or else all there are."""
    zone = group.scope_id
    return [index for index, name in socket.if_nameindex() if zone is None or zone in (name, str(index))]
