"""``make bench-quick``: the headline figures in half a minute, compared with the results in the checkout.

Machines differ, and one machine differs from hour to hour, so what is compared are ratios to the echo of the same
moment. ``make bench`` keeps those of the very same procedure: many short turns, because what disturbs a measurement
comes and goes within seconds, and the median of many turns does not mind.
"""

from __future__ import annotations

import os
import statistics
from contextlib import ExitStack

from benchmarks import servers
from benchmarks.durable import OURS_SQL, durable_contenders
from benchmarks.lookups import headline, rates, runs
from benchmarks.report import figure, load_results
from benchmarks.rows import Bench, Findings, Row, Values
from benchmarks.servers import ECHO_UVLOOP, OURS4, OURS5, STOCK4_MULTIPLEX

SECTION = "Shares of the uvloop echo, which make bench-quick compares"
GUARDED = (OURS4, OURS5, OURS_SQL)
SLOWER = 0.9
"""A ratio below this share of the kept one is reported. Undisturbed runs differ by 0.04."""
BUSY = 0.5
"""Programs that want each processor, before the start, from which on the ratios are not to be trusted."""
ROUNDS = 12
SECONDS = 0.4


def measure_guard(bench: Bench) -> Findings:
    """Rows for ``make bench`` to keep."""
    values = _measure(bench)
    return Findings([Row(SECTION, label, "of the echo", label, {label: _shares(values, label)}) for label in GUARDED])


def main() -> None:
    """Measure, print, compare. Informs only: always ends well."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    values = _measure(Bench(ROUNDS, SECONDS, 1_000_000))
    kept = _kept()
    print()
    for label, series in values.items():
        text = f"{label:26} {figure(statistics.median(series), '/s'):>12}"
        if label in GUARDED:
            text += _verdict(statistics.median(_shares(values, label)), kept.get(label))
        print(text)
    if load > BUSY * processors:
        print(
            f"\nthe machine had other work to do (load {load:.1f}, {processors} processors): try again when it is quiet"
        )
    if not kept:
        print("\nno kept results to compare with; make bench writes them")


def _measure(bench: Bench) -> Values:
    """Requests a second, always in turns of the same length, whatever the rest of the suite takes."""
    bench = Bench(ROUNDS, SECONDS, bench.scale, bench.started)
    with ExitStack() as stack:
        folder = stack.enter_context(servers.scratch())
        contenders = headline(stack, ECHO_UVLOOP, STOCK4_MULTIPLEX) | durable_contenders(stack, folder, OURS_SQL)
        return rates(bench.rounds_of("shares of the echo", runs(contenders, bench.seconds)))


def _shares(values: Values, label: str) -> list[float]:
    return [mine / echo for mine, echo in zip(values[label], values[ECHO_UVLOOP], strict=True)]


def _verdict(share: float, kept: float | None) -> str:
    text = f"  {share:6.3f} of the echo"
    if kept is None:
        return text
    text += f", {kept:6.3f} in the kept results"
    return f"{text}: SLOWER, {share / kept:.0%} of it" if share < SLOWER * kept else text


def _kept() -> dict[str, float]:
    """The same shares from the kept results."""
    data = load_results()
    rows = data["rows"] if data else []
    return {row["ours"]: row["medians"][row["ours"]] for row in rows if row["section"] == SECTION}


if __name__ == "__main__":
    main()
