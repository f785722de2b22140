"""``pyronym serve``: run a name server."""

from __future__ import annotations

import gc
import logging
import resource
import signal
from collections.abc import Sequence

import click

from pyronym.cli.running import hmac_key, log_as_environment_says, run
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop
from pyronym.server.nameserver import NameServerDaemon, with_responder
from pyronym.server.nameserver import serve as serve_until_stopped

log = logging.getLogger(__name__)

PORT = click.IntRange(0, 65535)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-n", "--host", help="Name or address to listen on.  [default: localhost]")
@click.option("-p", "--port", type=PORT, help="Port to listen on; 0: any that is free.  [default: 9090]")
@click.option("-u", "--unixsocket", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option(
    "-s", "--storage", default="memory", show_default=True, help="Where records survive: memory, sql:FILE or dbm:FILE."
)
@click.option("--bchost", help="Address of the broadcast responder.  [default: all]")
@click.option("--bcport", type=PORT, help="Port of the broadcast responder; 0: any that is free.  [default: 9091]")
@click.option("--nathost", help="Host name under which clients beyond a NAT reach this server.")
@click.option("--natport", type=PORT, help="Port that goes with --nathost; 0: the same as here.")
@click.option("-x", "--nobc", is_flag=True, help="Start no broadcast responder.")
@click.option("-k", "--key", help="HMAC key that Pyro4 clients must have; better set PYRO_HMAC_KEY.")
def serve(
    host: str | None,
    port: int | None,
    unixsocket: str | None,
    storage: str,
    bchost: str | None,
    bcport: int | None,
    nathost: str | None,
    natport: int | None,
    nobc: bool,
    key: str | None,
) -> None:
    """Run a name server for Pyro4 and Pyro5 programs until it is interrupted or terminated.

    Defaults come from the PYRO_* environment variables where they are set.

    \b
    Examples:
      pyronym serve -s sql:names.sqlite
      pyronym serve -n 0.0.0.0 -p 9090
    """
    log_as_environment_says()
    key = hmac_key(key)
    _raise_open_file_limit()
    loop = fastest_loop()
    log.info("serving on %s", "uvloop" if HAS_UVLOOP else "asyncio (uvloop is not installed)")
    daemon = NameServerDaemon(host, port, unixsocket, nathost, natport, storage, loop=loop)
    # What was loaded stays. To look through 500,000 names for garbage stopped everything for 0.2 s; now 0.03.
    gc.freeze()
    uri, daemon, responder = with_responder(daemon, not nobc, bchost, bcport, key)
    # Said to the system in so many words: a job in the background of a script is started with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: daemon.request_stop())
    serve_until_stopped(uri, daemon, responder, enable_broadcast=not nobc, has_key=key is not None)


def _raise_open_file_limit() -> None:
    """Let the process have as many connections as the system allows. The usual limit is meant for other programs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as problem:  # some systems say "unlimited" and mean less
        log.warning("the limit of %d open files cannot be raised to %d: %s", soft, hard, problem)
    else:
        log.info("raised the limit of open files from %d to %d", soft, hard)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of ``python -m pyronym.naming``."""
    run(serve, args, "pyronym serve")
