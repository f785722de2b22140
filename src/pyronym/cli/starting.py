"""The start of ``pyronym serve``: from what it is told to a name server that serves."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack, closing

from pyronym.cli.access import Access
from pyronym.cli.configuration import Configuration
from pyronym.cli.http import HttpSide
from pyronym.cli.logs import Log
from pyronym.cli.pid_file import pid_file, refuse_living
from pyronym.cli.privileges import User
from pyronym.cli.process import keep_others_waiting_less, make_room
from pyronym.cli.reloading import Reloader
from pyronym.cli.systemd import Inherited, Supervisor, inherited_sockets
from pyronym.serializers.bounds import LIMITS
from pyronym.server.audit import AuditLog
from pyronym.server.fast_loop import HAS_UVLOOP, fastest_loop
from pyronym.server.loop import LoopBase
from pyronym.server.nameserver import NameServerDaemon
from pyronym.server.start import serve as serve_until_stopped
from pyronym.server.start import with_responder
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
    LIMITS.depth, LIMITS.elements = told["max_depth"], told["max_elements"]
    logs = Log()
    loop = fastest_loop()
    with ExitStack() as at_the_end:
        with account.lent():
            logs.begin(told)
            make_room()
            if told["pid_file"]:
                refuse_living(told["pid_file"])
            access = Access.of(told).load()
            http_side = HttpSide(told)
            audit = AuditLog(told["audit_log"], told["audit_log_size"] or 0) if told["audit_log"] else None
            if audit is not None:
                at_the_end.enter_context(closing(audit))
        at_the_end.callback(http_side.close)
        http_side.listen(settings)
        with account.lent():
            storage = storage_by_name(told["storage"], settings, wait=not told["no_wait"])
        inherited = inherited_sockets(os.environ)
        path = None if inherited.plain else told["unixsocket"]
        daemon = _listen(path, inherited, told["tls_port"], settings, storage, loop)
        keep_others_waiting_less()
        daemon.audit = audit
        access.give_to(daemon)
        announces = not told["nobc"]
        uri, daemon, responder = with_responder(daemon, announces, None, None, told["key"])
        at_the_end.callback(daemon.close)
        http_side.open(daemon, settings)
        _give_up_rights(path, account)
        if told["pid_file"]:
            at_the_end.enter_context(pid_file(told["pid_file"]))
        _obey(daemon, Reloader(configured, told, daemon, logs, http_side), Supervisor(os.environ), loop)
        has_key = told["key"] is not None or access.keys is not None
        serve_until_stopped(uri, daemon, responder, enable_broadcast=announces, has_key=has_key)


def _listen(
    path: str | None, inherited: Inherited, tls_port: int | None, settings: Settings, storage: Storage, loop: LoopBase
) -> NameServerDaemon:
    """The daemon, as root if it is he who started this: the key of the certificate may be a file that nobody else can
    read.
    """
    log.info("serving on %s", "uvloop" if HAS_UVLOOP else "asyncio (uvloop is not installed)")
    return NameServerDaemon(
        unixsocket=path,
        storage=storage,
        tls_port=tls_port,
        sockets=inherited.plain,
        tls_sockets=inherited.tls,
        settings=settings,
        loop=loop,
    )


def _give_up_rights(path: str | None, account: User) -> None:
    if path:
        account.own(path)
    account.become()
    if account.is_root:
        log.warning("running as root, who may do everything: --user NAME goes on as that user once the ports are open")


def _obey(daemon: NameServerDaemon, reloader: Reloader, supervisor: Supervisor, loop: LoopBase) -> None:
    """Obey signals, and tell systemd how it is."""

    def status() -> str:
        return f"serving {daemon.nameserver.count()} names at {daemon.locationStr}"

    def begin() -> None:
        supervisor.ready(status())
        supervisor.watch(loop, status)

    def reload() -> None:
        supervisor.reloading()
        reloader.reload()
        supervisor.ready(status())

    def stop(*_: object) -> None:
        supervisor.stopping()
        daemon.request_stop()

    daemon.post(begin)  # from the loop: when it runs
    # Said to the system in so many words: a job in the background of a script is started with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if reloader.is_needed:
        signal.signal(signal.SIGHUP, lambda *_: daemon.post(reload))
