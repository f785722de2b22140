"""Lookups under load: the headline, other serializers and options, by number of connections, and their latency."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from benchmarks import servers
from benchmarks.load import Load, Result
from benchmarks.messages import (
    COUNTER,
    LONG_NAMES,
    NAMES,
    PYRO4,
    PYRO5,
    SPREAD_NAMES,
    Exchange,
    Wire,
    echo,
    lookup,
    redis_gets,
    redis_set,
    register,
)
from benchmarks.rows import Bench, Findings, Plot, Row, Target
from benchmarks.servers import (
    ECHO_ASYNCIO,
    ECHO_UVLOOP,
    OURS4,
    OURS5,
    REDIS,
    STOCK4_MULTIPLEX,
    STOCK4_THREAD,
    STOCK5_MULTIPLEX,
    Server,
)

CONNECTIONS = 50
NAMES_OF_ROUND = 10_000_000
"""Numbers of names that one round of a measurement may use up."""
CURVE = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
KEY = "benchmark key"
SECTION = "Lookups"
MIX4, MIX5 = "Pyro4 wire, 90 % lookup, 10 % register", "Pyro5 wire, 90 % lookup, 10 % register"


@dataclass(frozen=True)
class Contender:
    """A server that runs, and what it is asked."""

    server: Server
    exchange: Exchange
    spin: bool = True
    """Whether the generator keeps a core for itself. Not where the server has work for more than one."""

    def run(self, seconds: float, connections: int, number: int) -> Result:
        """One measurement; `number` is that of the round, so that no round registers the names of another."""
        first = number * NAMES_OF_ROUND
        load = Load(self.server.port, self.exchange, connections, seconds, first=first, spin=self.spin)
        return load.result()


def fill(server: Server, wire: Wire, names: list[str] = NAMES) -> None:
    """Register names."""
    wire.ask_in_batches(server.port, [register(name) for name in names])


def headline(stack: ExitStack, *labels: str) -> dict[str, Contender]:
    """Servers that answer lookups of NAMES in memory, those of the labels given; our two are one process."""
    wire4, wire5 = Wire(PYRO4), Wire(PYRO5)
    calls = [lookup(name) for name in NAMES]
    ours = stack.enter_context(servers.pyronym())
    fill(ours, wire4)
    contenders = {
        OURS4: Contender(ours, wire4.calls(calls)),
        OURS5: Contender(ours, wire5.calls(calls)),
    }
    answer = wire4.ask(ours.port, calls[0])
    size = len(answer)
    for label in labels:
        if label in (ECHO_UVLOOP, ECHO_ASYNCIO):
            server = stack.enter_context(servers.echo(label, size))
            contenders[label] = Contender(server, echo(contenders[OURS4].exchange, answer))
        elif label == REDIS:
            contenders[label] = Contender(stack.enter_context(_filled_redis()), redis_gets())
        else:
            server = stack.enter_context(servers.stock(label))
            wire = wire5 if label == STOCK5_MULTIPLEX else wire4
            fill(server, wire)
            contenders[label] = Contender(server, wire.calls(calls))
    return contenders


@contextmanager
def _filled_redis() -> Iterator[Server]:
    with servers.redis() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"".join(redis_set(name) for name in NAMES))
            expected = len(b"+OK\r\n") * len(NAMES)
            while expected > 0:
                expected -= len(sock.recv(65536))
        yield server


def mix(wire: Wire) -> Exchange:
    """Nine lookups, then the registration of another name."""
    calls = []
    for number, name in enumerate(NAMES):
        calls.append(register(f"lab.mixed.{COUNTER}") if number % 10 == 9 else lookup(name))
    return wire.calls(calls)


def rates(results: Mapping[str, list[Result]]) -> dict[str, list[float]]:
    return {label: [result.rate for result in series] for label, series in results.items()}


def measure_lookups(bench: Bench) -> Findings:
    """The headline rows, the curve over connections, the latencies."""
    findings = Findings()
    labels = [ECHO_UVLOOP, ECHO_ASYNCIO, REDIS, STOCK4_MULTIPLEX, STOCK4_THREAD, STOCK5_MULTIPLEX]
    if servers.redis_program() is None:
        labels.remove(REDIS)
        findings.notes.append("Redis was not measured: redis-server is not installed (apt-get install redis-server).")
    with ExitStack() as stack:
        contenders = headline(stack, *labels)
        results = bench.rounds_of("lookups, 50 connections", runs(contenders, bench.seconds))
        findings.rows += _headline_rows(rates(results))
        findings.plots.append(_latencies(results))
        findings.plots.append(_curve(bench, contenders))
        findings.rows.append(_spread(bench, contenders))
        mixed = {
            MIX4: replace(contenders[OURS4], exchange=mix(Wire(PYRO4))),
            MIX5: replace(contenders[OURS5], exchange=mix(Wire(PYRO5))),
            ECHO_UVLOOP: contenders[ECHO_UVLOOP],
            STOCK4_MULTIPLEX: replace(contenders[STOCK4_MULTIPLEX], exchange=mix(Wire(PYRO4))),
            STOCK5_MULTIPLEX: replace(contenders[STOCK5_MULTIPLEX], exchange=mix(Wire(PYRO5))),
        }
        values = rates(bench.rounds_of("mix, 50 connections", runs(mixed, bench.seconds)))
    for label, peer in ((MIX4, STOCK4_MULTIPLEX), (MIX5, STOCK5_MULTIPLEX)):
        chosen = {name: values[name] for name in (label, ECHO_UVLOOP, peer)}
        findings.rows.append(
            Row(SECTION, f"{label}, in memory, 50 connections", "/s", label, chosen, (Target(0.5, peer=ECHO_UVLOOP),))
        )
    return findings


def _spread(bench: Bench, contenders: Mapping[str, Contender]) -> Row:
    """Lookups of so many names that none comes again soon."""
    wire = Wire(PYRO4)
    chosen = {ECHO_UVLOOP: contenders[ECHO_UVLOOP]}
    for label in (OURS4, STOCK4_MULTIPLEX):
        fill(contenders[label].server, wire, SPREAD_NAMES)
        chosen[label] = replace(contenders[label], exchange=wire.calls([lookup(name) for name in SPREAD_NAMES]))
    values = rates(
        bench.rounds_of(f"lookups of {len(SPREAD_NAMES):,} names, 50 connections", runs(chosen, bench.seconds))
    )
    what = f"Pyro4 wire, serpent, 50 connections, each of {len(SPREAD_NAMES):,} names in turn"
    return Row(SECTION, what, "/s", OURS4, values, (Target(0.6, peer=ECHO_UVLOOP), Target(12, peer=STOCK4_MULTIPLEX)))


def runs(
    contenders: Mapping[str, Contender], seconds: float, connections: int = CONNECTIONS
) -> dict[str, Callable[[int], Result]]:
    """What `Bench.rounds_of` takes."""
    return {label: partial(contender.run, seconds, connections) for label, contender in contenders.items()}


def _headline_rows(values: dict[str, list[float]]) -> list[Row]:
    goals = [Target(0.6, peer=ECHO_UVLOOP), Target(12, peer=STOCK4_MULTIPLEX)]
    if REDIS in values:
        goals.append(Target(1, peer=REDIS))
    others = [label for label in values if label not in (OURS4, OURS5, STOCK5_MULTIPLEX)]
    four = {label: values[label] for label in (OURS4, *others)}
    five = {label: values[label] for label in (OURS5, ECHO_UVLOOP, STOCK5_MULTIPLEX)}
    return [
        Row(SECTION, "Pyro4 wire, serpent, 50 connections", "/s", OURS4, four, tuple(goals)),
        Row(SECTION, "Pyro5 wire, serpent, 50 connections", "/s", OURS5, five, (Target(0.5, peer=ECHO_UVLOOP),)),
    ]


def _latencies(results: Mapping[str, list[Result]]) -> Plot:
    plot = Plot("latency", "Latency of lookups, 50 connections", "percentile", "microseconds", log_x=False)
    for label, series in results.items():
        plot.curves[label] = {
            name: [getattr(result, field) for result in series]
            for name, field in (("50", "p50"), ("90", "p90"), ("99", "p99"), ("99.9", "p999"), ("max", "max"))
        }
    return plot


def _curve(bench: Bench, contenders: Mapping[str, Contender]) -> Plot:
    plot = Plot("throughput", "Lookups a second", "connections", "lookups a second")
    for connections in CURVE:
        results = bench.rounds_of(
            f"lookups, {connections} connections", runs(contenders, bench.seconds / 2, connections)
        )
        for label, series in results.items():
            plot.curves.setdefault(label, {})[str(connections)] = [result.rate for result in series]
    return plot


def measure_options(bench: Bench) -> Findings:
    """Other serializers, signatures, compression and batches, against stock Pyro4 with the same option."""
    findings = Findings()
    calls = [lookup(name) for name in NAMES]
    long_calls = [lookup(name) for name in LONG_NAMES]
    plain = ("json", "msgpack", "marshal")
    cases: dict[str, tuple[Wire, Callable[[Wire], Exchange], int]] = {
        f"{name}, Pyro4 wire": (Wire(serializer=name), lambda wire: wire.calls(calls), 1) for name in plain
    }
    cases["HMAC, serpent, Pyro4 wire"] = (Wire(key=KEY.encode()), lambda wire: wire.calls(calls), 1)
    cases["compressed both ways (names of 260 characters), serpent, Pyro4 wire"] = (
        Wire(compress=True),
        lambda wire: wire.calls(long_calls),
        1,
    )
    cases["in batches of 100, serpent, Pyro4 wire"] = (Wire(), lambda wire: wire.batch(calls[:100]), 100)
    with ExitStack() as stack:
        for what, (wire, exchange, factor) in cases.items():
            env = {"PYRO_COMPRESSION": "1"} if wire.compress else {}
            if wire.key:
                env["PYRO_HMAC_KEY"] = KEY
            running = {
                OURS4: stack.enter_context(servers.pyronym(env=env)),
                STOCK4_MULTIPLEX: stack.enter_context(servers.stock(STOCK4_MULTIPLEX, env=env)),
            }
            for server in running.values():
                fill(server, wire, [*NAMES, *LONG_NAMES])
            asked = {label: Contender(server, exchange(wire)) for label, server in running.items()}
            measured = rates(bench.rounds_of(f"lookups, {what}", runs(asked, bench.seconds)))
            values = {label: [rate * factor for rate in series] for label, series in measured.items()}
            goals = (Target(5, peer=STOCK4_MULTIPLEX),)
            findings.rows.append(Row("Lookups with options", f"{what}, 50 connections", "/s", OURS4, values, goals))
    return findings
