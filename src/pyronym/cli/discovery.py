"""Whether name servers can be found by asking everyone: by a broadcast, in IPv6 a multicast, on each interface."""

from __future__ import annotations

import select
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from pyronym.cli.finding import Finding, Level
from pyronym.client.deadline import Deadline
from pyronym.client.search import ANSWER_SIZE, QUESTION, broadcast_families, broadcast_hosts, numeric_host, uri_answered
from pyronym.errors import TimeoutError
from pyronym.settings import Settings
from pyronym.uri import URI

WAIT: Final = 1.0
"""Seconds in which answers are taken. A name server in the same network needs a few milliseconds."""

_IP_PKTINFO: Final = 8
"""On Linux; Python names it from version 3.12 on."""
_PKTINFO: Final = struct.Struct("@I4s4s")
"""``struct in_pktinfo``: by which interface a datagram is sent, and two addresses that are left open."""
_NOWHERE: Final = bytes(4)

Answers = Mapping[str, Sequence[URI]]
"""The name servers that answered, by the interface on which everyone was asked."""


def ask_everyone(settings: Settings) -> Answers:
    """Ask on each interface that takes the question. Takes WAIT seconds."""
    found: dict[str, list[URI]] = {}
    with ExitStack() as stack:
        asked = dict(_questions(settings, stack))
        for interface in asked.values():
            found[interface] = []
        for sock, uri in _answers(list(asked), Deadline(WAIT)):
            if uri not in found[asked[sock]]:
                found[asked[sock]].append(uri)
    return found


def _questions(settings: Settings, stack: ExitStack) -> Iterator[tuple[socket.socket, str]]:
    """The sockets by which a question has been sent, each with its interface."""
    for family in broadcast_families(settings):
        for index, interface in socket.if_nameindex():
            sock = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sent = False
            for host in broadcast_hosts(settings, family):
                with suppress(OSError):  # an interface that is down, or has no such addresses, takes none
                    _send(sock, index, (numeric_host(host), settings.ns_bcport))
                    sent = True
            if sent:
                yield sock, interface


def _send(sock: socket.socket, interface: int, address: tuple[str, int]) -> None:
    """Send the question by one interface. Elsewhere than on Linux, broadcasts go by the one that the system chooses."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, interface)
        sock.sendto(QUESTION, address)
    elif sys.platform == "linux":
        by = (socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(interface, _NOWHERE, _NOWHERE))
        sock.sendmsg([QUESTION], [by], 0, address)
    else:
        sock.sendto(QUESTION, address)


def _answers(socks: Sequence[socket.socket], deadline: Deadline) -> Iterator[tuple[socket.socket, URI]]:
    """All that arrives until the deadline."""
    while socks:
        try:
            ready, _, _ = select.select(socks, [], [], deadline.left())
        except TimeoutError:
            return
        for sock in ready:
            with suppress(OSError):  # somebody says that nobody listens there
                data, sender = sock.recvfrom(ANSWER_SIZE)
                if (uri := uri_answered(data, sender)) is not None:
                    yield sock, uri


def judged(answers: Answers, settings: Settings) -> Iterator[Finding]:
    """What the answers say."""
    port = settings.ns_bcport
    if not settings.broadcast_addrs:
        words = (
            "PYRO_BROADCAST_ADDRS is empty: programs started from here find a name server only if they are told where"
        )
        yield Finding(
            Level.WARNING, "discovery", words, "unset it to have name servers looked for, or set PYRO_NS_HOST"
        )
        return
    for interface, uris in answers.items():
        if uris:
            who = ", ".join(sorted(str(uri.location) for uri in uris))
            yield Finding(Level.OK, "discovery", f"on {interface} (UDP port {port}) a name server answers: {who}")
    silent = [interface for interface, uris in answers.items() if not uris]
    if len(silent) < len(answers):
        if silent:
            yield Finding(Level.OK, "discovery", f"nobody answers on {', '.join(silent)}")
        return
    yield Finding(
        Level.WARNING,
        "discovery",
        f"no name server answers on {', '.join(silent) or 'any interface'} (UDP port {port}): programs find it only if "
        "they are told where it is",
        "start it with -n 0.0.0.0 or the address of a network, and let firewalls pass that UDP port; or give programs "
        "PYRO_NS_HOST, as they need it in other networks anyway",
    )
