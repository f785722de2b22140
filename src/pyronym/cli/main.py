"""The ``pyronym`` command."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from pyronym.cli.running import EXIT_STATUSES, HELP, run

_HOMES: Final = MappingProxyType(
    {
        "serve": "serve:serve",
        "demo": "demo:demo",
        "ls": "ls:ls",
        "lookup": "ask:lookup",
        "register": "change:register",
        "rm": "change:rm",
        "tag": "change:tag",
        "ping": "ask:ping",
        "watch": "watch:watch",
        "nodes": "nodes:nodes",
        "top": "top:top",
        "doctor": "doctor:doctor",
        "bench": "bench:bench",
        "completion": "completion:completion",
        "export": "transfer:export",
        "import": "transfer:import_",
        "certs": "certs:certs",
        "check": "upkeep:check",
        "salvage": "upkeep:salvage",
        "backup": "upkeep:backup",
    }
)
"""Where each command is, in the order of the help. Loaded when it is used: a lookup would take twice as long with all
that `serve` needs."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        module, _, attribute = _HOMES[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"pyronym.cli.{module}"), attribute)
        return command


@click.group(cls=_Commands, no_args_is_help=False, context_settings=HELP, epilog=EXIT_STATUSES)
@click.version_option(package_name="pyronym")
def pyronym() -> None:
    """A name server for Python remote objects, for Pyro4 and Pyro5 programs at once."""


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    run(pyronym, args, "pyronym")
