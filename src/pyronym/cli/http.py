"""The HTTP side of ``pyronym serve``: what must be true before it starts, and its life."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final

import click

from pyronym.cli.configuration import Configuration
from pyronym.server.access_files import read_tokens
from pyronym.server.addresses import Place, hosts_and_ports, unmapped
from pyronym.server.listening import listen_tcp
from pyronym.server.nameserver import NameServerDaemon
from pyronym.settings import Settings
from pyronym.tls import ServerCertificates

if TYPE_CHECKING:
    from pyronym.web.serving import HttpServer

LOOPBACK: Final = "127.0.0.1"

log = logging.getLogger(__name__)


class HttpSide:
    """What the configuration says of HTTP. Raises UsageError for what makes no sense; OSError and ValueError for the
    file with the tokens.
    """

    def __init__(self, told: Configuration) -> None:
        self._where = _host_and_port(told["http"]) if told["http"] else None
        self._names = told["http_name"].split(",") if told["http_name"] else []
        self._server: HttpServer | None = None
        self._tokens = _tokens(told)
        if self._where is not None:
            _need_the_extra()

    def listen(self, settings: Settings) -> None:
        """Listen, if that is wanted, and say that the name server is starting. OSError for an unusable address."""
        if self._where is None:
            return
        from pyronym.web.app import Web
        from pyronym.web.serving import HttpServer

        host, port = self._where
        self._web = Web(self._tokens, {*self._names, host, socket.gethostname(), *_names_of(settings)})
        certificates = ServerCertificates(settings) if settings.ssl else None
        sock = listen_tcp(host, port, settings)
        name = sock.getsockname()
        self._place = Place(host, unmapped(name[0]), name[1])
        self._server = HttpServer(self._web, sock, certificates)
        self._server.start()
        click.echo(f"HTTP on {'https' if certificates else 'http'}://{self._place.location}")

    def open(self, daemon: NameServerDaemon, settings: Settings) -> None:
        """Answer for `daemon` from here on. UsageError where that would be open to strangers."""
        if self._server is None:
            return
        self._refuse_to_be_open(daemon, settings, self._place)
        daemon.measures.pulse.start()
        self._web.open(daemon)

    def reload(self, told: Configuration) -> None:
        """Read the tokens again, for requests from now on. OSError and ValueError if that fails: the old ones stay."""
        self._web.doorman.tokens = _tokens(told)

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


def _tokens(told: Configuration) -> dict[str, str] | None:
    return read_tokens(told["http_tokens"]) if told["http_tokens"] else None


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


def _names_of(settings: Settings) -> set[str]:
    """What clients call the name server."""
    hosts = {host for host, _ in hosts_and_ports(settings.host, settings.ns_port)}
    return hosts | ({settings.nathost} if settings.nathost else set())
