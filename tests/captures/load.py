"""What stock peers said to each other, as `capture` recorded it.

``pyro4.json`` and ``pyro5.json`` hold a list: first an object that names the peer and its Python, then an object for
each message, in the order in which they passed. All messages of one scenario and serializer are one connection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FILES = {48: "pyro4.json", 502: "pyro5.json"}


class Uri(NamedTuple):
    """A URI within a value."""

    text: str


class Reference(NamedTuple):
    """A proxy within a value."""

    uri: str


class Raised(NamedTuple):
    """An exception within a value: its class with its module, its arguments, the names of its attributes."""

    name: str
    args: list[Any]
    attributes: list[str]


class Failure(NamedTuple):
    """The place of a failed call in the results of a batch."""

    exception: Raised


@dataclass(frozen=True)
class Expected:
    """What the stock peer's own code reads in a message."""

    type: int
    flags: frozenset[str]
    """Names as in `pyronym.wire.message.Flag`."""
    serializer_id: int
    sequence: int
    correlation: bytes | None
    annotations: dict[str, bytes]
    """Without HMAC and CORR."""
    hmac_key: bytes | None
    """The key that the signature was made with."""
    compressed: bool
    data: bytes
    """After decompression."""
    value: object
    """What the data says: plain values, and the classes above. None for a ping, and where `unreadable`."""
    unreadable: str | None
    """Why the stock peer cannot deserialize the data, if so."""


@dataclass(frozen=True)
class Exchange:
    """One message on its way."""

    scenario: str
    serializer: str
    """The client's. A refusal may come in another one."""
    direction: str
    """Who sent it: client or server."""
    wire: bytes
    expected: Expected | None
    """None: the stock peer refuses to read it."""

    def __str__(self) -> str:
        return f"{self.scenario} ({self.serializer}), {self.direction}"


@cache
def load(protocol: int) -> list[Exchange]:
    """All recorded messages of protocol 48 or 502."""
    text = Path(__file__).with_name(FILES[protocol]).read_text(encoding="utf-8")
    _, *entries = json.loads(text)
    return [_exchange(entry) for entry in entries]


def _exchange(entry: dict[str, Any]) -> Exchange:
    wire = bytes.fromhex(entry["wire"])
    expected = entry["expected"]
    fields = {name: entry[name] for name in ("scenario", "serializer", "direction")}
    return Exchange(**fields, wire=wire, expected=None if expected is None else _expected(expected, wire))


def _expected(fields: dict[str, Any], wire: bytes) -> Expected:
    compressed = "compressed_data" in fields
    return Expected(
        type=fields["type"],
        flags=frozenset(fields.get("flags", ())),
        serializer_id=fields["serializer_id"],
        sequence=fields["sequence"],
        correlation=_bytes(fields.get("correlation")),
        annotations={name: bytes.fromhex(value) for name, value in fields.get("annotations", {}).items()},
        hmac_key=_bytes(fields.get("hmac_key")),
        compressed=compressed,
        data=bytes.fromhex(fields["compressed_data"]) if compressed else wire[len(wire) - fields["data_length"] :],
        value=_value(fields.get("value")),
        unreadable=fields.get("unreadable"),
    )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _value(plain: Any) -> Any:
    """The value that its JSON form stands for; ``{"$kind": content}`` is what JSON has no form for."""
    if isinstance(plain, list):
        return [_value(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    match plain:
        case {"$tuple": items}:
            return tuple(_value(items))
        case {"$set": items}:
            return set(items)
        case {"$bytes": text}:
            return bytes.fromhex(text)
        case {"$uri": text}:
            return Uri(text)
        case {"$proxy": text}:
            return Reference(text)
        case {"$exception": [name, args, attributes]}:
            return Raised(name, _value(args), attributes)
        case {"$failure": exception}:
            return Failure(_value(exception))
    return {key: _value(item) for key, item in plain.items()}
