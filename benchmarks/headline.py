"""The figures that the README begins with, from the results of ``make bench``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.report import write_between

PAGE: Final = Path(__file__).parent.parent / "README.md"
BEGIN: Final = "<!-- figures: written by make bench -->"
END: Final = "<!-- end of figures -->"
STOCK: Final = "stock Pyro"


def write(data: Mapping[str, Any]) -> None:
    """Put them into the README."""
    write_between(PAGE, BEGIN, sentence(data), END)


def sentence(data: Mapping[str, Any]) -> str:
    """They, in words. `data`: of `Report.as_data`."""
    lookups, looked_up = _against_stock(data, "Lookups", "Pyro4 wire, serpent, 50 connections")
    durable, kept = _against_stock(data, "Durable registrations", "sql, 64 connections")
    return (
        f"About {lookups:,} lookups a second from 50 connections, {looked_up} times as many as the quickest stock "
        f"server\non the same machine, and {durable:,} durable registrations, {kept} times as many."
    )


def _against_stock(data: Mapping[str, Any], section: str, what: str) -> tuple[int, int]:
    """What pyronym does in a second, to the next thousand, and how many times as much as the best stock server."""
    (row,) = (row for row in data["rows"] if (row["section"], row["what"]) == (section, what))
    medians = row["medians"]
    ours = medians[row["ours"]]
    stock = max(rate for label, rate in medians.items() if label.startswith(STOCK))
    return 1000 * round(ours / 1000), round(ours / stock)
