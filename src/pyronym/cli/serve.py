"""``pyronym serve``: run a name server."""

from __future__ import annotations

import logging
import resource
import signal
from collections.abc import Sequence
from dataclasses import replace

import click

from pyronym.cli.access import Access
from pyronym.cli.privileges import User
from pyronym.cli.running import hmac_key, log_as_environment_says, run
from pyronym.server.audit import AuditLog
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop
from pyronym.server.nameserver import NameServerDaemon, with_responder
from pyronym.server.nameserver import serve as serve_until_stopped
from pyronym.settings import config
from pyronym.storage.choose import storage_by_name

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
@click.option(
    "--keys", "keys_file", metavar="FILE", help='HMAC keys of Pyro4 clients: lines such as lab = "key". SIGHUP: reread.'
)
@click.option("--unsigned-pyro5", is_flag=True, help="With keys: answer Pyro5 clients, too, which cannot have any.")
@click.option(
    "--permissions", "permissions_file", metavar="FILE", help="Who may do what (TOML). SIGHUP: read it again."
)
@click.option("--read-only", is_flag=True, help="Refuse all changes.")
@click.option("--audit-log", metavar="FILE", help="Write down all changes, and all that was refused.")
@click.option(
    "--audit-log-size", type=click.IntRange(1000), metavar="BYTES", help="Begin a new audit log when it gets larger."
)
@click.option("--user", metavar="NAME", help="Started as root: go on as this user, when the ports are open.")
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
    keys_file: str | None,
    unsigned_pyro5: bool,
    permissions_file: str | None,
    read_only: bool,
    audit_log: str | None,
    audit_log_size: int | None,
    user: str | None,
) -> None:
    """Run a name server for Pyro4 and Pyro5 programs until it is interrupted or terminated.

    Defaults come from the PYRO_* environment variables where they are set.

    \b
    Examples:
      pyronym serve -s sql:names.sqlite
      pyronym serve -n 0.0.0.0 -p 9090 --keys keys.toml
    """
    log_as_environment_says()
    key = hmac_key(key)
    if key is not None and keys_file:
        raise click.UsageError("don't use --keys together with -k or PYRO_HMAC_KEY (put that key into the file)")
    if audit_log_size and not audit_log:
        raise click.UsageError("--audit-log-size is of no use without --audit-log")
    _raise_open_file_limit()
    settings = replace(config.settings, unsigned_pyro5=unsigned_pyro5 or config.settings.unsigned_pyro5)
    access = Access(keys_file, permissions_file, read_only)
    account = User(user)
    with account.lent():
        loaded = access.load()
        audit = AuditLog(audit_log, audit_log_size or 0) if audit_log else None
        opened = storage_by_name(storage)
    loop = fastest_loop()
    log.info("serving on %s", "uvloop" if HAS_UVLOOP else "asyncio (uvloop is not installed)")
    daemon = NameServerDaemon(host, port, unixsocket, nathost, natport, opened, settings=settings, loop=loop)
    daemon.audit = audit
    loaded.give_to(daemon)
    uri, daemon, responder = with_responder(daemon, not nobc, bchost, bcport, key)
    if unixsocket:
        account.own(unixsocket)
    account.become()
    # Said to the system in so many words: a job in the background of a script is started with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: daemon.request_stop())
    if keys_file or permissions_file or audit_log:  # a log is rotated: those who do that send SIGHUP
        signal.signal(signal.SIGHUP, lambda *_: daemon.post(access.reload, daemon))
    has_key = key is not None or loaded.keys is not None
    try:
        serve_until_stopped(uri, daemon, responder, enable_broadcast=not nobc, has_key=has_key)
    finally:
        if audit is not None:
            audit.close()


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
