"""What SIGHUP does: reads again what can be read again while the server serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from pyronym.cli.access import Access
from pyronym.cli.configuration import Configuration
from pyronym.cli.http import HttpSide
from pyronym.cli.items import ITEMS, STDERR
from pyronym.cli.logs import Log
from pyronym.server.daemon import CHANGEABLE
from pyronym.server.nameserver import NameServerDaemon

log = logging.getLogger(__name__)

Part = tuple[str, Callable[[], None]]
"""Something that can be read again: what it is called, and what does it."""


class Reloader:
    """Makes what has changed count. `configured` gives the configuration as it is now; `told` is the one in force."""

    def __init__(
        self,
        configured: Callable[[], Configuration],
        told: Configuration,
        daemon: NameServerDaemon,
        logs: Log,
        http_side: HttpSide,
    ) -> None:
        self._configured = configured
        self._told = told
        self._started_with = told
        self._daemon = daemon
        self._logs = logs
        self._http_side = http_side

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to read again, or a file that others rotate: those who do that send SIGHUP."""
        return bool(list(self._parts()) or self._told["audit_log"])

    def reload(self) -> None:
        """Do it, and say in one line what was done and what needs a restart. On the daemon's loop.

        What is wrong leaves what was before in force, and the line says so.
        """
        done, kept = [], []
        for part, read in self._parts():
            try:
                read()
            except (OSError, ValueError) as problem:
                kept.append(f"kept the old {part}: {problem}")
            else:
                done.append(part)
        restart = [
            key for key, item in ITEMS.items() if not item.reloads and self._told[key] != self._started_with[key]
        ]
        words = [f"read again: {', '.join(done) or 'nothing'}", *kept]
        words.append(f"a restart is needed for: {', '.join(restart) or 'nothing'}")
        fields = {"reloaded": done, "kept": kept, "restart": restart}
        log.log(logging.ERROR if kept else logging.WARNING, "SIGHUP: %s", "; ".join(words), extra={"fields": fields})

    def _parts(self) -> Iterator[Part]:
        """Each is asked for when the one before has been read: the configuration may name other files."""
        if self._told.path is not None:
            yield "configuration", self._read_configuration
        if self._told["log_file"] != STDERR or self._started_with is not self._told:
            yield "log", lambda: self._logs.begin(self._told)
        access = Access.of(self._told)
        if access != Access() or self._started_with is not self._told:
            yield "keys and permissions", lambda: access.load().give_to(self._daemon)
        if self._started_with["http_tokens"]:
            yield "HTTP tokens", lambda: self._http_side.reload(self._told)

    def _read_configuration(self) -> None:
        told = self._configured()
        settings = told.settings
        self._daemon.change_limits(**{name: getattr(settings, name) for name in CHANGEABLE})
        self._told = told
