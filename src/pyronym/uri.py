"""URIs of remote objects::

    PYRO:object@host:port            an object in the daemon at a TCP address; IPv6 addresses in brackets
    PYRO:object@./u:path             an object in the daemon at a Unix socket
    PYRONAME:name[@nshost[:port]]    what a name server has under this name
    PYROMETA:tag,tag[@nshost[:port]] any object that a name server has with all these tags

Locations may be a Unix socket in all three. The last two may name several name servers, separated by commas:
``PYRONAME:name@ns1:9090,[::1]:9090``.
"""

from __future__ import annotations

import builtins
import re
from ipaddress import IPv6Address

from pyronym.errors import PyroError
from pyronym.settings import config

NAMESERVER_NAME = "Pyro.NameServer"
"""Object id of every name server, and the name under which each knows itself."""

DAEMON_NAME = "Pyro.Daemon"
"""Object id that every daemon answers to."""

# The object ends at the first @ that something follows. Where that is no location no other @ is tried: a text full of
# them would take hours.
_URI = re.compile(
    r"(?P<protocol>[Pp][Yy][Rr][Oo][a-zA-Z]*):(?P<object>\S[^\s@]*+(?:@(?=\n?\Z))?)(?:@(?P<location>.+))?$"
)
_IPV6 = re.compile(r"\[(?P<host>[0-9a-fA-F:.]+(?:%\w+)?)](?::(?P<port>\d+))?$", re.ASCII)

URIState = tuple[str, "str | set[str]", "str | None", "str | None", "int | None"]
"""(protocol, object, sockname, host, port): how a URI travels."""


class URI:
    """Where a remote object is found: `protocol`, `object` (for PYROMETA a set of tags), and the location,
    which is either `sockname` or `host` and `port`. Of several name servers `host` has all locations, `port` is None.

    Raises PyroError, starting with ``invalid uri`` or ``invalid`` and the bad part, when the text is not a URI,
    TypeError when it is neither a str nor a URI.
    """

    __slots__ = ("host", "object", "port", "protocol", "sockname")

    protocol: str
    object: str | set[str]
    sockname: str | None
    host: str | None
    port: int | None

    def __init__(self, uri: str | URI) -> None:
        if isinstance(uri, URI):
            self.__setstate__(uri.__getstate__())
            return
        if not isinstance(uri, str):
            raise TypeError(f"uri must be a str or a URI, not {type(uri).__name__}")
        match = _URI.match(uri)
        if match is None:
            raise PyroError(
                f"invalid uri: {uri!r:.200} (expected PYRO:object@location, PYRONAME:name or PYROMETA:tags)"
            )
        self.protocol = match["protocol"].upper()
        self.object = match["object"]
        self.sockname = self.host = self.port = None
        location = match["location"]
        if self.protocol == "PYRO":
            if not location:
                raise PyroError(f"invalid uri: {uri!r:.200} (PYRO needs a location: @host:port or @./u:path)")
            self._set_location(location, None)
        elif self.protocol in ("PYRONAME", "PYROMETA"):
            if self.protocol == "PYROMETA":
                self.object = {tag.strip() for tag in match["object"].split(",")}
            if location and "," in location:
                nodes = name_servers_at(location, config.settings.ns_port)
                self.host = ",".join(str(node.location) for node in nodes)
            elif location:
                self._set_location(location, config.settings.ns_port)
        else:
            raise PyroError(f"invalid uri (protocol): {self.protocol:.200} (expected PYRO, PYRONAME or PYROMETA)")

    def _set_location(self, location: str, default_port: int | None) -> None:
        if location.startswith("./u:"):
            self.sockname = location[4:]
            if not self.sockname or ":" in self.sockname:
                raise PyroError(f"invalid uri (location): {location!r:.200} (expected ./u:path, a path without colons)")
            return
        port: str | int | None
        if location.startswith("["):
            if location.startswith("[["):
                raise PyroError(f"invalid ipv6 address: enclosed in too many brackets: {location:.200}")
            match = _IPV6.match(location)
            if match is None:
                raise PyroError(
                    f"invalid ipv6 address: the part between brackets must be a numeric ipv6 address: {location:.200}"
                )
            self.host, port = match["host"], match["port"]
        else:
            self.host, _, port = location.partition(":")
        port = port or default_port
        try:
            self.port = int(port)  # type: ignore[arg-type]  # None is one of the mistakes caught here
        except (ValueError, TypeError):
            raise PyroError(f"invalid port in uri, port={port!s:.200}") from None

    @staticmethod
    def isUnixsockLocation(location: str) -> bool:
        """Whether a location is that of a Unix socket."""
        return location.startswith("./u:")

    @property
    def location(self) -> str | None:
        """``host:port``, ``[ipv6]:port``, ``./u:path`` or several of them; None where the URI names none."""
        if self.host and "," in self.host and self.port is None:
            return self.host
        if self.host:
            return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        return f"./u:{self.sockname}" if self.sockname else None

    def asString(self) -> str:
        """The URI as text; a URI made from it is equal to this one."""
        body = self.object if isinstance(self.object, str) else ",".join(sorted(self.object))
        location = self.location
        return f"{self.protocol}:{body}@{location}" if location else f"{self.protocol}:{body}"

    __str__ = asString

    def __repr__(self) -> str:
        return f"<URI {self.asString()}>"

    def __eq__(self, other: builtins.object) -> bool:
        return isinstance(other, URI) and self.__getstate__() == other.__getstate__()

    def __hash__(self) -> int:
        return hash(self.asString())

    def __getstate__(self) -> URIState:
        return self.protocol, self.object, self.sockname, self.host, self.port

    def __setstate__(self, state: URIState) -> None:
        self.protocol, self.object, self.sockname, self.host, self.port = state


def name_servers_at(locations: str, default_port: int) -> tuple[URI, ...]:
    """The URIs of the name servers at one or several locations, separated by commas.

    A location is ``host``, ``host:port``, ``[ipv6]``, ``[ipv6]:port``, an IPv6 address alone, or ``./u:path``, a path
    without commas. Raises PyroError, with the part that is none of these.
    """
    parts = [part.strip() for part in locations.split(",")]
    if not all(parts):
        raise PyroError(f"invalid name servers: {locations!r:.200} (expected host[:port],host[:port],...)")
    return tuple(URI(f"PYRO:{NAMESERVER_NAME}@{_with_port(part, default_port)}") for part in parts)


def _with_port(location: str, default_port: int) -> str:
    if URI.isUnixsockLocation(location):
        return location
    if location.count(":") > 1 and not location.startswith("["):
        location = f"[{location}]"
    return location if ":" in location.rpartition("]")[2] else f"{location}:{default_port}"


def is_link_local(host: str) -> bool:
    """Whether this is an IPv6 address that means something only along with an interface, which it may name."""
    try:
        return ":" in host and IPv6Address(host).is_link_local
    except ValueError:  # several hosts
        return False
