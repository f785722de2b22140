"""``make bench-quick``: the headline rows, compared with the results in the checkout by their ratios to the echo."""

from __future__ import annotations

import os
import statistics
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.durable import MANY, OURS_SQL, durable_contenders
from benchmarks.lookups import CONNECTIONS, headline, rates, runs
from benchmarks.report import figure, load_results
from benchmarks.rows import Bench, Values
from benchmarks.servers import ECHO_UVLOOP, OURS4, OURS5, STOCK4_MULTIPLEX

SLOWER = 0.9
"""Ratios that are all below this share of the kept one are reported: a slower build is slower in every round, what
disturbs a measurement is in some of them."""
BUSY = 0.5
"""Programs that want each processor, before the start, from which on the ratios are not to be trusted."""
ROUNDS = 3
SECONDS = 1.5


def main() -> None:
    """Measure, print, compare. Informs only: always ends well."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    bench = Bench(ROUNDS, SECONDS, 1_000_000)
    with ExitStack() as stack:
        contenders = headline(stack, ECHO_UVLOOP, STOCK4_MULTIPLEX)
        values = rates(bench.rounds_of("lookups, 50 connections", runs(contenders, bench.seconds, CONNECTIONS)))
        folder = stack.enter_context(servers.scratch())
        durable = durable_contenders(stack, folder, OURS_SQL)
        values |= rates(bench.rounds_of("durable registrations, 64", runs(durable, bench.seconds, MANY)))
    kept = _kept_ratios()
    print()
    for label, series in values.items():
        ratios = _to_echo(values, label)
        ratio = statistics.median(ratios)
        text = f"{label:26} {figure(statistics.median(series), '/s'):>12}  {ratio:6.3f} of the echo"
        text += f" ({min(ratios):.3f} to {max(ratios):.3f})"
        if label in kept:
            text += f", {kept[label]:6.3f} in the kept results"
            if max(ratios) < SLOWER * kept[label] and label != STOCK4_MULTIPLEX:
                text += f": SLOWER, {ratio / kept[label]:.0%} of it"
        print(text)
    if load > BUSY * processors:
        print(
            f"\nthe machine had other work to do (load {load:.1f}, {processors} processors): try again when it is quiet"
        )
    print("\nno kept results to compare with; make bench writes them" if not kept else "")


def _to_echo(values: Values, label: str) -> list[float]:
    return [mine / echo for mine, echo in zip(values[label], values[ECHO_UVLOOP], strict=True)]


def _kept_ratios() -> dict[str, float]:
    """The same ratios from the kept results."""
    data = load_results()
    if data is None:
        return {}
    medians: dict[str, float] = {}
    for row in data["rows"]:
        if (
            row["ours"] in (OURS4, OURS5)
            and row["what"].endswith("serpent, 50 connections")
            and row["section"] == "Lookups"
        ):
            medians |= row["medians"]
        if row["ours"] == OURS_SQL and f"{MANY} connections" in row["what"]:
            medians[OURS_SQL] = row["medians"][OURS_SQL]
    if ECHO_UVLOOP not in medians:
        return {}
    return {label: median / medians[ECHO_UVLOOP] for label, median in medians.items()}


if __name__ == "__main__":
    main()
