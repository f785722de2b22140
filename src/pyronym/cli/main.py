"""The ``pyronym`` command."""

from __future__ import annotations

from collections.abc import Sequence

import click

from pyronym.cli.ask import lookup, ping
from pyronym.cli.certs import certs
from pyronym.cli.change import register, rm, tag
from pyronym.cli.ls import ls
from pyronym.cli.nodes import nodes
from pyronym.cli.running import EXIT_STATUSES, HELP, run
from pyronym.cli.serve import serve
from pyronym.cli.upkeep import backup, check, salvage
from pyronym.cli.watch import watch


@click.group(no_args_is_help=False, context_settings=HELP, epilog=EXIT_STATUSES)
@click.version_option(package_name="pyronym")
def pyronym() -> None:
    """A name server for Python remote objects, for Pyro4 and Pyro5 programs at once."""


for command in (serve, ls, lookup, register, rm, tag, ping, watch, nodes, certs, check, salvage, backup):
    pyronym.add_command(command)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    run(pyronym, args, "pyronym")
