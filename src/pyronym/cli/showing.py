"""How commands show things: tables for people, lines with tabs for programs that read them, JSON for all others.

What comes from a name server may be any text: it is shown without what would move the cursor or end a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

GAP: Final = 2
"""Columns of the screen between two cells."""
ENOUGH: Final = 24
"""Columns that cells beside a name need; with fewer they are put below it."""
FIRST: Final = 5
"""How many names a sentence shows."""
NOTHING: Final = "-"
"""What is shown for a cell without a value: programs that count columns must find one."""


def plain(text: str) -> str:
    """`text` with escapes for all that is not printable."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - FIRST} more" if len(names) > FIRST else ""
    return ", ".join(map(plain, names[:FIRST])) + more


def for_people() -> bool:
    """Whether the output goes to a terminal."""
    return sys.stdout.isatty()


def console(*, stderr: bool = False) -> Console:
    """The terminal. Without colours where NO_COLOR says so."""
    from rich.console import Console  # only here and below: it takes longer to load than a lookup does

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def show_json(value: object) -> None:
    """Print `value` as JSON, in ASCII so that every terminal and locale can take it."""
    click.echo(json.dumps(value, indent=2))


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells that are `plain`: as a table that fits the terminal, or else as lines with tabs, without the
    headings.
    """
    if not for_people():
        click.echo("".join("\t".join(cell or NOTHING for cell in row) + "\n" for row in rows), nl=False)
    elif rows:
        terminal = console()
        terminal.print(table(headings, rows, terminal.width))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> RenderableType:
    """Rows as a table of this width, without columns in which nothing is. Cells are folded, but for the first in each
    row, which is whole: if there is no room beside it, the others are put below it.
    """
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    used = [number for number in range(len(headings)) if number == 0 or any(row[number] for row in rows)]
    headings, rows = [headings[number] for number in used], [[row[number] for number in used] for row in rows]
    first = max(cell_len(cell) for cell in (headings[0], *(row[0] for row in rows)))
    if first + GAP + ENOUGH > width:
        return _below_each_other(headings, rows)
    grid = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column(headings[0], no_wrap=True, min_width=first)
    for heading in headings[1:]:
        grid.add_column(heading, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell or NOTHING) for cell in row))
    return grid


def _below_each_other(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> RenderableType:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[RenderableType] = []
    for first, *others in rows:
        parts.append(Text(first, style="bold", overflow="fold"))
        parts += [
            Padding(Text(f"{heading}: {cell}", overflow="fold"), (0, 0, 0, GAP))
            for heading, cell in zip(headings[1:], others, strict=True)
            if cell
        ]
    return Group(*parts)
