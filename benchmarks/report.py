"""The results as JSON, as Markdown, and as the table in docs/performance.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.rows import Findings, Row, Target

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
PAGE = HERE.parent / "docs" / "performance.md"
END = "<!-- end of table -->"


@dataclass(frozen=True)
class Report:
    """One run of the suite."""

    date: str
    machine: Mapping[str, str]
    rounds: int
    seconds: float
    findings: Findings
    results: Path = RESULTS
    page: Path = PAGE
    command: str = "make bench"

    def save(self) -> None:
        """Write JSON and Markdown, and put the table into the documentation."""
        self.results.parent.mkdir(exist_ok=True)
        self.results.write_text(json.dumps(self.as_data(), indent=1, ensure_ascii=False) + "\n")
        table = self.markdown()
        self.results.with_suffix(".md").write_text(f"# Benchmark results\n\n{table}\n")
        write_between(self.page, f"<!-- table: written by {self.command} -->", table, END)

    def as_data(self) -> dict[str, Any]:
        """Everything, with all single values."""
        rows = []
        for row in self.findings.rows:
            medians = {label: row.median(label) for label in row.values if row.values[label]}
            targets = [
                {**asdict(target), "ratio": target.peer and row.ratio(target.peer), "reached": row.reached(target)}
                for target in row.targets
            ]
            rows.append({**asdict(row), "medians": medians, "targets": targets})
        return {
            "date": self.date,
            "machine": dict(self.machine),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "notes": self.findings.notes,
            "rows": rows,
            "plots": [asdict(plot) for plot in self.findings.plots],
        }

    def markdown(self) -> str:
        """The facts about the run, the table, and what could not be measured."""
        facts = ", ".join(f"{name} {value}" for name, value in self.machine.items() if name not in _WORDED)
        machine = f"{self.machine['processor']}, {self.machine['cores']} cores, {self.machine['system']}"
        parts = [
            f"Measured on {self.date}: {machine}; {facts}. "
            f"Medians of {self.rounds} rounds of {self.seconds:g} s for each contender, lowest and highest "
            "in brackets; a ratio is the median of the rounds' ratios.",
            "| what | pyronym | the others | ratio, target | reached |\n|---|---|---|---|---|",
        ]
        for section, rows in groupby(self.findings.rows, key=lambda row: row.section):
            parts[-1] += f"\n| **{section}** | | | | |"
            for row in rows:
                parts[-1] += "\n" + _line(row)
        if self.findings.notes:
            parts.append("\n".join(f"- {note}" for note in self.findings.notes))
        return "\n\n".join(parts)


_WORDED = ("processor", "cores", "system")


def write_between(page: Path, begin: str, text: str, end: str) -> None:
    """Put a text in place of what a page has between two comments."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def load_results() -> dict[str, Any] | None:
    """The data of the run that is kept in the checkout, if there is one."""
    if not RESULTS.exists():
        return None
    data: dict[str, Any] = json.loads(RESULTS.read_text())
    return data


def figure(value: float, unit: str) -> str:
    """A number in three significant digits."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _line(row: Row) -> str:
    others = "<br>".join(f"{label}: {_figures(row, label)}" for label in row.peers if row.values[label])
    goals = "<br>".join(_goal(row, target) for target in row.targets)
    marks = "<br>".join(_MARKS[row.reached(target)] for target in row.targets)
    return f"| {row.what} | {_figures(row, row.ours)} | {others} | {goals} | {marks} |"


_MARKS = {True: "yes", False: "**no**", None: "not measured"}


def _figures(row: Row, label: str) -> str:
    series = row.values[label]
    text = figure(row.median(label), row.unit)
    if len(series) < 2:
        return text
    low, high = (
        figure(value, "/s").removesuffix("/s") if row.unit == "/s" else figure(value, row.unit).split()[0]
        for value in (min(series), max(series))
    )
    return f"{text} ({low} to {high})"


def _goal(row: Row, target: Target) -> str:
    bound = f"≥ {target.at_least:g}" if target.at_least is not None else f"≤ {target.at_most:g}"
    if target.peer is None:
        return f"{bound} {row.unit}"
    ratio = row.ratio(target.peer)
    return f"{'-' if ratio is None else f'{ratio:.3g}'} x {target.peer} ({bound})"
