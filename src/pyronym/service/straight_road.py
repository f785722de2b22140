"""The straight road: the common requests in their common form, answered from their bytes.

Nine of ten requests to a name server are ``lookup(name)`` with a plain name. On the general road such a request becomes
a message, values, a call, a URI, values again and a message. Here one pattern recognises it, one look into the
directory finds the record, and what its URI looks like on the wire is remembered. Whatever is not recognised takes the
general road, which answers the same: ``tests/service/test_straight_road.py`` compares both, on hostile bytes too.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from pyronym.serializers.registry import Serializer, serializer_by_name, serializer_id
from pyronym.service.nameservice import NameService
from pyronym.settings import Settings
from pyronym.uri import NAMESERVER_NAME, URI
from pyronym.wire.message import PYRO4
from pyronym.wire.straight import Pyro4Road, Pyro5Road

K = TypeVar("K")
V = TypeVar("V")

_NAME: Final = rb"(?P<name>[ !#-&(-\[\]-~]{1,255})"
"""Printable ASCII without quotes and backslashes: the same bytes in every format."""

_STRING: Final = rb"[zZ\xfa\xda]"
"""The marks of a short ASCII text in marshal, interned or not, referred to later or not."""

_LOOKUPS: Final = {
    "serpent": rb"# serpent utf-8 python3\.2\n\('Pyro\.NameServer','lookup',\('%(name)s',(?:0\.0)?\),\{\}\)",
    "json": rb'\{"object": "Pyro\.NameServer", "method": "lookup", "params": \["%(name)s"\], "kwargs": \{\}\}',
    "msgpack": rb"\x94\xafPyro\.NameServer\xa6lookup\x91(?:\xd9(?P<length>.)|(?P<short>[\xa1-\xbf]))%(name)s\x80",
    "marshal": rb"[)\xa9]\x04%(string)s\x0fPyro\.NameServer%(string)s\x06lookup(?:[\[\xdb]\x01\x00\x00\x00|[)\xa9]\x01)"
    rb"%(string)s(?P<length>.)%(name)s[{\xfb]0",
}
"""How ``lookup(name)`` looks in each format, as the stock clients write it."""

_PATTERNS: Final = {
    name: re.compile(form % {b"name": _NAME, b"string": _STRING}, re.DOTALL) for name, form in _LOOKUPS.items()
}

_MAX_REMEMBERED: Final = 10_000
"""Requests, and URIs, whose form is remembered for one serializer; when there are more, it starts again with none."""

_MIN_LIMIT: Final = 1 << 16
"""Bytes. With a smaller message limit each size would have to be checked."""


class Lookups:
    """Answers lookups from their payload, in all serializers of one protocol that have a pattern."""

    def __init__(self, service: NameService, protocol: int, settings: Settings) -> None:
        self._get = service.get
        self._forms = {
            serializer_id(protocol, name): _Form(pattern, serializer_by_name(protocol, name))
            for name, pattern in _PATTERNS.items()
            if name in settings.serializers_accepted
        }

    def find(self, serializer_id: int, payload: bytes) -> bytes | None:
        """The payload of the answer; None where the general road has to find it."""
        form = self._forms.get(serializer_id)
        if form is None:
            return None
        name = form.names.get(payload) or form.recognise(payload)
        record = self._get(name) if name else None
        if record is None:
            return None
        return form.answers.get(record.uri) or form.answer(record.uri)


class _Form:
    """One serializer's form of a lookup and of its answer, and what was seen of both lately."""

    def __init__(self, pattern: re.Pattern[bytes], serializer: Serializer) -> None:
        self.names: dict[bytes, str] = {}
        self.answers: dict[str, bytes] = {}
        self._match = pattern.fullmatch
        self._has_length = "length" in pattern.groupindex
        self._dumps = serializer.dumps

    def recognise(self, payload: bytes) -> str | None:
        """The name that is looked up, if this is such a lookup. (To remember it saves 0.4 microseconds.)"""
        match = self._match(payload)
        if match is None or (self._has_length and not _announces(match, len(match["name"]))):
            return None
        name = match["name"].decode("ascii")
        if name == NAMESERVER_NAME:  # whose address depends on who asks
            return None
        _remember(self.names, payload, name)
        return name

    def answer(self, uri: str) -> bytes:
        """A URI as the payload of an answer."""
        payload = self._dumps(URI(uri))
        _remember(self.answers, uri, payload)
        return payload


def _remember(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[key] = value


def _announces(match: re.Match[bytes], length: int) -> bool:
    """Whether the length that comes before the name in a binary format is the right one."""
    announced = match["length"]
    if announced is not None:
        return announced[0] == length
    return match["short"][0] & 0x1F == length


def straight_road(
    lookups: Lookups, protocol: int, settings: Settings, hmac_key: bytes | None
) -> Pyro4Road | Pyro5Road | None:
    """A straight road for a connection that speaks `protocol`; None where the settings do not allow it."""
    if not settings.straight_road or settings.compression or settings.message_limit < _MIN_LIMIT:
        return None
    return Pyro4Road(lookups.find, hmac_key) if protocol == PYRO4 else Pyro5Road(lookups.find)
