"""The plots in docs/images."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from benchmarks.rows import Plot

IMAGES = Path(__file__).parent.parent / "docs" / "images"
STYLES = {  # beginning of a label: colour, line
    "pyronym, Pyro5": ("#56b4e9", "-"),
    "pyronym, dbm": ("#56b4e9", "-"),
    "pyronym": ("#0072b2", "-"),
    "uvloop": ("#000000", ":"),
    "asyncio": ("#777777", ":"),
    "Redis": ("#cc3311", "-."),
    "etcd": ("#cc3311", "-."),
    "stock Pyro4, thread": ("#e69f00", "--"),
    "stock Pyro4, multiplex, dbm": ("#e69f00", "--"),
    "stock Pyro4": ("#d55e00", "--"),
    "stock Pyro5": ("#009e73", "--"),
}
OPERATIONS = {"register": "o", "lookup": "s", "prefix": "^", "all": "v", "regex": "x"}
"""Marks, where a label ends with an operation."""


def draw(plots: Sequence[Plot]) -> None:
    """Write one SVG file for each; the same values give the same file."""
    IMAGES.mkdir(exist_ok=True)
    mpl.rcParams.update({"svg.hashsalt": "pyronym", "svg.fonttype": "none", "font.size": 10, "axes.grid": True})
    mpl.rcParams.update({"grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False})
    for plot in plots:
        _draw(plot)


def _draw(plot: Plot) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
    for label, points in plot.curves.items():
        medians = [statistics.median(values) for values in points.values()]
        where: list[float] | list[str] = [float(x) for x in points] if plot.log_x else list(points)
        colour, line = next(style for start, style in STYLES.items() if label.startswith(start))
        mark = next((mark for end, mark in OPERATIONS.items() if label.endswith(f", {end}")), "o")
        axes.plot(where, medians, line, color=colour, marker=mark, markersize=4, label=label)
        if plot.log_x:
            lows, highs = ([pick(values) for values in points.values()] for pick in (min, max))
            axes.fill_between(where, lows, highs, color=colour, alpha=0.12, linewidth=0)
    if plot.log_x:
        axes.set_xscale("log")
    if plot.log_y:
        axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}") if plot.log_x else None
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    axes.set(title=plot.title, xlabel=plot.x, ylabel=plot.y)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.savefig(IMAGES / f"{plot.key}.svg", metadata={"Date": None})
    plt.close(figure)
