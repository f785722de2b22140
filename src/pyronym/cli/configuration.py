"""What ``pyronym serve`` is told, by its options, the environment and its file, as one consistent set of values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final, NamedTuple

from pyronym.cli.items import GROUPS, ITEMS, Item
from pyronym.server.toml_files import TomlFile
from pyronym.settings import Settings, config


class Origin(IntEnum):
    """Where a value comes from; what is larger counts more."""

    DEFAULT = 0
    FILE = 1
    ENVIRONMENT = 2
    OPTION = 3


class Value(NamedTuple):
    """A value, and where it comes from, in words too."""

    value: Any
    origin: Origin
    where: str


@dataclass(frozen=True)
class Configuration:
    """The value of each item. `values[key]` says where it comes from as well; `path` is the file, if there is one."""

    values: Mapping[str, Value]
    path: str | None = None

    def __getitem__(self, key: str) -> Any:
        return self.values[key].value

    def is_given(self, key: str) -> bool:
        """Whether it was said to this server itself: by an option or in its file."""
        return _is_given(self.values[key])

    @property
    def settings(self) -> Settings:
        """The settings that these are; what is not among them is as the environment says."""
        changes = {item.setting: self[item.key] for item in ITEMS.values() if item.setting}
        return replace(config.settings, **changes)

    def shown(self) -> str:
        """All of it in TOML, each value with where it comes from. Secrets are not told."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for title, items in GROUPS.items():
            yield f"# {title}"
            for item in items:
                value, _, where = self.values[item.key]
                if value is None:
                    yield f"# {item.key} is not set"
                elif item.secret and value:
                    yield f"# {item.key} is secret  # {where}"
                else:
                    yield f"{item.key} = {in_toml(value)}  # {where}"


def configure(options: Mapping[str, Any], environment: Mapping[str, str], path: str | None) -> Configuration:
    """What the `options`, the `environment` and the file at `path`, if there is one, say together.

    An option counts more than the environment, that more than the file, and that more than the default. Raises
    ValueError that names the value, its place and what is expected, also if the file cannot be read.
    """
    values = {key: Value(item.default, Origin.DEFAULT, "default") for key, item in ITEMS.items()}
    if path is not None:
        values |= _from_file(path)
    values |= dict(_from_environment(environment))
    values |= dict(_from_options(options))
    configuration = Configuration(_agreed(values), path)
    _check(configuration)
    return configuration


def in_toml(value: object) -> str:
    """A value as it is written in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return in_toml(sorted(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _from_file(path: str) -> dict[str, Value]:
    try:
        file = TomlFile(path)
    except OSError as problem:
        raise ValueError(f"cannot read the configuration: {problem}") from problem
    found: dict[str, Value] = {}
    for key, value in file.document.items():
        item = ITEMS.get(key)
        if item is None:
            nearest = difflib.get_close_matches(key, ITEMS, 1)
            advice = f"did you mean {nearest[0]}?" if nearest else "docs/configuration.md has a table of all keys"
            raise ValueError(f"{file.place_of(key)}: unknown key {key!r} ({advice})")
        if item.secret:
            file.must_be_private(f"it holds the secret {key}, and ")
        value = item.from_file(value)
        expected = item.expectation(value)
        if expected is not None:
            raise ValueError(f"{file.place_of(key)}: invalid {key}: {item.shown(value)} (expected {expected})")
        found[key] = Value(value, Origin.FILE, path)
    return found


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Value]]:
    for key, item in ITEMS.items():
        if item.variable in environment:
            what = f"environment variable {item.variable}: invalid {item.variable.partition('_')[2]}"
            value = _read(item, environment[item.variable], what)
            yield key, Value(value, Origin.ENVIRONMENT, item.variable)


def _from_options(options: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for key, value in options.items():
        item = ITEMS[key]
        if value is None or value == ():
            continue
        if not item.is_flag:
            text = ",".join(value) if item.several else value
            value = _read(item, text, f"invalid {item.flags[-1]}")
        yield key, Value(value, Origin.OPTION, item.flags[-1])


def _read(item: Item, text: str, what: str) -> object:
    value = item.from_text(text)
    expected = item.expectation(value)
    if expected is not None:
        raise ValueError(f"{what}: {item.shown(value)} (expected {expected})")
    return value


def _is_given(value: Value) -> bool:
    return bool(value.value) and value.origin in (Origin.OPTION, Origin.FILE)


def _agreed(values: dict[str, Value]) -> dict[str, Value]:
    """`values` in which what belongs together comes from one place, or from the one that counts more."""
    certificate, key = values["tls_cert"], values["tls_key"]
    if _is_given(key) and key.origin > certificate.origin:
        raise ValueError("--tls-key needs --tls-cert, the file of its certificate")
    if key.origin < certificate.origin:
        values["tls_key"] = values["tls_key"]._replace(value="")
    if _is_given(certificate) and values["tls"].origin < certificate.origin:
        values["tls"] = certificate._replace(value=True)
    listening = max(values["host"].origin, values["port"].origin)
    if listening is Origin.OPTION and values["unixsocket"].origin < listening:
        values["unixsocket"] = values["unixsocket"]._replace(value=None)
    return values


_CONTRADICTIONS: Final[Sequence[tuple[Callable[[Configuration], object], str]]] = (
    (
        lambda told: told["key"] is not None and told["keys"],
        "don't use --keys together with -k or PYRO_HMAC_KEY (put that key into the file)",
    ),
    (
        lambda told: told["audit_log_size"] and not told["audit_log"],
        "--audit-log-size is of no use without --audit-log",
    ),
    (
        lambda told: (told["http_tokens"] or told["http_name"]) and not told["http"],
        "--http-tokens and --http-name are of no use without --http",
    ),
    (
        lambda told: told.values["natport"].origin is Origin.OPTION and not told["nathost"],
        "--natport is of no use without --nathost",
    ),
    (
        lambda told: told.values["probe_grace"].origin is Origin.OPTION and not told["probe"],
        "--probe-grace is of no use without --probe",
    ),
    (
        lambda told: (told.is_given("tls_ca") or told.is_given("tls_require_client_cert")) and not told["tls_cert"],
        "the --tls options need --tls-cert, the file of the server's certificate",
    ),
    (
        lambda told: told["unixsocket"] and (told.is_given("tls_cert") or told["tls_port"] is not None),
        "a Unix socket speaks no TLS (give either --unixsocket, or --tls-cert and a port)",
    ),
)
"""What contradicts itself, or would be of no use, and what to say of it."""


def _check(told: Configuration) -> None:
    """Raise ValueError for the first thing that contradicts itself, or would be of no use."""
    for is_so, words in _CONTRADICTIONS:
        if is_so(told):
            raise ValueError(words)
