"""What names cost inside the server: time by number of names, and memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.stock import PYRO4 as STOCK4
from tests.stock import PYRO5 as STOCK5

from benchmarks.rows import Bench, Findings, Plot, Row, Target, Values
from benchmarks.servers import environment

SCRIPT = Path(__file__).with_name("inprocess.py")
OURS, STOCK4_LABEL, STOCK5_LABEL = "pyronym", "stock Pyro4", "stock Pyro5"
FEW = 10_000
SECTION = "Inside the process"
SEARCHES = {
    "prefix": "list by prefix",
    "all": "list by all tags",
    "any": "list by any tag",
}
EXPRESSIONS = {
    "regex_prefix": "list by regular expression that begins with plain text",
    "regex": "list by regular expression that begins with .*",
}
ANSWER = "100 records in the answer"


def measure_names(bench: Bench) -> Findings:
    """All costs at 1,000 to `bench.scale` names."""
    sizes = [size for size in (1000, FEW, 100_000, 1_000_000) if size <= bench.scale]
    measured: dict[int, dict[str, list[dict[str, float]]]] = {
        size: bench.rounds_of(
            f"{size:,} names in the process",
            {label: partial(_run, label, size) for label in (OURS, STOCK4_LABEL, STOCK5_LABEL)},
        )
        for size in sizes
    }
    return Findings(_rows(measured, sizes[-1]), _plots(measured))


def _run(label: str, size: int, number: int) -> dict[str, float]:
    python: str | Path = sys.executable
    kind = "pyronym"
    if label != OURS:
        python, kind = (STOCK4.ensure(), "Pyro4") if label == STOCK4_LABEL else (STOCK5.ensure(), "Pyro5")
    command = [python, SCRIPT, kind, str(size)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise RuntimeError(f"{label}: {done.stderr[-2000:]}")
    costs: dict[str, float] = json.loads(done.stdout)
    return costs


def _rows(measured: dict[int, dict[str, list[dict[str, float]]]], many: int) -> list[Row]:
    def values(size: int, operation: str, label: str, factor: float = 1.0) -> list[float]:
        return [costs[operation] * factor for costs in measured[size][label]]

    def beside_stock(operation: str, factor: float = 1.0) -> Values:
        return {label: values(many, operation, label, factor) for label in (OURS, STOCK4_LABEL, STOCK5_LABEL)}

    rows = []
    ours = f"pyronym, {many:,} names"
    fewer = f"pyronym, {FEW:,} names"
    for operation in ("register", "lookup"):
        compared = {
            ours: values(many, operation, OURS),
            fewer: values(FEW, operation, OURS),
            f"stock Pyro4, {many:,} names": values(many, operation, STOCK4_LABEL),
            f"stock Pyro5, {many:,} names": values(many, operation, STOCK5_LABEL),
        }
        rows.append(Row(SECTION, operation, "µs", ours, compared, (Target(at_most=1.5, peer=fewer),)))
    for operation, what in SEARCHES.items():
        title = f"{what}, {many:,} names, {ANSWER}"
        rows.append(Row(SECTION, title, "µs", OURS, beside_stock(operation), (Target(at_most=200),)))
    for operation, what in EXPRESSIONS.items():
        goals = (Target(at_most=1, peer=STOCK4_LABEL),)
        rows.append(Row(SECTION, f"{what}, {many:,} names, {ANSWER}", "µs", OURS, beside_stock(operation), goals))
    title = f"memory for a name (name, URI, one tag, all indexes) at {many:,}"
    rows.append(Row(SECTION, title, "KB", OURS, beside_stock("memory", 1e-3), (Target(at_most=0.5),)))
    return rows


def _plots(measured: dict[int, dict[str, list[dict[str, float]]]]) -> list[Plot]:
    cost = Plot("names", "Cost by number of names (searches: 100 records in the answer)", "names", "microseconds")
    memory = Plot("memory", "Memory of the name server", "names", "MB")
    for size, results in measured.items():
        for label, runs in results.items():
            for operation in ("register", "lookup", "prefix", "all", "regex"):
                if label == STOCK5_LABEL:
                    continue  # too near to Pyro4's to be told apart
                curve = cost.curves.setdefault(f"{label}, {operation}", {})
                curve[str(size)] = [costs[operation] for costs in runs]
            each = statistics.median(costs["memory"] for costs in runs)
            memory.curves.setdefault(label, {})[str(size)] = [each * size / 1e6]
    return [cost, memory]
