"""Rows of cells: a table that fits the terminal, or lines with tabs for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

import click

from pyronym.cli.showing import NOTHING, console, for_people

GAP: Final = 2
"""Columns of the screen between two cells."""
ENOUGH: Final = 24
"""Columns that cells beside a name need; with fewer they are put below it."""


class Row(NamedTuple):
    """One row: as many cells as there are headings, of text that is `plain`."""

    cells: Sequence[str]
    alarming: bool = False
    """Something is wrong with what it shows."""


class Line(NamedTuple):
    """A line of a table, and its style as rich names it."""

    text: str
    style: str


def show_table(headings: Sequence[str], rows: Sequence[Row]) -> None:
    """Print rows: as a table that fits the terminal, or else as lines with tabs, without the headings."""
    if not for_people():
        click.echo("".join("\t".join(cell or NOTHING for cell in row.cells) + "\n" for row in rows), nl=False)
        return
    terminal = console()
    for line in table_lines(headings, rows, terminal.width):
        if line.style:
            terminal.print(line.text, style=line.style, soft_wrap=True)
        else:
            click.echo(line.text)


def table_lines(headings: Sequence[str], rows: Sequence[Row], width: int) -> Iterator[Line]:
    """The lines of a table that is no wider than `width`, without columns in which nothing is; none without rows. Cells
    are folded, but for the first in each row, which is whole: if there is no room beside it, the others are put below
    it.

    A table of rich's takes half a minute of computing for 100,000 names, this one three seconds.
    """
    if not rows:
        return
    used = [number for number in range(len(headings)) if number == 0 or any(row.cells[number] for row in rows)]
    table = [Row([cells[number] for number in used], alarming) for cells, alarming in (Row(headings), *rows)]
    widths = [max(_size(row.cells[number]) for row in table) for number in range(len(used))]
    room = width - widths[0] - GAP * (len(used) - 1)
    if room < min(ENOUGH, sum(widths[1:])):
        yield from _below_each_other(table[0].cells, table[1:], width)
        return
    _narrow(widths, room)
    for number, row in enumerate(table):
        for text in _side_by_side(row.cells, widths):
            yield Line(text, _style(row) if number else "bold")


def _style(row: Row) -> str:
    return "red" if row.alarming else ""


def _narrow(widths: list[int], room: int) -> None:
    """Take from the widest columns but the first, until the others fit into `room`."""
    while sum(widths[1:]) > room:
        widest = max(range(1, len(widths)), key=widths.__getitem__)
        widths[widest] -= 1


def _side_by_side(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    columns = [_folded(cell or NOTHING, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*columns, fillvalue=""):
        padded = (part + " " * (width - _size(part)) for part, width in zip(parts, widths, strict=True))
        yield (" " * GAP).join(padded).rstrip()


def _below_each_other(headings: Sequence[str], rows: Iterable[Row], width: int) -> Iterator[Line]:
    for row in rows:
        first, *others = row.cells
        for part in _folded(first, width):
            yield Line(part, "red" if row.alarming else "bold")
        for heading, cell in zip(headings[1:], others, strict=True):
            for part in _folded(f"{heading}: {cell}", max(width - GAP, 1)) if cell else ():
                yield Line(" " * GAP + part, _style(row))


def _size(text: str) -> int:
    """How many columns of the screen a text takes."""
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


def _folded(text: str, width: int) -> Sequence[str]:
    from rich.cells import chop_cells

    return [text] if _size(text) <= width else chop_cells(text, width)
