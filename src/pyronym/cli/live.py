"""A list of names on the terminal that is kept up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from pyronym.cli.catalogue import UNKNOWN, Details, Selection, details
from pyronym.cli.following import Lost, follow
from pyronym.cli.showing import console, for_people, plain
from pyronym.cli.table import Row, table_lines
from pyronym.cli.where import Where
from pyronym.client.watching import Entry
from pyronym.errors import CommunicationError, NamingError

if TYPE_CHECKING:
    from rich.console import Console, Group

REFRESH: Final = 2.0
"""Seconds from one question for states and leases to the next."""
STATUS_LINES: Final = 1
"""Lines of the screen that are not of the table."""

ToRow = Callable[[str, Entry, Details], Row]


def show_live(where: Where, selection: Selection, headings: Sequence[str], row: ToRow) -> None:
    """Show the names of a selection until Ctrl-C; while the name server is lost, the last that were known.

    UsageError if there is no terminal; what a name server raises for the regular expression, which is tried here, and
    with its limits.
    """
    if not for_people():
        raise click.UsageError("--watch needs a terminal (for programs there is pyronym watch --json)")
    matching = _matching(selection.regex, where.settings.regex_timeout)
    from rich.live import Live

    terminal = console()
    names: dict[str, Entry] = {}
    known: Mapping[str, Details] = {}
    asked = -REFRESH
    with where.all_nodes() as name_server, Live(console=terminal, auto_refresh=False, screen=True) as live:
        for news in follow(where, selection.prefix, poll=REFRESH, listing=True):
            if isinstance(news, Lost):
                status = f"connection lost, looking for it again: {plain(news.why)}"
            else:
                for event in news:
                    event.apply(names)
                if time.monotonic() - asked >= REFRESH:  # many changes in a second must not be as many questions
                    with suppress(CommunicationError, NamingError):  # if it is lost, the next news will say so
                        known = details(name_server, selection.prefix)
                    asked = time.monotonic()
                status = "connected; Ctrl-C ends"
            chosen = matching([name for name, entry in names.items() if selection.takes(name, entry.metadata)])
            rows = [row(name, names[name], known.get(name, UNKNOWN)) for name in sorted(chosen)[: terminal.height]]
            live.update(screen(terminal, headings, rows, f"{len(chosen)} names; {status}"), refresh=True)


def _matching(regex: str | None, budget: float) -> Callable[[Sequence[str]], Sequence[str]]:
    """Gives those of some names that match; without a regular expression all of them."""
    if regex is None:
        return lambda names: names
    from pyronym.cli.matching import Matching  # only here: all other lists need not wait for it to load

    return Matching(regex, budget)


def screen(terminal: Console, headings: Sequence[str], rows: Sequence[Row], status: str) -> Group:
    """As many lines of the table as fit, and the status below them."""
    from rich.console import Group
    from rich.text import Text

    lines = islice(table_lines(headings, rows, terminal.width), max(terminal.height - STATUS_LINES, 0))
    return Group(*(Text(*line) for line in lines), Text(status, style="reverse", no_wrap=True, overflow="ellipsis"))
