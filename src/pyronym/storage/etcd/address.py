"""Where an etcd cluster is, as options say it: ``etcd://user@h1:2379,h2:2379/prefix``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pyronym.storage.base import broken_text

DEFAULT_PORT: Final = 2379
DEFAULT_PREFIX: Final = "pyronym"

_EXPECTED: Final = "expected etcd://[USER@]HOST[:PORT][,HOST[:PORT]...][/PREFIX], or etcds:// for TLS"
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:\[\]@/?#]+)(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True)
class EtcdAddress:
    """A cluster and a part of it. `text` is as it was given."""

    text: str
    endpoints: tuple[str, ...]
    """URLs of its members: ``http://h1:2379``."""
    prefix: str
    """All keys begin with it and a slash."""
    user: str | None
    tls: bool


def etcd_address(text: str) -> EtcdAddress:
    """The address that a text stands for. ValueError that says what is wrong with it."""
    scheme, separator, rest = text.partition("://")
    if scheme not in ("etcd", "etcds") or not separator:
        raise _wrong(text, "it begins with neither etcd:// nor etcds://")
    place, _, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    if ":" in user:
        # Not shown: it has been in the list of processes already, and need not get into logs, too.
        raise ValueError(
            "the address of etcd has a password in it, which everyone on this machine can read; "
            "give it by PYRO_ETCD_PASSWORD or in the file PYRO_ETCD_PASSWORDFILE"
        )
    if at and not user:
        raise _wrong(text, "the user has no name")
    prefix = path.rstrip("/") or DEFAULT_PREFIX
    if prefix.startswith("/") or "//" in prefix:
        raise _wrong(text, "the prefix has an empty part")
    try:
        prefix.encode()
    except UnicodeEncodeError as problem:
        raise ValueError(str(broken_text("etcd", problem))) from None
    tls = scheme == "etcds"
    endpoints = tuple(_endpoint(text, host, tls) for host in hosts.split(","))
    return EtcdAddress(text, endpoints, prefix, user or None, tls)


def _endpoint(text: str, host: str, tls: bool) -> str:
    match = _HOST.fullmatch(host)
    if match is None:
        raise _wrong(text, f"{host!r} is no HOST or HOST:PORT")
    port = int(match["port"] or DEFAULT_PORT)
    if not 0 < port < 65536:
        raise _wrong(text, f"there is no port {port}")
    return f"{'https' if tls else 'http'}://{match['host']}:{port}"


def _wrong(text: str, why: str) -> ValueError:
    return ValueError(f"invalid address of etcd: {text!r}: {why} ({_EXPECTED})")
