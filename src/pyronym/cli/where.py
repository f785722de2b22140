"""Where the name server is: the options that all commands have in common that ask one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Final, TypeVar

import click

from pyronym.cli.running import hmac_key
from pyronym.client.locate import NameServerProxy, locate
from pyronym.client.proxy import Proxy
from pyronym.client.search import named_nodes
from pyronym.errors import PyroError
from pyronym.settings import Settings, config

PATIENCE: Final = 30.0
"""Seconds that an answer may take where neither an option nor PYRO_COMMTIMEOUT says it. A list of a million names takes
ten; a person who waits for a stopped server wants to be told."""

T = TypeVar("T")


@dataclass(frozen=True)
class Where:
    """A name server that is to be found: at `ns`, as for `locateNS`, or wherever one is."""

    ns: str | None
    key: str | None
    settings: Settings

    def connect(self) -> Proxy:
        """A connected proxy, to be closed. NameServerNotFoundError with what was tried."""
        return locate(self.ns, hmac_key=self.key, settings=self.settings)

    def at(self, ns: str | None) -> Where:
        """Another one, for which all other options count, too. ValueError if `ns` is no place."""
        try:
            nodes = named_nodes(ns, None, self.settings)
        except PyroError as problem:
            raise ValueError(f"{problem} (expected HOST[:PORT], several of them with commas, or ./u:PATH)") from problem
        for node in nodes:
            if node.port is not None and not 1 <= node.port <= 65535:
                raise ValueError(f"invalid port in {node.location!s:.200} (expected HOST:PORT, PORT from 1 to 65535)")
        return replace(self, ns=ns)

    def all_nodes(self) -> NameServerProxy:
        """A proxy, not connected, for all nodes of the name server that is found now."""
        with self.connect() as found:
            return NameServerProxy(found._pyroUri, settings=self.settings, hmac_key=self.key)


_OPTIONS: Final = (
    click.option(
        "--ns",
        metavar="HOST[:PORT],...",
        envvar="PYRO_NS_HOST",
        help="The name server, or several nodes of one; also ./u:PATH.  [default: PYRO_NS_HOST and PYRO_NS_PORT, "
        "else one is looked for]",
    ),
    click.option("-k", "--key", help="Its HMAC key; better set PYRO_HMAC_KEY."),
    click.option("--tls", is_flag=True, help="Speak TLS.  [default: PYRO_SSL]"),
    click.option(
        "--tls-ca", metavar="FILE", help="Trust these CA certificates; with TLS.  [default: PYRO_SSL_CACERTS]"
    ),
    click.option("--tls-cert", metavar="FILE", help="Show this certificate; with TLS.  [default: PYRO_SSL_CLIENTCERT]"),
    click.option("--tls-key", metavar="FILE", help="Its private key, if that is in another file."),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="For finding the name server, and for each of its answers.  [default: PYRO_LOCATE_TIMEOUT, 3, and "
        f"PYRO_COMMTIMEOUT, {PATIENCE:g}]",
    ),
)

_ITEMS: Final = ("ns", "key", "tls", "tls_ca", "tls_cert", "tls_key", "timeout")


def located(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the options that say where the name server is, and its function `where`, a Where."""

    @wraps(command)
    def with_where(*args: Any, **given: Any) -> T:
        where = where_of({item: given.pop(item) for item in _ITEMS})
        return command(*args, where=where, **given)

    for option in reversed(_OPTIONS):
        with_where = option(with_where)
    return with_where


def where_of(given: Mapping[str, Any]) -> Where:
    """The name server that these values of the options say. UsageError if they make no sense."""
    ns, key, tls, ca, certificate, private_key, timeout = (given.get(item) for item in _ITEMS)
    settings = _patient(_with_tls(config.settings, bool(tls), ca, certificate, private_key), timeout)
    try:
        return Where(None, hmac_key(key), settings).at(ns or None)
    except ValueError as problem:
        raise click.UsageError(f"--ns, or PYRO_NS_HOST: {problem}") from problem


def _with_tls(settings: Settings, tls: bool, ca: str | None, certificate: str | None, key: str | None) -> Settings:
    """`settings` as the options change them. A certificate and its key go together: both come from one place."""
    if key and not certificate:
        raise click.UsageError("--tls-key needs --tls-cert, the file of its certificate")
    if certificate:
        settings = replace(settings, ssl_clientcert=certificate, ssl_clientkey=key or "")
    if ca:
        settings = replace(settings, ssl_cacerts=ca)
    return replace(settings, ssl=bool(settings.ssl or tls or ca or certificate))


def _patient(settings: Settings, timeout: float | None) -> Settings:
    """`settings` with the time that there is. And without a limit for answers: all names may be listed, by a server
    that the user has chosen.
    """
    return replace(
        settings,
        locate_timeout=timeout or settings.locate_timeout,
        commtimeout=timeout or settings.commtimeout or PATIENCE,
        max_message_size=0,
    )
