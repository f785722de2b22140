"""A list of names on the terminal that is kept up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import click

from pyronym.cli.catalogue import UNKNOWN, Details, Selection, details
from pyronym.cli.following import Lost, follow
from pyronym.cli.showing import console, for_people, plain, table
from pyronym.cli.where import Where
from pyronym.client.watching import Entry
from pyronym.errors import CommunicationError, NamingError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

REFRESH: Final = 2.0
"""Seconds after which states and leases are asked for anew, even if no name has changed."""
STATUS_LINES: Final = 3
"""Lines of the screen that are not for names: the headings, the status, and the cursor."""

Row = Callable[[str, Entry, Details], Sequence[str]]


def show_live(where: Where, selection: Selection, headings: Sequence[str], row: Row) -> None:
    """Show the names of a selection until Ctrl-C; while the name server is lost, the last that were known.

    UsageError if there is no terminal.
    """
    if not for_people():
        raise click.UsageError("--watch needs a terminal (for programs there is pyronym watch --json)")
    from rich.live import Live

    terminal = console()
    names: dict[str, Entry] = {}
    known: Mapping[str, Details] = {}
    with where.all_nodes() as name_server, Live(console=terminal, auto_refresh=False, screen=True) as live:
        for news in follow(where, selection.prefix, poll=REFRESH, listing=True):
            if isinstance(news, Lost):
                status = f"connection lost, looking for it again: {plain(news.why)}"
            else:
                for event in news:
                    event.apply(names)
                with suppress(CommunicationError, NamingError):  # if it is lost, the next news will say so
                    known = details(name_server, selection.prefix)
                status = "connected; Ctrl-C ends"
            chosen = {name: entry for name, entry in names.items() if selection.takes(name, entry.metadata)}
            rows = [row(name, chosen[name], known.get(name, UNKNOWN)) for name in sorted(chosen)[: terminal.height]]
            live.update(_screen(terminal, headings, rows, f"{len(chosen)} names; {status}"), refresh=True)


def _screen(terminal: Console, headings: Sequence[str], rows: Sequence[Sequence[str]], status: str) -> RenderableType:
    """As many rows as fit, and the status below them."""
    from rich.console import Group
    from rich.text import Text

    line = Text(status, style="reverse", no_wrap=True, overflow="ellipsis")
    if not rows:
        return line
    shown = terminal.render_lines(table(headings, rows, terminal.width), pad=False)
    kept = shown[: max(terminal.height - STATUS_LINES + 1, 1)]
    return Group(*(Text.assemble(*((part.text, part.style or "") for part in parts)) for parts in kept), line)
