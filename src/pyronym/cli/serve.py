"""``pyronym serve``: run a name server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import click

from pyronym.cli.configuration import configure
from pyronym.cli.items import with_options
from pyronym.cli.running import hmac_key, run
from pyronym.cli.starting import start


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@with_options
@click.option("--config", metavar="FILE", envvar="PYRONYM_CONFIG", help="Read what is not said here from a TOML file.")
@click.option("--show-config", is_flag=True, help="Print all values, with where they come from, and end.")
def serve(config: str | None, show_config: bool, **options: Any) -> None:
    """Run a name server for Pyro4 and Pyro5 programs until it is interrupted or terminated.

    What is not said by options comes from the environment, then from the file, as docs/configuration.md tells.

    \b
    Examples:
      pyronym serve -s sql:names.sqlite
      pyronym serve -n 0.0.0.0 -p 9090 --keys keys.toml
      pyronym serve -n 10.0.0.5 -n [fd00::5]:9099 -n localhost
      pyronym serve --tls-cert server.pem --tls-key server.key
      pyronym serve --config /etc/pyronym.toml --show-config
    """
    hmac_key(options["key"])  # as option it has its warning, and cannot be in the environment as well
    configured = partial(configure, options, os.environ, config)
    if show_config:
        click.echo(configured().shown())
    else:
        start(configured)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of ``python -m pyronym.naming``."""
    run(serve, args, "pyronym serve")
