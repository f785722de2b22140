"""``pyronym serve``: run a name server."""

from __future__ import annotations

import ctypes
import gc
import logging
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import click

from pyronym.cli.access import Access
from pyronym.cli.http import HttpSide, http_options
from pyronym.cli.privileges import User
from pyronym.cli.running import hmac_key, log_as_environment_says, run
from pyronym.server.audit import AuditLog
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop
from pyronym.server.nameserver import NameServerDaemon, with_responder
from pyronym.server.nameserver import serve as serve_until_stopped
from pyronym.settings import Settings, config
from pyronym.storage.choose import storage_by_name

log = logging.getLogger(__name__)

SWITCH_SECONDS: Final = 0.0005

LARGE_BLOCK: Final = 1 << 17
"""Bytes. From here on the GNU C library gives back what is free, until it has learned otherwise."""
M_MMAP_THRESHOLD: Final = -3
"""From malloc.h of the GNU C library."""

PORT = click.IntRange(0, 65535)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-n",
    "--host",
    "hosts",
    metavar="HOST[:PORT]",
    multiple=True,
    help="Name or address to listen on, [IPV6]:PORT with brackets; may be given again.  [default: localhost]",
)
@click.option(
    "-p", "--port", type=PORT, help="Port for hosts that are given without; 0: any that is free.  [default: 9090]"
)
@click.option("-u", "--unixsocket", metavar="PATH", help="Listen on a Unix socket instead.")
@click.option(
    "-s",
    "--storage",
    default="memory",
    show_default=True,
    help="Where records survive: memory, sql:FILE, dbm:FILE or etcd://HOST:PORT,.../PREFIX.",
)
@click.option("--no-wait", is_flag=True, help="With etcd: end at once if it cannot be reached, instead of waiting.")
@click.option("--bchost", help="Address of the broadcast responder.  [default: all]")
@click.option("--bcport", type=PORT, help="Port of the broadcast responder; 0: any that is free.  [default: 9091]")
@click.option("--nathost", help="Host name under which clients beyond a NAT reach this server.")
@click.option("--natport", type=PORT, help="Port that goes with --nathost; 0: the same as here.")
@click.option("-x", "--nobc", is_flag=True, help="Start no broadcast responder.")
@click.option(
    "--probe",
    type=float,
    metavar="SECONDS",
    help="Remove names whose objects are gone; ask so often, from 3 on, 0: never.  [default: PYRO_NS_AUTOCLEAN, 0]",
)
@click.option(
    "--probe-grace",
    type=float,
    metavar="SECONDS",
    help="For how long an object must be gone.  [default: PYRO_NS_AUTOCLEAN_GRACE, 20]",
)
@click.option("--tls-cert", metavar="FILE", help="Speak TLS, with this certificate.  [default: PYRO_SSL_SERVERCERT]")
@click.option(
    "--tls-key", metavar="FILE", help="Its private key, if that is in another file; password: PYRO_SSL_SERVERKEYPASSWD."
)
@click.option("--tls-ca", metavar="FILE", help="CA certificates, or a folder of them, for checking those of clients.")
@click.option("--tls-require-client-cert", is_flag=True, help="Refuse clients without a certificate from --tls-ca.")
@click.option("--tls-port", type=PORT, help="Speak TLS at this port, and stay plain at --port.")
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
@http_options
@click.option("--user", metavar="NAME", help="Started as root: go on as this user, when the ports are open.")
def serve(
    hosts: tuple[str, ...],
    port: int | None,
    unixsocket: str | None,
    storage: str,
    no_wait: bool,
    bchost: str | None,
    bcport: int | None,
    nathost: str | None,
    natport: int | None,
    nobc: bool,
    probe: float | None,
    probe_grace: float | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_ca: str | None,
    tls_require_client_cert: bool,
    tls_port: int | None,
    key: str | None,
    keys_file: str | None,
    unsigned_pyro5: bool,
    permissions_file: str | None,
    read_only: bool,
    audit_log: str | None,
    audit_log_size: int | None,
    http: str | None,
    http_tokens: str | None,
    http_names: tuple[str, ...],
    user: str | None,
) -> None:
    """Run a name server for Pyro4 and Pyro5 programs until it is interrupted or terminated.

    Defaults come from the PYRO_* environment variables where they are set.

    \b
    Examples:
      pyronym serve -s sql:names.sqlite
      pyronym serve -n 0.0.0.0 -p 9090 --keys keys.toml
      pyronym serve -n 10.0.0.5 -n [fd00::5]:9099 -n localhost
      pyronym serve --tls-cert server.pem --tls-key server.key
    """
    log_as_environment_says()
    key = hmac_key(key)
    if key is not None and keys_file:
        raise click.UsageError("don't use --keys together with -k or PYRO_HMAC_KEY (put that key into the file)")
    if audit_log_size and not audit_log:
        raise click.UsageError("--audit-log-size is of no use without --audit-log")
    settings = _with_tls(config.settings, tls_cert, tls_key, tls_ca, tls_require_client_cert)
    settings = replace(settings, unsigned_pyro5=unsigned_pyro5 or settings.unsigned_pyro5)
    settings = _with_probing(settings, probe, probe_grace)
    if unixsocket and (tls_cert or tls_port is not None):
        raise click.UsageError("a Unix socket speaks no TLS (give either --unixsocket, or --tls-cert and a port)")
    _raise_open_file_limit()
    _give_back_large_blocks()
    access = Access(keys_file, permissions_file, read_only)
    account = User(user)
    with account.lent():
        loaded = access.load()
        http_side = HttpSide(http, http_tokens, http_names)
        audit = AuditLog(audit_log, audit_log_size or 0) if audit_log else None
        opened = storage_by_name(storage, settings, wait=not no_wait)
    loop = fastest_loop()
    log.info("serving on %s", "uvloop" if HAS_UVLOOP else "asyncio (uvloop is not installed)")
    # As root, if it is he who started this: the key of the certificate may be a file that nobody else can read.
    daemon = NameServerDaemon(
        hosts or None, port, unixsocket, nathost, natport, opened, tls_port=tls_port, settings=settings, loop=loop
    )
    # Threads that read large calls or list many names let go of the interpreter so often. The loop takes it once for
    # each packet: with 5 ms, as usual, eight clients that sent 8 MB each kept others waiting for 1.4 s.
    sys.setswitchinterval(SWITCH_SECONDS)
    # What was loaded stays. To look through 500,000 names for garbage stopped everything for 0.2 s; now 0.03.
    gc.freeze()
    daemon.audit = audit
    loaded.give_to(daemon)
    uri, daemon, responder = with_responder(daemon, not nobc, bchost, bcport, key)
    if unixsocket:
        account.own(unixsocket)
    try:
        http_side.open(daemon, settings)
    except BaseException:
        daemon.close()
        raise
    account.become()
    if account.is_root:
        log.warning("running as root, who may do everything: --user NAME goes on as that user once the ports are open")
    # Said to the system in so many words: a job in the background of a script is started with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: daemon.request_stop())
    if keys_file or permissions_file or http_tokens or audit_log:  # a log is rotated: those who do that send SIGHUP

        def reload() -> None:
            access.reload(daemon)
            http_side.reload()

        signal.signal(signal.SIGHUP, lambda *_: daemon.post(reload))
    has_key = key is not None or loaded.keys is not None
    try:
        serve_until_stopped(uri, daemon, responder, enable_broadcast=not nobc, has_key=has_key)
    finally:
        http_side.close()
        if audit is not None:
            audit.close()


def _with_tls(
    settings: Settings, certificate: str | None, key: str | None, ca: str | None, require_client_cert: bool
) -> Settings:
    """`settings` as the options change them. A certificate and its key go together: both come from one place."""
    changes: dict[str, Any] = {}
    if certificate is not None:
        changes.update(ssl=True, ssl_servercert=certificate, ssl_serverkey=key or "")
    elif key is not None:
        raise click.UsageError("--tls-key needs --tls-cert, the file of its certificate")
    if ca is not None:
        changes["ssl_cacerts"] = ca
    if require_client_cert:
        changes["ssl_requireclientcert"] = True
    settings = replace(settings, **changes)
    if (ca is not None or require_client_cert) and not settings.ssl_servercert:
        raise click.UsageError("the --tls options need --tls-cert, the file of the server's certificate")
    return settings


def _with_probing(settings: Settings, interval: float | None, grace: float | None) -> Settings:
    settings = replace(
        settings,
        ns_autoclean=settings.ns_autoclean if interval is None else interval,
        ns_autoclean_grace=settings.ns_autoclean_grace if grace is None else grace,
    )
    if grace is not None and not settings.ns_autoclean:
        raise click.UsageError("--probe-grace is of no use without --probe")
    return settings


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


def _give_back_large_blocks() -> None:
    """Have the C library give memory for large messages back to the system as soon as it is free. By itself it learns
    from the first of them to keep such blocks: eight clients with calls of 8 MB left 600 MB that nobody used.
    """
    with suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def main(args: Sequence[str] | None = None) -> None:
    """Entry point of ``python -m pyronym.naming``."""
    run(serve, args, "pyronym serve")
