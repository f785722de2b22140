"""The start of ``pyronym serve``: from what it is told to a name server that serves."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable

from pyronym.cli.access import Access
from pyronym.cli.configuration import Configuration
from pyronym.cli.logs import Log
from pyronym.cli.privileges import User
from pyronym.cli.process import keep_others_waiting_less, make_room
from pyronym.cli.reloading import Reloader
from pyronym.server.audit import AuditLog
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop
from pyronym.server.nameserver import NameServerDaemon, with_responder
from pyronym.server.nameserver import serve as serve_until_stopped
from pyronym.settings import Settings
from pyronym.storage.base import Storage
from pyronym.storage.choose import storage_by_name

log = logging.getLogger(__name__)


def start(configured: Callable[[], Configuration]) -> None:
    """Run a name server until it is interrupted or terminated. Raises what its parts do when they cannot be used.

    `configured` gives what it is told; it is asked again at SIGHUP.
    """
    told = configured()
    account = User(told["user"])
    settings = told.settings
    logs = Log()
    with account.lent():
        logs.begin(told)
        make_room()
        loaded = Access.of(told).load()
        audit = AuditLog(told["audit_log"], told["audit_log_size"] or 0) if told["audit_log"] else None
        storage = storage_by_name(told["storage"], settings, wait=not told["no_wait"])
    daemon = _listen(told, settings, storage)
    keep_others_waiting_less()
    daemon.audit = audit
    loaded.give_to(daemon)
    announces = not told["nobc"]
    uri, daemon, responder = with_responder(daemon, announces, None, None, told["key"])
    if told["unixsocket"]:
        account.own(told["unixsocket"])
    account.become()
    if account.is_root:
        log.warning("running as root, who may do everything: --user NAME goes on as that user once the ports are open")
    _obey_signals(daemon, Reloader(configured, told, daemon, logs))
    has_key = told["key"] is not None or loaded.keys is not None
    try:
        serve_until_stopped(uri, daemon, responder, enable_broadcast=announces, has_key=has_key)
    finally:
        if audit is not None:
            audit.close()


def _listen(told: Configuration, settings: Settings, storage: Storage) -> NameServerDaemon:
    """The daemon, as root if it is he who started this: the key of the certificate may be a file that nobody else can
    read.
    """
    loop = fastest_loop()
    log.info("serving on %s", "uvloop" if HAS_UVLOOP else "asyncio (uvloop is not installed)")
    return NameServerDaemon(
        unixsocket=told["unixsocket"], storage=storage, tls_port=told["tls_port"], settings=settings, loop=loop
    )


def _obey_signals(daemon: NameServerDaemon, reloader: Reloader) -> None:
    # Said to the system in so many words: a job in the background of a script is started with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: daemon.request_stop())
    if reloader.is_needed:
        signal.signal(signal.SIGHUP, lambda *_: daemon.post(reloader.reload))
