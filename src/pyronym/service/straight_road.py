"""The straight road: the common requests in their common form, answered from their bytes.

Nine of ten requests to a name server are ``lookup(name)`` with a plain name. On the general road such a request becomes
a message, values, a call, a URI, values again and a message. Here one pattern recognises it, one look into the
directory finds the record, and what its URI looks like on the wire is remembered. Whatever is not recognised takes the
general road, which answers the same: ``tests/service/test_straight_road.py`` compares both, on hostile bytes too.
"""

from __future__ import annotations

import re
from typing import Final

from pyronym.serializers.registry import Serializer, serializer_by_name, serializer_id
from pyronym.service.nameservice import NameService
from pyronym.settings import Settings
from pyronym.uri import NAMESERVER_NAME, URI
from pyronym.wire.message import PYRO4
from pyronym.wire.straight import PlainCall, Pyro4Plain, Pyro5Plain

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
"""URIs whose form is remembered for one serializer; when there are more, it starts again with none."""

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

    def answer(self, call: PlainCall, buffer: bytes) -> bytes | None:
        """The payload of the answer to a call in `buffer`; None where the general road has to find it."""
        form = self._forms.get(call.serializer_id)
        if form is None:
            return None
        name = form.name_in(buffer, call.start, call.end)
        if name is None or name == NAMESERVER_NAME:  # whose address depends on who asks
            return None
        record = self._get(name)
        return None if record is None else form.of_uri(record.uri)


class _Form:
    """One serializer's form of a lookup and of its answer."""

    def __init__(self, pattern: re.Pattern[bytes], serializer: Serializer) -> None:
        self._match = pattern.fullmatch
        self._has_length = "length" in pattern.groupindex
        self._dumps = serializer.dumps
        self._remembered: dict[str, bytes] = {}

    def name_in(self, buffer: bytes, start: int, end: int) -> str | None:
        """The name that is looked up in this part of the buffer, if it is such a lookup."""
        match = self._match(buffer, start, end)
        if match is None:
            return None
        name = match["name"]
        if self._has_length and not _announces(match, len(name)):
            return None
        return name.decode("ascii")

    def of_uri(self, uri: str) -> bytes:
        """A URI as the payload of an answer."""
        known = self._remembered.get(uri)
        if known is None:
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            known = self._remembered[uri] = self._dumps(URI(uri))
        return known


def _announces(match: re.Match[bytes], length: int) -> bool:
    """Whether the length that comes before the name in a binary format is the right one."""
    announced = match["length"]
    if announced is not None:
        return announced[0] == length
    return match["short"][0] & 0x1F == length


class StraightRoad:
    """The straight road of one connection."""

    def __init__(self, lookups: Lookups, plain: Pyro4Plain | Pyro5Plain) -> None:
        self._lookup = lookups.answer
        self._call = plain.call
        self._result = plain.result

    def advance(self, data: bytes, out: list[bytes]) -> bytes:
        """Answer requests from the front of `data` while they are recognised: the answers go to `out`. The rest."""
        position = 0
        while position < len(data):
            call = self._call(data, position)
            if call is None:
                break
            answer = self._lookup(call, data)
            if answer is None:
                break
            out.append(self._result(call, answer))
            position = call.end
        return data[position:]


def straight_road(lookups: Lookups, protocol: int, settings: Settings, hmac_key: bytes | None) -> StraightRoad | None:
    """A straight road for a connection that speaks `protocol`; None where the settings do not allow it."""
    if not settings.straight_road or settings.compression or settings.message_limit < _MIN_LIMIT:
        return None
    return StraightRoad(lookups, Pyro4Plain(hmac_key) if protocol == PYRO4 else Pyro5Plain())
