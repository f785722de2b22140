"""``make bench``: measure everything and write the results, the figures in the documentation, and the plots."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks import headline, plots
from benchmarks.clients import measure_one_client
from benchmarks.durable import measure_durable
from benchmarks.leases import measure_leases
from benchmarks.lifecycle import measure_idle, measure_import, measure_list, measure_start
from benchmarks.lookups import measure_lookups, measure_options
from benchmarks.machine import describe
from benchmarks.names import measure_names
from benchmarks.quick import measure_guard
from benchmarks.report import Report
from benchmarks.rows import Bench, Findings

GROUPS: dict[str, Callable[[Bench], Findings]] = {
    "lookups": measure_lookups,
    "options": measure_options,
    "client": measure_one_client,
    "durable": measure_durable,
    "names": measure_names,
    "leases": measure_leases,
    "start": measure_start,
    "idle": measure_idle,
    "list": measure_list,
    "import": measure_import,
    "guard": measure_guard,
}


def main() -> int:
    """1 if a group could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"only these, and only print: {', '.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each contender and round")
    parser.add_argument("--names", type=int, default=1_000_000, help="how many are many")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"unknown group {', '.join(sorted(unknown))} (expected {', '.join(GROUPS)})")
    bench = Bench(options.rounds, options.seconds, options.names)
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = describe()
    bench.say(f"the load of this machine before: {machine['load before']} (at rest: near 0)")
    findings = Findings()
    failed = False
    for name in options.groups or GROUPS:
        try:
            part = GROUPS[name](bench)
        except (RuntimeError, OSError, subprocess.SubprocessError) as problem:
            failed = True
            part = Findings(notes=[f"The group {name} was not measured: {problem}"])
            bench.say(part.notes[0])
        findings.rows += part.rows
        findings.plots += part.plots
        findings.notes += part.notes
    report = Report(date, machine, options.rounds, options.seconds, findings)
    print(report.markdown())
    if not options.groups:
        report.save()
        headline.write(report.as_data())
        plots.draw(findings.plots)
        bench.say("written: benchmarks/results/latest.json and .md, docs/performance.md, README.md, docs/images/*.svg")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
