"""Who may use the name server that ``pyronym serve`` runs, and what is written down about it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from pyronym.server.access_files import read_keys, read_permissions
from pyronym.server.nameserver import NameServerDaemon
from pyronym.service.permissions import OPEN, Permissions
from pyronym.wire.keys import KeyRing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """What the options say: the files with keys and permissions, if any."""

    keys_file: str | None = None
    permissions_file: str | None = None
    read_only: bool = False

    def load(self) -> Access.Loaded:
        """Read the files. Raises OSError and ValueError, with the name of the file."""
        keys = read_keys(self.keys_file) if self.keys_file else None
        permissions = read_permissions(self.permissions_file) if self.permissions_file else None
        if self.read_only:
            permissions = replace(permissions or OPEN, read_only=True)
        return Access.Loaded(keys, permissions)

    def reload(self, daemon: NameServerDaemon) -> None:
        """Read the files again, for clients that connect from now on. If they are wrong, what was read before stays."""
        try:
            loaded = self.load()
        except (OSError, ValueError) as problem:
            log.error("keys and permissions stay as they were: %s", problem)
        else:
            loaded.give_to(daemon)
            log.warning("keys and permissions read again, for clients that connect from now on")

    @dataclass(frozen=True)
    class Loaded:
        """What the files say."""

        keys: KeyRing | None
        permissions: Permissions | None

        def give_to(self, daemon: NameServerDaemon) -> None:
            """Let it count."""
            daemon.keys = self.keys
            daemon.permissions = self.permissions
