"""Leases and watches: what it costs to renew very many, to tell very many, and to remove very many at once."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

import pyronym
from benchmarks import servers
from benchmarks.load import STUCK, Load
from benchmarks.messages import NAMES, Wire, lookup, uri
from benchmarks.rows import Bench, Findings, Row, Target
from benchmarks.servers import Server
from pyronym.directory.record import Change, Lease, Record
from pyronym.storage.sqlite import SqliteStore

OURS = "pyronym"
MEMORY, SQL = "pyronym, memory", "pyronym, sql"
LEASES = 100_000
RENEWED = 10.0
"""Seconds from one renewal of a name to the next."""
LEASE = 3 * RENEWED
LONG = 600.0
"""Seconds of leases until all is prepared."""
CLIENTS = (100, 1000)
WATCHERS = 5000
BRIEF = 5.0
"""Seconds of the leases that end at once."""
LOOKERS = 4
"""Connections that look up meanwhile."""
KEPT = NAMES[:100]
"""What they look up."""
SPARE_FILES = 200


def measure_leases(bench: Bench) -> Findings:
    """All three, with as many leases as there are to be, or fewer in a rehearsal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        leases = min(LEASES, bench.scale)
        findings = Findings()
        findings.rows += [_renewals(bench, leases, clients) for clients in CLIENTS]
        findings.rows.append(_news(bench, min(WATCHERS, hard - SPARE_FILES)))
        findings.rows += _expiry(bench, leases)
        return findings
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# Renewals


def _renewals(bench: Bench, leases: int, clients: int) -> Row:
    names = leases // clients
    with servers.pyronym() as server, ExitStack() as stack:
        bench.say(f"registering {leases:,} names with leases")
        wire = Wire()
        lots = [_register(server, [f"lab.{client}.{name}" for name in range(names)], LONG) for client in range(clients)]
        requests = [wire.calls([("renew", (ids,), {})]).requests[0] for ids in lots]
        socks = [stack.enter_context(_connected(server, wire)) for _ in range(clients)]
        with _names(server) as proxy:
            for ids in lots:
                proxy.renew(ids, lease=LEASE)
        renewals = cycle(zip(socks, requests, strict=True))
        measure = partial(_cpu_of_renewals, server, wire, renewals, clients)
        results = bench.rounds_of(f"{clients} clients renew {names} names each", {OURS: measure})
        _check_that_none_has_expired(server, leases)
    what = f"the server's share of a core, {clients:,} clients with {names:,} names each"
    return Row(f"{leases:,} leases, renewed every {RENEWED:g} s", what, "%", OURS, results, (Target(at_most=20),))


def _register(server: Server, names: Sequence[str], lease: float) -> dict[str, str]:
    """The ids of registrations."""
    with _names(server) as proxy:
        batch = proxy._pyroBatch()
        for name in names:
            batch.register(name, uri(name), lease=lease)
        return {answer["name"]: answer["id"] for answer in batch()}


def _cpu_of_renewals(
    server: Server, wire: Wire, renewals: Iterator[tuple[socket.socket, bytes]], clients: int, number: int
) -> float:
    """Renew everything once, evenly spread over the time that there is for it; percent of a core."""
    pause = RENEWED / clients
    before, begin = server.cpu, time.perf_counter()
    for turn in range(clients):
        time.sleep(max(0.0, begin + turn * pause - time.perf_counter()))
        wire.send(*next(renewals))
    time.sleep(max(0.0, begin + RENEWED - time.perf_counter()))
    return 100 * (server.cpu - before) / (time.perf_counter() - begin)


def _check_that_none_has_expired(server: Server, leases: int) -> None:
    if _count(server) != leases + 1:
        raise RuntimeError("some leases have ended while they were renewed")


# News


def _news(bench: Bench, watchers: int) -> Row:
    with servers.pyronym() as server, ExitStack() as stack:
        bench.say(f"connecting {watchers:,} watchers")
        wire = Wire()
        socks = [stack.enter_context(_connected(server, wire)) for _ in range(watchers)]
        measure = partial(_time_to_tell, server, wire, socks)
        results = bench.rounds_of(f"one change for {watchers:,} watchers", {OURS: measure})
    return Row("Watches", f"one change reaches {watchers:,} watchers", "s", OURS, results, (Target(at_most=1),))


def _time_to_tell(server: Server, wire: Wire, socks: Sequence[socket.socket], number: int) -> float:
    """Seconds from sending a registration to the last of the watchers having its answer."""
    with _names(server) as names, _connected(server, wire) as registrar, select.epoll() as waiting:
        since = names.watch()["revision"]
        (watch,) = wire.calls([("watch", ("lab.", since, 60.0), {})]).requests
        for sock in socks:
            sock.sendall(watch)
            waiting.register(sock, select.EPOLLIN | select.EPOLLONESHOT)
        names.ping()  # it has read what was sent before
        (register,) = wire.calls([("register", (f"lab.{number}", uri("lab")), {})]).requests
        told = 0
        begin = time.perf_counter()
        registrar.sendall(register)
        while told < len(socks):
            ready = waiting.poll(STUCK)
            if not ready:
                raise RuntimeError(f"only {told} of {len(socks)} watchers were told")
            told += len(ready)
        took = time.perf_counter() - begin
        answers = {sock.recv(65536) for sock in socks}
        if not all(f"lab.{number}".encode() in answer for answer in answers):
            raise RuntimeError("some watchers were told something else")
        return took


# Expiry


def _expiry(bench: Bench, leases: int) -> list[Row]:
    measures = {MEMORY: partial(_worst_in_memory, leases), SQL: partial(_worst_on_sql, leases)}
    results = bench.rounds_of(f"{leases:,} leases end at once", measures)
    section = f"{leases:,} leases end at once"
    return [
        Row(
            section,
            f"worst latency of a lookup meanwhile, {label.rpartition(' ')[2]}",
            "ms",
            label,
            {label: results[label]},
            (Target(at_most=50),),
        )
        for label in measures
    ]


def _worst_in_memory(leases: int, number: int) -> float:
    """The leases are renewed in one go: so they end together."""
    with servers.pyronym() as server:
        Wire().ask_in_batches(server.port, [("register", (name, uri(name)), {}) for name in KEPT])
        lots = [[f"lab.{name}" for name in range(first, min(first + 1000, leases))] for first in range(0, leases, 1000)]
        for names in lots:
            _register(server, names, LEASE)
        with _names(server) as proxy:
            for names in lots:
                proxy.renew(names)
        return _worst_latency(server)


def _worst_on_sql(leases: int, number: int) -> float:
    """The leases come from a file: so they count from the same moment."""
    with servers.scratch() as folder:
        path = folder / "leases.sqlite"
        _write_leases(path, leases)
        with servers.pyronym(f"sql:{path}") as server:
            return _worst_latency(server)


def _write_leases(path: Path, leases: int) -> None:
    store = SqliteStore(path)
    names = [f"lab.{name}" for name in range(leases)]
    store.commit([Change(name, Record(name, uri(name))) for name in KEPT])
    store.commit([Change(name, Record(name, uri(name), lease=Lease(name, BRIEF))) for name in names])
    store.close()


def _worst_latency(server: Server) -> float:
    """Milliseconds that the slowest lookup took until all leases had ended."""
    load = Load(server.port, Wire().calls([lookup(name) for name in KEPT]), LOOKERS, 600, warmup=0)
    try:
        if _count(server) <= len(KEPT) + 1:
            raise RuntimeError("the leases have ended too early")
        deadline = time.monotonic() + STUCK
        while _count(server) > len(KEPT) + 1:
            if time.monotonic() > deadline:
                raise RuntimeError("the leases do not end")
            time.sleep(0.05)
        return load.stop().max / 1000
    finally:
        load.close()


# Clients


@contextmanager
def _connected(server: Server, wire: Wire) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=STUCK) as sock:
        wire.send(sock, wire.idle().handshake)
        yield sock


@contextmanager
def _names(server: Server) -> Iterator[pyronym.Proxy]:
    with pyronym.Proxy(f"PYRO:Pyro.NameServer@127.0.0.1:{server.port}") as proxy:
        yield proxy


def _count(server: Server) -> int:
    with _names(server) as names:
        count: int = names.count()
        return count
