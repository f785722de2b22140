"""All that can be said to ``pyronym serve``: one table, from which its options, the keys of its file, its environment
variables and their documentation come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import click

from pyronym.serializers.bounds import DEEPEST
from pyronym.serializers.bounds import LIMITS as PAYLOADS
from pyronym.settings import FLAG_WORDS, Settings, collection, expectation, value_from_text


class Kind(NamedTuple):
    """What values are like that no item of the settings describes."""

    from_text: Callable[[str], object]
    is_possible: Callable[[Any], bool]
    expected: str


def _number_from_text(text: str) -> object:
    try:
        return int(text)
    except ValueError:
        return text


TEXT: Final = Kind(str, lambda value: isinstance(value, str) and value != "", "a text that is not empty")
FLAG: Final = Kind(
    lambda text: FLAG_WORDS.get(text.strip().lower(), text), lambda value: isinstance(value, bool), "true or false"
)
PORT: Final = Kind(
    _number_from_text, lambda value: type(value) is int and 0 <= value <= 65535, "a port number from 0 to 65535"
)
SHALLOWEST: Final = 5
"""Levels of containers that the calls of a name server need."""

DEPTH: Final = Kind(
    _number_from_text,
    lambda value: type(value) is int and SHALLOWEST <= value <= DEEPEST,
    f"a whole number from {SHALLOWEST} to {DEEPEST}",
)
COUNT: Final = Kind(_number_from_text, lambda value: type(value) is int and value > 0, "a whole number above 0")
LOG_SIZE: Final = Kind(
    _number_from_text, lambda value: type(value) is int and value >= 1000, "a number of bytes, 1000 or more"
)
FORMAT: Final = Kind(str.lower, lambda value: value in ("text", "json"), "text or json")
LEVEL: Final = Kind(
    str.upper, lambda value: value in logging.getLevelNamesMapping(), "DEBUG, INFO, WARNING, ERROR or CRITICAL"
)

STDERR: Final = "{stderr}"
"""What Pyro calls the standard error as the file of a log."""


@dataclass(frozen=True)
class Item:
    """One thing that can be said: by `flags`, the options; in the environment; as `key` in the file.

    `setting` is the field of the Settings that it is, if it is one; its default and what is expected of it come from
    there. All others have a `kind` and a `default`; None: not set. `reloads`: SIGHUP makes a new value count.
    """

    key: str
    meaning: str
    flags: tuple[str, ...] = ()
    setting: str | None = None
    kind: Kind = TEXT
    default: object = None
    variable: str = ""
    metavar: str | None = None
    several: bool = False
    reloads: bool = False
    secret: bool = False

    def __post_init__(self) -> None:
        if self.setting is not None:
            object.__setattr__(self, "default", getattr(_DEFAULTS, self.setting))
        if not self.variable:
            variable = f"PYRO_{self.setting.upper()}" if self.setting else f"PYRONYM_{self.key.upper()}"
            object.__setattr__(self, "variable", variable)

    @property
    def is_flag(self) -> bool:
        """Whether it is true or false."""
        return isinstance(self.default, bool)

    def from_text(self, text: str) -> object:
        """The value that the text of an option or a variable stands for; the text itself where it stands for none."""
        return value_from_text(self.setting, text) if self.setting else self.kind.from_text(text)

    def from_file(self, value: object) -> object:
        """The value that one in the file stands for. Lists are for what has several values."""
        if self.setting in ("broadcast_addrs", "serializers_accepted"):
            return collection(self.setting, value)
        if self.several and isinstance(value, list) and all(isinstance(part, str) for part in value):
            return ",".join(value)
        if isinstance(value, str) and isinstance(self.default, str) and not self.setting:
            return self.kind.from_text(value)  # where upper and lower case are the same
        return value

    def expectation(self, value: object) -> str | None:
        """What it must be, in words, if it cannot be `value`; None if it can."""
        if self.setting:
            return expectation(self.setting, value)
        return None if self.kind.is_possible(value) else self.kind.expected

    def shown(self, value: object) -> str:
        """A value in words for people; never that of a secret."""
        return f"a secret of type {type(value).__name__}" if self.secret else repr(value)


_DEFAULTS: Final = Settings()

LISTENING: Final = (
    Item(
        "host",
        "Name or address to listen on, HOST, HOST:PORT or [IPV6]:PORT; there may be several.",
        ("-n", "--host"), "host", metavar="HOST[:PORT]", several=True,
    ),
    Item(
        "port",
        "Port for hosts that are given without; 0: any that is free.",
        ("-p", "--port"), "ns_port", metavar="PORT",
    ),
    Item("unixsocket", "Listen on a Unix socket instead.", ("-u", "--unixsocket"), metavar="PATH"),
    Item("nathost", "Host name under which clients beyond a NAT reach this server.", ("--nathost",), "nathost"),
    Item(
        "natport",
        "Port that goes with the NAT host; 0: the same as here.",
        ("--natport",), "natport", metavar="PORT",
    ),
    Item("prefer_ip_version", "4 or 6, for hosts with both; 0: as the resolver says.", setting="prefer_ip_version"),
    Item("sock_reuse", "Take a port again that connections have just left.", setting="sock_reuse"),
    Item("sock_nodelay", "Send answers without waiting for more.", setting="sock_nodelay"),
    Item("pid_file", "Write the process id to this file.", ("--pid-file",), metavar="FILE"),
    Item("user", "Started as root: go on as this user, when the ports are open.", ("--user",), metavar="NAME"),
)  # fmt: skip

DISCOVERY: Final = (
    Item("nobc", "Start no broadcast responder.", ("-x", "--nobc"), kind=FLAG, default=False),
    Item("bchost", "Address of the broadcast responder; not set: all.", ("--bchost",), "ns_bchost"),
    Item("bcport", "Port of the broadcast responder; 0: any that is free.", ("--bcport",), "ns_bcport", metavar="PORT"),
    Item("broadcast_addrs", "The responder joins the IPv6 groups that are among these.", setting="broadcast_addrs"),
)

STORAGE: Final = (
    Item(
        "storage",
        "Where records survive: memory, sql:FILE, dbm:FILE or etcd://HOST:PORT,.../PREFIX.",
        ("-s", "--storage"), default="memory",
    ),
    Item(
        "no_wait",
        "With etcd: end at once if it cannot be reached, instead of waiting.",
        ("--no-wait",), kind=FLAG, default=False,
    ),
    Item("etcd_timeout", "Seconds after which a change fails that etcd has not taken.", setting="etcd_timeout"),
    Item("etcd_password", "Of the user in the address of etcd.", setting="etcd_password", secret=True),
    Item("etcd_passwordfile", "File with that password, instead.", setting="etcd_passwordfile"),
    Item("etcd_cacert", "CA certificates for etcd's; empty: those of the system.", setting="etcd_cacert"),
    Item("etcd_cert", "Certificate that is shown to etcd; empty: none is.", setting="etcd_cert"),
    Item("etcd_key", "Its private key; empty: it is in the file of the certificate.", setting="etcd_key"),
)  # fmt: skip

PROBING: Final = (
    Item(
        "probe",
        "Remove names whose objects are gone; ask so often, from 3 on, 0: never.",
        ("--probe",), "ns_autoclean", metavar="SECONDS",
    ),
    Item(
        "probe_grace",
        "For how long an object must be gone.",
        ("--probe-grace",), "ns_autoclean_grace", metavar="SECONDS",
    ),
    Item("commtimeout", "Seconds that a daemon has to answer a probe; 0: 5.", setting="commtimeout"),
)  # fmt: skip

TLS: Final = (
    Item("tls", "Speak TLS at the port; true where the certificate is given as option or here.", setting="ssl"),
    Item("tls_cert", "Speak TLS, with this certificate.", ("--tls-cert",), "ssl_servercert", metavar="FILE"),
    Item(
        "tls_key",
        "Its private key, if that is in another file.",
        ("--tls-key",), "ssl_serverkey", metavar="FILE",
    ),
    Item("tls_key_password", "The password of that key.", setting="ssl_serverkeypasswd", secret=True),
    Item(
        "tls_ca",
        "CA certificates, or a folder of them, for checking those of clients.",
        ("--tls-ca",), "ssl_cacerts", metavar="FILE",
    ),
    Item(
        "tls_require_client_cert",
        "Refuse clients without a certificate from that CA.",
        ("--tls-require-client-cert",), "ssl_requireclientcert",
    ),
    Item(
        "tls_port",
        "Speak TLS at this port, and stay plain at the other.",
        ("--tls-port",), kind=PORT, metavar="PORT",
    ),
)  # fmt: skip

ACCESS: Final = (
    Item(
        "key",
        "HMAC key that Pyro4 clients must have; better in the environment.",
        ("-k", "--key"), variable="PYRO_HMAC_KEY", secret=True,
    ),
    Item(
        "keys",
        'File with HMAC keys of Pyro4 clients: lines such as lab = "key".',
        ("--keys",), metavar="FILE", reloads=True,
    ),
    Item(
        "unsigned_pyro5",
        "With keys: answer Pyro5 clients, too, which cannot have any.",
        ("--unsigned-pyro5",), "unsigned_pyro5",
    ),
    Item(
        "permissions",
        "File that says who may do what (TOML).",
        ("--permissions",), metavar="FILE", reloads=True,
    ),
    Item("read_only", "Refuse all changes.", ("--read-only",), kind=FLAG, default=False, reloads=True),
    Item("audit_log", "Write down all changes, and all that was refused.", ("--audit-log",), metavar="FILE"),
    Item(
        "audit_log_size",
        "Begin a new audit log when it gets larger.",
        ("--audit-log-size",), kind=LOG_SIZE, metavar="BYTES",
    ),
)  # fmt: skip

LIMITS: Final = (
    Item(
        "max_message_size",
        "Bytes of a message, also unfolded; 0: 2147483647.",
        setting="max_message_size",
        reloads=True,
    ),
    Item("max_handshake_size", "The same before a handshake is accepted.", setting="max_handshake_size", reloads=True),
    Item("max_annotations", "Annotations of a message.", setting="max_annotations", reloads=True),
    Item("max_depth", "Containers around a value in a payload.", kind=DEPTH, default=PAYLOADS.depth),
    Item("max_elements", "Elements of all containers of a payload.", kind=COUNT, default=PAYLOADS.elements),
    Item("max_name_length", "Characters of a name, a URI or a tag that is registered.", setting="max_name_length"),
    Item("max_tags", "Metadata tags of one name.", setting="max_tags"),
    Item("max_names_per_client", "Names of one client; 0: no limit.", setting="max_names_per_client"),
    Item(
        "max_connections",
        "Connections at a time; 0: as the descriptors allow.",
        setting="max_connections",
        reloads=True,
    ),
    Item(
        "max_connections_per_address",
        "Connections from one address; 0: three quarters of all.",
        setting="max_connections_per_address",
        reloads=True,
    ),
    Item("handshake_timeout", "Seconds for a handshake; 0: no limit.", setting="handshake_timeout", reloads=True),
    Item("message_timeout", "Seconds for finishing a message; 0: no limit.", setting="message_timeout", reloads=True),
    Item("unread_timeout", "Seconds without reading answers; 0: no limit.", setting="unread_timeout", reloads=True),
    Item("idle_timeout", "Seconds without a word; 0: no limit.", setting="idle_timeout", reloads=True),
    Item("max_held", "Bytes that are held for slow clients, of all together.", setting="max_held", reloads=True),
    Item("regex_timeout", "Seconds of computing for a regular expression.", setting="regex_timeout"),
    Item("ephemeral_grace", "Seconds that an ephemeral name outlives its connection.", setting="ephemeral_grace"),
    Item("max_history", "Changes that are remembered for watchers.", setting="max_history"),
    Item("max_watches", "Watches of one address at a time.", setting="max_watches"),
)

ANSWERS: Final = (
    Item("serializers_accepted", "What is answered.", setting="serializers_accepted", reloads=True),
    Item("compression", "Compress large answers.", setting="compression"),
    Item("detailed_traceback", "Tell clients the variables in tracebacks.", setting="detailed_traceback"),
    Item("straight_road", "The quick way for common requests.", setting="straight_road"),
)

HTTP: Final = (
    Item(
        "http",
        "Serve health, metrics and a REST API by HTTP; without a host at 127.0.0.1.",
        ("--http",), metavar="[HOST]:PORT",
    ),
    Item(
        "http_tokens",
        'File with tokens of HTTP clients: lines such as ops = "token".',
        ("--http-tokens",), metavar="FILE", reloads=True,
    ),
    Item(
        "http_name",
        "A further name by which HTTP clients call it; there may be several.",
        ("--http-name",), metavar="NAME", several=True,
    ),
    Item("metrics", "Count what is asked, for status and metrics.", setting="metrics"),
)  # fmt: skip

LOGS: Final = (
    Item(
        "log_level",
        "What is logged, and what is worse: DEBUG, INFO, WARNING, ERROR or CRITICAL.",
        ("--log-level",), kind=LEVEL, default="WARNING", variable="PYRO_LOGLEVEL",
        metavar="LEVEL", reloads=True,
    ),
    Item(
        "log_file",
        f"File of the log; {STDERR}: the standard error.",
        ("--log-file",), default=STDERR, variable="PYRO_LOGFILE", metavar="FILE", reloads=True,
    ),
    Item(
        "log_format",
        "text, or json: one object for each line.",
        ("--log-format",), kind=FORMAT, default="text", metavar="FORMAT", reloads=True,
    ),
    Item(
        "access_log",
        "Log each call: who, what, how it ended, how long it took.",
        ("--access-log",), "access_log", reloads=True,
    ),
)  # fmt: skip

GROUPS: Final = {
    "Where it listens": LISTENING,
    "Discovery": DISCOVERY,
    "Storage": STORAGE,
    "Probing": PROBING,
    "TLS": TLS,
    "Access": ACCESS,
    "Limits": LIMITS,
    "Answers": ANSWERS,
    "HTTP": HTTP,
    "Logs": LOGS,
}
ITEMS: Final = {item.key: item for items in GROUPS.values() for item in items}

NOT_OF_SERVERS: Final = frozenset(
    [
        *("ns_host", "locate_timeout", "max_retries", "metadata", "serializer"),
        *("ssl_clientcert", "ssl_clientkey", "ssl_clientkeypasswd"),
        *("polltimeout", "threadpool_size", "require_expose", "autoproxy", "iter_streaming"),
    ]
)
"""Settings of clients, and of daemons with objects of one's own: a name server's command does nothing with them."""


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command all options; their texts come as keyword arguments by key, None where they are not given."""
    for item in reversed(ITEMS.values()):
        if item.flags:
            command = _option(item)(command)
    return command


def _option(item: Item) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    help_text = item.meaning
    if not item.is_flag and item.default not in (None, ""):
        help_text += f"  [default: {item.default}]"
    if item.is_flag:
        return click.option(*item.flags, item.key, is_flag=True, default=None, help=help_text)
    return click.option(*item.flags, item.key, metavar=item.metavar, multiple=item.several, help=help_text)
