"""Whether the objects that names stand for can be reached: by their addresses, and in fact."""

from __future__ import annotations

import asyncio
import enum
import re
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Final

from pyronym.cli.finding import Finding, Level
from pyronym.cli.showing import plain, some
from pyronym.directory.record import Record
from pyronym.errors import PyroError
from pyronym.server.probe import Prober, in_thread
from pyronym.server.probing import PROBES_AT_ONCE
from pyronym.server.workers import Workers
from pyronym.service.liveness import Alive, Dead, Expected, Liveness, is_near
from pyronym.settings import Settings
from pyronym.uri import NAMESERVER_NAME, URI

PROBE_SECONDS: Final = 3.0
"""For one daemon, and for the address of one host."""
TOTAL_SECONDS: Final = 20.0
"""For all of them. What has not been asked by then is told."""
RESOLVERS: Final = 16
"""Threads that ask for the addresses of hosts."""

_WILDCARDS: Final = frozenset(["", "0.0.0.0", "::"])
_CONTAINERS: Final = [ip_network(net) for net in ("172.17.0.0/16", "10.88.0.0/16", "192.168.65.0/24")]
"""The networks that Docker, Podman and Docker Desktop use where nobody says otherwise."""
_CONTAINER_HOST: Final = re.compile(r"[0-9a-f]{12}|.*\.docker\.internal")
"""What Docker calls a container that was given no name, and what has a meaning only within one."""

_START: Final = "start their programs, or let firewalls pass their ports"
_REGISTER: Final = "have the programs that run there register their objects again"
_REMOVE: Final = "or remove the names: pyronym rm NAME (pyronym serve --probe SECONDS has it done)"


class Address(enum.Enum):
    """What may be wrong with an address: how bad that is, how it is said, and what to do."""

    NO_URI = (Level.ERROR, "stand for what is no URI", "register them anew, or remove them: pyronym rm NAME")
    ANY = (
        Level.ERROR,
        "have an address that means all interfaces and leads nowhere from another machine",
        "give their daemons the host name that others know that machine by (host= or PYRO_HOST; beside 0.0.0.0 "
        "PYRO_NATHOST), and register them again",
    )
    HERE = (
        Level.ERROR,
        "have an address on their own machine, which no other machine can reach",
        "give their daemons the host name that others know that machine by (host= or PYRO_HOST), and register them "
        "again",
    )
    ALSO_HERE = (
        Level.WARNING,
        "can be reached on this machine only, as the name server",
        "that is well where all programs are here; else start the name server with -n 0.0.0.0, and give the daemons "
        "the host name of this machine (host= or PYRO_HOST)",
    )
    LINK = (
        Level.WARNING,
        "have a link-local address, which leads nowhere outside of its network",
        "have an address assigned to that machine (DHCP), or give their daemons one that it has (host= or PYRO_HOST)",
    )
    CONTAINER = (
        Level.WARNING,
        "have an address as it is within containers, which other machines mostly cannot reach",
        "publish the port, and set PYRO_NATHOST and PYRO_NATPORT of their programs to what others reach",
    )
    NO_HOST = (
        Level.ERROR,
        "have a host that is not known here",
        "have the host in the DNS or in /etc/hosts of all machines, or give their daemons an address (host= or "
        "PYRO_HOST)",
    )


def trouble_with(uri: URI, *, near: bool) -> Address | None:
    """What is wrong with an address by itself. `near`: only programs on this machine reach the name server anyway."""
    host = uri.host or ""
    if uri.sockname is None and host in _WILDCARDS:
        return Address.ANY
    if is_near(uri):
        return Address.ALSO_HERE if near else Address.HERE
    try:
        address = ip_address(host)
    except ValueError:
        return Address.CONTAINER if _CONTAINER_HOST.fullmatch(host) else None
    if address.is_link_local:
        return Address.LINK
    return Address.CONTAINER if any(address in net for net in _CONTAINERS) else None


def findings(uris: Mapping[str, str], settings: Settings, *, near: bool) -> Iterator[Finding]:
    """What is wrong with the URIs of names. Takes some more than TOTAL_SECONDS at most."""
    troubles: dict[Address, list[str]] = defaultdict(list)
    candidates: dict[str, list[tuple[str, URI]]] = defaultdict(list)
    for name, text in uris.items():
        if name == NAMESERVER_NAME:
            continue
        try:
            uri = URI(text)
        except PyroError:
            troubles[Address.NO_URI].append(name)
            continue
        if uri.protocol != "PYRO":  # it is looked up when it is used
            continue
        if trouble := trouble_with(uri, near=near):
            troubles[trouble].append(name)
        if trouble is not Address.ANY:
            candidates[str(uri.location)].append((name, uri))
    probes = _Probes(settings, near=near)
    asyncio.run(probes.ask(candidates))
    troubles[Address.NO_HOST] = probes.without_host
    for address, names in troubles.items():
        if names:
            level, words, cure = address.value
            yield Finding(level, "addresses", f"{len(names)} of the names {words}: {some(sorted(names))}", cure)
    if not any(troubles.values()):
        yield Finding(Level.OK, "addresses", f"the addresses of all {len(uris)} names can be meant for others")
    yield from probes.findings()


class _Probes:
    """Asks daemons whether they live and have their objects."""

    def __init__(self, settings: Settings, *, near: bool) -> None:
        self._settings = replace(settings, commtimeout=PROBE_SECONDS)
        self._liveness = Liveness(grace=0.0, all_from_here=near)
        self._gone: dict[tuple[str, str], list[str]] = defaultdict(list)
        """Names that lead to nothing, by why that is so and what to do."""
        self._alive = 0
        self._unasked = 0
        self.without_host: list[str] = []

    async def ask(self, daemons: Mapping[str, Sequence[tuple[str, URI]]]) -> None:
        """Ask all daemons, as far as there is time. For each there are the names and URIs of its objects."""
        waiting = list(daemons.values())
        self._unasked = sum(map(len, waiting))
        workers = Workers(RESOLVERS)
        prober = Prober(self._settings, workers, workers)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(TOTAL_SECONDS), asyncio.TaskGroup() as group:
                    for _ in range(PROBES_AT_ONCE):
                        group.create_task(self._ask_each(waiting, prober, workers))
        finally:
            workers.close()

    async def _ask_each(self, waiting: list[Sequence[tuple[str, URI]]], prober: Prober, workers: Workers) -> None:
        while waiting:
            objects = waiting.pop()
            _, uri = objects[0]
            if await _has_no_address(uri, workers):
                self.without_host += [name for name, _ in objects]
            elif (finding := await prober.probe(uri)) is None:
                continue  # nothing can be said, for a reason on our side
            else:
                self._judge(objects, finding)
            self._unasked -= len(objects)

    def _judge(self, objects: Iterable[tuple[str, URI]], finding: Alive | Dead) -> None:
        for name, uri in objects:
            record = Record(name, str(uri))
            if target := self._liveness.target(record):
                suspects = self._liveness.judge([Expected(target[1], record)], finding, now=0.0)
                self._alive += not suspects
                cure = _START if isinstance(finding, Dead) else _REGISTER
                for suspect in suspects:
                    self._gone[suspect.why, cure].append(name)

    def findings(self) -> Iterator[Finding]:
        """What came of it."""
        for (why, cure), names in self._gone.items():
            words = f"{len(names)} of the names lead to nothing ({plain(why)}): {some(sorted(names))}"
            yield Finding(Level.ERROR, "names", words, f"{cure}; {_REMOVE}")
        if self._alive or not self._gone:
            yield Finding(Level.OK, "names", f"the objects of {self._alive} names are alive")
        if self._unasked:
            words = f"of {self._unasked} names it was not found out within {TOTAL_SECONDS:g} s whether they are alive"
            cure = "run it again when the others have been dealt with, on a machine that reaches their network"
            yield Finding(Level.WARNING, "names", words, cure)


async def _has_no_address(uri: URI, workers: Workers) -> bool:
    """Whether the host is certainly unknown."""
    if uri.sockname:
        return False
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await in_thread(workers, partial(socket.getaddrinfo, uri.host, uri.port))
    except socket.gaierror as problem:
        return problem.errno in (socket.EAI_NONAME, socket.EAI_NODATA)
    except (OSError, ValueError, OverflowError):  # late; or no host name or port can be such, which the probe tells
        return False
    return False
