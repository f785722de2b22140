"""The faces of the search for a name server, with the signatures that Pyro4's users know."""

from __future__ import annotations

from pyronym.client.deadline import Deadline
from pyronym.client.proxy import Proxy, key_bytes
from pyronym.client.resolving import resolve_uri
from pyronym.client.search import find_name_server
from pyronym.settings import Settings, config
from pyronym.uri import URI


def locateNS(
    host: str | None = None, port: int | None = None, broadcast: bool = True, hmac_key: str | bytes | None = None
) -> Proxy:
    """A connected proxy for a name server, found as `locate` says, with the settings of `pyronym.config`."""
    return locate(host, port, broadcast, hmac_key, settings=config.settings)


def locate(
    host: str | None = None,
    port: int | None = None,
    broadcast: bool = True,
    hmac_key: str | bytes | None = None,
    *,
    settings: Settings,
) -> Proxy:
    """A connected proxy for the name server at `host`, or without a host for one somewhere in the network.

    `host` is a name, an address (IPv6 with or without brackets) or ``./u:`` and the path of a Unix socket. Without it
    NS_HOST is asked if it is this machine, then everyone, by a broadcast, if `broadcast` says so, then NS_HOST wherever
    it is. `port` is that of the name server and, without a host, of the broadcast.

    Raises NameServerNotFoundError, with what was tried and why it failed, after LOCATE_TIMEOUT seconds at the latest.
    """
    key = key_bytes(hmac_key)
    connection = find_name_server(str(host) if host else None, port, broadcast, settings, key, Deadline(None))
    proxy = Proxy(connection.uri, settings=settings, hmac_key=key)
    proxy._pyroAdopt(connection)
    return proxy


def resolve(uri: str | URI, hmac_key: str | bytes | None = None) -> URI:
    """The PYRO URI that a PYRONAME or PYROMETA URI stands for; a PYRO URI comes back as it is.

    The name server is the one that the URI names, or is located. Of several objects with all tags of a PYROMETA URI one
    is chosen at random. Raises NamingError when there is none, TypeError for what is no URI.
    """
    return resolve_with(uri, hmac_key, settings=config.settings)


def resolve_with(uri: str | URI, hmac_key: str | bytes | None = None, *, settings: Settings) -> URI:
    """`resolve`, with these settings."""
    if not isinstance(uri, str | URI):
        raise TypeError(f"can only resolve Pyro URIs, not {type(uri).__name__}")
    whole = uri if isinstance(uri, URI) else URI(uri)
    return resolve_uri(whole, settings, key_bytes(hmac_key), Deadline(settings.commtimeout))
