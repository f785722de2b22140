"""The HTTP side of ``pyronym serve``: its options, what must be true before it starts, and its life."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from pyronym.server.access_files import read_tokens
from pyronym.server.addresses import Place, hosts_and_ports, unmapped
from pyronym.server.listening import listen_tcp
from pyronym.server.nameserver import NameServerDaemon
from pyronym.settings import Settings
from pyronym.tls import ServerCertificates

if TYPE_CHECKING:
    from pyronym.web.serving import HttpServer

LOOPBACK: Final = "127.0.0.1"

_OPTIONS: Final = (
    click.option("--http", metavar="[HOST]:PORT", help="Serve health, metrics and a REST API by HTTP, at 127.0.0.1."),
    click.option(
        "--http-tokens", metavar="FILE", help='Tokens of HTTP clients: lines such as ops = "token". SIGHUP: reread.'
    ),
    click.option(
        "--http-name", "http_names", metavar="NAME", multiple=True, help="A further name by which clients call it."
    ),
)

log = logging.getLogger(__name__)


def http_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of HttpSide."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class HttpSide:
    """What the options say: `address` as for ``--http``, None for no HTTP side; a file of tokens; names.

    Raises UsageError for options that make no sense; OSError and ValueError for the file.
    """

    def __init__(self, address: str | None, tokens_file: str | None, names: tuple[str, ...]) -> None:
        if address is None and (tokens_file or names):
            raise click.UsageError("--http-tokens and --http-name are of no use without --http")
        self._where = None if address is None else _host_and_port(address)
        self._tokens_file = tokens_file
        self._names = names
        self._server: HttpServer | None = None
        self._tokens = read_tokens(tokens_file) if tokens_file else None
        if address is not None:
            _need_the_extra()

    def open(self, daemon: NameServerDaemon, settings: Settings) -> None:
        """Listen, and begin to serve `daemon`. UsageError where that would be open to strangers."""
        if self._where is None:
            return
        from pyronym.web.app import Web
        from pyronym.web.serving import HttpServer

        host, port = self._where
        certificates = ServerCertificates(settings) if settings.ssl else None
        sock = listen_tcp(host, port, settings)
        try:
            name = sock.getsockname()
            place = Place(host, unmapped(name[0]), name[1])
            self._refuse_to_be_open(daemon, settings, place)
        except BaseException:
            sock.close()
            raise
        self._web = Web(daemon, self._tokens, {*self._names, host, socket.gethostname(), *_names_of(daemon)})
        self._server = HttpServer(self._web, sock, certificates)
        daemon.measures.pulse.start()
        self._server.start()
        click.echo(f"HTTP on {'https' if certificates else 'http'}://{place.location}")

    def reload(self) -> None:
        """Read the tokens again, for requests from now on. If the file is wrong, the old ones stay."""
        if self._tokens_file is None or self._server is None:
            return
        try:
            self._web.doorman.tokens = read_tokens(self._tokens_file)
        except (OSError, ValueError) as problem:
            log.error("HTTP tokens stay as they were: %s", problem)
        else:
            log.warning("HTTP tokens read again")

    def close(self) -> None:
        """End the HTTP side, if there is one."""
        if self._server is not None:
            self._server.close()

    def _refuse_to_be_open(self, daemon: NameServerDaemon, settings: Settings, place: Place) -> None:
        """UsageError if HTTP clients could do what others of their kind may not."""
        if self._tokens is not None:
            if not settings.ssl and not place.is_loopback:
                log.warning(
                    "HTTP on %s without TLS: tokens and names can be read on the network (--tls-cert FILE)",
                    place.location,
                )
            return
        if settings.ssl and settings.ssl_requireclientcert:
            return
        if daemon.wants_keys:
            raise click.UsageError(
                "--http would let clients in without the HMAC keys that all others need: give them tokens "
                "(--http-tokens FILE)"
            )
        if not daemon.places:
            raise click.UsageError(
                "--http would let in all users of this machine, whom the Unix socket may keep out: give clients tokens "
                "(--http-tokens FILE)"
            )
        read_only = daemon.permissions is not None and daemon.permissions.read_only
        if not place.is_loopback and not read_only:
            raise click.UsageError(
                f"--http on {place.location} would let everyone who can reach it change names: give clients tokens "
                "(--http-tokens FILE) or certificates (--tls-require-client-cert), make it --read-only, or use a "
                "loopback address"
            )


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        ((host, port),) = hosts_and_ports(LOOPBACK + address if address.startswith(":") else address, -1)
    except ValueError:
        port = -1
    if port < 0 or not host:
        raise click.UsageError(
            f"invalid --http: {address!r} (expected HOST:PORT, [IPV6]:PORT, or :PORT for {LOOPBACK})"
        )
    return host, port


def _need_the_extra() -> None:
    try:
        import pyronym.web.serving  # noqa: F401  # what it needs is found out now
    except ModuleNotFoundError as problem:
        raise click.UsageError(
            f"--http needs more packages: pip install 'pyronym[web]' ({problem.name} is not installed)"
        ) from None


def _names_of(daemon: NameServerDaemon) -> set[str]:
    """What clients call the name server."""
    nathost = daemon.settings.nathost
    return {place.host for place in daemon.places} | ({nathost} if nathost else set())
