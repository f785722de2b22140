"""How commands show things: tables for people, lines with tabs for programs that read them, JSON for all others.

What comes from a name server may be any text: it is shown without what would move the cursor or end a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

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
