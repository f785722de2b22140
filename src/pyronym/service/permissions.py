"""Who may do what with which names. Pure: everything is given in, and what comes out is a grant for one client.

A client is known by what it has proved: the subject of its TLS certificate, the name of its HMAC key, the user at the
other end of a Unix socket; and by its address. Rules only ever allow: what no rule allows is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from pyronym.directory.record import Record
from pyronym.errors import SecurityError
from pyronym.uri import NAMESERVER_NAME

READ: Final = "read"
REGISTER: Final = "register"
RENEW: Final = "renew"
REMOVE: Final = "remove"
ADMIN: Final = "admin"
VERBS: Final = (READ, REGISTER, RENEW, REMOVE, ADMIN)
"""What a rule can allow: to see names; to register new ones; to replace the URI or metadata of existing ones; to remove
them; and all of that, with the names of other owners too."""

ANYONE: Final = "anyone"
_TLS, _TOKEN, _KEY, _UNIX, _NET = "tls:", "token:", "key:", "unix:", "net:"

_WHO_FORMS: Final = '"tls:SUBJECT", "token:NAME", "key:NAME", "unix:USER", "net:10.0.0.0/8" or "anyone"'


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of a connection, as far as it is known. `host` is a numeric address."""

    tls_subject: str | None = None
    key_name: str | None = None
    unix_user: str | None = None
    host: str | None = None
    token_name: str | None = None
    """Of the token that an HTTP client has shown."""

    @property
    def identities(self) -> tuple[str, ...]:
        """All names that the client goes by, the best proved one first."""
        known = (
            (_TLS, self.tls_subject),
            (_TOKEN, self.token_name),
            (_KEY, self.key_name),
            (_UNIX, self.unix_user),
            (_NET, self.host),
        )
        return tuple(kind + name for kind, name in known if name)  # a certificate may name nobody: an empty subject

    @property
    def principal(self) -> str:
        """The best proved of its names, by which it is known to the owners of records and in the audit log."""
        return next(iter(self.identities), ANYONE)


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows those that it names (identities, networks, anyone) some of `VERBS` on names that begin with a prefix."""

    identities: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]
    may: frozenset[str]
    prefixes: tuple[str, ...]

    def is_about(self, client: Client) -> bool:
        """Whether the client is one of those that the rule names."""
        if ANYONE in self.identities or not self.identities.isdisjoint(client.identities):
            return True
        if client.host is None or not self.networks:
            return False
        address = ip_address(client.host)
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Permissions:
    """All rules of a name server. With `ownership` a record can be changed only by the principal that registered it,
    and by those who are `admin` of its name. With `read_only` nobody can change anything.
    """

    rules: tuple[Rule, ...]
    ownership: bool = False
    read_only: bool = False

    def grant(self, client: Client) -> Grant:
        """What this client may do."""
        prefixes: dict[str, tuple[str, ...]] = dict.fromkeys(VERBS, ())
        for rule in self.rules:
            if rule.is_about(client):
                for verb in VERBS if ADMIN in rule.may else rule.may:
                    prefixes[verb] += rule.prefixes
        return Grant(client, prefixes, ownership=self.ownership, read_only=self.read_only)


OPEN: Final = Permissions((Rule(frozenset([ANYONE]), (), frozenset([READ, REGISTER, RENEW, REMOVE]), ("",)),))
"""Everybody may do everything."""


class Grant:
    """What one client may do. The methods named `check_...` raise SecurityError with words for the client."""

    def __init__(
        self, client: Client, prefixes: Mapping[str, tuple[str, ...]], *, ownership: bool, read_only: bool
    ) -> None:
        self.principal = client.principal
        self.owner = self.principal if ownership and client.identities else None
        """The owner of the records that the client registers."""
        self._identities = client.identities
        self._prefixes = prefixes
        self._ownership = ownership
        self._read_only = read_only
        self.reads_everything = "" in prefixes[READ]
        self._reads_something = bool(prefixes[READ])

    def may(self, verb: str, name: str) -> bool:
        """Whether a rule allows this with records of this name, whoever owns them."""
        if verb != READ and self._read_only:
            return False
        return name.startswith(self._prefixes[verb]) or (verb == READ and name == NAMESERVER_NAME)

    def check_read(self, name: str) -> None:
        """The client wants to see the record of a name; an error does not say whether there is one."""
        self._check(READ, name)

    def check_status(self) -> None:
        """The client wants to know how the name server is, which is for those who may read some names."""
        if not self._reads_something:
            raise SecurityError(f"{self.principal} may not ask for the status: no rule lets it read any names")

    def check_register(self, name: str, existing: Record | None) -> None:
        """The client wants to register a name, in place of the `existing` record if there is one."""
        if existing is None:
            self._check(REGISTER, name)
        else:
            self.check_change(RENEW, name, existing)

    def check_change(self, verb: str, name: str, existing: Record | None) -> None:
        """The client wants to renew or remove the record of a name. An error does not say whether there is one, unless
        the client may do this with some records of such names.
        """
        self._check(verb, name)
        if not self._ownership or existing is None or existing.owner is None or existing.owner in self._identities:
            return
        if not self.may(ADMIN, name):
            raise SecurityError(
                f"{self.principal} may not {verb} {name!r}: it belongs to another principal of this name server"
            )

    def _check(self, verb: str, name: str) -> None:
        if self.may(verb, name):
            return
        if verb != READ and self._read_only:
            raise SecurityError(f"may not {verb} {name!r}: this name server is read-only")
        raise SecurityError(f"{self.principal} may not {verb} {name!r}: no rule of this name server allows it")


def parse_permissions(document: Mapping[str, object], *, read_only: bool = False) -> Permissions:
    """The permissions that a TOML document describes. ValueError with the place and what is expected there."""
    _refuse_others(document, ("ownership", "rule"), "the file")
    ownership = document.get("ownership", False)
    if not isinstance(ownership, bool):
        raise ValueError(f"ownership: {ownership!r} (expected true or false)")
    rules = document.get("rule")
    if not isinstance(rules, list) or not rules:
        raise ValueError("there is no rule, so nobody could do anything (expected at least one [[rule]])")
    parsed = tuple(_rule(rule, f"rule {number}") for number, rule in enumerate(rules, 1))
    return Permissions(parsed, ownership, read_only)


def _rule(rule: object, where: str) -> Rule:
    if not isinstance(rule, dict):
        raise ValueError(f"{where}: {rule!r} (expected a table: [[rule]])")
    _refuse_others(rule, ("who", "may", "names"), where)
    who = _texts(rule, "who", where, _WHO_FORMS)
    may = _texts(rule, "may", where, " ".join(VERBS))
    names = _texts(rule, "names", where, "prefixes of names") if "names" in rule else [""]
    for verb in may:
        if verb not in VERBS:
            raise ValueError(f"{where}: may: {verb!r} (expected some of: {' '.join(VERBS)})")
    networks = tuple(_network(entry, where) for entry in who if entry.startswith(_NET))
    identities = frozenset(entry for entry in who if not entry.startswith(_NET))
    for entry in identities:
        kind, colon, name = entry.partition(":")
        if entry != ANYONE and not (kind + colon in (_TLS, _TOKEN, _KEY, _UNIX) and name):
            raise ValueError(f"{where}: who: {entry!r} (expected {_WHO_FORMS})")
    return Rule(identities, networks, frozenset(may), tuple(names))


def _network(entry: str, where: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry.removeprefix(_NET))
    except ValueError as problem:
        raise ValueError(f"{where}: who: {entry!r}: {problem} (expected a network such as net:10.0.0.0/8)") from None


def _texts(rule: Mapping[str, object], item: str, where: str, expected: str) -> list[str]:
    found = rule.get(item)
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise ValueError(f"{where}: {item}: {found!r} (expected a list of texts: {expected})")
    return found


def _refuse_others(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for item in table:
        if item not in known:
            raise ValueError(f"{where}: unknown item {item!r} (expected {', '.join(known)})")
