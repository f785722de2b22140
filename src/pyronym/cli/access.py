"""Who may use the name server that ``pyronym serve`` runs, and what is written down about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyronym.cli.configuration import Configuration
from pyronym.server.access_files import read_keys, read_permissions
from pyronym.server.nameserver import NameServerDaemon
from pyronym.service.permissions import OPEN, Permissions
from pyronym.wire.keys import KeyRing


@dataclass(frozen=True)
class Access:
    """What the options say: the files with keys and permissions, if any."""

    keys_file: str | None = None
    permissions_file: str | None = None
    read_only: bool = False

    @classmethod
    def of(cls, told: Configuration) -> Access:
        """What the configuration says."""
        return cls(told["keys"], told["permissions"], told["read_only"])

    def load(self) -> Access.Loaded:
        """Read the files. Raises OSError and ValueError, with the name of the file."""
        keys = read_keys(self.keys_file) if self.keys_file else None
        permissions = read_permissions(self.permissions_file) if self.permissions_file else None
        if self.read_only:
            permissions = replace(permissions or OPEN, read_only=True)
        return Access.Loaded(keys, permissions)

    @dataclass(frozen=True)
    class Loaded:
        """What the files say."""

        keys: KeyRing | None
        permissions: Permissions | None

        def give_to(self, daemon: NameServerDaemon) -> None:
            """Let it count."""
            daemon.keys = self.keys
            daemon.permissions = self.permissions
