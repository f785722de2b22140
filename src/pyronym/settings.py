"""The settings, as one frozen value that is handed to whatever needs them.

Nothing below the public faces reads a global: two servers in a process may differ in every item. The
faces take their defaults from `config`, which looks and behaves like Pyro4's: items in capitals that can
be assigned, filled from the environment (``PYRO_NS_PORT=9000`` sets ``config.NS_PORT``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final

SERIALIZER_NAMES = ("serpent", "json", "marshal", "msgpack", "pickle", "dill", "cloudpickle")
"""All serializers that either protocol knows. Pyro5 speaks the first four."""

DISCOVERY_GROUP = "ff15::d059:524f"
"""The IPv6 group in which name servers are searched for: not assigned by IANA, as its 1 says (RFC 4291), of a number
that is free for all (RFC 3307). Its scope, the 5, is a site, so that clients ask from the widest address that they
have: in the scope of a link they would show one that means nothing without the name of their interface."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One consistent set of settings. Make another with ``dataclasses.replace``.

    Raises ValueError or TypeError, naming the item, the value and what is expected, when a value cannot be.
    The names are Pyro4's config items in lower case; items without that mark in their text mean what they
    mean there.
    """

    host: str = "localhost"
    """Where daemons bind when nothing else is said. Not reachable from outside by default."""
    ns_host: str = "localhost"
    """Where a name server is looked for first; or the only name servers to ask: ``ns1:9090,ns2:9090``."""
    ns_port: int = 9090
    ns_bchost: str | None = None
    """Address the broadcast responder binds to; None: all."""
    ns_bcport: int = 9091
    ns_autoclean: float = 0.0
    """Seconds from one round of probes to the next, in which a name server asks the daemons of all records whether the
    objects are still there; 0: it does not ask."""
    ns_autoclean_grace: float = 20.0
    """Seconds that a daemon may be unreachable, or not know an object, before the record goes (new in pyronym)."""
    nathost: str | None = None
    natport: int = 0
    """Port that goes with `nathost`; 0: the daemon's own."""
    broadcast_addrs: tuple[str, ...] = ("<broadcast>", "0.0.0.0", DISCOVERY_GROUP)
    """Where a search for a name server is broadcast to; empty: nowhere. Broadcast responders join the IPv6 groups that
    are among them (new in pyronym)."""
    locate_timeout: float = 3.0
    """Seconds that the whole search for a name server may take (new in pyronym)."""
    prefer_ip_version: int = 4
    """4, 6, or 0 to let the resolver choose."""
    commtimeout: float = 0.0
    """Seconds that a client waits for connecting and for an answer; 0: without end."""
    polltimeout: float = 2.0
    """Seconds after which a request loop looks at its loop condition, if nothing else woke it."""
    compression: bool = False
    max_message_size: int = 16 * 1024 * 1024
    """Bytes of annotations and data together, before and after decompression. 0 stands for 2 GiB - 1, all that
    the older wire can say. (Pyro4 has no limit by default; here a stranger must not be able to fill the memory.)"""
    max_handshake_size: int = 64 * 1024
    """The same for what a client sends before its handshake is accepted (new in pyronym, as all of the limits here)."""
    max_annotations: int = 10_922
    """Annotations of one message that a client sends. No more fit Pyro4's wire."""
    max_name_length: int = 4096
    """Characters of a name, a URI or a metadata tag that is registered."""
    max_tags: int = 1000
    """Metadata tags of one name."""
    max_names_per_client: int = 0
    """Names that one client may have registered, since the server's start, and that are still there; 0: without limit.
    A client is whom it proves to be, by certificate, key or user, or else its network address."""
    max_connections: int = 0
    """Connections that a daemon holds at a time; 0: as many as the system has descriptors for, but for 128."""
    max_connections_per_address: int = 0
    """Connections from one network address; 0: three quarters of all."""
    handshake_timeout: float = 10.0
    """Seconds that a client may take from connecting to the end of its handshake; 0: without end."""
    message_timeout: float = 60.0
    """Seconds that a client may take to send the rest of a message that it has begun; 0: without end."""
    unread_timeout: float = 60.0
    """Seconds that a client may leave its answers unread, reading nothing at all; 0: without end."""
    max_held: int = 256 * 1024 * 1024
    """Bytes of answers that nobody reads, of messages that are not finished and of calls that are not read yet, for all
    clients together; when a daemon holds more, those of whom it holds most are dropped."""
    idle_timeout: float = 0.0
    """Seconds after which a connection that nothing was sent over is closed; 0: never."""
    max_retries: int = 0
    """How often a proxy calls again after a lost connection or a timeout."""
    metadata: bool = True
    """Proxies ask for the list of exposed members when they connect."""
    require_expose: bool = True
    autoproxy: bool = True
    """Registered objects that are passed or returned travel as proxies."""
    serializer: str = "serpent"
    """What our own proxies speak."""
    serializers_accepted: frozenset[str] = frozenset(SERIALIZER_NAMES)
    """What daemons answer. All are safe here: pickles are read by a reader that can build plain data only."""
    threadpool_size: int = 40
    """How many ordinary methods of hosted objects run at once. More calls wait for a free thread."""
    iter_streaming: bool = True
    """Iterators are returned as streams that the client fetches item by item."""
    regex_timeout: float = 1.0
    """Seconds of computing time that a name server spends on one search with a regular expression (new in pyronym)."""
    ephemeral_grace: float = 10.0
    """Seconds that an ephemeral record stays after its connection has ended, and after a start of the name server, so
    that a new connection can take it over (new in pyronym)."""
    max_history: int = 50_000
    """Changes that a name server remembers for those who watch and have missed some (new in pyronym)."""
    max_watches: int = 10_000
    """Watches of one network address that may be waiting at a time (new in pyronym)."""
    etcd_timeout: float = 2.0
    """Seconds after which a change fails that etcd has not taken (new in pyronym, as all for etcd)."""
    etcd_password: str = field(default="", repr=False)
    """Of the user in the address of etcd."""
    etcd_passwordfile: str = ""
    """File with that password, instead."""
    etcd_cacert: str = ""
    """File with the CA certificates that etcd's is checked with; empty: those of the system."""
    etcd_cert: str = ""
    """File with the certificate that is shown to etcd; empty: none is."""
    etcd_key: str = ""
    """File with its private key; empty: it is in the file of the certificate."""
    straight_road: bool = True
    """Name servers answer the commonest requests straight from their bytes, and proxies make plain calls without the
    general codec (new in pyronym). Off: to compare."""
    access_log: bool = False
    """Daemons log each call, by the logger ``pyronym.access`` at level INFO (new in pyronym)."""
    metrics: bool = True
    """Daemons count what they are asked, by method, protocol and result, for `status` and metrics (new in pyronym)."""
    unsigned_pyro5: bool = False
    """Daemons with HMAC keys answer Pyro5 clients too, whose messages cannot be signed (new in pyronym)."""
    detailed_traceback: bool = False
    sock_reuse: bool = True
    sock_nodelay: bool = True
    """Pyro4 leaves this off; a request and its answer are one packet each, waiting for more only delays them."""
    ssl: bool = False
    """Daemons speak TLS on their TCP ports, and proxies expect it there. Unix sockets are always plain."""
    ssl_servercert: str = ""
    """File with a daemon's certificate and those between it and the CA's, in PEM form."""
    ssl_serverkey: str = ""
    """File with its private key; empty: it is in the file of the certificate."""
    ssl_serverkeypasswd: str = field(default="", repr=False)
    ssl_requireclientcert: bool = False
    """Daemons refuse clients that have no certificate from one of `ssl_cacerts`."""
    ssl_clientcert: str = ""
    """File with the certificate that proxies show; empty: they show none."""
    ssl_clientkey: str = ""
    ssl_clientkeypasswd: str = field(default="", repr=False)
    ssl_cacerts: str = ""
    """File or folder with the CA certificates that are trusted, and no others. Empty: proxies trust those of the
    system; daemons ask for no certificates."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            expected = expectation(item.name, value)
            if expected is not None:
                shown = repr(value) if item.repr else f"a secret of type {type(value).__name__}"
                raise ValueError(f"invalid {item.name.upper()}: {shown} (expected {expected})")

    @property
    def message_limit(self) -> int:
        """`max_message_size` with its special value 0 resolved, in bytes."""
        return self.max_message_size or 0x7FFFFFFF


def _is_port(value: object) -> bool:
    return type(value) is int and 0 <= value <= 65535


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_positive(value: object) -> bool:
    return type(value) is int and value > 0


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


_Check = tuple[Callable[[Any], bool], str]
_TEXT: _Check = (_is_text, "a text that is not empty")
_OPTIONAL_TEXT: _Check = (lambda value: value is None or _is_text(value), "a text that is not empty, or None")
_PORT: _Check = (_is_port, "a port number from 0 to 65535")
_DURATION: _Check = (_is_duration, "a number of seconds, 0 or more")
_COUNT: _Check = (lambda value: type(value) is int and value >= 0, "a whole number, 0 or more")
_FLAG: _Check = (_is_flag, "True or False")
_PATH: _Check = (lambda value: isinstance(value, str), "the path of a file as a text, or an empty one")
_PASSWORD: _Check = (lambda value: isinstance(value, str), "a text, empty where there is no password")

_CHECKS: dict[str, _Check] = {
    "host": (lambda value: isinstance(value, str), "a host name or an address; empty: all interfaces"),
    "ns_host": _TEXT,
    "ns_port": _PORT,
    "ns_bchost": _OPTIONAL_TEXT,
    "ns_bcport": _PORT,
    "ns_autoclean": (
        lambda value: _is_duration(value) and (value == 0 or value >= 3),
        "0 for none, or a number of seconds from 3 on",
    ),
    "ns_autoclean_grace": _DURATION,
    "nathost": _OPTIONAL_TEXT,
    "natport": _PORT,
    "broadcast_addrs": (
        lambda value: isinstance(value, tuple) and all(isinstance(part, str) for part in value),
        "addresses, separated by commas",
    ),
    "locate_timeout": (lambda value: _is_duration(value) and value > 0, "a number of seconds above 0"),
    "prefer_ip_version": (lambda value: type(value) is int and value in (0, 4, 6), "0, 4 or 6"),
    "commtimeout": _DURATION,
    "polltimeout": (lambda value: _is_duration(value) and value > 0, "a number of seconds above 0"),
    "compression": _FLAG,
    "max_message_size": (
        lambda value: type(value) is int and 0 <= value <= 0x7FFFFFFF,
        "a number of bytes up to 2147483647, or 0 for that much",
    ),
    "max_handshake_size": (_is_positive, "a number of bytes above 0"),
    "max_annotations": (
        lambda value: type(value) is int and 2 <= value <= 10_922,
        "a whole number from 2, which Pyro4's clients need, to 10922",
    ),
    "max_names_per_client": _COUNT,
    "max_name_length": (_is_positive, "a whole number above 0"),
    "max_tags": (_is_positive, "a whole number above 0"),
    "max_connections": _COUNT,
    "max_connections_per_address": _COUNT,
    "handshake_timeout": _DURATION,
    "message_timeout": _DURATION,
    "unread_timeout": _DURATION,
    "max_held": (_is_positive, "a number of bytes above 0"),
    "idle_timeout": _DURATION,
    "max_retries": _COUNT,
    "metadata": _FLAG,
    "require_expose": _FLAG,
    "autoproxy": _FLAG,
    "serializer": (lambda value: value in SERIALIZER_NAMES, f"one of {', '.join(SERIALIZER_NAMES)}"),
    "serializers_accepted": (
        lambda value: isinstance(value, frozenset) and len(value) > 0 and value <= set(SERIALIZER_NAMES),
        f"some of {','.join(SERIALIZER_NAMES)}",
    ),
    "threadpool_size": (_is_positive, "a whole number above 0"),
    "iter_streaming": _FLAG,
    "regex_timeout": (lambda value: _is_duration(value) and value > 0, "a number of seconds above 0"),
    "ephemeral_grace": _DURATION,
    "max_history": _COUNT,
    "max_watches": (_is_positive, "a whole number above 0"),
    "etcd_timeout": (lambda value: _is_duration(value) and value > 0, "a number of seconds above 0"),
    "etcd_password": _PASSWORD,
    "etcd_passwordfile": _PATH,
    "etcd_cacert": _PATH,
    "etcd_cert": _PATH,
    "etcd_key": _PATH,
    "straight_road": _FLAG,
    "access_log": _FLAG,
    "metrics": _FLAG,
    "unsigned_pyro5": _FLAG,
    "detailed_traceback": _FLAG,
    "sock_reuse": _FLAG,
    "sock_nodelay": _FLAG,
    "ssl": _FLAG,
    "ssl_servercert": _PATH,
    "ssl_serverkey": _PATH,
    "ssl_serverkeypasswd": _PASSWORD,
    "ssl_requireclientcert": _FLAG,
    "ssl_clientcert": _PATH,
    "ssl_clientkey": _PATH,
    "ssl_clientkeypasswd": _PASSWORD,
    "ssl_cacerts": (lambda value: isinstance(value, str), "the path of a file or a folder, or an empty text"),
}


def expectation(name: str, value: object) -> str | None:
    """What the item `name` of the settings must be, in words, if it cannot be `value`; None if it can."""
    is_possible, words = _CHECKS[name]
    return None if is_possible(value) else words


FLAG_WORDS: Final = {
    **dict.fromkeys(("1", "yes", "on", "true"), True),
    **dict.fromkeys(("0", "no", "off", "false"), False),
}
"""How true and false are written in an environment variable."""


def value_from_text(name: str, text: str) -> object:
    """The value of an item that an environment variable's text stands for; the text itself where it stands for none."""
    default = getattr(_DEFAULTS, name)
    if isinstance(default, bool):
        return FLAG_WORDS.get(text.strip().lower(), text)
    if isinstance(default, int | float):
        try:
            return type(default)(text)
        except ValueError:
            return text
    if name in ("broadcast_addrs", "serializers_accepted"):
        return collection(name, text)
    return text


def collection(name: str, value: object) -> object:
    """`value` in the frozen form of the two items that hold several texts; Pyro4 writes them with commas."""
    if isinstance(value, str):
        parts: list[str] = [part.strip().replace("''", "") for part in value.split(",")] if value.strip() else []
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    else:
        return value
    return tuple(parts) if name == "broadcast_addrs" else frozenset(parts)


_DEFAULTS = Settings()

_WITHOUT_MEANING: Final[Mapping[str, object]] = MappingProxyType(
    {
        "SERVERTYPE": "thread",
        "THREADPOOL_SIZE_MIN": 4,
        "ONEWAY_THREADED": True,
        "LOGWIRE": False,
        "FLAME_ENABLED": False,
        "USE_MSG_WAITALL": True,
        "JSON_MODULE": "json",
        "PICKLE_PROTOCOL_VERSION": 2,
        "DILL_PROTOCOL_VERSION": 2,
        "ITER_STREAM_LIFETIME": 0.0,
        "ITER_STREAM_LINGER": 0.0,
    }
)
"""Pyro4's items that change nothing here. Programs assign them, so they can be assigned."""


def settings_from_environment(environment: Mapping[str, str]) -> Settings:
    """The defaults, changed by the ``PYRO_*`` variables in `environment`.

    Variables of Pyro4 items that have no meaning here are ignored. Raises ValueError that names the variable.
    """
    changes: dict[str, Any] = {}
    for item in fields(Settings):
        variable = f"PYRO_{item.name.upper()}"
        if variable in environment:
            changes[item.name] = value_from_text(item.name, environment[variable])
            try:
                replace(_DEFAULTS, **{item.name: changes[item.name]})
            except ValueError as problem:
                raise ValueError(f"environment variable {variable}: {problem}") from None
    return replace(_DEFAULTS, **changes)


class Configuration:
    """Pyro4's ``config``: the items in capitals, to be read and assigned.

    Assigning an unknown item raises AttributeError, an impossible value ValueError; the old value stays. The
    environment is read when an item is first used: a wrong variable is an error of that moment, not of an import.
    """

    __slots__ = ("_settings", "_without_meaning")
    _settings: Settings | None
    _without_meaning: dict[str, object]

    def __init__(self, settings: Settings | None = None) -> None:
        object.__setattr__(self, "_settings", settings)
        object.__setattr__(self, "_without_meaning", dict(_WITHOUT_MEANING))

    @property
    def settings(self) -> Settings:
        """The items as they are now, frozen."""
        if self._settings is None:
            self.reset()
        assert self._settings is not None, "reset has read the environment"
        return self._settings

    def __getattr__(self, item: str) -> object:
        if item in _WITHOUT_MEANING:
            return self._without_meaning[item]
        value = getattr(self.settings, _item_name(item))
        return set(value) if isinstance(value, frozenset) else value

    def __setattr__(self, item: str, value: object) -> None:
        if item in _WITHOUT_MEANING:
            self._without_meaning[item] = value
            return
        name = _item_name(item)
        if name in ("broadcast_addrs", "serializers_accepted"):
            value = collection(name, value)
        changes: dict[str, Any] = {name: value}
        object.__setattr__(self, "_settings", replace(self.settings, **changes))

    def reset(self, useenvironment: bool = True) -> None:
        """Back to the defaults; with `useenvironment` the ``PYRO_*`` variables are read again."""
        settings = settings_from_environment(os.environ if useenvironment else {})
        object.__setattr__(self, "_settings", settings)

    def asDict(self) -> dict[str, object]:
        """All items and their values."""
        return {item.name.upper(): getattr(self, item.name.upper()) for item in fields(Settings)}


def _item_name(item: str) -> str:
    name = item.lower()
    if item != name.upper() or name not in _CHECKS:
        raise AttributeError(f"no such config item: {item}")
    return name


config = Configuration()
