"""``pyronym top``: what goes on in a name server, kept up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import click

from pyronym.cli.activity import MOST_COUNTED, Activity, Look, activity, biggest, rows
from pyronym.cli.catalogue import require
from pyronym.cli.live import screen
from pyronym.cli.running import HELP
from pyronym.cli.showing import console, for_people, plain, show_json
from pyronym.cli.table import show_table
from pyronym.cli.where import Where, located
from pyronym.client.proxy import Proxy
from pyronym.client.watching import pauses
from pyronym.errors import CommunicationError, NameServerNotFoundError

LISTING: Final = 10.0
"""Seconds from one such list to the next at least."""

COLUMNS: Final = ("what", "now")


class _Watcher:
    """Looks at a name server again and again."""

    def __init__(self, name_server: Proxy) -> None:
        self._name_server = name_server
        self._last: Look | None = None
        self._listed = -LISTING
        self.prefixes: Mapping[str, int] | None = None

    def look(self) -> Activity:
        """What went on since the last look. Raises what the name server's proxy raises."""
        began = time.monotonic()
        status = self._name_server.status()
        now = time.monotonic()
        if now - self._listed >= LISTING:
            self._listed = now
            self.prefixes = biggest(self._name_server.list()) if status["records"] < MOST_COUNTED else None
        look = Look(now, now - began, status)
        self._last, before = look, self._last
        return activity(before, look)


@click.command(context_settings=HELP)
@click.option("--once", is_flag=True, help="Show it once, after one interval, and end. So it is without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 60.0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="From one look at the name server to the next.",
)
@located
def top(once: bool, as_json: bool, interval: float, where: Where) -> None:
    """Show what goes on in a name server until Ctrl-C: calls in a second, connections, slow clients, storage, leases,
    watchers, and the prefixes that most names have.

    While the name server is lost, this is shown, and it is looked for again. Stock name servers cannot tell.

    \b
    Examples:
      pyronym top
      pyronym top --once --json --interval 10
    """
    with where.connect() as name_server:
        require(name_server, "status", "status")
        if once or as_json or not for_people():
            watcher = _Watcher(name_server)
            watcher.look()
            time.sleep(interval)
            now = watcher.look()
            if as_json:
                told = now._asdict() | {"calls": [calls._asdict() for calls in now.calls]}
                show_json(told | {"prefixes": watcher.prefixes})
            else:
                show_table(COLUMNS, list(rows(now, watcher.prefixes)))
            return
    _show_live(where, interval)


def _show_live(where: Where, interval: float) -> None:
    from rich.live import Live

    terminal = console()
    waits = pauses()
    with where.all_nodes() as name_server, Live(console=terminal, auto_refresh=False, screen=True) as live:
        watcher = _Watcher(name_server)
        now: Activity | None = None
        while True:
            try:
                now = watcher.look()
            except (CommunicationError, NameServerNotFoundError) as problem:
                status, pause = f"connection lost, looking for it again: {plain(str(problem))}", next(waits)
            else:
                status, pause, waits = "connected; Ctrl-C ends", interval, pauses()
            lines = list(rows(now, watcher.prefixes)) if now else []
            live.update(screen(terminal, COLUMNS, lines, status), refresh=True)
            time.sleep(pause)
