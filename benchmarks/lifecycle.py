"""From the start to the first answer, many idle connections, a long list for one client, and the import."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.stock import PYRO4 as STOCK4
from tests.stock import PYRO5 as STOCK5

from benchmarks import servers
from benchmarks.inprocess import name_of, tag_of, uri_of
from benchmarks.load import Load, Result
from benchmarks.lookups import CONNECTIONS, Contender, fill
from benchmarks.messages import NAMES, PYRO4, PYRO5, Call, Wire, lookup
from benchmarks.rows import Bench, Findings, Row, Target, Values
from benchmarks.servers import (
    OURS4,
    STOCK4_MULTIPLEX,
    STOCK4_THREAD,
    STOCK5_MULTIPLEX,
    Server,
    environment,
)
from pyronym.directory.record import Change, Record
from pyronym.storage.sqlite import SqliteStore

OURS = "pyronym"
IDLE = 10_000
SPARE_FILES = 300
"""Of the limit of open files, for all but the idle connections."""
LISTED = 200_000
LARGE_MESSAGES = {"PYRO_MAX_MESSAGE_SIZE": str(1 << 30)}
OTHERS = 10
"""Connections that look up while one lists."""
PING: Call = ("ping", (), {})


def measure_start(bench: Bench) -> Findings:
    """From starting the process to the first answered ping."""
    findings = Findings()
    with servers.scratch() as folder:
        big = folder / "big.sqlite"
        bench.say(f"writing {bench.scale:,} names to a SQLite file")
        _write_names(big, bench.scale)
        for what, path, bound in (
            ("an empty SQLite file", folder / "empty", 0.5),
            (f"a SQLite file of {bench.scale:,} names", big, 6.0),
        ):
            starts: dict[str, Callable[[int], float]] = {OURS: partial(_time_to_ping, OURS, path)}
            for label in (STOCK4_MULTIPLEX, STOCK5_MULTIPLEX):
                starts[label] = partial(_time_to_ping, label, path)
            values = bench.rounds_of(f"start on {what}", starts)
            goals = (Target(at_most=bound),)
            findings.rows.append(Row("Start", f"to the first answered ping, on {what}", "s", OURS, values, goals))
    findings.notes.append("The stock servers do not read their files at the start: they ask them for every lookup.")
    return findings


def _write_names(path: Path, names: int) -> None:
    store = SqliteStore(path)
    step = 50_000
    for first in range(0, names, step):
        numbers = range(first, min(first + step, names))
        store.commit([Change(name_of(i), Record(name_of(i), uri_of(i), frozenset((tag_of(i),)))) for i in numbers])
    store.close()


def _time_to_ping(label: str, path: Path, number: int) -> float:
    storage = f"sql:{path}" if path.exists() else f"sql:{path}-{label}-{number}"
    port = servers.free_port()
    wire = Wire(PYRO5 if label == STOCK5_MULTIPLEX else PYRO4)
    if label == OURS:
        command, env = servers.name_server_command(storage, port), environment()
    else:
        command = servers.stock_command(label, storage, port)
        env = environment(servers.stock_environment(label))
    begin = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], env=env, stdout=subprocess.DEVNULL)
    try:
        while True:
            try:
                wire.ask(port, PING)
                return time.perf_counter() - begin
            except ConnectionError:
                if process.poll() is not None or time.perf_counter() - begin > 120:
                    raise RuntimeError(f"{label} does not start on {storage}") from None
                time.sleep(0.002)
    finally:
        process.terminate()
        process.wait(60)


def measure_idle(bench: Bench) -> Findings:
    """What idle connections cost, and what they leave to the others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    idle = min(IDLE, hard - SPARE_FILES)
    findings = Findings()
    if idle < IDLE:
        findings.notes.append(f"Only {idle:,} idle connections: the limit of open files is {hard:,} here (ulimit -Hn).")
    without, within = "pyronym, no idle connections", f"pyronym, {idle:,} idle connections"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # for the generator
    memory: list[float] = []
    greetings: list[float] = []
    with servers.pyronym() as server:
        wire = Wire()
        fill(server, wire)
        contender = Contender(server, wire.calls([lookup(name) for name in NAMES]))
        contender.run(bench.seconds, CONNECTIONS, 0)  # so that what the server takes once is not counted

        def beside_idle(number: int) -> Result:
            before = server.rss
            with _idle(server, wire, idle):
                memory.append((server.rss - before) / idle / 1000)
                greetings.append(_median_time(lambda: wire.ask(server.port, lookup(NAMES[0]))) * 1000)
                return contender.run(bench.seconds, CONNECTIONS, number)

        def alone(number: int) -> Result:
            return contender.run(bench.seconds, CONNECTIONS, number)

        results = bench.rounds_of(f"{idle:,} idle connections", {within: beside_idle, without: alone})
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    values: Values = {label: [result.rate for result in series] for label, series in results.items()}
    section = f"{idle:,} idle connections"
    # Only the first time does the memory come from the system; later rounds get what was freed before.
    findings.rows += [
        Row(section, "lookups from 50 others", "/s", within, values, (Target(0.8, peer=without),)),
        Row(section, "memory of the server for each", "KB", OURS, {OURS: memory[:1]}, (Target(at_most=8),)),
        Row(section, "a client connects, shakes hands, looks up", "ms", OURS, {OURS: greetings}),
    ]
    return findings


@contextmanager
def _idle(server: Server, wire: Wire, connections: int) -> Iterator[None]:
    load = Load(server.port, wire.idle(), connections, 0)
    try:
        yield
    finally:
        load.close()


def _median_time(action: Callable[[], object], times: int = 20) -> float:
    costs = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        costs.append(time.perf_counter() - begin)
    return statistics.median(costs)


def measure_list(bench: Bench) -> Findings:
    """One client lists everything, again and again; others look up meanwhile."""
    listed = min(LISTED, bench.scale)
    wire = Wire()
    with ExitStack() as stack:
        running = {OURS4: stack.enter_context(servers.pyronym(env=LARGE_MESSAGES))}
        for label in (STOCK4_MULTIPLEX, STOCK4_THREAD):
            running[label] = stack.enter_context(servers.stock(label))
        for label, server in running.items():
            bench.say(f"registering {listed:,} names: {label}")
            wire.ask_in_batches(server.port, _registrations(listed))
            fill(server, wire)
        measures = {label: partial(_list_and_look_up, server, bench.seconds) for label, server in running.items()}
        results = bench.rounds_of(f"list of {listed:,} names", measures)
    lists = {label: [took for took, _ in series] for label, series in results.items()}
    worst = {label: [other.max / 1000 for _, other in series] for label, series in results.items()}
    section = f"list() of {listed:,} names by one client"
    return Findings(
        [
            Row(section, f"worst latency of lookups from {OTHERS} others", "ms", OURS4, worst, (Target(at_most=50),)),
            Row(section, "the list itself, meanwhile", "ms", OURS4, lists, (Target(at_most=1, peer=STOCK4_MULTIPLEX),)),
        ],
        notes=["The list has 17 MB: pyronym ran with MAX_MESSAGE_SIZE=1073741824."],
    )


def _list_and_look_up(server: Server, seconds: float, number: int) -> tuple[float, Result]:
    """Milliseconds of a list, and what the others saw."""
    wire = Wire()
    others = Load(server.port, wire.calls([lookup(name) for name in NAMES]), OTHERS, 600, warmup=0)
    try:
        lister = Load(server.port, wire.calls([("list", (), {})]), 1, max(seconds, 5), warmup=0)
        took = lister.result().p50 / 1000
        return took, others.stop()
    finally:
        others.close()


def _registrations(names: int) -> list[Call]:
    return [("register", (name_of(i), uri_of(i), False, None), {}) for i in range(names)]


def measure_import(bench: Bench) -> Findings:
    """In fresh processes, with compiled bytecode."""
    times = {
        OURS: partial(_import_time, sys.executable, "pyronym"),
        "stock Pyro4": partial(_import_time, STOCK4.ensure(), "Pyro4"),
        "stock Pyro5": partial(_import_time, STOCK5.ensure(), "Pyro5.api"),
    }
    values = bench.rounds_of("import", times)
    return Findings([Row("Import", "import pyronym", "ms", OURS, values, (Target(at_most=80),))])


def _import_time(python: str | Path, module: str, number: int) -> float:
    script = f"import time; t = time.perf_counter(); import {module}; print((time.perf_counter() - t) * 1000)"
    command = [str(python), "-c", script]
    return statistics.median(
        float(subprocess.run(command, env=environment(), capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    )
